"""A TCP proxy between the gateway and its database that imitates network faults."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

CHUNK = 64 * 1024
# With this linger setting, closing a connection resets it.
RESET = struct.pack("ii", 1, 0)


class Proxy:
    """Listens while the context is open. The faults can be changed at any time."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.delay = 0.0
        """Seconds by which each piece of data is delayed, in either direction."""
        self.rate = 0
        """The bandwidth of each connection in either direction, in bytes per second; 0 for no limit."""
        self.flaw = 0.0
        """The probability that a piece of data resets its connection."""
        self.hole = False
        """Connections are accepted, but no data passes, and nothing is refused."""
        self._links: set[Link] = set()
        self._random = random.Random(20260329)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None

    def __enter__(self) -> "Proxy":
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = int(listener.getsockname()[1])
        self._thread.start()
        self._run(self._listen(listener))
        return self

    def __exit__(self, *_: object) -> None:
        self._run(self._close())
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def heal(self) -> None:
        self.delay, self.rate, self.flaw, self.hole = 0.0, 0, 0.0, False

    def cut(self) -> None:
        """Resets every connection."""
        self._call(lambda: [link.reset() for link in list(self._links)])

    def forget(self) -> None:
        """Connections that are open now pass no more data, as after the restart of a router."""
        self._call(lambda: [link.forget() for link in self._links])

    def forgotten(self) -> int:
        """How many connections pass no more data. Their sessions stay on the server, which does not hear of their end."""
        return sum(link.forgotten for link in list(self._links))

    def refuse(self) -> None:
        """Resets every connection, and refuses new ones."""
        self._run(self._close())

    def accept(self) -> None:
        self._run(self._listen(socket.create_server(("127.0.0.1", self.port), backlog=512)))

    # -- Within the loop ------------------------------------------------------------------------------

    def _run(self, work: Any) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def _call(self, what: Callable[[], object]) -> None:
        async def call() -> None:
            what()

        self._run(call())

    async def _listen(self, listener: socket.socket) -> None:
        self._server = await asyncio.start_server(self._connected, sock=listener)

    async def _close(self) -> None:
        if self._server:
            self._server.close()
            self._server = None
        for link in list(self._links):
            link.reset()

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(self, writer)
        self._links.add(link)
        try:
            await link.open_hole()
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            link.writers.append(back)
            await asyncio.gather(link.pump(reader, back), link.pump(there, writer))
        except OSError:
            link.reset()
        except asyncio.CancelledError:
            pass  # Happens only at the end, when nothing waits for this task.
        finally:
            self._links.discard(link)
            for each in link.writers:
                each.close()


class Link:
    """A connection from the gateway, with the corresponding connection to the database."""

    def __init__(self, proxy: Proxy, writer: asyncio.StreamWriter) -> None:
        self.proxy, self.writers, self.forgotten = proxy, [writer], False

    def reset(self) -> None:
        for writer in self.writers:
            with contextlib.suppress(OSError):
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()

    def forget(self) -> None:
        self.forgotten = True

    async def open_hole(self) -> None:
        while self.proxy.hole or self.forgotten:
            await asyncio.sleep(0.02)

    async def pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxy = self.proxy
        while data := await reader.read(CHUNK):
            await self.open_hole()
            if proxy.flaw and proxy._random.random() < proxy.flaw:
                self.reset()
                return
            await asyncio.sleep(proxy.delay + (len(data) / proxy.rate if proxy.rate else 0))
            writer.write(data)
            await writer.drain()
        # When one side has ended, end the other side too, unless no data passes now.
        await self.open_hole()
        writer.close()
