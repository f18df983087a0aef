"""Sheets of a run's own images: its first batch, its results beside the truth, and the images that it fails on."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from sightline.data.dataset import Dataset
from sightline.drawing.picture import Picture
from sightline.drawing.png import fitted, grid
from sightline.errors import DataError, UsageError, nearest
from sightline.kinds.catalogue import kind_of
from sightline.kinds.opening import open_dataset, require_there, same_data
from sightline.recipes.loading import choose
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.tasks.task import Task

from .inputs import Item
from .objects import predicted
from .truth import paint_truth, truth_words

MOST = 512  # pixels of an image's longer side on a sheet


def batch_sheet(run: Run) -> Picture:
    """samples/batch.png. DataError if the run has none."""
    path = run.folder / "samples" / "batch.png"
    if not path.is_file():
        raise DataError(f"{run.folder} has kept no batch of its training", "train a run, or see show_results")
    with Image.open(io.BytesIO(path.read_bytes()), formats=["PNG"]) as image:
        return Picture(np.asarray(image.convert("RGB")))


def results_sheet(run: Run, task: Task, n: int, split: str | None) -> Picture:
    """Some images of a split with their truth and their prediction."""
    data, split = _data(run), _split(run, split)
    ids = choose(data.ids(split), max(n, 1)).tolist()
    return _sheet(run, task, data, ids, [""] * len(ids))


def worst_sheet(run: Run, task: Task, n: int, split: str | None) -> Picture:
    """The images of a split with the largest loss, by its stored predictions."""
    split, kind = _split(run, split), kind_of(run)
    if kind.scoring is None or kind.scoring.hardest is None:
        raise UsageError(f"{kind.name} has no loss for a single image", "see show_results")
    rows, _, classes = kind.scoring.rows.read(run.folder / "predictions" / f"{split}.parquet")
    hardest = kind.scoring.hardest(rows, classes)[: max(n, 1)]
    if not hardest:
        raise DataError(f"no {split} image is predicted wrongly, or none has a label", "see show_results")
    return _sheet(run, task, _data(run), [id for id, _ in hardest], [words for _, words in hardest])


def _sheet(run: Run, task: Task, data: Dataset, ids: Sequence[int], words: Sequence[str]) -> Picture:
    """A row of two for each image: the truth, the prediction; `words` about each below."""
    source = data.audit.source
    items = [Item(data.records[i].name, source.load(data.records[i]), f"{i}.png") for i in ids]
    pictures, captions = [], []
    for i, found, about in zip(ids, predicted(run, task, items), words, strict=True):
        if found.error:
            continue
        truth = truth_words(data, i)
        pictures.append(_pair(paint_truth(data, i), found.picture().array))
        captions.append("; ".join(filter(None, (f"truth {truth}" if truth else "", about))))
    if not pictures:
        raise DataError("none of these images can be read any more", "restore the data")
    return Picture(grid(pictures, columns=3 if len(pictures) > 4 else 2, least=1, most=2 * MOST, captions=captions))


def _pair(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Side by side, on white where one is taller."""
    both = [fitted(one, least=1, most=MOST) for one in (left, right)]
    height = max(one.shape[0] for one in both)
    room = [np.full((height, one.shape[1], 3), 255, np.uint8) for one in both]
    for canvas, one in zip(room, both, strict=True):
        canvas[: one.shape[0]] = one
    return np.concatenate([room[0], np.full((height, 6, 3), 255, np.uint8), room[1]], axis=1)


def _data(run: Run) -> Dataset:
    require_there(run.recipe, "restore them: the pictures are of its images")
    data = open_dataset(run.recipe, Console(level=-2))
    same_data(run, data)
    return data


def _split(run: Run, split: str | None) -> str:
    """The split, by default test, else val, of those that the run has predicted."""
    there = [s for s in ("test", "val", "train") if (run.folder / "predictions" / f"{s}.parquet").is_file()]
    if split is None and there:
        return there[0]
    if split not in there:
        raise UsageError(f"{run.folder} has no predictions of the split {split!r}", nearest(str(split), there))
    return str(split)
