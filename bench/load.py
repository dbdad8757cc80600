"""Load generators: wrk for full speed, pgbench for writes, and a paced client for latency at a given rate."""

import asyncio
import itertools
import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass

from bench.cluster import Cluster
from bench.gateway import Bare, Gateway, body
from bench.settings import HERE, ROOT, run

# Each run of wrk sends different variations of a query.
_offsets = itertools.count(1, 1_000_000)

# Seconds of delay after which a paced load is given up.
HOPELESS = 5


@dataclass(frozen=True)
class Load:
    answers: int
    seconds: float
    refused: int
    broken: int

    @property
    def per_second(self) -> float:
        """Answers per second without refusals, which are quick."""
        return (self.answers - self.refused) / self.seconds

    def failures(self) -> str:
        return f", {self.refused:,} refused, {self.broken:,} broken off" if self.refused or self.broken else ""


def install() -> None:
    if not shutil.which("wrk"):
        run([ROOT / "scripts/install.sh", "wrk"])


def wrk(gateway: Gateway | Bare, connections: int, seconds: int, query: str | None, tolerant: bool = False) -> Load:
    """Posts the query, or gets the health check if there is none. Failed requests raise unless tolerated."""
    environment = {**os.environ, "BENCH_OFFSET": str(next(_offsets))}
    environment.pop("BENCH_BODY", None)
    if query is not None:
        environment["BENCH_BODY"] = body(query)
    url = gateway.url("/graphql" if query else "/health_check")
    threads = min(2, os.cpu_count() or 1)
    size = f"-t{threads} -c{connections} -d{seconds} --timeout 20s"
    printed = run(["wrk", *size.split(), "-s", HERE / "query.lua", url], environment)
    load = Load(**json.loads(printed.splitlines()[-1]))
    if load.failures() and not tolerant:
        raise RuntimeError(f"of {load.answers:,} requests{load.failures()}")
    return load


def pgbench(cluster: Cluster, database: str, users: int, clients: int, options: str) -> subprocess.Popen[str]:
    """Starts to insert door codes; `inserted` waits for the end."""
    how = f"-n -M prepared -D users={users} -c {clients} -j 1 {options}"
    where = f"-h {cluster.host} -p {cluster.port} -U writer {database}"
    command = ["pgbench", "-f", str(HERE / "insert.sql"), *how.split(), *where.split()]
    environment = {**os.environ, "PGPASSWORD": "writer"}
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def inserted(process: subprocess.Popen[str]) -> tuple[int, float]:
    """The number of door codes that were written, and the number per second."""
    out, errors = process.communicate()
    count = re.search(r"transactions actually processed: (\d+)", out)
    rate = re.search(r"tps = ([\d.]+)", out)
    if process.returncode != 0 or not count or not rate:
        raise RuntimeError(f"pgbench failed: {errors.strip()}")
    return int(count[1]), float(rate[1])


def selected(cluster: Cluster, database: str, statement: str, seconds: int) -> float:
    """How often a second PostgreSQL answers a prepared statement, on as many connections as the gateway has."""
    how = f"-n -M prepared -c 10 -j 2 -T {seconds} -f /dev/stdin -h {cluster.host} -p {cluster.port} -U writer {database}"
    environment = {**os.environ, "PGPASSWORD": "writer"}
    command = ["pgbench", *how.split()]
    done = subprocess.run(command, env=environment, input=statement, text=True, check=False, capture_output=True)
    rate = re.search(r"tps = ([\d.]+)", done.stdout)
    if done.returncode != 0 or not rate:
        raise RuntimeError(f"pgbench failed: {done.stderr.strip()}")
    return float(rate[1])


def paced(gateway: Gateway, query: str, rate: int, connections: int, seconds: int) -> list[float]:
    """Seconds from the time at which each request was due to its answer, including waits for earlier requests."""
    content = body(query)
    request = (
        f"POST /graphql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
        f"content-length: {len(content)}\r\n\r\n{content}"
    ).encode()
    return asyncio.run(_paced(gateway.port, request, rate, connections, seconds))


async def _paced(port: int, request: bytes, rate: int, connections: int, seconds: int) -> list[float]:
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(connections)]
    measured: list[float] = []
    begin = time.perf_counter() + 0.1

    async def one(index: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(index, rate * seconds, connections):
            due = begin + number / rate
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            elif -wait > HOPELESS:
                raise RuntimeError(f"more than {HOPELESS} s behind")
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", head.lower())
            if not head.startswith(b"HTTP/1.1 200") or not length:
                raise RuntimeError(f"unexpected answer: {head[:100]!r}")
            await reader.readexactly(int(length[1]))
            measured.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(one(index, *stream) for index, stream in enumerate(streams)))
    return measured
