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
    _pulse: Pulse = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._pulse = Pulse(self._show)

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
            yield

    def warn(self, text: str) -> None:
        self.say(text, level=-1)

    def keep(self, path: Path) -> None:
        """Write every further message to this file too."""
        self.log = Log(path)

    @contextmanager
    def progress(self, what: str, total: int, done: int = 0, *, images: int = 1) -> Iterator[Progress]:
        """A progress bar with rate and remaining time on a terminal; elsewhere none, because `say` prints lines there. A step
        trains on `images` images."""
        if self.level < 0 or not STDERR.isatty():
            yield Progress()
            return
        from rich.console import Console as RichConsole
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        with Bar(*columns, console=RichConsole(file=STDERR), transient=True) as bar:
            self._bar = bar
            row = bar.add_task(what, total=total, completed=done, note="")
            try:
                yield Progress(bar, row, images)
            finally:
                self._bar = None


@dataclass
class Progress:
    """`at(step)` advances the bar, if there is one."""

    bar: Any = None
    row: Any = None
    images: int = 1

    def at(self, step: int) -> None:
        if self.bar is not None:
            speed = self.bar.tasks[0].speed
            rate = "" if speed is None else f"{speed * self.images:,.0f} images/s"
            self.bar.update(self.row, completed=step, note=rate)
