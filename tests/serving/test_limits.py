"""What a server does not take: each kind of harm has its 4xx, costs little, and leaves the server well."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .clients import SOURCE, Served, picture, received, resident
from .hostile_requests import endless, hostile, mutants, traversals

MOST = 32 << 20


def test_each_kind_of_harm_has_its_answer(server: Served) -> None:
    before = [resident(pid) for pid in (server.process.pid, server.worker)]
    for case in hostile(server.name, MOST):
        response = server.raw(case.request)
        assert response.status in case.statuses, (case.name, response)
        assert not case.code or response.code == case.code, case.name
    after = [resident(pid) for pid in (server.process.pid, server.worker)]
    assert sum(after) - sum(before) < 100 << 20
    assert server.predict(picture(1)).status == 200


def test_an_endless_body_is_cut_at_the_limit(server: Served) -> None:
    def read() -> int:
        text = server.ask("GET", "/metrics").body.decode()
        return int(text.split("\nsightline_body_bytes_total ")[1].split()[0])

    before = read()
    with server.connect() as connection:
        connection.sendall(endless(server.name))
        sent, portion = 0, b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        with contextlib.suppress(OSError):
            connection.settimeout(3)
            while sent < MOST + (16 << 20):
                connection.sendall(portion)
                sent += 1 << 20
        assert received(connection).code == "too-large"
    assert MOST < read() - before <= MOST + (64 << 10)


@pytest.mark.parametrize(
    "start", ["", "GET / HTTP/1.1\r\nHost: a", "POST /predict HTTP/1.1\r\nHost: {}\r\nContent-Length: 99\r\n\r\nhalf"]
)
@pytest.mark.slow
def test_who_stops_sending_is_hung_up_on(server: Served, start: str) -> None:
    with server.connect() as connection:
        connection.sendall(start.format(server.name).encode())
        began = time.monotonic()
        connection.settimeout(20)
        assert connection.recv(1000) == b""
        assert 5 < time.monotonic() - began < 15


def test_limits_of_time() -> None:
    """A drop a second does not keep a connection open; a body that comes fast may take longer. On a clock of its own."""
    code = """
import asyncio, h11
from uvicorn.config import Config
from uvicorn.server import ServerState
from sightline.serving import protocol

class Transport:
    def __init__(self): self.closed = False
    def get_extra_info(self, name): return None
    def is_closing(self): return self.closed
    def close(self): self.closed = True
    def pause_reading(self): pass
    def resume_reading(self): pass
    def write_eof(self): self.closed = True
    def write(self, data): pass

async def life(sent):
    "The second in which a connection is closed that sends `sent(second)` in every second."
    loop = asyncio.get_running_loop()
    now = loop.time()
    loop.time = lambda: now
    config = Config(lambda scope: None, http=protocol.Protocol, ws="none", lifespan="off", log_config=None)
    config.load()
    async def app(scope, receive, send):
        while (await receive()).get("more_body"): pass
        await asyncio.sleep(1e9)
    config.loaded_app = app
    one = protocol.Protocol(config, ServerState(), {}, loop)
    transport = Transport()
    one.connection_made(transport)
    for second in range(100):
        if data := sent(second): one.data_received(data)
        for _ in range(5): await asyncio.sleep(0)
        now += 1
        one._timer.when() <= now and (one._timer.cancel(), one._expire())
        if transport.closed: return second
    return None

head = b"POST /predict HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 9000000\\r\\n\\r\\n"
print(asyncio.run(life(lambda s: b"")),
      asyncio.run(life(lambda s: b"GET / HTTP/1.1\\r\\n" if s == 0 else b"A: b\\r\\n")),
      asyncio.run(life(lambda s: head if s == 0 else b"x")),
      asyncio.run(life(lambda s: head if s == 0 else bytes(90_000))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(SOURCE)}
    )
    assert done.stdout.split() == ["9", "9", "10", "None"]


def test_no_path_leads_out(server: Served, folder: Path) -> None:
    """No route takes a path, so that the corpus can only meet 404 and 422; nothing of a file comes back."""
    (folder.parent / "secret.txt").write_text("the secret")
    for target in traversals(200):
        method = "POST" if target.startswith("/predict?") else "GET"
        response = server.ask(method, target, picture(1) if method == "POST" else b"", Content_Type="image/png")
        assert response.status in (200, 400, 404, 422), target
        assert not any(mark in response.body for mark in (b"root:", b"the secret", b"sightline-export", b"PATH="))


def test_damaged_requests_never_fail_the_server(server: Served) -> None:
    statuses = [status_of(server, data) for data in mutants(server.name, 300)]
    assert not [status for status in statuses if status >= 500]
    assert {200, 400, 404, 421} <= set(statuses)
    assert server.predict(picture(1)).status == 200


def status_of(server: Served, data: bytes) -> int:
    """The status of the first answer; 0 where the server waits for more or hangs up."""
    with server.connect(5) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        try:
            return received(connection).status
        except (EOFError, OSError, ValueError, IndexError):
            return 0


def test_errors_are_objects(server: Served) -> None:
    for response in (server.ask("GET", "/x"), server.ask("DELETE", "/predict"), server.predict(b"", "?conf=2")):
        assert set(json.loads(response.body)["error"]) == {"code", "message", "hint"}
