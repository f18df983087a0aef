"""Signs of life: a line whenever work has been silent for too long, so that nobody wonders whether it hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

SILENCE = 1.5  # seconds without a line; with the thread's own delays a line comes within two
LONGEST = 12.0  # where lines stay (a file, a pipe), silence doubles up to this: a log of ten minutes is not five hundred lines

Line = Callable[[], str]


@dataclass
class Phase:
    """One phase of work: `line` describes it as it is now. `total` and `done` count its parts, where it has any."""

    what: str
    total: int = 0
    done: int = 0
    since: float = field(default_factory=time.monotonic)

    def at(self, done: int, total: int = 0) -> None:
        """So many parts are done."""
        self.done, self.total = done, total or self.total

    def over(self, parts: Iterable[Sized]) -> Iterator[Any]:
        """The parts, counted as they are done."""
        for part in parts:
            yield part
            self.done += len(part)

    def line(self) -> str:
        if self.total:
            return f"{self.what}: {self.done:,} of {self.total:,}"
        if self.done:
            return f"{self.what}: {self.done:,} so far"
        seconds = time.monotonic() - self.since
        return f"{self.what}: {seconds:.0f} s so far" if seconds >= 1 else self.what


@dataclass
class Pulse:
    """Prints the line of the innermost phase after every `SILENCE` without another line. One thread, and none when no phase
    is open.

    lasting    whether lines stay, as they do in a file: then each line of a phase comes after twice the silence
    """

    say: Callable[[str], None]
    lasting: Callable[[], bool] = lambda: False
    _lines: list[Line] = field(default_factory=list)
    _last: float = 0.0
    _silence: float = 0.0
    _end: threading.Event = field(default_factory=threading.Event)

    def heard(self) -> None:
        """Something else was printed."""
        self._last, self._silence = time.monotonic(), SILENCE

    @contextmanager
    def beating(self, line: Line) -> Iterator[None]:
        """Within the context, `line()` is what is printed."""
        self._lines.append(line)
        self.heard()
        if len(self._lines) == 1:
            self._end = threading.Event()
            threading.Thread(target=self._beat, args=(self._end,), name="pulse", daemon=True).start()
        try:
            yield
        finally:
            self._lines.remove(line)
            if not self._lines:
                self._end.set()

    def _beat(self, end: threading.Event) -> None:
        while not end.wait(max(self._silence - (time.monotonic() - self._last), 0.01)):
            if time.monotonic() - self._last < self._silence:
                continue
            self._last = time.monotonic()
            if self.lasting():
                self._silence = min(2 * self._silence, LONGEST)
            lines = self._lines[-1:]  # a copy: the other thread may be closing the phase
            if lines and not end.is_set():
                self.say(lines[0]())
