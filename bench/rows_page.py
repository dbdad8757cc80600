"""Row 12: the dashboard, in Chromium."""

import json
import shutil
from collections.abc import Iterator
from datetime import date, timedelta

from bench.cluster import Cluster
from bench.gateway import Gateway
from bench.settings import HERE, ROOT, Row, Settings, Unmeasurable, median, milliseconds, run, say, tokens

KINDS = {
    "first": "who comes first, the answer kept",
    "again": "who comes back, nothing changed",
    "asked": "a range that nobody asked for",
    "year": "a range that nobody asked for",
}


def page(settings: Settings, cluster: Cluster) -> Iterator[Row]:
    if not shutil.which("node") or not (ROOT / "tests/clients/node_modules/playwright-core").is_dir():
        raise Unmeasurable("needs Node and Chromium: `make client-test` installs them")
    numbers = {}
    for size in (settings.small, settings.large):
        database = cluster.database(size, rollup=True)
        last = date.fromisoformat(cluster.last_day(database))
        with Gateway(settings, cluster.url(database)) as gateway:
            say(f"opens the dashboard on {tokens(size)}")
            span = (str(last - timedelta(days=29)), str(last))
            command = ["node", HERE / "page.mjs", gateway.url(""), str(settings.samples), "Europe/Berlin", *span]
            found = json.loads(run(command))
            say(f"opens the dashboard on a year of {tokens(size)}")
            command[-2] = str(last - timedelta(days=364))
            found["year"] = json.loads(run(command))["asked"]
        for kind, what in KINDS.items():
            times = (median(each[name] / 1000 for each in found[kind]) for name in ("painted", "numbers", "all"))
            painted, shown, whole = times
            numbers[kind, size] = shown
            is_large = size == settings.large
            name = f"the dashboard, {'365' if kind == 'year' else '30'} days, {tokens(size)}, rollup: {what}"
            most = {"asked": 0.4, "year": 0.7}.get(kind)
            bar = "" if not is_large else f"numbers within {milliseconds(most)}" if most else "painted within 300 ms"
            is_met = shown <= most if most else painted < 0.3
            ratio = f"{shown / numbers[kind, settings.small]:.2f}×" if is_large else ""
            measured = (
                f"painted after {milliseconds(painted)}, with its numbers after {milliseconds(shown)},"
                f" all of it after {milliseconds(whole)}"
            )
            yield Row(name, measured, ratio, bar, is_met if is_large else None)
