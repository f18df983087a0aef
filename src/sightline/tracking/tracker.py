"""The listener: it is given what a training writes anyway (lines of metrics.jsonl, rows of the history) and passes it on.

A tracker never harms the training. An error of a sink is reported once, and training goes on without the sink. Since a
resumed run repeats the steps after its checkpoint bit for bit, each place keeps one value a step: those that it has are
not written again, and those that a kill kept from it are written from the run's own files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sightline.runs.console import Console

from .sink import Picture, Sink, Value

FILES = (
    "report.html", "README.md", "metrics.json", "recipe.yaml", "preprocessing.json", "data.json", "environment.json",
    "history.csv",
)  # fmt: skip
_APART = {"step", "skipped", "epoch", "lr"}  # of the rows: those that are no means over training steps
RATE, RATE_BEFORE = "learning_rate/new", "learning_rate/pretrained"
PICTURES = "val/predictions"


class Tracker:
    """Passes figures on to `sinks`. Without any it does nothing."""

    def __init__(self, sinks: Sequence[Sink] = (), console: Console | None = None) -> None:
        self._sinks = list(sinks)
        self._console = console

    @property
    def active(self) -> bool:
        """Whether anyone listens, so that pictures are worth making."""
        return bool(self._sinks)

    def begin(
        self,
        settings: Mapping[str, Value],
        results: Sequence[str],
        lines: Iterable[Mapping[str, Any]],
        history: Iterable[Mapping[str, Any]],
    ) -> None:
        """The training begins or goes on, and so far has these lines of metrics.jsonl and these rows of history. `results`
        are the tags by which runs are compared."""
        if not self.active:
            return
        self._each(lambda sink: sink.settings(settings, results))
        for row in sorted((*lines, *history), key=lambda row: row["step"]):
            if "epoch" in row:
                self._row(row)
            else:
                self._line(row)
        self._each(lambda sink: sink.flush())

    def logged(self, line: Mapping[str, Any], rates: Mapping[str, float]) -> None:
        """A line of metrics.jsonl, and the learning rates at its step."""
        self._line(line)
        self._scalars(rates, line["step"])

    def validated(
        self, row: Mapping[str, Any], rates: Mapping[str, float], speed: float, pictures: Callable[[], Picture | None]
    ) -> None:
        """A row of the history; the images per second since the row before; and what draws some validation images."""
        if not self.active:
            return
        step = row["step"]
        self._row(row)
        self._scalars(rates, step)
        if speed >= 1:  # an interrupted validation that is made up for has none
            self._scalars({"throughput/images_per_second": speed}, step)
        if any(sink.last.get(PICTURES, -1) < step for sink in self._sinks):
            self._draw(pictures, step)
        self._each(lambda sink: sink.flush())

    def finish(self, folder: Path, metrics: Mapping[str, Any], step: int) -> None:
        """The run is sealed; `metrics` are those of metrics.json, of the kept weights."""
        for split in ("train", "val", "test"):
            self._scalars({f"final/{split}_{name}": v for name, v in (metrics.get(split) or {}).items()}, step)
        models = sorted(f"model/{path.name}" for path in (folder / "model").glob("*"))
        files = tuple(name for name in (*FILES, *models) if (folder / name).is_file())
        self._each(lambda sink: sink.finish(folder, files))

    def close(self, status: str) -> None:
        self._each(lambda sink: sink.close(status))
        self._sinks = []

    def _line(self, line: Mapping[str, Any]) -> None:
        step = line["step"]
        self._scalars({f"train/{name}": value for name, value in line.items() if name not in _APART}, step)
        self._scalars({"train/skipped_turns": line.get("skipped")}, step)

    def _row(self, row: Mapping[str, Any]) -> None:
        tags = {"epoch": "epoch", "lr": RATE}
        for name in row:
            kind, _, metric = name.partition("_")
            if kind in ("train", "val") and metric:
                tags[name] = f"val/{metric}" if kind == "val" else f"train_epoch/{metric}"
        self._scalars({tag: row.get(name) for name, tag in tags.items()}, row["step"])

    def _scalars(self, values: Mapping[str, float | None], step: int) -> None:
        known = {tag: float(v) for tag, v in values.items() if isinstance(v, int | float) and math.isfinite(v)}
        for sink in list(self._sinks):
            new = {tag: value for tag, value in known.items() if sink.last.get(tag, -1) < step}
            if new:
                self._try(sink, partial(sink.scalars, new, step))
                sink.last.update(dict.fromkeys(new, step))

    def _draw(self, pictures: Callable[[], Picture | None], step: int) -> None:
        try:
            picture = pictures()
        except Exception as error:
            self._warn("sample pictures", error)
            return
        if picture is not None:
            for sink in list(self._sinks):
                self._try(sink, partial(sink.picture, PICTURES, picture, step))
                sink.last[PICTURES] = step

    def _each(self, action: Callable[[Sink], Any]) -> None:
        for sink in list(self._sinks):
            self._try(sink, partial(action, sink))

    def _try(self, sink: Sink, action: Callable[[], Any]) -> None:
        try:
            action()
        except Exception as error:  # of any library, server or disk
            if sink in self._sinks:
                self._sinks.remove(sink)
            self._warn(sink.name, error)

    def _warn(self, name: str, error: Exception) -> None:
        if self._console is not None:
            self._console.warn(f"{name}: tracking stopped, training goes on: {first_line(error)}")


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def lines_of(path: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; none where there is no file. A line that is no object with a step is left out."""
    rows = []
    for text in path.read_text().splitlines() if path.is_file() else ():
        try:
            row = json.loads(text)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows
