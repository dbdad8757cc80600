"""The users of the gateway during a fault: clients that ask, a prober, and a writer of door codes."""

import contextlib
import http.client
import json
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.faults import truth
from bench.gateway import body

# Seconds between two requests of a client, between two probes, and between two door codes.
PACE, PROBING, WRITING = 0.02, 0.1, 0.05


class Task(threading.Thread):
    """Repeats an action until it is stopped; `stop` raises its failure, if it had one."""

    def __init__(self, pause: float) -> None:
        super().__init__(daemon=True)
        self.pause, self.stopped, self.failure = pause, threading.Event(), ""
        self.resting = threading.Event()

    def once(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Releases its resources."""

    def run(self) -> None:
        try:
            while not self.stopped.wait(self.pause):
                if self.resting.is_set():
                    self.close()
                else:
                    self.once()
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
        finally:
            self.close()

    def stop(self) -> None:
        self.stopped.set()
        self.join()
        if self.failure:
            raise RuntimeError(f"{type(self).__name__}: {self.failure}")


class Writer(Task):
    """Writes one door code after the other, each repeatedly until the database has confirmed the commit.

    An answer must therefore show at least the number `committed` at the beginning of its request, and at most the
    number `attempted` at its end. Both numbers only grow."""

    def __init__(self) -> None:
        super().__init__(WRITING)
        self.attempted = self.committed = 0

    def once(self) -> None:
        self.attempted = self.committed + 1
        if self.write(truth.insert(self.attempted)):
            self.committed = self.attempted

    def write(self, statement: str) -> bool:
        raise NotImplementedError


class PostgresWriter(Writer):
    """Writes through `psql`, which is started again whenever its connection is gone."""

    def __init__(self, command: Callable[[], list[str]]) -> None:
        super().__init__()
        self.command = command
        self.psql: subprocess.Popen[str] | None = None

    def write(self, statement: str) -> bool:
        if self.psql is None or self.psql.poll() is not None:
            self.close()
            pipe = subprocess.PIPE
            self.psql = subprocess.Popen(self.command(), text=True, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        assert self.psql.stdin and self.psql.stdout
        with contextlib.suppress(BrokenPipeError):
            self.psql.stdin.write(f"{statement};\n\\echo committed\n")
            self.psql.stdin.flush()
        return self.psql.stdout.readline() == "committed\n"

    def leave(self) -> None:
        """Continues with a new connection, because the server may be another one, or may not answer."""
        if psql := self.psql:
            psql.kill()

    def close(self) -> None:
        if self.psql:
            self.psql.kill()
            self.psql.communicate()
            self.psql = None


class SqliteWriter(Writer):
    """Opens the file for each door code, because it may have been replaced."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path, self.refusal = path, ""

    def write(self, statement: str) -> bool:
        try:
            with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=rw", uri=True, timeout=10)) as connection:
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute(statement)
                connection.commit()
            return True
        except sqlite3.Error as error:
            self.refusal = str(error)
            return False


@dataclass(frozen=True)
class Outcome:
    """The outcome of a request."""

    begin: float
    end: float
    question: str
    kind: str
    """`right`, `wrong`, `broken` (no answer), `strange` (an unexpected error), `partial`, `failed` or an error code."""
    detail: str = ""

    @property
    def seconds(self) -> float:
        return self.end - self.begin


class Asker(Task):
    """Asks the questions in turn on one connection, and checks each answer."""

    def __init__(self, port: Callable[[], int], writer: Writer, patience: float, first: int) -> None:
        super().__init__(PACE)
        self.port, self.writer, self.patience = port, writer, patience
        self.number = first
        self.outcomes: list[Outcome] = []
        self.connection: http.client.HTTPConnection | None = None

    def once(self) -> None:
        question = truth.QUESTIONS[self.number % len(truth.QUESTIONS)]
        self.number += 1
        at_least, begin = self.writer.committed, time.monotonic()
        kind, detail = "", ""
        try:
            status, content = self.send(question)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            kind, detail = "broken", f"{type(error).__name__}: {error}"
        end, at_most = time.monotonic(), self.writer.attempted
        if not kind:
            kind, detail = judge(question, status, content, at_least, at_most)
        self.outcomes.append(Outcome(begin, end, question.name, kind, detail))

    def send(self, question: truth.Question) -> tuple[int, bytes]:
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port(), timeout=self.patience)
        if question.document is None:
            self.connection.request("GET", question.path)
        else:
            header = {"content-type": "application/json"}
            self.connection.request("POST", question.path, body(question.document).encode(), header)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def close(self) -> None:
        if self.connection:
            self.connection.close()
        self.connection = None


