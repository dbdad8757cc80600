"""What holds behind every proxy."""

from tests.neighbours.scene import Gateway, first_event, get, post, query, socket_says

USAGE = "{ usage(granularity: MONTH) { buckets { start visits } totals { visits } } }"
LIVE = "subscription { usage(granularity: MONTH) { totals { visits } } }"
CSV = "/api/reports/daily_usage?format=csv"


class Proxied:
    """The tests of a proxy; `start` starts it in front of a port."""

    @classmethod
    def setUpClass(cls):
        # One proxy adds the client's address to each request.
        cls.gateway = Gateway(TRUSTED_PROXY_HOPS="1")
        cls.addClassCleanup(cls.gateway.stop)
        cls.proxy = cls.start(cls.gateway.port)
        cls.addClassCleanup(cls.proxy.stop)
        cls.proxy.wait_for(cls.check)

    @classmethod
    def check(cls):
        assert get(cls.proxy.port, "/health_check").status == 200

    def test_answers_are_the_same(self):
        for path in ["/", "/api/reports", "/api/reports/user_visits", CSV, query(USAGE)]:
            direct, proxied = (get(port, path) for port in (self.gateway.port, self.proxy.port))
            self.assertEqual((proxied.status, proxied.body), (direct.status, direct.body), path)
        self.assertEqual(post(self.proxy.port, USAGE).json(), post(self.gateway.port, USAGE).json())

    def test_what_a_client_has_is_not_sent_again(self):
        answer = get(self.proxy.port, query(USAGE))
        again = get(self.proxy.port, query(USAGE), if_none_match=answer.headers["ETag"])
        self.assertEqual((again.status, again.body), (304, b""))

    def test_event_streams_are_not_held_back(self):
        self.assertIn(b"event: next", first_event(self.proxy.port, LIVE))

    def test_web_sockets_are_opened(self):
        self.assertEqual(socket_says(self.proxy.port), b'{"type":"connection_ack"}')

    def test_budgets_are_by_the_clients_address(self):
        gateway = Gateway(TRUSTED_PROXY_HOPS="1", RATE_LIMIT="5000", CACHE_BYTES="0")
        self.addCleanup(gateway.stop)
        proxy = type(self).start(gateway.port)
        self.addCleanup(proxy.stop)
        proxy.wait_for(lambda: get(proxy.port, "/health_check"))
        first = [post(proxy.port, USAGE, source="127.0.0.2").status for _ in range(10)]
        self.assertEqual((first[0], first[-1]), (200, 429), first)
        # Whatever a client says of itself.
        forged = post(proxy.port, USAGE, source="127.0.0.2", X_Forwarded_For="127.0.0.9")
        self.assertEqual(forged.status, 429)
        self.assertEqual(post(proxy.port, USAGE, source="127.0.0.3").status, 200)

    def test_errors_are_not_kept(self):
        wrong = query("{ usage(filter: {from: \"never\"}) { totals { visits } } }")
        for _ in range(2):
            answer = get(self.proxy.port, wrong)
            self.assertEqual(answer.headers["Cache-Control"], "no-store")
            self.assertEqual(answer.headers.get("Age", "0"), "0")
