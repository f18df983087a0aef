"""The worker process seen from the server: started, watched, replaced when it dies or hangs, and never overfilled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from .frames import HEAD, packed, parsed
from .metrics import Metrics
from .settings import MOST_HELD, PATIENCE, TOKEN_VARIABLE, Settings

STUCK = 30.0  # seconds without any answer, although there are requests, after which the worker is killed
STARTING = 120.0  # seconds that a worker may take to open the model
_PAUSE = (0.05, 0.2, 1.0, 5.0)  # seconds before the next start, by the number of deaths before the first answer
_WINDOW = 0.5  # seconds over which the rate is measured


class Unavailable(Exception):
    """The request cannot be answered now: the queue is full, the worker is being replaced, or the server stops."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class Reply(NamedTuple):
    """`row` is JSON. `code` is that of a rejected image, with words for its sender, or None."""

    row: bytes
    code: str | None = None
    message: str = ""
    hint: str = ""


FULL = ("overloaded", "more images are waiting than are answered in time")
STARTING_UP = ("not-ready", "the model is being loaded")
DIED = ("worker-lost", "the worker process ended while it held this request")


class Keeper(Protocol):
    """What a server asks of whatever keeps its worker, or its workers: see `Engine`."""

    settings: Settings
    on_change: Callable[[], None]
    metrics: Metrics
    model: dict[str, Any]
    failure: dict[str, Any] | None
    held: int

    @property
    def ready(self) -> bool: ...
    @property
    def draining(self) -> bool: ...
    @draining.setter
    def draining(self, value: bool) -> None: ...
    def gauges(self) -> dict[str, float]: ...
    def require_room(self, images: int = 1, size: int = 0) -> None: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


