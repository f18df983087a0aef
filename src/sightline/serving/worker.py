"""The process that holds the model: images in, rows out, over a socket that the server made. It runs until that closes.

Files are decoded by a few threads while the graphs run. Whatever has been decoded by the time that the graphs are free
forms the next batch, so that a batch grows with the load and a single request waits for nobody.

    python -m sightline.serving.worker SOCKET FOLDER BATCH THREADS
"""

from __future__ import annotations

import base64
import contextlib
import io
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from sightline.errors import SightlineError
from sightline.preprocessing.containers import walk
from sightline.preprocessing.rejection import Rejected
from sightline.runtime.choosing import Choice, chosen_mask
from sightline.runtime.model import Model, Prepared, open_model
from sightline.storage.text import json_text

from .frames import HEAD, Frame, packed, parsed

LARGE = 1 << 24  # pixels: images above are decoded one at a time, which bounds the memory
GATHERING = 0.004  # seconds that a batch waits for images that are being decoded


class Ready(NamedTuple):
    """An image that waits for the graphs."""

    number: int
    facts: dict[str, Any]
    image: Prepared


class Worker:
    """Reads requests in the calling thread, decodes in a pool, answers in a thread of its own."""

    def __init__(self, model: Model, connection: socket.socket, batch: int, threads: int) -> None:
        self.model, self.batch, self.connection = model, batch, connection
        self.changed = threading.Condition()
        self.ready: deque[Ready] = deque()
        self.decoding = 0
        self.sending, self.large = threading.Lock(), threading.Lock()
        self.pool = ThreadPoolExecutor(threads, "decoder")

    def warm_up(self) -> None:
        """One pass alone and one in company: a session allocates and plans when it first runs."""
        geometry = self.model.preprocessing.geometry
        grey = np.full((geometry.height, geometry.width, 3), 127, np.uint8)
        for count in {1, self.batch}:
            self.model.rows([self.model.prepare(grey)] * count, lambda place, mask: png(mask))

    def run(self) -> None:
        threading.Thread(target=self.answer_forever, name="answers", daemon=True).start()
        with io.BufferedReader(self.connection.makefile("rb", buffering=0), 1 << 18) as stream:
            while (frame := receive(stream)) is not None:
                with self.changed:
                    self.decoding += 1
                self.pool.submit(self.decode, frame)

    def decode(self, frame: Frame) -> None:
        try:
            image = self.prepared(frame.data)
        except Rejected as error:
            self.finished(None)
            self.reject(frame.number, error)
        except BaseException:  # a bug: the request must not hang, and the server replaces this process
            traceback.print_exc()
            os._exit(1)
        else:
            self.finished(Ready(frame.number, frame.facts, image))

    def prepared(self, data: bytes) -> Prepared:
        container = walk(data)
        if container.width * container.height <= LARGE:
            return self.model.prepare(data)
        with self.large:
            return self.model.prepare(data)

    def finished(self, item: Ready | None) -> None:
        with self.changed:
            self.decoding -= 1
            if item is not None:
                self.ready.append(item)
            self.changed.notify()

    def reject(self, number: int, error: Rejected) -> None:
        row = json_text({"error": f"{error.reason}: {error.detail}"}, indent=None)
        self.send(number, {"code": error.reason, "message": error.detail, "hint": error.hint}, row.encode())

    def answer_forever(self) -> None:
        try:
            while True:
                self.answer(self.gathered())
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def gathered(self) -> list[Ready]:
        """The next batch; with images still being decoded, it waits for them a moment."""
        with self.changed:
            while not self.ready:
                self.changed.wait()
            end = time.monotonic() + GATHERING
            while len(self.ready) < self.batch and self.decoding and (left := end - time.monotonic()) > 0:
                self.changed.wait(left)
            return [self.ready.popleft() for _ in range(min(self.batch, len(self.ready)))]

    def answer(self, batch: list[Ready]) -> None:
        choices = [choice_of(one.facts) for one in batch]

        def keep(place: int, mask: np.ndarray) -> str:
            return png(chosen_mask(mask, choices[place], self.model.classes))

        rows = self.model.rows([one.image for one in batch], keep)
        for place, (one, row) in enumerate(zip(batch, rows, strict=True)):
            chosen = json_text(self.model.choose(row, choices[place]), indent=None)
            self.send(one.number, {"batches": int(place == 0)}, chosen.encode())

    def send(self, number: int, facts: dict[str, Any], data: bytes = b"") -> None:
        with self.sending:
            for part in packed(number, facts, data):
                self.connection.sendall(part)


def choice_of(facts: Mapping[str, Any]) -> Choice:
    """What a request asks for with `conf` and `classes`."""
    classes = facts.get("classes")
    return Choice(facts.get("conf"), frozenset(classes) if classes else None)


def receive(stream: IO[bytes]) -> Frame | None:
    """The next frame; None at the end."""
    head = stream.read(HEAD.size)
    if len(head) < HEAD.size:
        return None
    number, text, data = HEAD.unpack(head)
    return Frame(number, parsed(stream.read(text)), stream.read(data))


def png(mask: np.ndarray) -> str:
    """Class indexes (h, w) as PNG in base64."""
    file = io.BytesIO()
    Image.fromarray(mask).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def described(model: Model) -> dict[str, Any]:
    """The facts by which the server describes the model."""
    facts = model.facts
    return {
        "name": facts["name"],
        "task": facts["task"],
        "network": facts["model"],
        "precision": facts["precision"],
        "classes": list(model.classes),
    }


def main(arguments: list[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):  # a terminal or a service manager signals the whole group
        signal.signal(number, signal.SIG_IGN)
    descriptor, folder, batch, threads = int(arguments[0]), arguments[1], int(arguments[2]), int(arguments[3])
    connection = socket.socket(fileno=descriptor)
    try:
        model = open_model(folder, threads=threads)
        worker = Worker(model, connection, batch, os.cpu_count() or 1)
        worker.warm_up()
        worker.send(0, {"ready": described(model)})
    except SightlineError as error:
        failure = {"code": error.code, "exit": error.exit_code, "message": error.message, "hint": error.hint}
        for part in packed(0, {"failed": failure}):
            connection.sendall(part)
        return error.exit_code
    with contextlib.suppress(OSError):  # the server is gone
        worker.run()
    os._exit(0)  # what is still being decoded has nobody to go to


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
