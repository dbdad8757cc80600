"""Measures the release binary on its own PostgreSQL, and prints a Markdown table.

    make bench                                          # everything: some 20 minutes, 8 GB in target/bench
    make bench ARGS="--only 5,6 --seconds 5"            # some rows, shorter
    GATEWAY_BIN=/other/binary python3 -m bench.run --fresh   # another binary, on new databases

Needs Python 3.11; installs PostgreSQL and wrk where they are missing (Debian, Ubuntu). Databases are kept
between runs; rollups are created again when the binary changes. The table is on standard output, progress on
standard error. Rows: 1 dailyUsage, 2 its last 30 days, 3 userVisits, 4 writes, 5 a repeated query, 6 the
same while door codes are written, 7 lists that were not requested before, 8 memory, 9 start, 10 the limits
of a pod, 11 the other reports and their plans, 12 the dashboard in Chromium, 13 every report with every
filter, 14 the same on SQLite, 15 the same on a hundred million tokens (only with --huge), 16 questions that
are asked of the database each time.
"""

import argparse
import fcntl
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from bench import load, rows_every, rows_load, rows_page, rows_process, rows_questions, rows_reports, rows_sqlite
from bench.cluster import Cluster, fingerprint
from bench.settings import ROOT, Row, Settings, Unmeasurable, run, say, tokens

