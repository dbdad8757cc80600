"""The settings of a run, and small helpers."""

import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
# Tokens of row 15, which needs 20 GB and the better part of an hour.
HUGE = 100_000_000


@dataclass(frozen=True)
class Settings:
    binary: Path
    work: Path
    small: int
    medium: int
    large: int
    users: int
    days: int
    samples: int
    rounds: int
    seconds: int
    memory_seconds: int
    log_level: str
    fresh: bool
    has_rollup: bool


class Unmeasurable(Exception):
    """Something cannot be measured on this machine; the message says why."""


@dataclass(frozen=True)
class Row:
    """A row of the table; `met` is None when there is no bar."""

    what: str
    measured: str
    ratio: str = ""
    bar: str = ""
    met: bool | None = None


def say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


def run(command: Sequence[str | Path], environment: Mapping[str, str] | None = None, folder: Path | None = None) -> str:
    """Runs a command to its end and returns its output; the exception of a failure contains its errors."""
    done = subprocess.run(command, env=environment, cwd=folder, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def milliseconds(seconds: float) -> str:
    value = seconds * 1000
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.2f} ms"


def mebibytes(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def tokens(count: int) -> str:
    return f"{count / 1e6:g} M tokens" if count >= 1_000_000 else f"{count:,} tokens"
