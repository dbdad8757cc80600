"""Faults of an SQLite file: the disk is full, or the file is deleted, replaced or damaged."""

import contextlib
import os
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.faults.catalogue import Impossible, Lab, special
from tests.faults.scene import Expected, Report, Sqlite
from bench.settings import run

NONE = Expected(errors=False, unready=False)
FULL = "SQLite: the disk is full"


@contextlib.contextmanager
def small_disk(lab: Lab) -> Iterator[Path]:
    folder = lab.work / "disk"
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, text=True)
    if mounted.returncode != 0:
        raise Impossible(f"no small file system: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        run(["umount", "--lazy", folder])


@contextlib.contextmanager
def folder_of(lab: Lab) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=lab.work) as folder:
        yield Path(folder)


def fill(folder: Path) -> Path:
    """Fills the file system completely."""
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    return ballast


@special("disk-full", FULL)
def disk_full(lab: Lab) -> Report:
    with small_disk(lab) as folder, lab.on_sqlite(folder) as scene:
        try:
            scene.begin()
            ballast = fill(folder)
            scene.wait("a refused token", lambda: "full" in scene.writer.refusal)
            written = scene.writer.committed
            scene.wait("answers meanwhile", scene.more(200))
            if scene.writer.committed != written:
                scene.problems.append("the disk was not full")
            ballast.unlink()
            scene.healed()
            return scene.verdict(FULL, NONE)
        finally:
            scene.stop()


START = "SQLite: started on a full disk, without a database"


@special("start-on-full-disk", START)
def start_on_full_disk(lab: Lab) -> Report:
    """The sample cannot be created: the process says so and ends, and no incomplete sample is served afterwards."""
    problems = []
    with small_disk(lab) as folder:
        ballast = fill(folder)
        environment = {"APP_HOST": "127.0.0.1", "APP_PORT": "0", "METRICS_PORT": "off"}
        ended = subprocess.run([lab.binary], cwd=folder, env=environment, capture_output=True, text=True, timeout=60)
        if ended.returncode != 1 or "make room" not in ended.stderr:
            problems.append(f"exit code {ended.returncode}: {ended.stderr[-500:]}")
        ballast.unlink()
        ended = subprocess.Popen([lab.binary], cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
        try:
            lines = []
            for line in ended.stderr:
                lines.append(line)
                if "serving" in line:
                    break
            else:
                problems.append(f"did not start on an empty disk: {lines}")
        finally:
            ended.kill()
            ended.communicate()
        with contextlib.closing(sqlite3.connect(folder / "data/coworking.db")) as connection:
            (members,) = connection.execute("SELECT count(*) FROM users").fetchone()
        if members != 1000:
            problems.append(f"the sample has {members} members")
    return Report(START, "exit code 1 and a sentence; with space again, the whole sample", problems=problems)


DELETED = "SQLite: the file deleted while it is served, then put back"
GONE = Expected(frozenset({"SERVICE_UNAVAILABLE", "INTERNAL_SERVER_ERROR"}))


def files(scene: Sqlite) -> list[Path]:
    return [path for end in ("", "-wal", "-shm") if (path := Path(f"{scene.path}{end}")).exists()]


def copy_of(scene: Sqlite) -> Path:
    """A backup by SQLite itself."""
    copy = scene.path.with_name("backup")
    with contextlib.closing(sqlite3.connect(scene.path)) as source, contextlib.closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


@special("deleted", DELETED)
def deleted(lab: Lab) -> Report:
    with folder_of(lab) as folder, lab.on_sqlite(folder) as scene:
        try:
            scene.begin()
            with scene.writing_stopped():
                copy = copy_of(scene)
                for path in files(scene):
                    path.unlink()
                scene.unready()
                scene.wait("errors", lambda: scene.count("SERVICE_UNAVAILABLE") > 0)
                os.rename(copy, scene.path)
            scene.healed()
            return scene.verdict(DELETED, GONE)
        finally:
            scene.stop()


REPLACED = "SQLite: another file put in the place of the one that is served"


@special("replaced", REPLACED, quick=True)
def replaced(lab: Lab) -> Report:
    with folder_of(lab) as folder, lab.on_sqlite(folder) as scene:
        try:
            scene.begin()
            with scene.writing_stopped():
                copy = copy_of(scene)
                # The writer closes the file after each door code, so the write-ahead log is already in the file.
                for path in files(scene)[1:]:
                    path.unlink()
                os.rename(copy, scene.path)
            scene.healed()
            return scene.verdict(REPLACED, Expected(GONE.codes, errors=None, unready=False))
        finally:
            scene.stop()


DAMAGED = "SQLite: the file overwritten with noise, then put back"


@special("damaged", DAMAGED)
def damaged(lab: Lab) -> Report:
    # Without the cache, because cached answers would stay right.
    with folder_of(lab) as folder, lab.on_sqlite(folder, CACHE_BYTES="0") as scene:
        try:
            scene.begin()
            with scene.writing_stopped():
                with contextlib.closing(sqlite3.connect(scene.path)) as connection:
                    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                sound = scene.path.read_bytes()
                with open(scene.path, "r+b") as file:
                    # Keep the first page, which holds the schema.
                    file.seek(4096)
                    file.write(bytes(number * 7 % 251 for number in range(len(sound) - 4096)))
                # Connections keep pages in memory too. A write makes them read the pages again.
                with contextlib.closing(sqlite3.connect(scene.path)) as connection:
                    connection.execute("PRAGMA user_version = 1")
                scene.unready()
                scene.wait("errors", lambda: scene.count("INTERNAL_SERVER_ERROR") > 0)
                with open(scene.path, "r+b") as file:
                    file.write(sound)
            scene.healed()
            return scene.verdict(DAMAGED, GONE)
        finally:
            scene.stop()