ROWS = {
    1: ("`dailyUsage`, all days", rows_reports.daily_usage),
    2: ("`dailyUsage`, last 30 days", rows_reports.last_days),
    3: ("`userVisits`", rows_reports.user_visits),
    4: ("tokens written beside the rollup's triggers", rows_load.writes),
    5: ("a dashboard's repeated query", rows_load.repeated),
    6: ("the same while tokens are written", rows_load.repeated_while_written),
    7: ("lists that nobody asked before", rows_load.new_lists),
    8: ("memory", rows_process.memory),
    9: ("start", rows_process.start),
    10: ("a pod's share", rows_process.pod),
    11: ("further reports", rows_questions.questions),
    12: ("the dashboard", rows_page.page),
    13: ("every report with every filter", rows_every.every),
    14: ("the same on SQLite", rows_sqlite.on_sqlite),
    15: ("the same on a hundred million tokens", rows_every.huge),
    16: ("asked of the database each time", rows_load.asked_each_time),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    number: dict[str, Any] = {"type": int, "metavar": "N"}
    parser.add_argument("--only", default=",".join(str(row) for row in ROWS if row != 15), metavar="ROWS", help="rows to measure, such as 1,4")
    parser.add_argument("--small", default=2_500, **number, help="tokens for rows 5 to 10 (default 2500)")
    parser.add_argument("--medium", default=1_000_000, **number, help="tokens for rows 1 and 4 (default 1000000)")
    parser.add_argument("--large", default=10_000_000, **number, help="tokens for rows 1 to 3 and 11 (default 10000000)")
    parser.add_argument("--users", default=100_000, **number, help="members, at most one for ten tokens")
    parser.add_argument("--days", default=1_095, **number, help="days up to yesterday (default 1095)")
    parser.add_argument("--samples", default=7, **number, help="single requests, and starts, to take the median of")
    parser.add_argument("--rounds", default=3, **number, help="alternating rounds in rows 4, 5 and 7")
    parser.add_argument("--seconds", default=10, **number, help="length of one load (default 10)")
    parser.add_argument("--memory-seconds", default=60, **number, help="length of the load in row 8 (default 60)")
    parser.add_argument("--log-level", default="warn", help="the gateway's LOG_LEVEL (default warn)")
    parser.add_argument("--huge", action="store_true", help="measures row 15, too: 20 GB, the better part of an hour")
    parser.add_argument("--fresh", action="store_true", help="makes all databases anew")
    parser.add_argument("--work", type=Path, default=ROOT / "target/bench", help="where databases are kept")
    chosen = parser.parse_args()
    chosen.only = [int(each) for each in chosen.only.split(",")] + ([15] if chosen.huge else [])
    if unknown := set(chosen.only) - set(ROWS):
        parser.error(f"no such rows: {unknown}")
    return chosen


def settings_of(chosen: argparse.Namespace) -> Settings:
    binary = Path(os.environ.get("GATEWAY_BIN", ROOT / "target/release/coworking-analytics"))
    if not binary.is_file():
        sys.exit(f"{binary} is missing: run `cargo build --release`, or set GATEWAY_BIN")
    chosen.work.mkdir(parents=True, exist_ok=True)
    # Use a copy, because a build may replace the original during the run.
    copy = chosen.work / "coworking-analytics"
    copy.unlink(missing_ok=True)
    shutil.copy2(binary, copy)
    has_rollup = subprocess.run([copy, "rollup", "--help"], check=False, capture_output=True).returncode == 0
    fields = {key: value for key, value in vars(chosen).items() if key not in ("only", "huge", "work")}
    return Settings(binary=copy.resolve(), work=chosen.work.resolve(), has_rollup=has_rollup, **fields)


def describe(settings: Settings, cluster: Cluster) -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        cpu = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"]).strip()
    changed = " and uncommitted changes" if run(["git", "-C", ROOT, "status", "--porcelain"]).strip() else ""
    version = run([settings.binary, "--version"]).strip()
    buffers, fsync = (cluster.sql("postgres", f"SHOW {name}") for name in ("shared_buffers", "fsync"))
    facts = [
        f"- {cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()};"
        f" load average before the run {os.getloadavg()[0]:.1f}",
        f"- PostgreSQL {cluster.version()} on the same machine: shared_buffers {buffers}, fsync {fsync}, over TLS",
        f"- {version}, binary {fingerprint(settings.binary)}, tree at {commit}{changed};"
        f" LOG_LEVEL {settings.log_level}",
        f"- medians of {settings.samples} single requests, and of rounds ({settings.rounds}) of {settings.seconds} s;"
        f" load generators share the machine's cores",
        f"- {tokens(settings.small)}, {tokens(settings.medium)}, {tokens(settings.large)} over {settings.days:,} days;"
        f" up to {settings.users:,} members",
    ]
    return "\n".join(facts)


def line(number: int, row: Row) -> str:
    met = {True: "yes", False: "**no**", None: "–"}[row.met]
    measured = " ".join(row.measured.replace("|", "/").split())
    return f"| {number} | {row.what} | {measured} | {row.ratio} | {row.bar} | {met} |"


def measure(settings: Settings, cluster: Cluster, numbers: list[int]) -> bool:
    """Prints the table row by row. False when a row failed or did not meet its bar."""
    print(f"{describe(settings, cluster)}\n")
    print("| | what | measured | ratio | bar | met |\n|---|---|---|---|---|---|", flush=True)
    good = True
    for number in numbers:
        begun, (title, rows) = time.monotonic(), ROWS[number]
        say(f"row {number}: {title}")
        try:
            for row in rows(settings, cluster):
                print(line(number, row), flush=True)
                good = good and row.met is not False
        except Unmeasurable as reason:
            print(line(number, Row(title, f"not available: {reason}")), flush=True)
        except Exception as error:  # Continue with the other rows.
            good = False
            traceback.print_exc()
            print(line(number, Row(title, f"failed: {error}", met=False)), flush=True)
        say(f"row {number} took {time.monotonic() - begun:.0f} s")
    return good


def main() -> None:
    chosen = arguments()
    # End like Ctrl-C, so that everything is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    chosen.work.mkdir(parents=True, exist_ok=True)
    with open(chosen.work / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another run uses {chosen.work}")
        settings = settings_of(chosen)
        load.install()
        with Cluster(settings) as cluster:
            good = measure(settings, cluster, chosen.only)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
