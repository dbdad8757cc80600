"""The database runs, but gives no connection, no lock or no right to read."""

import time

from tests.faults.catalogue import OUTAGE, fault
from tests.faults.scene import POOL, REQUEST, STATEMENT, Expected, Postgres


@fault("locked", "every statement waits for a lock on `tokens`, longer than the statement timeout",
       OUTAGE)  # fmt: skip
def locked(scene: Postgres) -> None:
    with scene.session() as session:
        session.run("BEGIN; LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE")
        begin = time.monotonic()
        scene.wait("statement timeouts", lambda: scene.count("REQUEST_TIMEOUT") > 0)
        time.sleep(2 * STATEMENT)
        scene.unready()
        session.run("COMMIT")
    late = [each for each in scene.outcomes() if each.begin > begin and each.kind == "REQUEST_TIMEOUT"]
    # Some request must have waited until the statement timeout before it failed.
    if not any(STATEMENT <= each.seconds for each in late):
        scene.problems.append("REQUEST_TIMEOUT came before the statement timeout")


@fault("pool", "twice as many requests as connections, each waiting for a lock", OUTAGE, CACHE_BYTES="0")
def pool(scene: Postgres) -> None:
    with scene.session() as session, scene.more_askers(2 * POOL):
        session.run("BEGIN; LOCK TABLE tokens IN ACCESS EXCLUSIVE MODE")
        scene.wait("a full pool", lambda: scene.server.waiting() >= POOL)
        scene.wait("both errors", lambda: scene.count("REQUEST_TIMEOUT") > 0 and scene.count("DATABASE_BUSY") > 0)
        time.sleep(REQUEST)
        session.run("COMMIT")
        scene.wait("an empty queue", lambda: scene.server.waiting() == 0)


@fault("full", "PostgreSQL has no connection left (`max_connections`); those of the pool stay open",
       Expected(OUTAGE.codes, errors=None, unready=False), CACHE_BYTES="0")  # fmt: skip
def full(scene: Postgres) -> None:
    with scene.server.filled_up(), scene.more_askers(2 * POOL):
        before = scene.count("right")
        time.sleep(4)
        # The open connections can be used, so some requests must still be answered.
        if scene.count("right") - before < 50:
            scene.problems.append(f"only {scene.count('right') - before} right answers while the server was full")


@fault("full-and-cut", "PostgreSQL has no connection left, and those of the pool are cut", OUTAGE)
def full_and_cut(scene: Postgres) -> None:
    with scene.server.filled_up():
        scene.proxy.refuse()
        # Take the freed connections before the gateway connects again.
        time.sleep(0.5)
        with scene.server.filled_up():
            scene.proxy.accept()
            scene.unready()
            scene.known()


@fault("revoked", "the right to read `tokens` is taken away, and given back",
       Expected(frozenset({"INTERNAL_SERVER_ERROR"})))  # fmt: skip
def revoked(scene: Postgres) -> None:
    scene.write("REVOKE SELECT (id, user_id, created_at, used_at) ON tokens FROM reporting")
    scene.unready()
    scene.wait("errors", lambda: scene.count("INTERNAL_SERVER_ERROR") > 0)
    scene.write("GRANT SELECT (id, user_id, created_at, used_at) ON tokens TO reporting")
