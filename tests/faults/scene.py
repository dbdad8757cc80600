"""A gateway on a database with all its users, and the checks of their observations."""

import contextlib
import os
import shutil
import sqlite3
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tests.faults import truth
from tests.faults.clients import Asker, Outcome, PostgresWriter, Prober, SqliteWriter, Task, Writer
from bench.gateway import Gateway
from tests.faults.proxy import Proxy
from tests.faults.server import DATABASE, Server, Session
from bench.settings import run

# The gateway's timeouts in seconds; the suite's limits are derived from them.
ACQUIRE, STATEMENT, REQUEST, READINESS = 1, 2, 4, 1
# The gateway's environment besides that of bench/gateway.py, its database and its port.
ENVIRONMENT = {
    "DB_ACQUIRE_TIMEOUT": f"{ACQUIRE}s",
    "DB_STATEMENT_TIMEOUT": f"{STATEMENT}s",
    "REQUEST_TIMEOUT": f"{REQUEST}s",
    "READINESS_TIMEOUT": f"{READINESS}s",
    "DB_MAX_CONNECTIONS": "6",
    # Small enough to be full before memory is measured for the first time.
    "CACHE_BYTES": "262144",
    "USAGE_LOG_INTERVAL": "off",
    "LOG_LEVEL": "info",
}
POOL = int(ENVIRONMENT["DB_MAX_CONNECTIONS"])
# Connections beside the pool: one to look for changes, one to refresh the rollup, one to reach a database that is gone.
ASIDE = 3

# Seconds that a busy machine may add to any timeout.
SLACK = 6
# Seconds after which a gateway without right answers counts as not recovered, and seconds without an error after which
# it counts as recovered.
HOPELESS, CALM = 60, 2
# Bytes of growth that are allowed, because allocators keep memory.
GROWTH = 12 * 2**20
ASKERS = 4
ENOUGH = 20


@dataclass(frozen=True)
class Settings:
    """The settings that the benchmark's gateway needs."""

    binary: Path
    work: Path
    log_level: str = "info"


@dataclass(frozen=True)
class Footprint:
    """Open files other than connections to the database, threads, memory in bytes, and connections to the database, also
    those that were reset while nobody used them."""

    files: int
    threads: int
    memory: int
    connections: int


@dataclass(frozen=True)
class Expected:
    """The effects that a fault may have on clients, and those that it must have."""

    codes: frozenset[str] = frozenset()
    """Error codes that may occur."""
    errors: bool | None = True
    """Whether an error must occur (True), must not (False), or may (None)."""
    unready: bool = True
    """Whether the readiness probe must fail and succeed again."""
    broken: bool = False
    """Whether clients' connections may break."""


@dataclass
class Report:
    """A row of the table."""

    title: str
    seen: str = ""
    errors: str = "–"
    recovery: str = "–"
    leaks: str = "–"
    problems: list[str] = field(default_factory=list)

    def line(self) -> str:
        cells = (self.title, self.seen, self.errors, self.recovery, self.leaks, "**no**" if self.problems else "yes")
        return "| " + " | ".join(each.replace("|", "/") for each in cells) + " |"


