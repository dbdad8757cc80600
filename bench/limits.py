"""The limits of a pod: a fifth of a CPU and 256 MiB."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from bench.settings import Unmeasurable

CPU, MEMORY = 0.2, 256 * 2**20
PERIOD = 100_000
V2, V1 = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/cpu")
NAME = "coworking-analytics-bench"


@contextlib.contextmanager
def share() -> Iterator[tuple[list[str], str]]:
    """A prefix that limits a command, and the name of the mechanism."""
    with contextlib.ExitStack() as stack:
        yield _confinement(stack)


def _confinement(stack: contextlib.ExitStack) -> tuple[list[str], str]:
    quota = int(CPU * PERIOD)
    with contextlib.suppress(OSError):
        if {"cpu", "memory"} <= set((V2 / "cgroup.subtree_control").read_text().split()):
            files = {"cpu.max": f"{quota} {PERIOD}", "memory.max": str(MEMORY)}
            return stack.enter_context(_group(V2 / NAME, files)), "a control group, v2"
    if shutil.which("systemd-run") and Path("/run/systemd/system").exists():
        manager = [] if os.geteuid() == 0 else ["--user"]
        limits = ["-p", f"CPUQuota={CPU:.0%}", "-p", f"MemoryMax={MEMORY}"]
        return ["systemd-run", *manager, "--scope", "--quiet", *limits], "systemd-run"
    with contextlib.suppress(OSError):
        # With version 1, the memory group may belong to another user, so memory is not limited, only measured.
        files = {"cpu.cfs_period_us": str(PERIOD), "cpu.cfs_quota_us": str(quota)}
        return stack.enter_context(_group(V1 / NAME, files)), "a control group, v1, of the CPU; memory only measured"
    raise Unmeasurable("neither a writable control group nor systemd-run")


@contextlib.contextmanager
def _group(folder: Path, limits: dict[str, str]) -> Iterator[list[str]]:
    folder.mkdir(exist_ok=True)
    try:
        for name, value in limits.items():
            (folder / name).write_text(value)
        yield ["sh", "-c", f'echo $$ > {folder}/cgroup.procs && exec "$0" "$@"']
    finally:
        # A process that has just ended stays in the group for a moment.
        for _ in range(50):
            with contextlib.suppress(OSError):
                folder.rmdir()
                break
            time.sleep(0.1)
