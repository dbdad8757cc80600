"""Outages of the server: stopped, killed, paused, restarted, or replaced by another one."""

import contextlib
import json
import os
import signal
import urllib.request
from pathlib import Path

from tests.faults import truth
from tests.faults.catalogue import OUTAGE, Lab, fault, special
from tests.faults.scene import REQUEST, SLACK, Expected, Postgres, Report


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
    scene.server.revive()


@fault("crashed", "one of PostgreSQL's sessions killed with -9: the server ends all others and recovers",
       Expected(OUTAGE.codes, errors=None, unready=False))  # fmt: skip
def crashed(scene: Postgres) -> None:
    sessions = "SELECT string_agg(pid::TEXT, ' ') FROM pg_stat_activity WHERE application_name = 'coworking-analytics'"
    victims = scene.server.sql("postgres", sessions).split()
    os.kill(int(victims[0]), signal.SIGKILL)
    scene.wait("the end of all sessions", lambda: not any(Path(f"/proc/{each}").exists() for each in victims))


@fault("paused", "PostgreSQL paused with SIGSTOP for 8 s", OUTAGE)
def paused(scene: Postgres) -> None:
    scene.server.signal(signal.SIGSTOP)
    scene.unready()
    scene.known(4)
    scene.server.signal(signal.SIGCONT)


@fault("restarted", "PostgreSQL restarted under load", Expected(OUTAGE.codes, unready=False))
def restarted(scene: Postgres) -> None:
    scene.server.restart()


PROMOTED = "the primary killed, its standby promoted, the address switched to it"


@special("promoted", PROMOTED)
def promoted(lab: Lab) -> Report:
    primary = lab.server
    with primary.standby("successor") as successor, lab.on_postgres() as scene:
        primary.replicate("successor")
        try:
            scene.begin()
            primary.signal(signal.SIGKILL)
            scene.unready()
            # The new primary has no standby, so commits must not wait for one.
            successor.replicate(None)
            successor.promote()
            scene.switch(successor)
            scene.healed()
            return scene.verdict(PROMOTED, OUTAGE)
        finally:
            scene.stop()
            primary.revive()
            primary.replicate(None)


STANDBY = "reads from a standby, which is restarted under load"


@special("standby", STANDBY)
def standby(lab: Lab) -> Report:
    # Commits are acknowledged once the standby shows them, so no answer may be older than the last commit.
    with lab.server.standby("replica") as replica:
        lab.server.replicate("replica")
        try:
            with lab.on_postgres(reads=replica) as scene:
                try:
                    scene.begin()
                    replica.restart()
                    scene.healed()
                    return scene.verdict(STANDBY, Expected(OUTAGE.codes, unready=False))
                finally:
                    lab.server.replicate(None)
                    scene.stop()
        finally:
            lab.server.replicate(None)


LATE = "reads from a standby; transactions commit in another order than they began"


@special("late-commits", LATE, quick=True)
def late_commits(lab: Lab) -> Report:
    """A standby's snapshot does not list running transactions, so it can look the same before and after a commit."""
    problems = []
    with lab.server.standby("replica") as replica:
        lab.server.replicate("replica")
        try:
            with lab.on_postgres(reads=replica) as scene, contextlib.ExitStack() as stack:
                first, second, third = (stack.enter_context(scene.session()) for _ in range(3))
                first.run("BEGIN; UPDATE users SET first_name = first_name WHERE id = 1")
                second.run(f"BEGIN; {truth.insert(2)}")
                third.run(truth.insert(1))
                problems += scene.ask_all(1)
                second.run("COMMIT")
                problems += scene.ask_all(2)
                first.run("COMMIT")
                problems += scene.ask_all(2)
        finally:
            lab.server.replicate(None)
    return Report(LATE, f"{3 * len(truth.QUESTIONS) - len(problems)} right of {3 * len(truth.QUESTIONS)}", problems=problems)


LOST = "the standby that takes over lacks the last commit, and commits another one instead"


@special("lost-commit", LOST)
def lost_commit(lab: Lab) -> Report:
    """Both servers then have the same number of transactions, so the gateway must tell them apart by other means."""
    with lab.on_postgres() as scene, lab.server.standby("successor") as successor:
        successor.promote()
        scene.write(truth.insert(1))
        problems = scene.ask_all(1)
        successor.sql(scene.database, truth.insert(2))
        for server, other in ((scene.server, successor), (successor, scene.server)):
            while server.next_transaction(scene.database) < other.next_transaction(scene.database):
                server.sql(scene.database, "SELECT pg_current_xact_id()")
        scene.switch(successor)
        scene.proxy.cut()
        with urllib.request.urlopen(scene.gateway.url("/api/reports/daily_usage"), timeout=REQUEST + SLACK) as response:
            answer = json.load(response)
        right = dict(truth.legacy_days(0))
        right[str(truth.day(truth.FIRST + 1))] += 1
        if answer != right:
            problems.append(f"the new server's numbers are {right}, the answer is {answer}")
    total = len(truth.QUESTIONS) + 1
    return Report(LOST, f"{total - len(problems)} right of {total}", problems=problems)
