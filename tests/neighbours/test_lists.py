"""Long lists behind nginx: they arrive whole, or it is seen that they do not."""

import contextlib
import http.client
import sqlite3
import subprocess
import tempfile
import unittest

from tests.neighbours import test_nginx
from tests.neighbours.scene import BINARY, PATH, Gateway, Process, free_port, get
from tests.neighbours.test_nginx import nginx

LIST = "/api/reports/user_visits?include_users_without_visits=true&format=csv"
MEMBERS = 3_000


def nginx_by_default(gateway: int) -> Process:
    """nginx without a line about the gateway but its address: it speaks HTTP/1.0."""
    port = free_port()
    return nginx(port, f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{gateway}; }} }}")


class Lists(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = f"{folder.name}/coworking.db"
        self.url = f"sqlite:{self.file}"
        amount = ["--users", str(MEMBERS), "--tokens", "5000", "--days", "30"]
        environment = {"PATH": PATH, "DATABASE_URL": self.url}
        subprocess.run([BINARY, "seed", *amount], cwd=folder.name, env=environment, check=True, capture_output=True)

    def ports(self, **variables: str) -> tuple[int, int, int]:
        """The gateway, nginx by default, and nginx with the documented lines."""
        gateway = Gateway(DATABASE_URL=self.url, ANONYMOUS_SCOPES="reports,members", **variables)
        self.addCleanup(gateway.stop)
        proxies = [nginx_by_default(gateway.port), test_nginx.Nginx.start(gateway.port)]
        for proxy in proxies:
            self.addCleanup(proxy.stop)
        return gateway.port, *(proxy.port for proxy in proxies)

    def test_they_arrive_whole(self):
        gateway, *proxies = self.ports()
        whole = get(gateway, LIST).body
        self.assertEqual(whole.count(b"\r\n"), MEMBERS + 1)
        for port in proxies:
            self.assertEqual(get(port, LIST).body, whole)

    def test_a_broken_one_is_seen(self):
        _, by_default, documented = self.ports()
        with contextlib.closing(sqlite3.connect(self.file)) as database:
            # From then on, a list of all members fails at its last one.
            database.execute("UPDATE users SET first_name = CAST(X'ff' AS TEXT) WHERE id = (SELECT max(id) FROM users)")
            database.commit()
        self.assertGreaterEqual(get(by_default, LIST).status, 500)
        with self.assertRaises(http.client.IncompleteRead):
            get(documented, LIST)

    def test_one_that_is_too_long_for_http_1_0_is_refused(self):
        _, by_default, documented = self.ports(MAX_RESPONSE_BYTES="20000")
        refused = get(by_default, LIST)
        self.assertEqual(refused.status, 426)
        self.assertIn("proxy_http_version 1.1", refused.json()["errors"][0]["message"])
        self.assertEqual(get(documented, LIST).body.count(b"\r\n"), MEMBERS + 1)


if __name__ == "__main__":
    unittest.main()
