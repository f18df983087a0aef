"""predict: the class, the mask or the objects of every image that is named."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from sightline.data.inputs import named_images
from sightline.data.loaders import Decoding, Reading, in_order
from sightline.drawing.png import png_bytes
from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.engine.predicting import predictions
from sightline.errors import UsageError
from sightline.kinds.catalogue import kind_named, kind_of
from sightline.kinds.kind import Answers, Keep
from sightline.kinds.networks import load_task
from sightline.kinds.pretrained import open_run_or_model
from sightline.models.own import Builder
from sightline.preprocessing.rejection import Rejected
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.runtime.folder import is_exported
from sightline.runtime.model import Source, open_model
from sightline.storage.files import make_folder, replace_file, require_place
from sightline.storage.text import csv_text, json_text, printable
from sightline.tasks.task import Task


@dataclass(frozen=True)
class Predictions:
    """A row for every image, in the given order: the prediction, or the error. `folder` is that of the run or the export."""

    folder: Path
    answers: Answers
    rows: tuple[dict[str, Any], ...]

    @property
    def failed(self) -> int:
        return sum("error" in row for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        return {"run": str(self.folder), "n": len(self.rows), "failed": self.failed, "predictions": list(self.rows)}

    def table(self) -> list[tuple[str, ...]]:
        """The table for a terminal: a head, then a row for each image. Errors, if there are any, have their own column."""
        heads, cells = self.answers.heads, self.answers.cells
        empty = ("",) * len(heads)
        rows = [(row["path"], *(empty if "error" in row else cells(row)), row.get("error", "")) for row in self.rows]
        table = [("path", *heads, "error"), *rows]
        return table if self.failed else [row[:-1] for row in table]

    def failure_note(self) -> str:
        """How many images failed, and the first of them with its error; "" if none did."""
        first = next((row for row in self.rows if "error" in row), None)
        if first is None:
            return ""
        return f"{self.failed:,} of {len(self.rows):,} images failed; first: {first['path']}: {first['error']}"

    def write(self, path: Path) -> None:
        """Write a .csv (one line per image or object; cells that a spreadsheet would execute are quoted) or a .jsonl
        (lossless). In a folder, predictions.jsonl next to the masks that were written while predicting."""
        if path.suffix.lower() == ".csv":
            columns = ("path", *self.answers.columns, "error")
            lines = (
                [_cell(line.get(name)) for name in columns] for row in self.rows for line in self.answers.lines(row)
            )
            replace_file(path, csv_text(columns, lines).encode())
            return
        path = path if path.suffix.lower() == ".jsonl" else path / "predictions.jsonl"
        replace_file(path, "".join(json_text(row, indent=None) + "\n" for row in self.rows).encode())


def _cell(value: Any) -> Any:
    return value if isinstance(value, float) else printable(str(value or ""))


def predict(
    run: Run | str | Path,
    paths: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    device: str = "auto",
    allow_network: bool = False,
    model: str | nn.Module | Builder | None = None,
    console: Console | None = None,
) -> Predictions:
    """Predict every image of `paths`: files, folders and archives (searched recursively), .txt lists with one path per line,
    or addresses. In a folder, files without an image suffix are skipped and reported.

    run    a run, its folder, or a folder that `export` wrote, whose runtime then predicts
    out    a .csv or .jsonl file; for segmentation a .jsonl file, or a folder, which also gets a PNG for each image whose
           pixel values are class indexes

    model  the network where it is code of your own, as it was given to `train`
    allow_network  fetch images at addresses that are not in the cache

    An image that cannot be read gets a row with its error. Raises DataError if there are no images at all.
    """
    console = console or Console()
    exported = open_model(run) if not isinstance(run, Run) and is_exported(run) else None
    if exported is not None and device not in ("auto", "cpu"):
        raise UsageError(f"{run} is an export, which predicts on the CPU only", "leave out --device")
    run = run if isinstance(run, Run) or exported is not None else open_run_or_model(run, model)
    answers = (kind_named(exported.facts["task"]) if exported is not None else kind_of(run)).answers  # type: ignore[arg-type]
    place = _checked(Path(out), answers) if out is not None else None
    every, others = named_images([paths] if isinstance(paths, str | Path) else paths, allow_network=allow_network)
    if others:
        console.say(others)
    images = [image for image in every if not image.error]
    files = [image.file for image in images]

    def keep(i: int, mask: np.ndarray) -> str | None:
        """Write a mask as PNG. The number keeps apart images with the same name."""
        if place is None or place.suffix:
            return None
        file = place / f"{i:05d}-{safe_stem(Path(images[i].name).stem)}.png"
        replace_file(file, png_bytes(mask))
        return str(file)

    if exported is not None:
        answered = exported.answers(files, keep)
    else:
        assert isinstance(run, Run)
        answered = answers_of(run, load_task(run), files, keep, device)
    given = iter(answered)
    rows = tuple({"path": image.name, **({"error": image.error} if image.error else next(given))} for image in every)
    result = Predictions(run.folder if isinstance(run, Run) else Path(run), answers, rows)
    if place is not None:
        result.write(place)
        console.say(f"{len(rows)} predictions, {result.failed} failed, in {out}")
    if note := result.failure_note():
        console.warn(note)
    return result


def answers_of(
    run: Run, task: Task, sources: Sequence[Source], keep: Keep, device: str = "auto"
) -> Iterator[dict[str, Any]]:
    """The run's prediction for each image, in order; {"error": …} for one that cannot be read."""
    answers, preprocessing = kind_of(run).answers, run.preprocessing
    geometry, errors = preprocessing.geometry, {}

    def read(i: int) -> Reading:
        nothing = answers.unknown(geometry.height, geometry.width)
        try:
            pixels, frame, decoded = preprocessing.prepare(sources[i])
        except Rejected as error:
            errors[i] = f"{error.reason}: {error.detail}"
            black = np.zeros((geometry.height, geometry.width, preprocessing.channels), np.uint8)
            return Reading(black, np.eye(3), (geometry.height, geometry.width), nothing)
        height, width, _ = decoded.pixels.shape
        return Reading(pixels, frame, (height, width), nothing)

    def keep_read(i: int, mask: np.ndarray) -> str | None:
        return None if i in errors else keep(i, mask)

    images = Decoding(read, torch.arange(len(sources)), torch.full((len(sources),), -1))
    device = choose_device(device)
    with compute_threads(run.recipe.fit.threads), repeatable(device):
        for batch, prediction in predictions(task, in_order(images, answers.batch, run.recipe.data.workers), device):
            rows = answers.of(task, batch, prediction, run.classes, keep_read)
            for i, row in zip(batch.id.tolist(), rows, strict=True):
                yield {"error": errors[i]} if i in errors else row


def _checked(out: Path, answers: Answers) -> Path:
    """The path to write to; a folder is created. Raises UsageError for a format that these predictions do not have."""
    if answers.folder and not out.suffix:
        if os.path.lexists(out) and not os.path.isdir(out):
            raise UsageError(f"--out {out} is a file", "name a folder for the masks")
        make_folder(out)
        return out
    if out.suffix.lower() not in ((".jsonl",) if answers.folder else (".csv", ".jsonl")):
        known = "a folder for masks, or a .jsonl file" if answers.folder else "a .csv or a .jsonl file"
        raise UsageError(f"cannot write predictions as {out.suffix or str(out)!r}", f"use {known}")
    require_place(out)
    return out


def safe_stem(stem: str) -> str:
    """The stem of a file's name as part of another one."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem)[:60] or "image"
