"""Row 11: the time of the other reports, from the door codes and with the rollup, and the scans in their plans."""

import contextlib
import re
from collections.abc import Iterator

from bench.cluster import Cluster
from bench.gateway import Gateway
from bench.rows_reports import DIRECT, PLAIN
from bench.settings import Row, Settings, median, milliseconds, say, tokens

BERLIN = 'timeZone: "Europe/Berlin"'
LAST_90 = "filter: {range: LAST_90_DAYS}"
QUESTIONS = {
    "`usage`, visits by month": f"{{ usage(granularity: MONTH, {BERLIN}) {{ buckets {{ label visits }} }} }}",
    "`usage`, visits by hour, 7 days": (
        f"{{ usage(granularity: HOUR, filter: {{range: LAST_7_DAYS}}, {BERLIN}) {{ buckets {{ label visits }} }} }}"
    ),
    "`usage`, unique visitors by month": (
        f"{{ usage(granularity: MONTH, {BERLIN}) {{ buckets {{ label uniqueVisitors }} }} }}"
    ),
    "`usage`, unique visitors by month, 90 days": (
        f"{{ usage(granularity: MONTH, {LAST_90}, {BERLIN}) {{ buckets {{ label uniqueVisitors }} }} }}"
    ),
    "`usage`, unique visitors in total": f"{{ usage({BERLIN}) {{ totals {{ uniqueVisitors }} }} }}",
    "`dailyUsage`, unique visitors": f"{{ dailyUsage({BERLIN}) {{ date uniqueVisitors }} }}",
    "`heatmap`": f"{{ heatmap({BERLIN}) {{ cells {{ visits average }} }} }}",
    "`heatmap` by month, with time to use": (
        f"{{ heatmap({BERLIN}) {{ months {{ label peakHours(first: 1) {{ weekday hour visits averageTimeToUse }} }} }} }}"
    ),
    "`activeUsers`, 90 days": f"{{ activeUsers({LAST_90}, {BERLIN}) {{ date daily weekly monthly }} }}",
    "`activeUsers`, three years": f"{{ activeUsers({BERLIN}) {{ date daily weekly monthly }} }}",
    "`retention`, by month joined": f"{{ retention(periods: 36, {BERLIN}) {{ label periods {{ active }} }} }}",
    "`members`, lapsing": "{ members(segment: LAPSING, first: 100) { totalCount nodes { userId } } }",
    "`tokenFunnel`": "{ tokenFunnel { issued used timeToUse { median p90 p99 } } }",
    "`tokenFunnel`, 90 days": f"{{ tokenFunnel({LAST_90}) {{ issued used timeToUse {{ median p90 p99 }} }} }}",
    "`frequency`": "{ frequency { visits members membersAtLeast } }",
    "`membership`": f"{{ membership({BERLIN}) {{ label joined active firstVisits stopped }} }}",
    "`forecast`": f"{{ forecast({BERLIN}) {{ days {{ expected lower upper }} backtest {{ meanAbsoluteError }} }} }}",
    "`segments`": "{ segments { segment members activeMembers } }",
    "`userVisits`, the ten first with rank and share": (
        "{ userVisits(first: 10, orderBy: {field: VISITS, direction: DESC}) { nodes { rank share } others { share } } }"
    ),
    "`userVisits`, the ten first of 90 days, compared": (
        f"{{ userVisits(first: 10, {LAST_90}, orderBy: {{field: VISITS, direction: DESC}})"
        " { nodes { rank previous { rank change { visits rank } } } } }"
    ),
}


def questions(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    database = cluster.database(settings.large, rollup=True)
    with _explained(cluster, database) as plans:
        # Only new connections log their plans.
        with (
            Gateway(settings, cluster.url(database), **DIRECT) as direct,
            Gateway(settings, cluster.url(database), **PLAIN) as kept,
        ):
            for name, query in QUESTIONS.items():
                say(name)
                plans()
                answers = [gateway.ask(query) for gateway in (direct, kept)]
                read = plans()
                if answers[0] != answers[1]:
                    raise RuntimeError(f"{name}: the rollup's answer is not the tokens'")
                samples = min(3, settings.samples)
                seconds = [median(gateway.latencies(query, samples)) for gateway in (direct, kept)]
                yield Row(
                    f"{name}, {tokens(settings.large)}; plans: {read}",
                    f"direct {milliseconds(seconds[0])}, rollup {milliseconds(seconds[1])}",
                    f"{seconds[0] / seconds[1]:.1f}×",
                )


@contextlib.contextmanager
def _explained(cluster: Cluster, database: str):
    """While the context is open, new connections to the database write their plans to the server's log."""
    settings = {"session_preload_libraries": "auto_explain", "auto_explain.log_min_duration": "0"}
    for name, value in settings.items():
        cluster.sql(database, f"LOAD 'auto_explain'; ALTER DATABASE {database} SET {name} = '{value}'")
    log = cluster.folder / "data/server.log"
    position = log.stat().st_size

    def plans() -> str:
        """The scans of the table of door codes and of the rollup since the last call."""
        nonlocal position
        with open(log, encoding="utf-8", errors="replace") as file:
            file.seek(position)
            text = file.read()
            position = file.tell()
        scans = re.findall(r"(?:Parallel )?((?:Seq|Index|Index Only|Bitmap Heap) Scan[^(\n]*?) *\(cost", text)
        tables = [scan for scan in scans if re.search(r"on (tokens|rollup_days|rollup_users)", scan)]
        return ", ".join(f"{scan}" for scan in dict.fromkeys(tables)) or "none"

    try:
        yield plans
    finally:
        for name in settings:
            cluster.sql(database, f"LOAD 'auto_explain'; ALTER DATABASE {database} RESET {name}")
