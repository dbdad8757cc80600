"""The benchmark's own PostgreSQL and its databases."""

import contextlib
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from bench.settings import HERE, HUGE, ROOT, Settings, run, say

SCRIPT = ROOT / "scripts/postgres.sh"
SCHEMA = ROOT / "tests/fixtures/legacy/schema.sql"
ROLLUP = ROOT / "src/reports/counting/rollup"


class Cluster:
    """Runs while the context is open. The gateway connects as `postgres`, all other clients as `writer`, so that their
    statements can be told apart."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = settings.work / "postgres"

    def __enter__(self) -> "Cluster":
        run([SCRIPT, "install"])
        # A run that was killed may have left a server running.
        if (self.folder / "data/postmaster.pid").exists():
            with contextlib.suppress(RuntimeError):
                run([SCRIPT, "stop", self.folder])
        if self.settings.fresh:
            shutil.rmtree(self.folder, ignore_errors=True)
        self._start()
        try:
            self._configure()
        except BaseException:
            self.stop()
            raise
        return self

    def _configure(self) -> None:
        """Sets realistic values for the size of the machine, and creates the role of the writer."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        wanted = {
            "shared_buffers": f"{min(4096, memory // 4)}MB",
            "effective_cache_size": f"{memory // 2}MB",
            "max_wal_size": "4GB",
            "checkpoint_timeout": "30min",
        }
        extensions = self.sql("postgres", "SELECT name FROM pg_available_extensions").split()
        self.has_statements = "pg_stat_statements" in extensions
        if self.has_statements:
            wanted["shared_preload_libraries"] = "pg_stat_statements"
        for name, value in wanted.items():
            self.sql("postgres", f"ALTER SYSTEM SET {name} = '{value}'")
        # Some settings need a restart.
        self.stop()
        self._start()
        if self.has_statements:
            self.sql("postgres", "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
            self._track("none")
        if not self.sql("postgres", "SELECT 1 FROM pg_roles WHERE rolname = 'writer'"):
            self.sql("postgres", "CREATE ROLE writer LOGIN SUPERUSER PASSWORD 'writer'")

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> None:
        parts = urlsplit(run([SCRIPT, "start", self.folder]).strip())
        self.host, self.port = parts.hostname or "127.0.0.1", parts.port or 5432

    def stop(self) -> None:
        # The script stops the server immediately; with a checkpoint, the next start has nothing to replay.
        with contextlib.suppress(RuntimeError):
            self.sql("postgres", "CHECKPOINT")
        run([SCRIPT, "stop", self.folder])

    def url(self, database: str, role: str = "postgres") -> str:
        login = "postgres" if role == "postgres" else f"{role}:{role}"
        return f"postgres://{login}@{self.host}:{self.port}/{database}"

    def psql(self, database: str, *arguments: str) -> list[str]:
        return ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *arguments, self.url(database, "writer")]

    def sql(self, database: str, *statements: str) -> str:
        command = [each for statement in statements for each in ("-c", statement)]
        url = self.url(database)
        return run(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *command, url]).strip()

    def version(self) -> str:
        return self.sql("postgres", "SHOW server_version")

    def last_day(self, database: str) -> str:
        return self.sql(database, "SELECT max(created_at)::DATE FROM tokens")

    @contextlib.contextmanager
    def counted_statements(self, database: str) -> Iterator[Callable[[], int]]:
        """Counts the gateway's statements while the context is open."""
        self._track("top")
        self.sql("postgres", "SELECT FROM pg_stat_statements_reset()")
        count = (
            "SELECT coalesce(sum(calls), 0) FROM pg_stat_statements WHERE userid = 'postgres'::REGROLE"
            f" AND dbid = (SELECT oid FROM pg_database WHERE datname = '{database}')"
        )
        try:
            yield lambda: int(self.sql("postgres", count))
        finally:
            self._track("none")

    def _track(self, what: str) -> None:
        self.sql("postgres", f"ALTER SYSTEM SET pg_stat_statements.track = '{what}'", "SELECT FROM pg_reload_conf()")

    # -- Databases ------------------------------------------------------------------------------------

    def users(self, size: int) -> int:
        most = self.settings.users * 10 if size >= HUGE else self.settings.users
        return min(most, max(10, size // 10))

    def database(self, size: int, rollup: bool = False) -> str:
        """The name of a database with `size` door codes, which is created if it is missing."""
        name = f"tokens_{size}" + ("_rollup" if rollup else "")
        state = self._state(name)
        filled = f"filled {self.users(size)} {self.settings.days}"
        wanted = f"{filled} rollup {kept_as(self.settings.binary)}" if rollup else filled
        if state == wanted:
            return name
        plain = f"tokens_{size}"
        is_filled = rollup and state.startswith(filled)
        if rollup and not is_filled and self._state(plain) == filled:
            self.copy(plain, name)
        elif not is_filled:
            self._fill(name, size)
        self.sql("postgres", f"COMMENT ON DATABASE {name} IS '{filled}'")
        if rollup:
            self._install_rollup(name)
        self.sql("postgres", f"COMMENT ON DATABASE {name} IS '{wanted}'")
        return name

    @contextlib.contextmanager
    def copied(self, template: str) -> Iterator[str]:
        """A copy that may be changed, and is dropped at the end of the context."""
        name = f"{template}_copy"
        self.copy(template, name)
        try:
            yield name
        finally:
            self.sql("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    def copy(self, template: str, name: str) -> None:
        say(f"copying {template} to {name}")
        self.sql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.sql("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")

    def _state(self, name: str) -> str:
        query = f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{name}'"
        return self.sql("postgres", query)

    def _fill(self, name: str, size: int) -> None:
        users, begun = self.users(size), time.monotonic()
        say(f"filling {name}: {size:,} tokens of {users:,} members over {self.settings.days:,} days")
        self.sql("postgres", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.sql("postgres", f"CREATE DATABASE {name}")
        variables = {"tokens": size, "users": users, "days": self.settings.days}
        command = ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", "-f", str(SCHEMA), "-f", str(HERE / "fill.sql")]
        for key, value in variables.items():
            command += ["-v", f"{key}={value}"]
        run([*command, self.url(name)])
        say(f"filled {name} in {time.monotonic() - begun:.0f} s")

    # -- Rollup ---------------------------------------------------------------------------------------

    def _install_rollup(self, name: str) -> None:
        begun = time.monotonic()
        is_there = self.sql(name, "SELECT to_regclass('rollup_state')")
        for step in ("upgrade" if is_there else "create", "refresh"):
            self._rollup(name, step)
        say(f"rollup of {name} made in {time.monotonic() - begun:.0f} s")
        self.sql(name, "VACUUM (ANALYZE)")

    def _rollup(self, name: str, step: str) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": self.url(name),
            "LOG_LEVEL": "info",
            "DB_STATEMENT_TIMEOUT": "600s",
            "REQUEST_TIMEOUT": "900s",
        }
        say(f"rollup {step} on {name}")
        run([self.settings.binary, "rollup", step], environment, self.settings.work)


def fingerprint(binary: Path) -> str:
    return hashlib.sha256(binary.read_bytes()).hexdigest()[:12]


def kept_as(binary: Path) -> str:
    """The way in which the binary keeps a rollup: as the sources say, or for a binary from elsewhere, its own."""
    if "GATEWAY_BIN" in os.environ:
        return fingerprint(binary)
    sources = sorted(each for each in ROLLUP.rglob("*") if each.is_file())
    return hashlib.sha256(b"".join(each.read_bytes() for each in sources)).hexdigest()[:12]
