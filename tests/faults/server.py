"""The suite's own PostgreSQL, which can be stopped, killed, paused, promoted and filled up."""

import contextlib
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from bench.cluster import SCHEMA, SCRIPT, Cluster
from bench.settings import run

from tests.faults import truth

DATABASE = "coworking"


class Server(Cluster):
    """A small cluster like the benchmark's, with rows whose reports are known."""

    def __init__(self, work: Path, name: str = "primary") -> None:
        super().__init__(SimpleNamespace(work=work / name, fresh=True))  # type: ignore[arg-type]
        self.data = self.folder / "data"

    def _configure(self) -> None:
        self.sql("postgres", f"CREATE DATABASE {DATABASE}", "CREATE ROLE writer LOGIN SUPERUSER PASSWORD 'writer'")
        with open(self.data / "pg_hba.conf", "a", encoding="ascii") as rules:
            rules.write("host replication postgres 127.0.0.1/32 trust\n")
        self.sql("postgres", "SELECT pg_reload_conf()")
        # The rights that docs/postgresql.md asks for, and no others.
        self.sql("postgres", "CREATE ROLE reporting LOGIN PASSWORD 'reporting'")
        run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", SCHEMA, self.url(DATABASE)])
        self.sql(
            DATABASE,
            truth.rows(),
            "GRANT SELECT (id, first_name, last_name, joined_at, is_active) ON users TO reporting",
            "GRANT SELECT (id, user_id, created_at, used_at) ON tokens TO reporting",
        )

    def start(self) -> None:
        self._start()

    def stop(self) -> None:
        """Stops it at once, without saving anything."""
        if (self.data / "postmaster.pid").exists():
            with contextlib.suppress(RuntimeError):
                self.signal(signal.SIGCONT)
                run([SCRIPT, "stop", self.folder])

    def stop_fast(self) -> None:
        """Stops it as an administrator does: clients are disconnected, and everything is saved."""
        self._control("-m", "fast", "-w", "stop")

    def revive(self) -> None:
        """Starts it after it was killed, and left its lock file."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        self.start()

    def restart(self) -> None:
        self._control("-m", "fast", "-w", "restart", "-l", str(self.data / "server.log"))

    def promote(self) -> None:
        self._control("-w", "promote")

    def _control(self, *arguments: str) -> None:
        owner = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        run([*owner, program("pg_ctl"), "-D", str(self.data), *arguments])

    def signal(self, which: signal.Signals) -> None:
        """Sends a signal to the server and to each of its processes."""
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, which)

    def processes(self) -> list[int]:
        server = int((self.data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{server}/task/{server}/children")
        return [server, *map(int, children.read_text().split())] if children.exists() else []

    def sessions(self) -> int:
        """The number of the gateway's sessions."""
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'coworking-analytics'"
        return int(self.sql("postgres", count))

    def next_transaction(self, database: str) -> int:
        return int(self.sql(database, "SELECT pg_snapshot_xmax(pg_current_snapshot())"))

    def waiting(self) -> int:
        """The number of lock requests that wait."""
        return int(self.sql("postgres", "SELECT count(*) FROM pg_locks WHERE NOT granted"))

    @contextlib.contextmanager
    def filled_up(self) -> Iterator[int]:
        """Takes all free connections of the server while the context is open; yields their number."""
        with contextlib.ExitStack() as stack:
            taken = 0
            while session := login(self.port):
                stack.enter_context(session)
                taken += 1
            yield taken

    @contextlib.contextmanager
    def standby(self, name: str) -> Iterator["Server"]:
        """A standby of this server. With `replicate`, every commit waits until the standby shows it."""
        copy = Server(self.settings.work.parent, name)
        shutil.rmtree(copy.folder, ignore_errors=True)
        copy.folder.mkdir(parents=True)
        if os.getuid() == 0:
            shutil.chown(copy.folder, "postgres")
        for certificate in ("server.key", "server.pem"):
            shutil.copy2(self.folder / certificate, copy.folder)
            if os.getuid() == 0:
                shutil.chown(copy.folder / certificate, "postgres")
        with socket.create_server(("127.0.0.1", 0)) as free:
            (copy.folder / "port").write_text(str(free.getsockname()[1]))
        owner = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        where = f"host={self.host} port={self.port} user=postgres application_name={name}"
        run([*owner, program("pg_basebackup"), "-d", where, "-D", str(copy.data), "-R", "-X", "stream",
             "-c", "fast"])  # fmt: skip
        copy.start()
        try:
            yield copy
        finally:
            copy.stop()

    def replicate(self, name: str | None) -> None:
        """Makes commits wait until the standby of that name shows them; with None, for no standby."""
        self.sql("postgres", f"ALTER SYSTEM SET synchronous_standby_names = '{name or ''}'")
        self.sql("postgres", "ALTER SYSTEM SET synchronous_commit = 'remote_apply'", "SELECT pg_reload_conf()")
        if name:
            while "sync" not in self.sql("postgres", "SELECT sync_state FROM pg_stat_replication").split():
                time.sleep(0.05)


class Session:
    """A connection that stays open between statements."""

    def __init__(self, command: list[str]) -> None:
        pipe = subprocess.PIPE
        self.psql = subprocess.Popen(command, text=True, stdin=pipe, stdout=pipe)

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.psql.kill()
        self.psql.communicate()

    def run(self, statements: str) -> None:
        assert self.psql.stdin and self.psql.stdout
        self.psql.stdin.write(f"{statements};\n\\echo done\n")
        self.psql.stdin.flush()
        while (line := self.psql.stdout.readline()) != "done\n":
            if not line:
                raise RuntimeError(f"{statements} failed")


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs; some distributions do not put them on the PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    for root in ("/usr/lib/postgresql", "/opt/homebrew/opt", "/usr/local/opt"):
        folders += sorted(Path(root).glob("*/bin"), reverse=True)
    return next(str(folder / name) for folder in folders if (folder / name).exists())


def login(port: int) -> socket.socket | None:
    """Opens a session of the superuser by PostgreSQL's wire protocol; None when there are too many."""
    session = socket.create_connection(("127.0.0.1", port), timeout=30)
    greeting = struct.pack("!i", 196_608) + b"user\0postgres\0database\0postgres\0\0"
    session.sendall(struct.pack("!i", len(greeting) + 4) + greeting)
    received = b""
    while not received.endswith(b"Z\0\0\0\5I"):
        data = session.recv(4096)
        received += data
        if not data or received.startswith(b"E"):
            session.close()
            return None
    return session
