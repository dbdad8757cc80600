"""How the time of each report grows with the number of door codes, as a picture: docs/pictures/scale.svg."""

import json
import math
from collections.abc import Iterator

from bench.cluster import fingerprint
from bench.settings import HUGE, ROOT, Settings

PICTURE = ROOT / "docs/pictures/scale.svg"
# Results of one binary, also of several runs.
KEPT = ROOT / "target/scale.json"
COLUMNS = ("30 days", "a year", "all time")
WIDTH, ROW, LEFT, TOP, PLOT = 960, 26, 330, 74, 180
# Of the axis, in milliseconds.
LEAST, MOST = 1.0, 2_000.0
COLORS = ("#9ecae1", "#3182bd", "#08306b")


def keep(settings: Settings, report: str, span: str, amount: int, plain: float, slowest: float) -> None:
    """Keeps one result, and draws the picture once all are there."""
    binary = fingerprint(settings.binary)
    known = json.loads(KEPT.read_text(encoding="utf-8")) if KEPT.exists() else {}
    if known.get("binary") != binary:
        known = {"binary": binary, "times": {}}
    known["times"].setdefault(report, {}).setdefault(span, {})[str(amount)] = [plain * 1000, slowest * 1000]
    KEPT.write_text(json.dumps(known), encoding="utf-8")
    amounts = [str(settings.medium), str(settings.large), str(HUGE)]
    times = known["times"]
    if all(set(amounts) <= set(times[report].get(column, {})) for report in times for column in COLUMNS):
        PICTURE.write_text("\n".join(picture(times, amounts)) + "\n", encoding="utf-8")


def picture(times: dict[str, dict[str, dict[str, list[float]]]], amounts: list[str]) -> Iterator[str]:
    """A row for each report, a plot for each range: a dot for each number of door codes, and a line to its slowest filter."""
    height = TOP + ROW * len(times) + 40
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">'
    yield f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
    for index, amount in enumerate(amounts):
        left = LEFT + index * 150
        yield f'<circle cx="{left}" cy="18" r="5" fill="{COLORS[index]}"/>'
        yield f'<text x="{left + 10}" y="22">{int(amount) / 1e6:g} million door codes</text>'
    for index, column in enumerate(COLUMNS):
        left = LEFT + index * (PLOT + 30)
        yield f'<text x="{left}" y="46" font-weight="bold">{column}</text>'
        for power in (1, 10, 100, 1000):
            x = left + place(power)
            yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - 34}" stroke="#ddd"/>'
            yield f'<text x="{x:.1f}" y="{height - 18}" text-anchor="middle" fill="#555">{power:,}</text>'
        yield f'<text x="{left + PLOT / 2}" y="{height - 4}" text-anchor="middle" fill="#555">milliseconds</text>'
    for row, (report, spans) in enumerate(times.items()):
        y = TOP + ROW * row + 8
        yield f'<text x="{LEFT - 16}" y="{y + 4}" text-anchor="end">{report.replace("`", "")}</text>'
        for index, column in enumerate(COLUMNS):
            left = LEFT + index * (PLOT + 30)
            for number, amount in enumerate(amounts):
                plain, slowest = (left + place(time) for time in spans[column][amount])
                middle = y - 6 + 6 * number
                yield f'<line x1="{plain:.1f}" x2="{slowest:.1f}" y1="{middle}" y2="{middle}" stroke="{COLORS[number]}" stroke-width="2"/>'
                yield f'<circle cx="{plain:.1f}" cy="{middle}" r="3.5" fill="{COLORS[number]}"/>'
    yield "</svg>"


def place(milliseconds: float) -> float:
    share = math.log(min(max(milliseconds, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return share * PLOT
