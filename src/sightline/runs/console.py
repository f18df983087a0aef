"""Messages of a running verb: lines on stderr, a progress bar on a terminal, and everything in `log.txt`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.storage.logs import Log, try_append
from sightline.storage.text import printable

from .pulse import Phase, Pulse
from .stream import STDERR


@dataclass
class Console:
    """`level` -1 prints warnings only, 0 the usual messages, 1 all. Text is made safe for terminals."""

    level: int = 0
    log: Log | None = None
    _bar: Any = field(default=None, repr=False)
    _faint: bool = field(default=False, repr=False)  # whether the line of the cursor is one to be replaced
    _pulse: Pulse = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._pulse = Pulse(self._murmur, lasting=lambda: not STDERR.isatty())

    def say(self, text: str, level: int = 0) -> None:
        line = "\n".join(printable(part) for part in text.split("\n"))
        if self.log is not None:
            try_append(self.log, f"{time.strftime('%Y-%m-%d %H:%M:%S')} {line}\n")
        if level <= self.level:
            self._show(line)

    def _show(self, line: str) -> None:
        self._pulse.heard()
        if self._bar is not None:
            self._bar.console.print(line, markup=False, highlight=False)
        else:
            print(f"\r\x1b[K{line}" if self._faint else line, file=STDERR, flush=True)
            self._faint = False

    def _murmur(self, line: str) -> None:
        """A sign of life: beside the bar, on a terminal in a line that the next one replaces, elsewhere as any line."""
        if self._bar is not None:
            self._bar.update(self._bar.task_ids[0], note=line)
        elif STDERR.isatty():
            print(f"\r\x1b[K{line}", end="", file=STDERR, flush=True)
            self._faint = True
        else:
            print(line, file=STDERR, flush=True)

    @contextmanager
    def working(self, what: str, total: int = 0) -> Iterator[Phase]:
        """While this phase of work lasts, a line describes it whenever nothing was printed for a moment. `Phase.at` counts
        the parts that are done. These lines are not kept in log.txt."""
        phase = Phase(printable(what), total)
        with self.living(phase.line):
            yield phase

    @contextmanager
    def living(self, line: Callable[[], str]) -> Iterator[None]:
        """As `working`, with a line of its own."""
        if self.level < 0:
            yield
            return
        with self._pulse.beating(line):
            try:
                yield
            finally:
                if self._faint:
                    print("\r\x1b[K", end="", file=STDERR, flush=True)
                    self._faint = False

    def warn(self, text: str) -> None:
        self.say(text, level=-1)

    def keep(self, path: Path) -> None:
        """Write every further message to this file too."""
        self.log = Log(path)

    @contextmanager
    def progress(self, what: str, total: int, done: int, line: Callable[[int], str]) -> Iterator[Progress]:
        """Steps of a long work, each described by `line(step)`: beside a bar on a terminal, elsewhere as a line whenever
        nothing was printed for a moment."""
        steps = Progress(line, done)
        if self.level < 0 or not STDERR.isatty():
            with self.living(steps.line_now):
                yield steps
            return
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
        with Bar(*columns, console=RichConsole(file=STDERR), transient=True) as bar, self.living(steps.line_now):
            self._bar, steps.bar = bar, bar
            bar.add_task(what, total=total, completed=done, note="")
            try:
                yield steps
            finally:
                self._bar = None


@dataclass
class Progress:
    """`at(step)` says how far the work is, and advances the bar if there is one."""

    line: Callable[[int], str]
    step: int = 0
    bar: Any = None

    def at(self, step: int) -> None:
        self.step = step
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=step, note=self.line_now())

    def line_now(self) -> str:
        return self.line(self.step)
