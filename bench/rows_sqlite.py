"""Row 14: SQLite, with and without what the gateway keeps beside the door codes."""

import contextlib
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from bench.cluster import Cluster, kept_as
from bench.gateway import Gateway
from bench.rows_every import Span, measured
from bench.rows_load import written_beside
from bench.rows_reports import PLAIN
from bench.settings import Row, Settings, run, say, tokens

CLIENTS = 4
# As many members as a large space has.
USERS = 20_000
SPANS = [Span("30 days", 30, 0.03), Span("a year", 365, 0.15), Span("all time", None, 0.4, 0.03)]


def on_sqlite(settings: Settings, _: Cluster) -> Iterator[Row]:
    what = f"{tokens(settings.medium)}, SQLite"
    plain, rollup = files(settings)
    seconds = rollup.with_suffix(".seconds")
    yield Row(f"making the rollup, {what}", f"{seconds.read_text()} s", "", "at most 30 s", float(seconds.read_text()) <= 30)
    share = (size(rollup) - size(plain)) / size(plain)
    yield Row(
        f"what the rollup takes beside the tables, {what}",
        f"{(size(rollup) - size(plain)) / 1e6:.0f} MB, tables with their indexes {size(plain) / 1e6:.0f} MB",
        f"{share:.2f}",
        "at most 0.5",
        share <= 0.5,
    )
    yield writes(settings, plain, rollup, what)
    last = datetime.now(tz=timezone.utc).date() - timedelta(days=1)
    with (
        Gateway(settings, f"sqlite:{rollup}", **PLAIN) as kept,
        Gateway(settings, f"sqlite:{plain}", **PLAIN) as direct,
    ):
        yield from measured(settings, kept, direct, SPANS, last, settings.medium, "SQLite")


def files(settings: Settings) -> tuple[Path, Path]:
    """The same door codes in a file without and in one with the rollup, which are kept between runs."""
    plain = settings.work / f"tokens_{settings.medium}.db"
    rollup = settings.work / f"tokens_{settings.medium}_{kept_as(settings.binary)}.db"
    if settings.fresh or not plain.exists():
        say(f"filling {plain}")
        plain.unlink(missing_ok=True)
        plain.touch()
        coworking(settings, plain, "migrate")
        amount = ["--users", str(USERS), "--tokens", str(settings.medium), "--days", str(settings.days)]
        coworking(settings, plain, "seed", *amount)
        compact(plain)
        rollup.unlink(missing_ok=True)
    if not rollup.exists():
        unfinished = rollup.with_suffix(".unfinished")
        shutil.copyfile(plain, unfinished)
        say(f"rollup on {unfinished}")
        begun = time.monotonic()
        coworking(settings, unfinished, "rollup", "create")
        coworking(settings, unfinished, "rollup", "refresh")
        rollup.with_suffix(".seconds").write_text(f"{time.monotonic() - begun:.1f}")
        checkpoint(unfinished)
        unfinished.rename(rollup)
    return plain, rollup


def coworking(settings: Settings, file: Path, *command: str) -> None:
    run([settings.binary, *command], {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite:{file}"}, settings.work)


def compact(file: Path) -> None:
    """Leaves no free pages. Not beside a rollup, which would be counted again."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("VACUUM")
    checkpoint(file)


def checkpoint(file: Path) -> None:
    """Leaves nothing in the write-ahead log."""
    with contextlib.closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def size(file: Path) -> int:
    return file.stat().st_size


def writes(settings: Settings, plain: Path, rollup: Path, what: str) -> Row:
    """Writes one by one without waiting for the disk, which would hide the triggers; in copies."""
    rates: dict[Path, list[float]] = {plain: [], rollup: []}
    for number in range(settings.rounds):
        say(f"writes to SQLite: round {number + 1} of {settings.rounds}")
        for file in (plain, rollup):
            rates[file].append(written(settings, file))
    return written_beside(rates[plain], rates[rollup], what)


def written(settings: Settings, file: Path) -> float:
    """Door codes written in a second."""
    copy = file.with_suffix(".copy")
    shutil.copyfile(file, copy)
    counts, end = [0] * CLIENTS, time.monotonic() + settings.seconds
    failures: list[sqlite3.Error] = []

    def write(client: int) -> None:
        database = sqlite3.connect(copy, isolation_level=None, timeout=60)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = OFF")
            while time.monotonic() < end:
                member = 1 + (counts[client] * 7_919 + client) % USERS
                database.execute(INSERT, (member,))
                counts[client] += 1
        except sqlite3.Error as error:
            failures.append(error)
        finally:
            database.close()

    clients = [threading.Thread(target=write, args=(client,)) for client in range(CLIENTS)]
    try:
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    finally:
        for left in settings.work.glob(f"{copy.name}*"):
            left.unlink()
    if failures:
        raise failures[0]
    return sum(counts) / settings.seconds


INSERT = (
    "INSERT INTO tokens (user_id, token, created_at, used_at)"
    " VALUES (?, '------', strftime('%Y-%m-%d %H:%M:%f', 'now'), strftime('%Y-%m-%d %H:%M:%f', 'now'))"
)
