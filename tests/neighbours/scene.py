"""The gateway and its neighbours as processes, and requests to them."""

import base64
import http.client
import json
import os
import socket
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("GATEWAY_BIN", str(ROOT / "target/debug/coworking-analytics"))
# Debian's folder of servers is not on the path of every user.
PATH = os.environ["PATH"] + ":/usr/sbin"
# How long anything may take; the machine may be busy.
PATIENCE = 30


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class Process:
    """A program that listens on a port, in a folder of its own."""

    def __init__(self, port: int, command: list, folder: tempfile.TemporaryDirectory | None = None, **environment: str):
        self.port = port
        self.folder = folder or tempfile.TemporaryDirectory()
        self.log = Path(self.folder.name) / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder.name, env={"PATH": PATH, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.wait_for(lambda: socket.create_connection(("127.0.0.1", port), 1).close())

    def wait_for(self, attempt) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return attempt()
            except (OSError, AssertionError, http.client.HTTPException):
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError(self.log.read_text(errors="replace")[-4_000:]) from None
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.folder.cleanup()


class Gateway(Process):
    """On the sample data, with environment variables."""

    def __init__(self, **variables: str):
        port = free_port()
        super().__init__(port, [BINARY], APP_PORT=str(port), METRICS_PORT="off", RATE_LIMIT=variables.pop("RATE_LIMIT", "off"), **variables)
        self.wait_for(self.check_ready)

    def check_ready(self) -> None:
        assert get(self.port, "/readiness_check").status == 200


def configured(command: list, port: int, name: str, text: str) -> Process:
    """A neighbour whose configuration is a file; `{folder}` in both is its folder."""
    folder = tempfile.TemporaryDirectory()
    os.chmod(folder.name, 0o755)
    (Path(folder.name) / name).write_text(text.replace("{folder}", folder.name))
    return Process(port, [part.replace("{folder}", folder.name) for part in command], folder)


class Answer:
    def __init__(self, response: http.client.HTTPResponse):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


def ask(port: int, method: str, path: str, body: bytes | None = None, source: str = "127.0.0.1", **headers: str) -> Answer:
    """A request on a connection of its own, from an address of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE, source_address=(source, 0))
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, {"Host": "reports.example", **names})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def get(port: int, path: str, **rest) -> Answer:
    return ask(port, "GET", path, **rest)


def post(port: int, document: str, **rest) -> Answer:
    return ask(port, "POST", "/graphql", json.dumps({"query": document}).encode(), content_type="application/json", **rest)


def query(document: str) -> str:
    return "/graphql?" + urllib.parse.urlencode({"query": document})


def first_event(port: int, document: str) -> bytes:
    """What an event stream sends first, while it stays open."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    headers = {"Content-Type": "application/json", "Accept": "text/event-stream", "Host": "reports.example"}
    connection.request("POST", "/graphql", json.dumps({"query": document}), headers)
    response = connection.getresponse()
    assert response.status == 200, response.read()
    received = b""
    while b"\n\n" not in received:
        received += response.read1(65_536)
    connection.close()
    return received


def socket_says(port: int) -> bytes:
    """What a WebSocket answers to `connection_init`."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as connection:
        connection.settimeout(PATIENCE)
        key = base64.b64encode(os.urandom(16)).decode()
        head = (
            "GET /graphql/ws HTTP/1.1\r\nHost: reports.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
        )
        connection.sendall(head.encode())
        stream = connection.makefile("rb")
        status = stream.readline()
        assert b" 101 " in status, status
        while stream.readline() not in (b"\r\n", b""):
            pass
        text, mask = json.dumps({"type": "connection_init"}).encode(), os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(text))
        connection.sendall(bytes([0x81, 0x80 | len(text)]) + mask + masked)
        _, length = stream.read(2)
        return stream.read(length)
