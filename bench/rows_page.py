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
        for kind, what in KINDS.items():
            painted, shown = (median(each[name] / 1000 for each in found[kind]) for name in ("painted", "numbers"))
            numbers[kind, size] = shown
            is_large = size == settings.large
            name = f"the dashboard, 30 days, {tokens(size)}, rollup: {what}"
            bar = "painted within 300 ms" if is_large else ""
            ratio = f"{shown / numbers[kind, settings.small]:.2f}×" if is_large else ""
            measured = f"painted after {milliseconds(painted)}, with its numbers after {milliseconds(shown)}"
            yield Row(name, measured, ratio, bar, painted < 0.3 if is_large else None)
