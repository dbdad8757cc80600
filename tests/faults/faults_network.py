"""Faults of the network between the gateway and its database: cut, silent, slow or unreliable."""

import time

from tests.faults.catalogue import OUTAGE, fault
from tests.faults.scene import Expected, Postgres


@fault("cut", "network: every connection reset, new ones refused", OUTAGE)
def cut(scene: Postgres) -> None:
    scene.proxy.refuse()
    scene.unready()
    scene.known()
    scene.proxy.accept()


@fault("reset", "network: every connection reset while nobody asks", Expected(errors=False, unready=False))
def reset(scene: Postgres) -> None:
    with scene.rest():
        # No request is running, so only the pool notices, and no client gets an error.
        scene.proxy.cut()


@fault("reset-in-flight", "network: every connection reset, ten times in two seconds under load",
       Expected(OUTAGE.codes, unready=False))  # fmt: skip
def reset_in_flight(scene: Postgres) -> None:
    for _ in range(10):
        scene.proxy.cut()
        time.sleep(0.2)


@fault("black-hole", "network: nothing goes through and nothing is refused; then it flows again", OUTAGE)
def black_hole(scene: Postgres) -> None:
    scene.proxy.hole = True
    scene.unready()
    scene.known()
    scene.proxy.hole = False


@fault("forgotten", "network: every open connection is silent for ever, new ones work",
       Expected(OUTAGE.codes, unready=False))  # fmt: skip
def forgotten(scene: Postgres) -> None:
    scene.proxy.forget()


@fault("latency", "network: 200 ms more in each direction", Expected(OUTAGE.codes, errors=None, unready=False))
def latency(scene: Postgres) -> None:
    scene.proxy.delay = 0.2
    time.sleep(2)
    # Opening a connection takes longer than a request waits for one. Open connections must not be given up.
    scene.wait("answers", scene.more(20))
    time.sleep(2)
    scene.proxy.heal()


@fault("throttled", "network: 4 KiB a second on each connection", Expected(OUTAGE.codes, errors=None, unready=False))
def throttled(scene: Postgres) -> None:
    scene.proxy.rate = 4096
    time.sleep(6)
    scene.proxy.heal()


@fault("flaky", "network: every fiftieth packet resets its connection", Expected(OUTAGE.codes, unready=False))
def flaky(scene: Postgres) -> None:
    scene.proxy.flaw = 0.02
    time.sleep(6)
    scene.proxy.heal()
