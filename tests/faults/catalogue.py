"""The faults there are, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scene import Expected, Report, on_postgres, on_sqlite
from server import Server


class Impossible(Exception):
    """Says why a fault cannot be made here."""


@dataclass
class Lab:
    """Where faults are made."""

    binary: Path
    work: Path
    server: Server


@dataclass(frozen=True)
class Fault:
    name: str
    title: str
    make: Callable[[Lab], Report]
    quick: bool


FAULTS: dict[str, Fault] = {}
# The database is away: an error that says so, or one that says that it took too long.
OUTAGE = Expected(frozenset({"SERVICE_UNAVAILABLE", "REQUEST_TIMEOUT"}))


def special(name: str, title: str, quick: bool = False) -> Callable[[Callable[[Lab], Report]], Callable[[Lab], Report]]:
    """A fault that sets its own scene, and judges by itself."""

    def register(make: Callable[[Lab], Report]) -> Callable[[Lab], Report]:
        FAULTS[name] = Fault(name, title, make, quick)
        return make

    return register


def fault(
    name: str, title: str, expected: Expected, quick: bool = False, **variables: str
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """A fault that is made, and undone, in a scene on PostgreSQL."""

    def register(make: Callable[[Any], None]) -> Callable[[Any], None]:
        def on_scene(lab: Lab) -> Report:
            with on_postgres(lab.binary, lab.work, lab.server, **variables) as scene:
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
