"""Clients by the hundred on one event loop: closed loops, where each waits for its answer; a fixed rate, where none does."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass
class Tally:
    """`seconds` from the request to its answer, by status; `lost` counts connections that ended without one."""

    seconds: dict[int, list[float]] = field(default_factory=dict)
    lost: Counter[str] = field(default_factory=Counter)
    without_retry: int = 0  # refusals that do not say when to come again
    began: float = field(default_factory=time.perf_counter)
    ended: float = 0.0

    def add(self, status: int, seconds: float, head: bytes) -> None:
        self.seconds.setdefault(status, []).append(seconds)
        if status in (429, 503) and b"\r\nretry-after:" not in head:
            self.without_retry += 1

    def count(self, *statuses: int) -> int:
        return sum(len(taken) for status, taken in self.seconds.items() if not statuses or status in statuses)

    def percentile(self, share: float, status: int = 200) -> float:
        """In milliseconds."""
        taken = self.seconds.get(status)
        return round(float(np.percentile(taken, share)) * 1000, 2) if taken else 0.0

    @property
    def rate(self) -> float:
        """Answers of 200 a second."""
        return self.count(200) / (self.ended - self.began)

    def summary(self) -> dict[str, object]:
        return {
            "seconds": round(self.ended - self.began, 1),
            "statuses": {str(status): len(taken) for status, taken in sorted(self.seconds.items())},
            "per_second": round(self.rate, 1),
            "p50_ms": self.percentile(50), "p95_ms": self.percentile(95), "p99_ms": self.percentile(99),
            "refused_p99_ms": self.percentile(99, 503),
            "lost": dict(self.lost), "refused_without_retry_after": self.without_retry,
        }  # fmt: skip


class Client(asyncio.Protocol):
    """One connection; one answer at a time."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.waiting: asyncio.Future[tuple[int, bytes]] | None = None
        self.transport: asyncio.Transport | None = None
        self.gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.data += data
        end = self.data.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.data[: end + 2]).lower()
        length = int(head.split(b"\r\ncontent-length: ")[1].split(b"\r\n")[0])
        if len(self.data) < end + 4 + length:
            return
        self.gone = b"\r\nconnection: close" in head
        del self.data[: end + 4 + length]
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result((int(head[9:12]), head))

    def connection_lost(self, error: Exception | None) -> None:
        self.gone = True
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_exception(error or ConnectionError("closed"))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        self.waiting = asyncio.get_running_loop().create_future()
        assert self.transport is not None
        self.transport.write(request)
        return await self.waiting


async def connected(port: int) -> Client:
    return (await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port))[1]


async def closed_loop(
    port: int, clients: int, seconds: float, requests: Sequence[bytes], stop: Callable[[], bool] = lambda: False
) -> Tally:
    """Each client asks again as soon as it is answered, also when it is refused."""
    tally = Tally()
    end = tally.began + seconds

    async def run(first: int) -> None:
        client: Client | None = None
        number = first
        while time.perf_counter() < end and not stop():
            start = time.perf_counter()
            try:
                if client is None or client.gone:
                    client = await connected(port)
                status, head = await client.ask(requests[number % len(requests)])
                tally.add(status, time.perf_counter() - start, head)
            except OSError as error:
                client = None
                if stop():
                    return
                tally.lost[type(error).__name__] += 1
                await asyncio.sleep(0.01)
            number += clients
        if client is not None and client.transport is not None:
            client.transport.close()

    await asyncio.gather(*(run(i) for i in range(clients)))
    tally.ended = time.perf_counter()
    return tally


async def fixed_rate(port: int, rate: float, seconds: float, requests: Sequence[bytes]) -> Tally:
    """So many requests a second, whatever becomes of them; connections are used again when they are free."""
    tally, free, tasks = Tally(), list[Client](), set[asyncio.Task[None]]()

    async def one(number: int) -> None:
        start = time.perf_counter()
        try:
            client = free.pop() if free else await connected(port)
            if client.gone:
                client = await connected(port)
            status, head = await client.ask(requests[number % len(requests)])
            tally.add(status, time.perf_counter() - start, head)
            free.append(client)
        except OSError as error:
            tally.lost[type(error).__name__] += 1

    for number in range(int(rate * seconds)):
        delay = tally.began + number / rate - time.perf_counter()
        if delay > 0:
            await asyncio.sleep(delay)
        task = asyncio.create_task(one(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.wait_for(asyncio.gather(*tasks), 60)
    tally.ended = time.perf_counter()
    for client in free:
        if client.transport is not None:
            client.transport.close()
    return tally
