"""Starts, queries, measures and ends the gateway's process."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from bench.settings import ROOT, Settings, Unmeasurable


class Gateway:
    """Serves while the context is open, without the caller's environment and without a `.env` file."""

    def __init__(
        self, settings: Settings, database_url: str | None, prefix: Sequence[str] = (), **variables: str
    ) -> None:
        self.settings = settings
        self.port = free_port()
        self.command = [*prefix, str(settings.binary)]
        self.environment = {
            "PATH": os.environ["PATH"],
            "APP_HOST": "127.0.0.1",
            "APP_PORT": str(self.port),
            "METRICS_PORT": "off",
            "LOG_LEVEL": settings.log_level,
            "LOG_FORMAT": "json",
            # All requests come from one address, without a credential.
            "ANONYMOUS_SCOPES": "reports,members",
            "RATE_LIMIT": "off",
            "MAX_ADDRESS_PERCENT": "100",
            **({"DATABASE_URL": database_url} if database_url else {}),
            **variables,
        }

    def __enter__(self) -> "Gateway":
        folder = self.settings.work / "gateway"
        folder.mkdir(exist_ok=True)
        self.log = open(folder / "log", "ab")
        begun = time.perf_counter()
        self.process = subprocess.Popen(
            self.command, cwd=folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log
        )
        try:
            self._wait_until_ready(begun)
        except BaseException:
            self.__exit__()
            raise
        self.seconds_to_ready = time.perf_counter() - begun
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=200)
        return self

    def __exit__(self, *_: object) -> None:
        # Kill it: there is nothing to save, and a graceful stop would wait for load balancers.
        self.process.kill()
        self.process.wait()
        self.log.close()

    def _wait_until_ready(self, begun: float) -> None:
        while time.perf_counter() - begun < 60:
            if self.process.poll() is not None:
                raise RuntimeError(f"the gateway ended at once; see {self.log.name}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                connection.request("GET", "/readiness_check")
                if connection.getresponse().status == 200:
                    return
            time.sleep(0.001)
        raise RuntimeError(f"the gateway is not ready after a minute; see {self.log.name}")

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def ask(self, query: str) -> Any:
        """The data of the answer; raises when the answer has errors."""
        self.connection.request("POST", "/graphql", body(query).encode(), {"content-type": "application/json"})
        answer = json.loads(self.connection.getresponse().read())
        if "errors" in answer:
            raise RuntimeError(f"{query} was answered with {answer['errors']}")
        return answer["data"]

    def latencies(self, query: str, samples: int) -> list[float]:
        """Seconds that single requests take on an open connection. Two requests before are not measured."""
        # After its start, the gateway looks for the rollup while it answers requests.
        time.sleep(2)
        return self.quick(query, samples)

    def quick(self, query: str, samples: int) -> list[float]:
        """The same, for a gateway that started some time ago."""
        content, header = body(query).encode(), {"content-type": "application/json"}
        self.ask(query)
        self.ask(query)
        measured = []
        for _ in range(samples):
            begun = time.perf_counter()
            self.connection.request("POST", "/graphql", content, header)
            self.connection.getresponse().read()
            measured.append(time.perf_counter() - begun)
        return measured

    def processor_seconds(self) -> float:
        """Processor time of the gateway's process so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self, field: str) -> int:
        """Memory in bytes: VmRSS is resident now, VmHWM the peak so far."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
        raise RuntimeError(f"no {field} of the gateway")


class Bare:
    """A handler of axum with nothing around it, on the path of the health check: examples/bare.rs."""

    def __init__(self) -> None:
        self.port = free_port()

    def __enter__(self) -> "Bare":
        binary = ROOT / "target/release/examples/bare"
        if not binary.is_file():
            raise Unmeasurable("needs `cargo build --release --example bare`")
        self.process = subprocess.Popen([binary, str(self.port)], stdin=subprocess.DEVNULL)
        begun = time.monotonic()
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return self
            except OSError:
                if time.monotonic() - begun > 10:
                    self.__exit__()
                    raise
                time.sleep(0.01)

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


def body(query: str) -> str:
    return json.dumps({"query": query})


def free_port() -> int:
    with socket.socket() as any_socket:
        any_socket.bind(("127.0.0.1", 0))
        return int(any_socket.getsockname()[1])
