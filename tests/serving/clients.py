"""A server in a process of its own, and clients that speak to it over sockets, byte by byte where that matters."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

SOURCE = Path(__file__).parents[2] / "src"
PNG = b"image/png"


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value

    @property
    def code(self) -> str:
        """That of an error."""
        return str(self.json()["error"]["code"])


@dataclass
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    port: int
    facts: dict[str, Any]
    errors: Path  # what it wrote to stderr
    host: str = "127.0.0.1"

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"

    def connect(self, timeout: float = 20) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout)

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Response:
        """One request on a connection of its own. Underscores in the names of headers are hyphens; Host may be given."""
        fields = {"Host": self.name, **{key.replace("_", "-"): value for key, value in headers.items()}}
        if body or method == "POST":
            fields.setdefault("Content-Length", str(len(body)))
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"
        return self.raw(head.encode("latin-1") + body)

    def raw(self, data: bytes, timeout: float = 20) -> Response:
        with self.connect(timeout) as connection:
            with contextlib.suppress(OSError):  # the server may answer and hang up before it has everything
                connection.sendall(data)
            return received(connection)

    def predict(self, image: bytes, query: str = "", **headers: str) -> Response:
        return self.ask("POST", f"/predict{query}", image, **{"Content-Type": "image/png", **headers})

    def upload(self, *images: tuple[str, bytes], query: str = "", **headers: str) -> Response:
        body, kind = form(*images)
        return self.ask("POST", f"/predict{query}", body, **{"Content-Type": kind, **headers})

    def ready(self) -> bool:
        try:
            return self.ask("GET", "/readyz").status == 200
        except (OSError, EOFError):
            return False

    @property
    def worker(self) -> int:
        """The worker's process id, or 0."""
        return next(iter(children(self.process.pid)), 0)

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(15)


def children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def resident(pid: int) -> int:
    """Bytes of memory that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def maps(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text()


@contextlib.contextmanager
def served(folder: Path, *options: str, token: str | None = None, host: str = "127.0.0.1") -> Iterator[Served]:
    """The export in `folder` on a free port, until the block ends."""
    with started([sys.executable, "-m", "sightline.serving", str(folder)], *options, token=token, host=host) as server:
        yield server


@contextlib.contextmanager
def started(command: list[str], *options: str, token: str | None = None, host: str = "127.0.0.1") -> Iterator[Served]:
    """Any command that serves, which prints a JSON line when it is ready."""
    environment = os.environ | {"PYTHONPATH": str(SOURCE)} | ({"SIGHTLINE_TOKEN": token} if token else {})
    errors = Path(tempfile.mkstemp(prefix="served-", suffix=".txt")[1])
    with open(errors, "w") as stream:
        process = subprocess.Popen(
            [*command, "--json", "--port=0", f"--host={host}", *options],
            stdout=subprocess.PIPE, stderr=stream, text=True, env=environment,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        facts = json.loads(process.stdout.readline() or "{}")
        if "url" not in facts:
            raise AssertionError(f"not served: {facts} {errors.read_text()}")
        where = facts["url"].removeprefix("http://").rpartition(":")
        yield Served(process, int(where[2]), facts, errors, "127.0.0.1" if host == "0.0.0.0" else host)
        assert "Traceback" not in (text := errors.read_text()), text
    finally:
        errors.unlink(missing_ok=True)
        process.kill()
        process.wait()


def received(connection: socket.socket) -> Response:
    """The next response. EOFError where the connection ends before it."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += _more(connection, data)
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {key.lower(): value for key, value in (line.split(": ", 1) for line in lines[1:])}
    status = int(lines[0].split()[1])
    if status == 100:
        return received(connection)
    if "content-length" not in headers:
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                body += _more(connection, b"")
    while len(body) < int(headers.get("content-length", 0)):
        body += _more(connection, body)
    return Response(status, headers, body)


def _more(connection: socket.socket, before: bytes) -> bytes:
    portion = connection.recv(1 << 16)
    if not portion:
        raise EOFError(f"the connection ended after {before[:200]!r}")
    return portion


def form(*images: tuple[str, bytes]) -> tuple[bytes, str]:
    """The body of a form with these files, and its content type."""
    edge = "edge-of-a-part"
    parts = [
        f'--{edge}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode() + data + b"\r\n"
        for name, data in images
    ]
    return b"".join(parts) + f"--{edge}--\r\n".encode(), f"multipart/form-data; boundary={edge}"


def picture(seed: int, size: tuple[int, int] = (30, 40), kind: str = "PNG") -> bytes:
    """Noise, (height, width)."""
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def until(condition: Any, seconds: float) -> float:
    """Wait for it; the seconds that it took. AssertionError if that is longer than `seconds`."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - start
