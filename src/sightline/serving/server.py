"""The process: its socket, its signals, its first line, its exit code."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI

from sightline.errors import ResourceError, UsageError
from sightline.storage.reading import reason_of

from .app import create_app
from .engine import Engine, Keeper
from .protocol import Protocol
from .settings import Settings

GRACE = 0.5  # seconds between "not ready" and the end of listening, in which balancers look elsewhere
DRAIN = 7  # seconds for the requests that were accepted
_BACKLOG = 2048


class Server(uvicorn.Server):
    """SIGTERM and SIGINT first make the server not ready; then it stops listening, answers what it has accepted, and ends
    with exit code 0. A second signal ends it at once."""

    engine: Keeper

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.engine.draining:
            self.should_exit = self.force_exit = True
            return
        self.engine.draining = True
        signal.setitimer(signal.ITIMER_REAL, GRACE)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """After the connections that wait in the system's queue are taken: the end of listening would reset them."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await super().shutdown(sockets)

    def stop(self, *_: Any) -> None:
        self.should_exit = True


Greet = Callable[[str, dict[str, Any]], None]


def serve(settings: Settings, greet: Greet) -> dict[str, Any] | None:
    """Serve one model until a signal; `greet` gets the address and the model once it is ready. Returns the error of a
    model that cannot be opened."""
    engine = Engine(settings)
    return run_server(engine, lambda port: create_app(settings, port=port, engine=engine), greet)


def run_server(engine: Keeper, make_app: Callable[[int], FastAPI], greet: Greet) -> dict[str, Any] | None:
    """The same for any application, which is made for the port that was bound."""
    settings = engine.settings
    _raise_file_limit()
    listener = _listener(settings)
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        make_app(port), http=Protocol, ws="none", lifespan="on", log_config=None, log_level="error", access_log=False,
        proxy_headers=False, server_header=False, backlog=_BACKLOG, timeout_graceful_shutdown=DRAIN,
    )  # fmt: skip
    server = Server(config)
    server.engine = engine
    greeted: list[bool] = []

    def on_change() -> None:
        if engine.failure is not None:
            server.should_exit = True
        elif not greeted:
            greeted.append(True)
            greet(_address(settings.host, port), engine.model)

    engine.on_change = on_change
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it complains of every broken form
    signal.signal(signal.SIGALRM, server.stop)
    with listener:
        server.run(sockets=[listener])
    return engine.failure


def _listener(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=_BACKLOG)
    except OSError as error:
        where = f"{settings.host} port {settings.port}"
        if isinstance(error, socket.gaierror):
            raise UsageError(f"--host {settings.host} is no address of this machine", "use 127.0.0.1") from error
        hint = "choose another --port, or 0 for any that is free"
        raise ResourceError(f"cannot listen on {where}: {reason_of(error)}", hint) from error
    # Connections inherit it. asyncio would set it too, but not for a socket that was made without a protocol number: the
    # body of an answer would then wait for the acknowledgement of its headers, which clients delay by 40 ms.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _address(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _raise_file_limit() -> None:
    """A connection is an open file, and the usual limit is 1,024."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 1 << 16) if hard > 0 else 1 << 16, hard))