class Engine:
    """`failure` holds the error of a model that could not be opened at all; `on_change` is called when it is set, and when
    the worker is ready."""

    def __init__(self, settings: Settings, on_change: Callable[[], None] = lambda: None) -> None:
        self.settings, self.on_change = settings, on_change
        self.metrics = Metrics()
        self.model: dict[str, Any] = {}
        self.failure: dict[str, Any] | None = None
        self.draining = False
        self.starts = 0
        self.held = 0  # bytes of requests
        self._up = False
        self._waiting: dict[int, asyncio.Future[Reply]] = {}
        self._number = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._rate = Rate()

    # state

    @property
    def ready(self) -> bool:
        """Whether new requests should be sent here."""
        return self._up and not self.draining

    @property
    def worker(self) -> int | None:
        """The worker's process id."""
        return self._process.pid if self._process is not None else None

    def gauges(self) -> dict[str, float]:
        return {"ready": self.ready, "waiting_images": len(self._waiting), "worker_starts": self.starts}

    def require_room(self, images: int = 1, size: int = 0) -> None:
        """Raise `Unavailable` unless so many more images, of `size` bytes, can be answered in time."""
        if not self._up:
            raise Unavailable(*STARTING_UP)
        waiting = len(self._waiting)
        most = self._rate.in_time(self.settings.batch, self.settings.queue)
        if (waiting and waiting + images > most) or self.held + size > MOST_HELD:
            raise Unavailable(*FULL)

    # requests

    async def answer(self, images: Sequence[bytes], facts: dict[str, Any]) -> list[Reply]:
        """The reply to each image. Raises `Unavailable`, then for all of them."""
        self.require_room(len(images))
        assert self._writer is not None
        loop = asyncio.get_running_loop()
        futures: dict[int, asyncio.Future[Reply]] = {}
        for data in images:
            self._number += 1
            futures[self._number] = loop.create_future()
            self._rate.arrived(len(self._waiting))
            self._waiting[self._number] = futures[self._number]
            self._writer.writelines(packed(self._number, facts, data))
        try:
            with contextlib.suppress(OSError):  # a worker that is gone: its reader fails the futures
                await self._writer.drain()
            return list(await asyncio.gather(*futures.values()))
        finally:
            for number, future in futures.items():
                if not future.done():
                    future.cancel()
                    self._waiting.pop(number, None)

    # the worker

    async def start(self) -> None:
        self._task = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """Ends the worker."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_running(self) -> None:
        deaths = 0
        while self.failure is None:
            answered = await self._one_life()
            deaths = 0 if answered else deaths + 1
            await asyncio.sleep(_PAUSE[min(deaths, len(_PAUSE) - 1)])

    async def _one_life(self) -> bool:
        """One worker from its start to its end; whether it came so far as to answer."""
        self.starts += 1
        process, connection = self._spawn()
        self._process = process
        reader, self._writer = await asyncio.open_unix_connection(sock=connection)
        watch = asyncio.create_task(self._kill_if_stuck(process))
        try:
            return await self._read(reader)
        finally:
            watch.cancel()
            self._up = False
            self._writer.close()
            self._lose_waiting()
            await asyncio.to_thread(_end, process)
            self._process = None

    def _spawn(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        ours, theirs = socket.socketpair()
        settings = self.settings
        command = [sys.executable, "-P", "-m", "sightline.serving.worker", str(theirs.fileno())]
        command += [str(settings.folder), str(settings.batch), str(settings.threads)]
        environment = {key: value for key, value in os.environ.items() if key != TOKEN_VARIABLE}
        environment.setdefault("MALLOC_ARENA_MAX", "2")  # an arena a thread would each keep its largest image
        with theirs:
            process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=environment,
            )
        ours.setblocking(False)
        return process, ours

    async def _read(self, reader: asyncio.StreamReader) -> bool:
        """Until the worker closes its end, which the system does when it dies."""
        answered = False
        try:
            while True:
                number, text, length = HEAD.unpack(await reader.readexactly(HEAD.size))
                facts = parsed(await reader.readexactly(text))
                data = await reader.readexactly(length)
                if number == 0:
                    self._greeted(facts)
                else:
                    answered = True
                    self._answered(number, facts, data)
        except (asyncio.IncompleteReadError, ConnectionError):
            return answered

    def _greeted(self, facts: dict[str, Any]) -> None:
        if "failed" in facts:
            self.failure = facts["failed"] if not self.model else None  # a later worker may still find it repaired
        else:
            self.model, self._up = facts["ready"], True
            self._rate.reset()
        self.on_change()

    def _answered(self, number: int, facts: dict[str, Any], data: bytes) -> None:
        future = self._waiting.pop(number, None)
        self._rate.left(len(self._waiting))
        self.metrics.batches += facts.get("batches", 0)
        if "code" in facts:
            self.metrics.rejected += 1
        else:
            self.metrics.images += 1
        if future is not None and not future.done():
            future.set_result(Reply(data, facts.get("code"), facts.get("message", ""), facts.get("hint", "")))

    def _lose_waiting(self) -> None:
        lost, self._waiting = self._waiting, {}
        for future in lost.values():
            if not future.done():
                future.set_exception(Unavailable(*DIED))

    async def _kill_if_stuck(self, process: subprocess.Popen[bytes]) -> None:
        """End a worker that does not open its model, or answers nothing although it is asked."""
        oldest, since = 0, time.monotonic()
        while True:
            await asyncio.sleep(0.5)
            now, first = time.monotonic(), next(iter(self._waiting), 0)
            if first != oldest or (self._up and first == 0):
                oldest, since = first, now
            if now - since > (STUCK if self._up else STARTING):
                process.kill()
                return


def _end(process: subprocess.Popen[bytes]) -> None:
    """Wait for a worker whose socket is closed."""
    try:
        process.wait(1.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class Rate:
    """Images a second while there is work, from which follows how many may wait."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self.rate = 0.0  # 0: not known yet
        self._busy, self._done = 0.0, 0
        self._since: float | None = None

    def arrived(self, waiting: int) -> None:
        """An image, while so many others are waiting."""
        if self._since is None and not waiting:
            self._since = time.monotonic()

    def left(self, waiting: int) -> None:
        """One was answered, and so many others are still waiting."""
        now = time.monotonic()
        self._done += 1
        if self._since is not None:
            self._busy += now - self._since
            self._since = now if waiting else None
        if self._busy >= _WINDOW:
            measured = self._done / self._busy
            self.rate = measured if not self.rate else 0.5 * (self.rate + measured)
            self._busy, self._done = 0.0, 0

    def in_time(self, least: int, most: int) -> int:
        """How many images are answered within the patience of a sender, but a batch in any case."""
        return min(most, max(least, int(self.rate * PATIENCE))) if self.rate else most