class Process(Gateway):
    """The gateway's process, which can be killed and started."""

    def __init__(self, binary: Path, folder: Path, database_url: str, **variables: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(Settings(binary, folder), database_url, **{**ENVIRONMENT, **variables})  # type: ignore[arg-type]

    def kill(self) -> None:
        self.__exit__()

    def start(self) -> None:
        self.__enter__()

    def log_text(self) -> str:
        return (self.settings.work / "gateway/log").read_text(errors="replace")

    def footprint(self, is_database: Callable[[str, dict[str, int]], bool]) -> Footprint:
        folder = Path(f"/proc/{self.process.pid}")
        ports = peers(folder)
        links = []
        for each in (folder / "fd").iterdir():
            with contextlib.suppress(FileNotFoundError):
                links.append(os.readlink(each))
        # A connection that was reset is in no list any more; its pool has it until it is used next.
        dead = {link for link in links if link.startswith("socket:")} - ports.keys() - others(folder)
        connections = sum(is_database(link, ports) for link in links) + len(dead)
        threads = len(list((folder / "task").iterdir()))
        return Footprint(len(links) - connections, threads, self.memory("VmRSS"), connections)


def others(folder: Path) -> set[str]:
    """The sockets that are not of IPv4."""
    tcp = [line.split()[9] for line in (folder / "net/tcp6").read_text().splitlines()[1:]]
    unix = [line.split()[6] for line in (folder / "net/unix").read_text().splitlines()[1:]]
    return {f"socket:[{inode}]" for inode in tcp + unix}


def peers(folder: Path) -> dict[str, int]:
    """The remote port of each TCP socket, by the socket's name as a file."""
    found = {}
    for line in (folder / "net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        found[f"socket:[{fields[9]}]"] = int(fields[2].split(":")[1], 16)
    return found


class Scene:
    """The gateway and its users, who work from `begin` until `stop`."""

    writer: Writer

    def __init__(self, gateway: Process) -> None:
        self.gateway = gateway
        self.problems: list[str] = []
        self.begun = self.over = 0.0
        self.begun_tasks: list[Task] = []

    def is_database(self, link: str, ports: dict[str, int]) -> bool:
        """Whether an open file of the gateway is a connection to its database."""
        raise NotImplementedError

    def most_connections(self) -> int:
        raise NotImplementedError

    # -- From the beginning to the end ----------------------------------------------------------------

    def begin(self) -> None:
        """Starts all users, and measures the gateway at rest after some work."""
        patience = REQUEST + SLACK
        self.askers = [Asker(lambda: self.gateway.port, self.writer, patience, each) for each in range(ASKERS)]
        self.prober = Prober(lambda: self.gateway.port, patience)
        self.begun_tasks = [self.writer, *self.askers, self.prober]
        for task in self.begun_tasks:
            task.start()
        self.wait("an answer to every question", lambda: self.count("right") >= ENOUGH * ASKERS)
        with self.rest():
            self.before = self.footprint()
        self.wait("answers again", lambda: self.count("right") >= 2 * ENOUGH * ASKERS)
        self.begun = time.monotonic()

    def stop(self) -> None:
        """Stops all users. A second call does nothing."""
        tasks, self.begun_tasks = self.begun_tasks, []
        for task in tasks:
            task.stopped.set()
        for task in tasks:
            task.stop()

    @contextlib.contextmanager
    def rest(self) -> Iterator[None]:
        """No client asks while the context is open."""
        resting = [*self.askers, self.prober]
        for task in resting:
            task.resting.set()
        time.sleep(PAUSE)
        yield
        for task in resting:
            task.resting.clear()

    def healed(self) -> None:
        """Marks the end of the fault: from now on the gateway must recover by itself."""
        self.over = time.monotonic()

    def recover(self) -> float:
        """Seconds from the end of the fault until everything worked and continued to work."""
        deadline = time.monotonic() + HOPELESS
        written = self.writer.committed
        while time.monotonic() < deadline:
            bad = max((each.end for each in self.outcomes() if each.kind != "right"), default=0.0)
            unready = max((each.end for each in self.prober.readiness if each.kind != "right"), default=0.0)
            last = max(bad, unready, self.over)
            right = sum(each.begin > last for each in self.outcomes())
            ready = any(each.begin > last for each in self.prober.readiness)
            if time.monotonic() - last > CALM and right >= ENOUGH and ready and self.writer.committed > written:
                return last - self.over
            time.sleep(0.05)
        self.problems.append(f"not well again {HOPELESS} s later")
        return HOPELESS

    # -- Meanwhile ------------------------------------------------------------------------------------

    def wait(self, what: str, condition: Callable[[], bool], limit: float = HOPELESS) -> None:
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline:
                told = [line for line in self.gateway.log_text().splitlines() if '"name":"request"' not in line]
                raise RuntimeError(f"waited {limit} s for {what}: {self.seen()}; {' '.join(told[-3:])}")
            time.sleep(0.02)

    def more(self, answers: int) -> Callable[[], bool]:
        """A condition: this number of right answers came since the call."""
        before = self.count("right")
        return lambda: self.count("right") >= before + answers

    @contextlib.contextmanager
    def more_askers(self, number: int) -> Iterator[None]:
        """This number of additional clients ask while the context is open."""
        some = [Asker(lambda: self.gateway.port, self.writer, REQUEST + SLACK, each) for each in range(number)]
        self.askers += some
        for task in some:
            task.start()
        yield
        for task in some:
            task.stop()

    @contextlib.contextmanager
    def writing_stopped(self) -> Iterator[None]:
        self.writer.resting.set()
        self.wait("a writer at rest", lambda: self.writer.attempted == self.writer.committed)
        time.sleep(2 * self.writer.pause)
        yield
        self.writer.resting.clear()

    def unready(self) -> None:
        """Waits until the readiness probe fails."""
        begin = time.monotonic()
        self.wait(
            "an unready gateway",
            lambda: any(each.kind == "failed" and each.begin > begin for each in self.prober.readiness),
        )

    def known(self, seconds: float = 1.5) -> None:
        """Checks that once the gateway knows that its database is gone, errors come at once, not after a wait."""
        self.wait("the end of what waits", lambda: "out of reach: requests fail at once" in self.gateway.log_text())
        begin = time.monotonic()
        time.sleep(seconds)
        late = [each for each in self.outcomes() if each.begin > begin]
        self.wait("errors", lambda: any(each.begin > begin for each in self.outcomes()))
        late = [each.seconds for each in self.outcomes() if each.begin > begin]
        # At once means about a millisecond for most errors. With a wait for a connection, all would take a second.
        if statistics.median(late) > ACQUIRE:
            self.problems.append(f"errors of an outage that is known took {statistics.median(late):.1f} s")

    def outcomes(self) -> list[Outcome]:
        return [outcome for asker in self.askers for outcome in list(asker.outcomes)]

    def count(self, kind: str) -> int:
        return sum(each.kind == kind for each in self.outcomes())

    def seen(self) -> str:
        counted = Counter(each.kind for each in self.outcomes() if each.begin >= self.begun or each.end >= self.begun)
        return ", ".join(f"{count:,} {NAMES.get(kind, f'`{kind}`')}" for kind, count in counted.most_common())

    def footprint(self) -> Footprint:
        return self.gateway.footprint(self.is_database)

    def ask_all(self, written: int) -> list[str]:
        """Asks every question once, while no door codes are written; returns what is wrong with the answers."""
        asker = Asker(lambda: self.gateway.port, Writer(), REQUEST + SLACK, 0)
        asker.writer.committed = asker.writer.attempted = written
        for _ in truth.QUESTIONS:
            asker.once()
        asker.close()
        return [f"{each.kind}: {each.detail}" for each in asker.outcomes if each.kind != "right"]

    # -- The verdict ----------------------------------------------------------------------------------

    def verdict(self, title: str, expected: Expected) -> Report:
        recovery = self.recover()
        leaks = self.leaks()
        self.stop()
        outcomes = self.outcomes()
        self.hold_answers(outcomes, expected)
        self.hold_probes(expected)
        errors = [each for each in outcomes if each.kind != "right" and each.end >= self.begun]
        if "panicked" in self.gateway.log_text():
            self.problems.append("the gateway panicked")
        prompt = "–"
        if errors:
            seconds = sorted(each.seconds for each in errors)
            first = min(each.end for each in errors) - self.begun
            middle = statistics.median(seconds)
            prompt = f"first after {first:.1f} s; median {middle * 1000:,.0f} ms, slowest {seconds[-1]:.1f} s"
        return Report(title, self.seen(), prompt, f"{recovery:.1f} s", leaks, self.problems)

    def hold_answers(self, outcomes: list[Outcome], expected: Expected) -> None:
        allowed = {"right", *expected.codes, *(["broken"] if expected.broken else [])}
        if expected.codes:
            # Some fields of an answer may have failed, with the same codes.
            allowed.add("partial")
        for kind in {each.kind for each in outcomes} - allowed:
            some = [each for each in outcomes if each.kind == kind]
            self.problems.append(f"{len(some)} {NAMES.get(kind, kind)}: {some[0].question}: {some[0].detail}")
        for each in outcomes:
            if each.kind == "partial" and not set(each.detail.split()) <= expected.codes:
                self.problems.append(f"a field failed with {each.detail}")
        if expected.errors and not any(each.kind != "right" and each.end > self.begun for each in outcomes):
            self.problems.append("the fault was felt by nobody")
        if expected.errors is False and any(each.kind != "right" for each in outcomes):
            self.problems.append("there were errors")
        slowest = max(each.seconds for each in outcomes)
        if slowest > REQUEST + SLACK:
            self.problems.append(f"a request took {slowest:.1f} s")
        for name in {each.question for each in outcomes}:
            before = sum(each.kind == "right" and each.question == name and each.end < self.begun for each in outcomes)
            after = sum(each.kind == "right" and each.question == name and each.begin > self.over for each in outcomes)
            if not (before and after):
                self.problems.append(f"{name} was right {before} times before and {after} times after")

    def hold_probes(self, expected: Expected) -> None:
        dead = [each for each in self.prober.health if each.kind != "right"]
        if dead and not expected.broken:
            self.problems.append(f"liveness failed {len(dead)} times: {dead[0].detail}")
        kinds = {each.kind for each in self.prober.readiness} - ({"broken"} if expected.broken else set())
        failed = [each for each in self.prober.readiness if each.kind == "failed"]
        if kinds - {"right", "failed"}:
            self.problems.append(f"readiness was answered with {kinds}")
        if expected.unready and not failed:
            self.problems.append("readiness never failed")
        if self.prober.readiness[-1].kind != "right":
            self.problems.append("not ready at the end")

    def leaks(self) -> str:
        """Compares what the gateway holds at rest with what it held before."""
        before = self.before
        with self.rest():
            deadline = time.monotonic() + SETTLING
            while True:
                now = self.footprint()
                excess = self.excess(now)
                if not excess or time.monotonic() > deadline:
                    break
                time.sleep(0.2)
        if excess:
            self.problems.append(f"leaked: {excess}")
        grown = (now.memory - before.memory) / 2**20
        return (
            f"files {before.files} → {now.files}, threads {before.threads} → {now.threads}, "
            f"connections {before.connections} → {now.connections}, memory {grown:+.1f} MiB"
        )

    def excess(self, now: Footprint) -> str:
        before, found = self.before, []
        if now.files > before.files:
            found.append(f"files {before.files} → {now.files}")
        if now.threads > before.threads + self.threads_to_come():
            found.append(f"threads {before.threads} → {now.threads}")
        if now.connections > self.most_connections():
            found.append(f"{now.connections} connections to the database")
        if now.memory > before.memory + GROWTH:
            found.append(f"memory {before.memory:,} → {now.memory:,}")
        return ", ".join(found)

    def threads_to_come(self) -> int:
        """How many more threads are allowed, because not every connection is open from the beginning."""
        return 0


# Seconds without requests before anything is measured, and seconds for connections and threads to end.
PAUSE, SETTLING = 0.5, 30
NAMES = {"right": "right", "wrong": "WRONG", "broken": "connections broken", "strange": "STRANGE", "partial": "in part"}


class Postgres(Scene):
    """A scene on PostgreSQL, behind a proxy; the writer connects directly."""

    def __init__(self, gateway: Process, server: Server, reads: Server, proxy: Proxy, database: str) -> None:
        super().__init__(gateway)
        self.server, self.reads, self.proxy, self.database = server, reads, proxy, database
        self.writer = PostgresWriter(lambda: self.server.psql(database))

    def switch(self, server: Server) -> None:
        """From now on, the proxy's address and all helpers lead to that server."""
        self.server = self.reads = server
        self.proxy.target = server.port

    def session(self) -> Session:
        return Session(self.server.psql(self.database))

    def write(self, statement: str) -> None:
        self.server.sql(self.database, statement)

    def is_database(self, link: str, ports: dict[str, int]) -> bool:
        return ports.get(link) == self.proxy.port

    def most_connections(self) -> int:
        return POOL + ASIDE

    def excess(self, now: Footprint) -> str:
        sessions = self.reads.sessions() - self.proxy.forgotten()
        left = [f"{sessions} sessions on the server"] if sessions > self.most_connections() else []
        return ", ".join([*filter(None, [super().excess(now)]), *left])


@contextlib.contextmanager
def on_postgres(
    binary: Path, work: Path, server: Server, reads: Server, **variables: str
) -> Iterator[Postgres]:
    """A scene on a fresh database of `server`, whose reports are read from `reads`."""
    name = "scene"
    server.sql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name} TEMPLATE {DATABASE}")
    with Proxy(reads.port) as proxy:
        shutil.rmtree(work / "gateway", ignore_errors=True)
        url = f"postgres://reporting:reporting@127.0.0.1:{proxy.port}/{name}"
        with Process(binary, work, url, **variables) as gateway:
            yield Postgres(gateway, server, reads, proxy, name)


class Sqlite(Scene):
    """A scene on an SQLite file, to which another process writes."""

    def __init__(self, gateway: Process, path: Path) -> None:
        super().__init__(gateway)
        self.path = path
        self.writer = SqliteWriter(path)

    def is_database(self, link: str, ports: dict[str, int]) -> bool:
        return link.startswith(str(self.path))

    def most_connections(self) -> int:
        # Each connection opens the file, its log and the log's index; deleted files stay open while they are read.
        return 3 * (POOL + 1)

    def threads_to_come(self) -> int:
        return POOL


@contextlib.contextmanager
def on_sqlite(binary: Path, work: Path, folder: Path, **variables: str) -> Iterator[Sqlite]:
    """A scene on an SQLite file in that folder."""
    path = folder / "coworking.db"
    url = f"sqlite:{path}"
    shutil.rmtree(work / "gateway", ignore_errors=True)
    run([binary, "migrate"], {"DATABASE_URL": url}, work)
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(truth.rows())
    with Process(binary, work, url, **variables) as gateway:
        yield Sqlite(gateway, path)
