"""Rows 1 to 3: the time of one request, answered from the door codes and from the rollup."""

import json
from collections.abc import Generator, Iterator

from bench.cluster import Cluster
from bench.gateway import Gateway
from bench.settings import Row, Settings, Unmeasurable, median, milliseconds, say, tokens

# Without the cache, and with long timeouts for answers without the rollup.
PLAIN = {"CACHE_BYTES": "0", "DB_STATEMENT_TIMEOUT": "300s", "REQUEST_TIMEOUT": "400s"}
DIRECT = {**PLAIN, "ROLLUPS": "off"}

ALL_DAYS = "{ dailyUsage { date visits } }"
TOP_MEMBERS = "{ userVisits(first: 100, orderBy: {field: VISITS, direction: DESC}) { nodes { userId visits } } }"


def daily_usage(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    name = "`dailyUsage { date visits }`, all days"
    large = yield from _compared(settings, cluster, name, ALL_DAYS)
    if large is None:
        return
    database = cluster.database(settings.medium, rollup=True)
    with Gateway(settings, cluster.url(database), **PLAIN) as gateway:
        medium = median(gateway.latencies(ALL_DAYS, settings.samples))
    ratio = large / medium
    yield Row(
        f"the same, rollup, {tokens(settings.large)} against {tokens(settings.medium)}",
        f"{milliseconds(large)} against {milliseconds(medium)}",
        f"{ratio:.2f}×",
        "at most 1.3×",
        ratio <= 1.3,
    )


def user_visits(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    yield from _compared(settings, cluster, "`userVisits`, the 100 with most visits, all time", TOP_MEMBERS)


def _compared(settings: Settings, cluster: Cluster, name: str, query: str) -> Generator[Row, None, float | None]:
    """Returns the seconds with the rollup; None without a rollup."""
    name = f"{name}, {tokens(settings.large)}"
    database = cluster.database(settings.large, rollup=settings.has_rollup)
    say(f"{name}: direct")
    with Gateway(settings, cluster.url(database), **DIRECT) as gateway:
        direct = median(gateway.latencies(query, settings.samples))
        expected = gateway.ask(query)
    if not settings.has_rollup:
        missing = "rollup not available: the binary has no `rollup`"
        yield Row(name, f"direct {milliseconds(direct)}; {missing}", "", "at least 20×")
        return None
    say(f"{name}: rollup")
    with Gateway(settings, cluster.url(database), **PLAIN) as gateway:
        rollup = median(gateway.latencies(query, settings.samples))
        if json.dumps(gateway.ask(query)) != json.dumps(expected):
            raise RuntimeError("the rollup's answer is not the tokens'")
    ratio = direct / rollup
    measured = f"direct {milliseconds(direct)}, rollup {milliseconds(rollup)}"
    yield Row(name, measured, f"{ratio:.1f}×", "at least 20×", ratio >= 20)
    return rollup


def last_days(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    if not settings.has_rollup:
        raise Unmeasurable("the binary has no `rollup`")
    database = cluster.database(settings.large, rollup=True)
    last = cluster.last_day(database)
    first = cluster.sql(database, f"SELECT DATE '{last}' - 29")
    name = f"the same, last 30 days, {tokens(settings.large)}, rollup"
    measured = {}
    with Gateway(settings, cluster.url(database), **PLAIN) as gateway:
        for zone in ("UTC", "Europe/Berlin"):
            query = f'{{ dailyUsage(filter: {{from: "{first}", to: "{last}"}}, timeZone: "{zone}") {{ date visits }} }}'
            measured[zone] = median(gateway.latencies(query, settings.samples * 3))
            met = measured[zone] <= 0.005
            yield Row(f"{name}, {zone}", milliseconds(measured[zone]), "", "at most 5 ms", met)
    ratio = measured["Europe/Berlin"] / measured["UTC"]
    yield Row(f"{name}, Europe/Berlin against UTC", "", f"{ratio:.2f}×", "at most 2×", ratio <= 2)
