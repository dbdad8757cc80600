"""The server goes away and comes back: stopped, killed, paused, restarted, and another in its place."""

import signal
import time

from catalogue import OUTAGE, fault
from scene import Expected, Postgres


@fault("stopped", "PostgreSQL stopped (`fast`), started again", OUTAGE, quick=True)
def stopped(scene: Postgres) -> None:
    scene.server.stop_fast()
    scene.unready()
    scene.known()
    scene.server.start()


@fault("killed", "PostgreSQL and all its processes killed with -9, started again", OUTAGE)
def killed(scene: Postgres) -> None:
    scene.server.signal(signal.SIGKILL)
    scene.unready()
    scene.known()
    (scene.server.data / "postmaster.pid").unlink(missing_ok=True)
    scene.server.start()


@fault("crashed", "one of PostgreSQL's sessions killed with -9: it ends all others and recovers by itself",
       Expected(OUTAGE.codes, unready=False))  # fmt: skip
def crashed(scene: Postgres) -> None:
    victim = scene.server.sql(
        "postgres", "SELECT min(pid) FROM pg_stat_activity WHERE application_name = 'coworking-analytics'"
    )
    import os

    os.kill(int(victim), signal.SIGKILL)
    time.sleep(1)


@fault("paused", "PostgreSQL paused with SIGSTOP for 8 s", OUTAGE)
def paused(scene: Postgres) -> None:
    scene.server.signal(signal.SIGSTOP)
    scene.unready()
    scene.known(4)
    scene.server.signal(signal.SIGCONT)


@fault("restarted", "PostgreSQL restarted under load", Expected(OUTAGE.codes, unready=False))
def restarted(scene: Postgres) -> None:
    scene.server.restart()
