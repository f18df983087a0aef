"""What every request passes before the application: who may ask, whether there is room, how much is read, what is counted.

Refusals here cost microseconds and read no body, so that a server that refuses a thousand requests a second still answers
those that it has accepted.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import MutableMapping
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .access import Access, Refusal
from .engine import Keeper, Unavailable
from .uploads import Refused

PREDICT = "/predict"
RETRY_AFTER = b"1"  # seconds
_DRAINED = 1 << 20  # bytes of an unread body that are worth discarding to keep the connection
_HEADERS = [
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
]


class Gate:
    """Raw ASGI, inside the error handler of the application and outside everything else."""

    def __init__(self, app: ASGIApp, engine: Keeper, access: Access) -> None:
        self.app, self.engine, self.access = app, engine, access
        self.most = engine.settings.most_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        passage = Passage(self, scope, receive, send)
        try:
            passage.enter()
            await self.app(scope, passage.receive, passage.send)
        except Refused as error:
            await passage.refuse(error.refusal, close=error.close)
        except Unavailable as error:
            await passage.refuse(Refusal(503, error.code, error.message, "try again later"))
        except ClientDisconnect:
            pass
        except asyncio.CancelledError:  # the time for stopping is over
            await passage.refuse(Refusal(503, "stopping", "the server stops", "try again later"), close=True)
        finally:
            passage.leave()


class Passage:
    """One request on its way through."""

    def __init__(self, gate: Gate, scope: Scope, receive: Receive, send: Send) -> None:
        self.gate, self.scope, self._receive, self._send = gate, scope, receive, send
        self.start = time.monotonic()
        self.read = 0
        self.more = True  # of the body
        self.status = 0
        self.predicts = scope["path"] == PREDICT and scope["method"] == "POST"

    def enter(self) -> None:
        """Raise `Refused` or `Unavailable` for a request of which nothing more is read."""
        gate, headers = self.gate, self.scope["headers"]
        refusal = gate.access.refusal(self.scope["method"], self.scope["path"], headers)
        size = next((int(value) for key, value in headers if key == b"content-length"), 0)
        if refusal is not None:
            raise Refused(refusal)
        if size > gate.most:
            raise Refused(self._too_large(), close=True)
        if self.predicts:
            gate.engine.require_room(size=size)

    def _too_large(self) -> Refusal:
        most = self.gate.most
        return Refusal(413, "too-large", f"the body has more than {most:,} bytes", "send smaller or fewer images")

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request":
            return message
        size = len(message.get("body", b""))
        self.more = message.get("more_body", False)
        self.read += size
        engine = self.gate.engine
        engine.held += size
        engine.metrics.received += size
        if self.read > self.gate.most:
            raise Refused(self._too_large(), close=True)
        if self.predicts:
            engine.require_room(0)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._completed(list(message.get("headers", ())))}
        await self._send(message)

    def _completed(self, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        if self.gate.engine.draining:
            headers.append((b"connection", b"close"))
        return headers + _HEADERS

    async def refuse(self, refusal: Refusal, *, close: bool = False) -> None:
        if self.status:
            return
        body = error_body(refusal)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if refusal.status == 503:
            headers.append((b"retry-after", RETRY_AFTER))
        if refusal.status == 401:
            headers.append((b"www-authenticate", b"Bearer"))
        if (close or self._long_rest()) and not self.gate.engine.draining:
            headers.append((b"connection", b"close"))
        await self.send({"type": "http.response.start", "status": refusal.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def _long_rest(self) -> bool:
        """Whether more of the body is to come than is worth discarding."""
        fields = dict(self.scope["headers"])
        if not self.more:
            return False
        return b"transfer-encoding" in fields or int(fields.get(b"content-length", 0)) - self.read > _DRAINED

    def leave(self) -> None:
        engine = self.gate.engine
        engine.held -= self.read
        if self.status:
            engine.metrics.request(self.scope["path"], self.status)
            if self.predicts and self.status == 200:
                engine.metrics.answered(time.monotonic() - self.start)


def error_body(refusal: Refusal) -> bytes:
    value: MutableMapping[str, Any] = {"code": refusal.code, "message": refusal.message, "hint": refusal.hint}
    return json.dumps({"error": value}).encode()
