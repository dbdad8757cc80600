"""All faults, by name."""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults.scene import Expected, Postgres, Report, Sqlite, on_postgres, on_sqlite
from tests.faults.server import Server


class Impossible(Exception):
    """A fault cannot be made on this machine; the message says why."""


@dataclass
class Lab:
    """What faults need: the binary, a folder, and a PostgreSQL."""

    binary: Path
    work: Path
    server: Server

    def on_postgres(
        self, reads: Server | None = None, **variables: str
    ) -> contextlib.AbstractContextManager[Postgres]:
        return on_postgres(self.binary, self.work, self.server, reads or self.server, **variables)

    def on_sqlite(self, folder: Path, **variables: str) -> contextlib.AbstractContextManager[Sqlite]:
        return on_sqlite(self.binary, self.work, folder, **variables)


@dataclass(frozen=True)
class Fault:
    name: str
    title: str
    make: Callable[[Lab], Report]
    quick: bool


FAULTS: dict[str, Fault] = {}
# The database is unavailable, or busy: errors say so, or say that the request took too long.
OUTAGE = Expected(frozenset({"SERVICE_UNAVAILABLE", "DATABASE_BUSY", "REQUEST_TIMEOUT"}))


def special(name: str, title: str, quick: bool = False) -> Callable[[Callable[[Lab], Report]], Callable[[Lab], Report]]:
    """Registers a fault that sets up its own scene, and judges the result itself."""

    def register(make: Callable[[Lab], Report]) -> Callable[[Lab], Report]:
        FAULTS[name] = Fault(name, title, make, quick)
        return make

    return register


def fault(
    name: str, title: str, expected: Expected, quick: bool = False, **variables: str
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Registers a fault that is made and undone in a scene on PostgreSQL."""

    def register(make: Callable[[Any], None]) -> Callable[[Any], None]:
        def on_scene(lab: Lab) -> Report:
            with lab.on_postgres(**variables) as scene:
                scene.begin()
                try:
                    make(scene)
                    scene.healed()
                    return scene.verdict(title, expected)
                finally:
                    scene.stop()

        FAULTS[name] = Fault(name, title, on_scene, quick)
        return make

    return register