# The statuses of each error code: of GraphQL, and of the legacy reports.
STATUSES = {
    "SERVICE_UNAVAILABLE": (503, 500),
    "DATABASE_BUSY": (503, 500),
    "REQUEST_TIMEOUT": (504, 500),
    "INTERNAL_SERVER_ERROR": (500, 500),
}


def judge(question: truth.Question, status: int, content: bytes, at_least: int, at_most: int) -> tuple[str, str]:
    """The kind of an answer, and details of a bad one."""
    shown = f"{status} {content[:300]!r}"
    try:
        answer = json.loads(content)
    except ValueError:
        return "strange", shown
    graphql = question.document is not None
    if status == 200 and not (graphql and "errors" in answer):
        return verdict(question, answer["data"] if graphql else answer, at_least, at_most)
    if graphql and status == 200:
        # Other fields of the document may have values, which must be right.
        codes = {error["extensions"]["code"] for error in answer["errors"]}
        right = partial_is_right(answer["data"], at_least, at_most)
        return ("partial", " ".join(sorted(codes))) if right else ("wrong", shown)
    errors = answer.get("errors") if isinstance(answer, dict) else None
    code = errors[0].get("extensions", {}).get("code") if errors else None
    if code not in STATUSES or status != STATUSES[code][0 if graphql else 1] or answer.get("data"):
        # An unexpected code or status, or data: GraphQL answers with data have the status 200.
        return "strange", shown
    return code, errors[0]["message"]


def partial_is_right(data: dict[str, Any] | None, at_least: int, at_most: int) -> bool:
    given = {name: value for name, value in (data or {}).items() if value is not None}
    return any(
        all(truth.QUESTIONS[1].right(written)[name] == value for name, value in given.items())
        for written in range(at_least, at_most + 1)
    )


def verdict(question: truth.Question, data: Any, at_least: int, at_most: int) -> tuple[str, str]:
    """Whether the answer is right for one number of written door codes between the two bounds."""
    try:
        written = question.written(data)
    except (KeyError, TypeError, AttributeError) as error:
        return "wrong", f"not a report: {error!r} in {str(data)[:300]}"
    if not at_least <= written <= at_most:
        return "wrong", f"{question.name} shows {written} tokens written, of {at_least} to {at_most}"
    if data != question.right(written):
        return "wrong", f"{question.name} is not the report of {written} tokens written: {str(data)[:300]}"
    return "right", ""


class Prober(Task):
    """Sends the liveness and readiness probes as an orchestrator does, each on a new connection."""

    def __init__(self, port: Callable[[], int], patience: float) -> None:
        super().__init__(PROBING)
        self.port, self.patience = port, patience
        self.health: list[Outcome] = []
        self.readiness: list[Outcome] = []

    def once(self) -> None:
        self.health.append(self.probe("/health_check"))
        self.readiness.append(self.probe("/readiness_check"))

    def probe(self, path: str) -> Outcome:
        begin = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.port(), timeout=self.patience)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            content = answer.read()
            kind = {(200, b"ok"): "right", (500, b"failed"): "failed"}.get((answer.status, content), "strange")
            detail = f"{answer.status} {content[:100]!r}"
        except (OSError, http.client.HTTPException) as error:
            kind, detail = "broken", f"{type(error).__name__}: {error}"
        finally:
            connection.close()
        return Outcome(begin, time.monotonic(), path, kind, detail)
