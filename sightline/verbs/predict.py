"""predict: a class, with its probability, for every image that is named."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.data.loaders import Decoding, in_order
from sightline.data.names import IMAGE_SUFFIXES
from sightline.engine.devices import choose_device, compute_threads
from sightline.engine.predicting import predictions
from sightline.errors import UsageError
from sightline.preprocessing.rejection import Rejected
from sightline.recipes.run import Run, open_run
from sightline.storage.files import replace_file
from sightline.storage.text import csv_text, json_text, shown
from sightline.structures.predictions import Classes

from .telling import Teller

TOP = 5


@dataclass(frozen=True)
class Predictions:
    """A row for every image asked for, in order: a label with its probability, or the error that stood in the way."""

    run: Run
    rows: tuple[dict[str, Any], ...]

    @property
    def failed(self) -> int:
        return sum("error" in row for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        return {"run": str(self.run.folder), "n": len(self.rows), "failed": self.failed, "predictions": list(self.rows)}

    def write(self, path: Path) -> None:
        """As .csv (cells that a spreadsheet would run are quoted) or as .jsonl (lossless)."""
        if path.suffix == ".jsonl":
            text = "".join(json_text(row, indent=None) + "\n" for row in self.rows)
        elif path.suffix == ".csv":
            header = ("path", "label", "probability", "error")
            text = csv_text(
                header,
                (
                    [shown(str(row.get(h) or "")) if h != "probability" else row.get(h) for h in header]
                    for row in self.rows
                ),
            )
        else:
            raise UsageError(f"cannot write predictions as {path.suffix or path.name!r}", "use a .csv or a .jsonl file")
        replace_file(path, text.encode())


def predict(
    run: Run | str | Path,
    paths: Sequence[str | Path],
    *,
    out: str | Path | None = None,
    device: str = "auto",
    teller: Teller | None = None,
) -> Predictions:
    """Predict every image among `paths`: files, folders (searched through), or .txt lists of paths, one a line.

    An image that cannot be read gets a row with its error; the others go on. Raises UsageError when nothing is there.
    """
    run, teller = run if isinstance(run, Run) else open_run(run), teller or Teller()
    if out is not None and Path(out).suffix not in (".csv", ".jsonl"):
        raise UsageError(f"cannot write predictions as {Path(out).suffix or out!r}", "use a .csv or a .jsonl file")
    files = [file for path in paths for file in _expanded(Path(path))]
    if not files:
        raise UsageError("no images to predict", "give image files, folders of them, or a .txt list")
    preprocessing, errors = run.preprocessing, {}
    geometry = preprocessing.geometry

    def read(i: int) -> tuple[np.ndarray, np.ndarray]:
        try:
            pixels, frame, _ = preprocessing.prepare(files[i])
        except Rejected as error:
            errors[i] = f"{error.reason}: {error.detail}"
            return np.zeros((geometry.height, geometry.width, preprocessing.channels), np.uint8), np.eye(3)
        return pixels, frame

    unknown = torch.full((len(files),), -1)
    images = Decoding(read, torch.arange(len(files)), unknown)
    rows: list[dict[str, Any]] = []
    batches = in_order(images, 64, run.recipe.data.workers)
    with compute_threads(run.recipe.fit.threads):
        for batch, prediction in predictions(run.task(), batches, choose_device(device)):
            assert isinstance(prediction, Classes)
            for i, probability in zip(batch.id.tolist(), prediction.probability.cpu(), strict=True):
                path = str(files[i])
                rows.append({"path": path, "error": errors[i]} if i in errors else _row(path, probability, run.classes))
    found = Predictions(run, tuple(rows))
    if out is not None:
        found.write(Path(out))
        teller.say(f"{len(rows)} predictions, {found.failed} failed, in {out}")
    return found


def _row(path: str, probability: torch.Tensor, classes: Sequence[str]) -> dict[str, Any]:
    best, index = probability.topk(min(TOP, len(classes)))
    top = [[classes[i], p] for p, i in zip(best.tolist(), index.tolist(), strict=True)]
    return {"path": path, "label": top[0][0], "probability": top[0][1], "top": top}


def _expanded(path: Path) -> Iterator[Path]:
    if path.is_dir():
        for folder, _, names in sorted(os.walk(path)):
            yield from (Path(folder, n) for n in sorted(names) if Path(n).suffix.lower() in IMAGE_SUFFIXES)
    elif path.suffix == ".txt" and path.is_file():
        lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        yield from (
            path.parent / line if not Path(line).is_absolute() else Path(line) for line in lines if line.strip()
        )
    else:
        yield path
