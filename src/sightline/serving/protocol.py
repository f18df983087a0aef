"""HTTP/1.1 as uvicorn speaks it, with what it leaves to a proxy: time limits for slow senders, and an end of a connection
that does not destroy the answer."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 10.0  # seconds for the headers, and for a body
SLOWEST = 1 << 16  # bytes a second that give a body more time
LAST_CALL = 0.25  # seconds in which a request that is already on its way still reaches a server that stops
LINGER = 2.0  # seconds between the answer and the end of a connection whose sender is still sending
PORTION = 1 << 15  # bytes of one read: a body ends at most so much beyond its limit


class Lingering:
    """A transport whose `close`, while its sender is still sending, first ends our side only.

    Closing a socket with unread bytes makes the system reset the connection, and the reset overtakes the answer."""

    def __init__(self, transport: Any, connection: h11.Connection) -> None:
        self._transport, self._connection = transport, connection
        self._closing = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def is_closing(self) -> bool:
        return self._closing or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        if not self._closing:
            self._transport.write(data)

    def resume_reading(self) -> None:
        if not self._closing:
            self._transport.resume_reading()

    def close(self) -> None:
        if self.is_closing():
            return
        self._closing = True
        if self._connection.their_state not in (h11.SEND_BODY, h11.ERROR):
            self._transport.close()
            return
        try:
            self._transport.pause_reading()
            self._transport.write_eof()
        except (OSError, RuntimeError):
            self._transport.abort()
        else:
            asyncio.get_running_loop().call_later(LINGER, self._transport.close)


class Protocol(H11Protocol):
    """Each request has `PATIENCE` for its headers, and again for its body, plus the time that its bytes take at `SLOWEST`."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        with contextlib.suppress(AttributeError):
            transport.max_size = PORTION  # type: ignore[attr-defined]
        super().connection_made(Lingering(transport, self.conn))  # type: ignore[arg-type]
        self._part: Any = h11.IDLE  # what is being received; None between a request and the next
        self._start = self.loop.time()
        self._received = 0
        self._timer = self.loop.call_at(self._start + PATIENCE, self._expire)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]
        """A sender that says it has sent all still gets its answer."""
        waits = self.cycle is not None and not self.cycle.response_complete and self.conn.their_state is h11.DONE
        if waits:
            self.cycle.keep_alive = False
        return waits

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        super().data_received(data)
        state = self.conn.their_state
        if state not in (h11.IDLE, h11.SEND_BODY):
            self._part = None
            return
        if state is not self._part:
            self._part, self._start, self._received = state, self.loop.time(), 0
            if self._timer.cancelled() or self._timer.when() < self.loop.time():
                self._timer = self.loop.call_at(self._start + PATIENCE, self._expire)
        self._received += len(data)

    def shutdown(self) -> None:
        """A connection on which nothing is being answered may have a request in the system's buffer: it ends a moment later."""
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LAST_CALL, self._shut)
        else:
            super().shutdown()

    def _shut(self) -> None:
        if not self.transport.is_closing():
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        """To bytes that are no HTTP. If they come within the body of a request, the application must not answer it too."""
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _expire(self) -> None:
        if self.transport.is_closing():
            return
        deadline = self._start + PATIENCE
        if self._part is h11.SEND_BODY:
            deadline += self._received / SLOWEST
        if self._part is None:
            return
        if deadline <= self.loop.time():
            self.transport.close()
        else:
            self._timer = self.loop.call_at(deadline, self._expire)
