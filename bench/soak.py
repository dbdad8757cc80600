"""Runs the release binary at 80 % of its capacity within a pod's limits, then with many idle connections.

    make soak                        # half an hour
    make soak ARGS="--minutes 2"     # less

The gateway has 0.2 CPU, 256 MiB and a million door codes with a rollup, while door codes are written. Up to 64 requests
run at once. Each is due at a fixed time, and its duration counts from then. Exits with 1 when a request failed, when
nothing was written any more at the end, when idle connections were closed, when memory is not flat (flat: the mean of
the last quarter exceeds that of the second by at most a tenth and 8 MiB), or when it exceeds 256 MiB at any time.
"""

import argparse
import asyncio
import contextlib
import fcntl
import itertools
import random
import re
import resource
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from bench import limits
from bench.cluster import Cluster
from bench.gateway import Gateway, body
from bench.load import pgbench
from bench.run import settings_of
from bench.settings import ROOT, mebibytes, milliseconds, say

# The gateway's environment besides that of bench/gateway.py and its database.
ENVIRONMENT = {"USAGE_LOG_INTERVAL": "30s", "MAX_CONNECTIONS": "12000"}
CONNECTIONS, SHARE, WRITES = 64, 0.8, 20
# The benchmark's settings; most are needed for its rows only.
SETTINGS = {
    **{"small": 2_500, "medium": 1_000_000, "large": 0, "users": 100_000, "days": 1_095, "samples": 0, "rounds": 0},
    **{"seconds": 0, "memory_seconds": 0, "log_level": "warn", "fresh": False},
}
# As many door codes as are written in a quarter of an hour, all within the current one.
BUSY = """INSERT INTO tokens (user_id, token, created_at, used_at)
SELECT 1 + i % {users}, '------', now() AT TIME ZONE 'UTC', CASE WHEN i % 4 > 0 THEN now() AT TIME ZONE 'UTC' END
FROM generate_series(1, {codes}) AS i"""
# Seconds to warm up, to measure the capacity, that a request may take, that idle connections are held, and within which
# the rollup is refreshed.
WARM, MEASURED, PATIENCE, HELD, REFRESHED = 5, 15, 30, 30, 30

# Queries of dashboards, and the frequency of each in percent; {day} is different in each request.
MIX = [
    (40, '{ dailyUsage(filter: {range: LAST_30_DAYS}, timeZone: "Europe/Berlin") { date visits uniqueVisitors } }'),
    (15, '{ usage(granularity: MONTH, filter: {range: THIS_YEAR}) { buckets { label visits uniqueVisitors } } }'),
    (10, "{ userVisits(orderBy: {field: VISITS, direction: DESC}, first: 10) { nodes { userId visits rank } } }"),
    (10, '{ heatmap(filter: {range: LAST_90_DAYS}, timeZone: "Europe/Berlin") { peakHours { hour visits } } }'),
    (10, '{ dailyUsage(filter: {from: "2020-01-01", to: "{day}"}) { date visits } }'),
    (10, "/api/reports/daily_usage"),
    (5, "/health_check"),
]


@dataclass
class Tally:
    """The durations and errors of requests."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def line(self) -> str:
        times = sorted(self.seconds) or [0.0]
        p50, p99 = times[len(times) // 2], times[int(len(times) * 0.99)]
        figures = " | ".join(map(milliseconds, (p50, p99, times[-1])))
        return f"{len(times):,} | {len(self.errors):,} | {figures}"


def requests() -> Iterator[bytes]:
    """An endless sequence of requests, the same in every run."""
    chance, days = random.Random(1), itertools.count(1)
    weights, texts = zip(*MIX, strict=True)
    while True:
        text = chance.choices(texts, weights)[0]
        if text.startswith("/"):
            yield f"GET {text} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
        else:
            day = time.strftime("%Y-%m-%d", time.gmtime(4_102_444_800 + next(days) % 2_800_000 * 86_400))
            content = body(text.replace("{day}", day))
            head = "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            yield f"{head}content-length: {len(content)}\r\n\r\n{content}".encode()


class Client:
    """A connection that is kept open, and opened again after an error."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.writer: asyncio.StreamWriter | None = None

    async def ask(self, request: bytes) -> str:
        """Sends a request; returns what was wrong, or an empty text."""
        try:
            async with asyncio.timeout(PATIENCE):
                if self.writer is None:
                    self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
                self.writer.write(request)
                head = await self.reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                content = await self.reader.readexactly(int(length[1]) if length else 0)
        except (OSError, TimeoutError, asyncio.IncompleteReadError) as error:
            self.close()
            return f"{type(error).__name__}: {error}"
        if b"\r\nconnection: close" in head.lower():
            self.close()
        if head.startswith(b"HTTP/1.1 200") and not content.startswith(b'{"data":null') and b'"errors":' not in content:
            return ""
        return f"{head[:20]!r} {content[:200]!r}"

    def close(self) -> None:
        if self.writer:
            self.writer.close()
        self.writer = None


async def load(gateway: Gateway, rate: float | None, seconds: float, tell: bool = False) -> tuple[Tally, list[int]]:
    """Sends requests at that rate, or as fast as answers come; returns the outcome, and the memory in each second."""
    asked, numbers = requests(), itertools.count()
    whole, minute, memory = Tally(), Tally(), []
    begin = time.perf_counter() + 0.1

    async def one() -> None:
        nonlocal minute
        client = Client(gateway.port)
        while True:
            due = begin + next(numbers) / rate if rate else time.perf_counter()
            if due > begin + seconds:
                break
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            problem = await client.ask(next(asked))
            taken = time.perf_counter() - due
            for tally in (whole, minute):
                tally.seconds.append(taken)
                if problem:
                    tally.errors.append(problem)
        client.close()

    async def watch() -> None:
        nonlocal minute
        for second in itertools.count(1):
            await asyncio.sleep(max(0.0, begin + second - time.perf_counter()))
            memory.append(gateway.memory("VmRSS"))
            if tell and second % 60 == 0:
                print(f"| {second // 60} | {minute.line()} | {mebibytes(memory[-1])} |", flush=True)
                minute = Tally()

    watching = asyncio.create_task(watch())
    await asyncio.gather(*(one() for _ in range(CONNECTIONS)))
    watching.cancel()
    return whole, memory


