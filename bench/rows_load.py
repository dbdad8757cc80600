"""Rows 4 to 7: writes with the rollup's triggers, and requests at full speed."""

import subprocess
import threading
from collections.abc import Iterator

from bench.cluster import Cluster
from bench.gateway import Bare, Gateway
from bench.load import inserted, pgbench, selected, wrk
from bench.settings import Row, Settings, Unmeasurable, median, say, tokens

CONNECTIONS = 32


def dashboard(cluster: Cluster, database: str) -> str:
    """The query that a dashboard repeats: the last 30 days in its own zone, without an end of the range."""
    first = cluster.sql(database, f"SELECT DATE '{cluster.last_day(database)}' - 29")
    return f'{{ dailyUsage(filter: {{from: "{first}"}}, timeZone: "Europe/Berlin") {{ date visits }} }}'


def variants(settings: Settings) -> list[tuple[bool, str]]:
    """Without and with a rollup: a small database does not need one, but may have one."""
    return [(False, "without rollup"), *([(True, "with rollup")] if settings.has_rollup else [])]


def writes(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    if not settings.has_rollup:
        raise Unmeasurable("the binary has no `rollup`")
    plain, rollup = (cluster.database(settings.medium, rollup=each) for each in (False, True))
    rates: dict[str, list[float]] = {plain: [], rollup: []}
    with cluster.copied(plain) as off, cluster.copied(rollup) as on:
        for number in range(settings.rounds):
            say(f"writes: round {number + 1} of {settings.rounds}")
            for source, copy in ((plain, off), (rollup, on)):
                process = pgbench(cluster, copy, cluster.users(settings.medium), 4, f"-T {settings.seconds}")
                rates[source].append(inserted(process)[1])
    yield written_beside(rates[plain], rates[rollup], tokens(settings.medium))


def written_beside(plain: list[float], rollup: list[float], what: str) -> Row:
    """The rates of writing without and with a rollup."""
    without, beside = median(plain), median(rollup)
    return Row(
        f"tokens written one by one by 4 clients, {what}, with the rollup's triggers and indexes",
        f"{without:,.0f}/s without, {beside:,.0f}/s with",
        f"{beside / without:.2f}",
        "at least 0.7",
        beside / without >= 0.7,
    )


def repeated(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    for rollup, variant in variants(settings):
        database = cluster.database(settings.small, rollup)
        query = dashboard(cluster, database)
        rates: dict[str, list[float]] = {"bare": [], "probe": [], "kept": []}
        with Gateway(settings, cluster.url(database)) as gateway, Bare() as bare:
            gateway.ask(query)
            wrk(gateway, CONNECTIONS, 1, query)
            for number in range(settings.rounds):
                say(f"repeated dashboard query {variant}: round {number + 1} of {settings.rounds}")
                rates["bare"].append(wrk(bare, CONNECTIONS, settings.seconds, None).per_second)
                rates["probe"].append(wrk(gateway, CONNECTIONS, settings.seconds, None).per_second)
                rates["kept"].append(wrk(gateway, CONNECTIONS, settings.seconds, query).per_second)
        least, probe, kept = (median(each) for each in rates.values())
        for what, rate, bar in ((f"`/health_check`, {variant}", probe, 0.85), (f"a dashboard's repeated query, {variant}", kept, 0.6)):
            yield Row(
                f"{what}, {CONNECTIONS} connections, {tokens(settings.small)}",
                f"{rate:,.0f}/s, a bare handler of axum {least:,.0f}/s",
                f"{rate / least:.2f}",
                f"at least {bar}",
                rate / least >= bar,
            )


class Sampler(threading.Thread):
    """Asks the same query during the load, and counts visits in SQL before and after: an exact answer lies between."""

    def __init__(self, cluster: Cluster, database: str, gateway: Gateway, query: str) -> None:
        super().__init__()
        self.gateway, self.query = gateway, query
        first = query.split('from: "')[1][:10]
        self.count = (
            "SELECT count(used_at) FROM tokens WHERE created_at >= "
            f"TIMESTAMP '{first}' AT TIME ZONE 'Europe/Berlin' AT TIME ZONE 'UTC';\n"
        )
        self.psql = subprocess.Popen(cluster.psql(database), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.stopped = threading.Event()
        self.samples, self.inexact, self.failure = 0, 0, ""

    def _counted(self) -> int:
        assert self.psql.stdin and self.psql.stdout
        self.psql.stdin.write(self.count)
        self.psql.stdin.flush()
        return int(self.psql.stdout.readline())

    def run(self) -> None:
        try:
            while not self.stopped.wait(0.05):
                before = self._counted()
                visits = sum(day["visits"] for day in self.gateway.ask(self.query)["dailyUsage"])
                self.samples += 1
                self.inexact += not before <= visits <= self._counted()
        except Exception as error:  # The main thread reports it.
            self.failure = str(error)
        finally:
            self.psql.terminate()
            self.psql.communicate()


def repeated_while_written(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    if not cluster.has_statements:
        raise Unmeasurable("the server has no pg_stat_statements")
    for rollup, variant in variants(settings):
        source = cluster.database(settings.small, rollup)
        name = f"the same while 50 tokens a second are written, {variant}"
        say(name)
        with cluster.copied(source) as database:
            query = dashboard(cluster, database)
            with (
                Gateway(settings, cluster.url(database)) as gateway,
                cluster.counted_statements(database) as statements,
            ):
                written = pgbench(cluster, database, cluster.users(settings.small), 2, f"-R 50 -T {settings.seconds}")
                sampler = Sampler(cluster, database, gateway, query)
                sampler.start()
                try:
                    load = wrk(gateway, CONNECTIONS, settings.seconds, query)
                finally:
                    sampler.stopped.set()
                    sampler.join()
                count = statements()
                rate = inserted(written)[1]
        if sampler.failure or sampler.samples == 0:
            raise RuntimeError(f"sampling answers failed: {sampler.failure}")
        yield Row(
            f"{name}: exact answers",
            f"{sampler.samples - sampler.inexact} of {sampler.samples}, {rate:.0f} written/s",
            "",
            "all",
            sampler.inexact == 0,
        )
        requests = load.answers + sampler.samples
        yield Row(
            f"{name}: SQL statements per request",
            f"{count:,} for {requests:,} requests, {load.per_second:,.0f}/s",
            f"{count / requests:.4f}",
            "at most 0.1",
            count / requests <= 0.1,
        )


def new_lists(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    rates, failures = [], ""
    database = cluster.database(settings.small)
    last = cluster.last_day(database)
    with Gateway(settings, cluster.url(database)) as gateway:
        for days in (8, settings.days):
            first = cluster.sql(database, f"SELECT DATE '{last}' - {days - 1}")
            query = f'{{ {{alias}}: dailyUsage(filter: {{from: "{first}", to: "{{to}}"}}) {{ date visits }} }}'
            (listed,) = gateway.ask(query.replace("{alias}", "a").replace("{to}", "2099-12-31")).values()
            if len(listed) != days:
                raise RuntimeError(f"{len(listed)} rows instead of {days}")
            wrk(gateway, CONNECTIONS, 1, query, tolerant=True)
            say(f"lists of {days:,} days, each asked for once")
            loads = [wrk(gateway, CONNECTIONS, settings.seconds, query, tolerant=True) for _ in range(settings.rounds)]
            rates.append(median(load.per_second for load in loads))
            failures += "".join(load.failures() for load in loads)
    yield Row(
        f"a list of {settings.days:,} days that nobody asked before, beside one of 8, {tokens(settings.small)}",
        f"{rates[1]:,.0f}/s, of 8 days {rates[0]:,.0f}/s{failures}",
        f"{rates[1] / rates[0]:.2f}",
    )


def asked_each_time(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    """Without kept answers, beside the statement that a person would write, sent by pgbench."""
    database = cluster.database(settings.small)
    first = cluster.sql(database, f"SELECT DATE '{cluster.last_day(database)}' - 47")
    questions = {
        "48 days": (
            f'{{ dailyUsage(filter: {{from: "{first}"}}) {{ date visits }} }}',
            f"SELECT created_at::DATE, count(used_at) FROM tokens WHERE created_at >= '{first}' GROUP BY 1 ORDER BY 1",
            0.75,
            150,
        ),
        "`userVisits` of 250 members": (
            "{ userVisits(first: 250) { nodes { userId visits } } }",
            "SELECT user_id, count(used_at) FROM tokens GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 250",
            0.7,
            None,
        ),
    }
    for what, (query, statement, least, most) in questions.items():
        asked, bare, spent = [], [], []
        with Gateway(settings, cluster.url(database), CACHE_BYTES="0") as gateway:
            wrk(gateway, CONNECTIONS, 1, query)
            for number in range(settings.rounds):
                say(f"{what}, asked each time: round {number + 1} of {settings.rounds}")
                before = gateway.processor_seconds()
                load = wrk(gateway, CONNECTIONS, settings.seconds, query)
                asked.append(load.per_second)
                spent.append((gateway.processor_seconds() - before) / load.answers * 1e6)
                bare.append(selected(cluster, database, statement, settings.seconds))
        ratio = median(asked) / median(bare)
        yield Row(
            f"{what}, asked of the database each time, {CONNECTIONS} connections, {tokens(settings.small)}",
            f"{median(asked):,.0f}/s, the statement alone {median(bare):,.0f}/s",
            f"{ratio:.2f}",
            f"at least {least}",
            ratio >= least,
        )
        micro = median(spent)
        yield Row(
            "the same: processor time of the gateway for each",
            f"{micro:,.0f} µs",
            "",
            f"at most {most} µs" if most else "",
            micro <= most if most else None,
        )
