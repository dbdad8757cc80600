"""Causes faults in what the release binary depends on, under load, and prints the results as a Markdown table.

    make faults                               # every fault: some minutes
    make faults ARGS="--only stopped,cut"     # some
    make faults ARGS="--quick"                # a few, in under half a minute
    make faults ARGS=--list                   # their names

Needs Python 3.11; installs PostgreSQL where it is missing (Debian, Ubuntu). GATEWAY_BIN names another binary.
Exits with 1 when an answer was wrong or older than its question, an error had no code or came too late,
liveness failed, the gateway did not recover by itself, or something leaked. Faults that cannot be made on this machine
say why.
"""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from bench.settings import ROOT
from tests.faults import faults_limits, faults_network, faults_postgres, faults_process, faults_sqlite  # noqa: F401
from tests.faults.catalogue import FAULTS, Fault, Impossible, Lab
from tests.faults.scene import Report
from tests.faults.server import Server


def arguments() -> list[Fault]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="NAMES", help="faults to make, such as stopped,cut")
    parser.add_argument("--quick", action="store_true", help="the few that stand for all")
    parser.add_argument("--list", action="store_true", help="prints the names")
    chosen = parser.parse_args()
    if chosen.list:
        for each in FAULTS.values():
            print(f"{each.name:20} {each.title}")
        sys.exit(0)
    names = chosen.only.split(",") if chosen.only else list(FAULTS)
    if unknown := set(names) - set(FAULTS):
        parser.error(f"no such faults: {', '.join(sorted(unknown))}")
    return [FAULTS[name] for name in names if FAULTS[name].quick or not chosen.quick]


def make(fault: Fault, lab: Lab) -> Report:
    begun = time.monotonic()
    try:
        report = fault.make(lab)
    except Impossible as reason:
        report = Report(fault.title, f"not tried here: {reason}")
    except Exception as error:  # Continue with the other faults.
        traceback.print_exc()
        report = Report(fault.title, f"failed: {' '.join(str(error).split())[:300]}", problems=[str(error)])
    print(report.line(), flush=True)
    for problem in report.problems:
        print(f"faults: {fault.name}: {problem}", file=sys.stderr)
    print(f"faults: {fault.name} took {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return report


def main() -> None:
    chosen = arguments()
    # End like Ctrl-C, so that everything is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    binary = Path(os.environ.get("GATEWAY_BIN", ROOT / "target/release/coworking-analytics")).resolve()
    if not binary.is_file():
        sys.exit(f"{binary} is missing: run `cargo build --release`, or set GATEWAY_BIN")
    work = Path(tempfile.mkdtemp(prefix="faults-"))
    # PostgreSQL may run as another user, who needs access.
    work.chmod(0o755)
    print("| fault | what clients saw | errors | well again after | at rest, before → after | held |")
    print("|---|---|---|---|---|---|", flush=True)
    try:
        # Use a copy, because a build may replace the original during the run.
        copy = Path(shutil.copy2(binary, work))
        with Server(work) as server:
            reports = [make(each, Lab(copy, work, server)) for each in chosen]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    failed = sum(bool(each.problems) for each in reports)
    skipped = sum(each.seen.startswith("not tried") for each in reports)
    print(f"\n{len(reports) - failed - skipped} passed, {failed} failed, {skipped} skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