async def idle(gateway: Gateway, number: int) -> tuple[bool, str]:
    """Holds this number of connections, each used once; returns whether all stayed open within the pod's memory."""
    request = b"GET /health_check HTTP/1.1\r\nhost: localhost\r\n\r\n"
    before, held = gateway.memory("VmRSS"), []
    for index in range(number):
        # Several source addresses, because one has some 28,000 ports to connect from.
        source = (f"127.0.0.{2 + index // 5_000}", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, local_addr=source, limit=2_048)
        writer.write(request)
        await reader.readuntil(b"\r\n\r\nok")
        held.append((reader, writer))
    await asyncio.sleep(HELD)
    memory = gateway.memory("VmRSS")
    client = Client(gateway.port)
    begun = time.perf_counter()
    problem = await client.ask(next(requests()))
    taken = time.perf_counter() - begun
    client.close()
    open_still = sum(not reader.at_eof() for reader, _ in held)
    for _, writer in held:
        writer.close()
    await asyncio.sleep(5)
    after = gateway.memory("VmRSS")
    good = not problem and open_still == number and memory <= limits.MEMORY
    return good, (
        f"{number:,} idle connections, {open_still:,} still open after {HELD} s: {mebibytes(before)} before, "
        f"{mebibytes(memory)} with them ({(memory - before) / number / 1024:.1f} KiB each), {mebibytes(after)} after; "
        f"a request meanwhile took {milliseconds(taken)}{f' and failed: {problem}' if problem else ''}"
        + ("" if memory <= limits.MEMORY else f"; NOT WITHIN {mebibytes(limits.MEMORY)}")
    )


def is_flat(memory: list[int]) -> tuple[bool, str]:
    quarter = max(1, len(memory) // 4)
    second, last = (statistics.mean(part) for part in (memory[quarter : 2 * quarter] or memory, memory[-quarter:]))
    flat = last <= 1.1 * second + 8 * 2**20
    return flat, f"memory {'flat' if flat else 'NOT FLAT'}: {mebibytes(int(second))} in the second quarter, {mebibytes(int(last))} in the last"  # fmt: skip


def soak(chosen: argparse.Namespace) -> bool:
    settings, seconds = settings_of(argparse.Namespace(**SETTINGS, work=chosen.work)), chosen.minutes * 60
    with Cluster(settings) as cluster, contextlib.ExitStack() as stack:
        source = cluster.database(settings.medium, rollup=True)
        database = stack.enter_context(cluster.copied(source))
        prefix, how = stack.enter_context(limits.share())
        gateway = stack.enter_context(Gateway(settings, cluster.url(database), prefix, **ENVIRONMENT))
        written = pgbench(cluster, database, cluster.users(settings.medium), 1, f"-R {WRITES} -T {seconds + 600:.0f}")
        stack.callback(written.communicate)
        stack.callback(written.terminate)
        # Reports read the current quarter of an hour from the door codes, so that its end is the dearest moment.
        cluster.sql(database, BUSY.format(codes=WRITES * 900, users=cluster.users(settings.medium)))
        # Until the rollup has counted their members, which are more than any quarter of an hour has.
        time.sleep(REFRESHED)
        say(f"capacity: as fast as answers come, for {MEASURED} s")
        asyncio.run(load(gateway, None, WARM))
        saturated, _ = asyncio.run(load(gateway, None, MEASURED))
        capacity = len(saturated.seconds) / MEASURED
        rate = SHARE * capacity
        print(f"0.2 CPU by {how}; capacity {capacity:,.0f} requests/s, held at {rate:,.0f}/s; {WRITES} tokens written/s\n")
        print("| minute | requests | errors | p50 | p99 | max | memory |\n|---|---|---|---|---|---|---|", flush=True)
        tally, memory = asyncio.run(load(gateway, rate, seconds, tell=True))
        flat, told = is_flat(memory)
        print(f"| all | {tally.line()} | {mebibytes(max(memory))} at most |\n\n{told}", flush=True)
        for error, count in sorted({each: tally.errors.count(each) for each in set(tally.errors)}.items())[:5]:
            print(f"{count} × {error}")
        good = flat and not tally.errors and not saturated.errors and max(memory) <= limits.MEMORY
        if written.poll() is not None:
            print("nobody wrote any more at the end")
            good = False
        held, told = asyncio.run(idle(gateway, chosen.idle))
        print(told)
    return good and held


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="length of the load (default 30)")
    parser.add_argument("--idle", type=int, default=10_000, metavar="N", help="idle connections (default 10000)")
    parser.add_argument("--work", type=Path, default=ROOT / "target/bench", help="where databases are kept")
    chosen = parser.parse_args()
    # End like Ctrl-C, so that everything is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = chosen.idle + 1_000
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        sys.exit(f"{wanted:,} open files are needed, {hard:,} are allowed: raise `ulimit -Hn`, or hold fewer with --idle")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    chosen.work.mkdir(parents=True, exist_ok=True)
    with open(chosen.work / "lock", "w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another run uses {chosen.work}")
        sys.exit(0 if soak(chosen) else 1)


if __name__ == "__main__":
    main()
