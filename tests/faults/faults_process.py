"""Faults of the gateway itself: killed and started again, and changes of its clock."""

import contextlib
import os
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from tests.faults.catalogue import Impossible, Lab, special
from tests.faults.scene import Expected, Report
from bench.settings import ROOT, run

KILLED = "the gateway killed with -9 under load, started again"


@special("gateway-killed", KILLED, quick=True)
def gateway_killed(lab: Lab) -> Report:
    with lab.on_postgres() as scene:
        try:
            scene.begin()
            scene.gateway.kill()
            killed = time.monotonic()
            scene.wait("the end of its sessions on the server", lambda: scene.server.sessions() == 0)
            gone = time.monotonic() - killed
            scene.wait("clients that notice", lambda: scene.count("broken") > 0)
            scene.gateway.start()
            scene.healed()
            report = scene.verdict(KILLED, Expected(unready=False, broken=True))
            report.seen += f"; its sessions left the server after {gone:.1f} s"
            return report
        finally:
            scene.stop()


CLOCK = "the gateway's clock: across midnight, both changes of daylight-saving time, set forward and back"
ZONE = ZoneInfo("Europe/Berlin")
# The local time in Berlin at the beginning of each step, and the seconds for which the clock then runs.
STEPS = [
    ("2026-03-28 23:59:57", 6),
    # Clocks go forward from 2:00 to 3:00.
    ("2026-03-29 01:59:58", 4),
    ("2026-03-29 23:59:58", 4),
    ("2026-10-24 23:59:58", 4),
    # Clocks go back from 3:00 to 2:00.
    ("2026-10-25 02:59:58", 4),
    ("2026-10-25 23:59:58", 4),
    # The clock is set back by a day, as on a machine without a clock battery.
    ("2026-10-24 23:59:58", 4),
]
TODAY = """{
  today: dailyUsage(filter: {range: TODAY}, timeZone: "Europe/Berlin") { date visits isPartial }
  yesterday: dailyUsage(filter: {range: YESTERDAY}, timeZone: "Europe/Berlin") { date visits isPartial }
  hours: usage(granularity: HOUR, filter: {range: TODAY}, timeZone: "Europe/Berlin", gaps: ZERO) { buckets { visits } }
}"""


def half_hours() -> list[datetime]:
    """The times (UTC) at which door codes were issued and used: every half hour of some days around both changes."""
    days = [datetime(2026, 3, 26), datetime(2026, 10, 22)]
    return [day + timedelta(minutes=30 * number) for day in days for number in range(48 * 6)]


def right_at(now: datetime) -> Any:
    """The right answer when the clock shows `now`."""
    visits = Counter(at.replace(tzinfo=UTC).astimezone(ZONE).date() for at in half_hours())
    today = now.astimezone(ZONE).date()
    yesterday = today - timedelta(days=1)
    return {
        "today": [{"date": str(today), "visits": visits[today], "isPartial": True}],
        "yesterday": [{"date": str(yesterday), "visits": visits[yesterday], "isPartial": False}],
        "hours": {"buckets": [{"visits": 2}] * hours_of(today)},
    }


def hours_of(day: date) -> int:
    return {date(2026, 3, 29): 23, date(2026, 10, 25): 25}.get(day, 24)


class Clock:
    """The gateway's wall clock, set by libfaketime; its monotonic clock is not changed."""

    def __init__(self, folder: Path) -> None:
        self.file, self.ahead = folder / "clock", 0.0
        self.variables = {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, local: str) -> None:
        shown = datetime.fromisoformat(local).replace(tzinfo=ZONE).timestamp()
        self.ahead = round(shown - time.time(), 3)
        # Replace the file atomically: an incomplete number would be another time.
        new = self.file.with_suffix(".new")
        new.write_text(f"{self.ahead:+.3f}\n")
        os.rename(new, self.file)

    def now(self) -> datetime:
        return datetime.fromtimestamp(time.time() + self.ahead, UTC)


def library() -> str:
    def found() -> list[Path]:
        return sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))

    if not found():
        with contextlib.suppress(RuntimeError):
            run([ROOT / "scripts/install.sh", "libfaketime"])
    if not found():
        raise Impossible("no libfaketime")
    return str(found()[0])


@special("clock", CLOCK)
def clock(lab: Lab) -> Report:
    shown = Clock(lab.work)
    shown.set(STEPS[0][0])
    problems: list[str] = []
    asked = 0
    with lab.on_postgres(**shown.variables) as scene:
        tokens = ", ".join(f"(1, '------', '{at}', '{at}')" for at in half_hours())
        scene.write(f"TRUNCATE tokens; INSERT INTO tokens (user_id, token, created_at, used_at) VALUES {tokens}")
        for local, seconds in STEPS:
            shown.set(local)
            dates = set()
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                before = shown.now()
                answer = scene.gateway.ask(TODAY)
                right = [right_at(before), right_at(shown.now())]
                asked += 1
                dates.add(answer["today"][0]["date"])
                if answer not in right:
                    problems.append(f"at {before} the answer was {answer}, right was {right[0]}")
                time.sleep(0.02)
            crossed = " 23:59" in local
            if len(dates) != 1 + crossed:
                problems.append(f"from {local} on, today was {dates}")
    return Report(CLOCK, f"{asked - len(problems):,} right of {asked:,}", problems=problems[:5])
