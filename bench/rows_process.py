"""Rows 8 to 10: memory, start, and the limits of a pod."""

import time
from collections.abc import Iterator

from bench import limits
from bench.cluster import Cluster
from bench.gateway import Gateway
from bench.load import paced, wrk
from bench.rows_load import dashboard
from bench.settings import Row, Settings, mebibytes, median, milliseconds, say


def memory(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    database = cluster.database(settings.small)
    last = cluster.last_day(database)
    first = cluster.sql(database, f"SELECT DATE '{last}' - {settings.days - 1}")
    loads = {
        "a dashboard's repeated query": dashboard(cluster, database),
        f"lists of {settings.days:,} days, each asked for once": (
            f'{{ {{alias}}: dailyUsage(filter: {{from: "{first}", to: "{{to}}"}}) {{ date visits }} }}'
        ),
    }
    with Gateway(settings, cluster.url(database)) as gateway:
        time.sleep(5)
        idle = gateway.memory("VmRSS")
    yield Row("resident memory, idle", mebibytes(idle), "", "at most 25 MiB", idle <= 25 * 2**20)
    for what, query in loads.items():
        with Gateway(settings, cluster.url(database)) as gateway:
            say(f"memory under 256 connections for {settings.memory_seconds} s: {what}")
            load = wrk(gateway, 256, settings.memory_seconds, query, tolerant=True)
            peak = gateway.memory("VmHWM")
        name = f"its peak in {settings.memory_seconds} s, 256 connections: {what}"
        measured = f"{mebibytes(peak)} at {load.per_second:,.0f}/s{load.failures()}"
        yield Row(name, measured, "", "at most 64 MiB", peak <= 64 * 2**20)


def start(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    # Without a configured database, the gateway first creates its sample database; that start is not measured.
    with Gateway(settings, None):
        pass
    targets = {"PostgreSQL": cluster.url(cluster.database(settings.small)), "SQLite, its sample made before": None}
    for name, url in targets.items():
        say(f"starts on {name}")
        seconds = []
        for _ in range(settings.samples):
            with Gateway(settings, url) as gateway:
                seconds.append(gateway.seconds_to_ready)
        taken = median(seconds)
        yield Row(f"start to the first ready answer, {name}", milliseconds(taken), "", "at most 200 ms", taken <= 0.2)


def pod(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    rate = 2000
    database = cluster.database(settings.small)
    query = dashboard(cluster, database)
    name = f"{rate:,} repeated dashboard queries a second on 0.2 CPU and 256 MiB, p99"
    with limits.share() as (prefix, how), Gateway(settings, cluster.url(database), prefix) as gateway:
        say(f"{name}: by {how}")
        try:
            paced(gateway, query, rate, 64, 2)
            time.sleep(1)
            taken = sorted(paced(gateway, query, rate, 64, settings.seconds))
        except (RuntimeError, OSError) as error:
            yield Row(name, f"{error} ({how})", "", "under 250 ms", False)
            return
        p99 = taken[int(len(taken) * 0.99)]
        peak = gateway.memory("VmHWM")
    measured = f"{milliseconds(p99)}, median {milliseconds(median(taken))}, {mebibytes(peak)} ({how})"
    yield Row(name, measured, "", "under 250 ms", p99 < 0.25 and peak <= limits.MEMORY)
