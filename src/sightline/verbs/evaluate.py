"""evaluate: how good is a run's model, on its own splits or on other data; with intervals, class by class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sightline.data.dataset import Dataset, with_classes
from sightline.data.loaders import Images, in_order
from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.engine.predicting import predictions
from sightline.errors import DataError, UsageError, nearest
from sightline.evaluation.judging import AnyJudgement, Rows, judge_any, write_any
from sightline.recipes.recipe import Recipe
from sightline.runs.console import Teller
from sightline.runs.run import Run, open_run
from sightline.structures.batch import Batch
from sightline.structures.predictions import ClassRows
from sightline.tasks.classification import Classification
from sightline.tasks.task import Task

from .preparing import load, open_dataset, require_there, same_data

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found: the judgement of one split of one run."""

    run: Run
    split: str
    judgement: AnyJudgement

    def to_json(self) -> dict[str, Any]:
        return {"run": str(self.run.folder), "split": self.split, **self.judgement.to_json()}


def evaluate(
    run: Run | str | Path,
    data: str | Path | None = None,
    *,
    split: str | None = None,
    tta: bool = False,
    device: str = "auto",
    teller: Teller | None = None,
) -> Evaluation:
    """Judge a run's kept weights on one of its splits (test, else val), or on other data whose classes it knows.

    Where these are the data that it was trained on, grown meanwhile, the images that it did not learn from are judged:
    splits do not move. `tta` averages each prediction with that of the mirrored image.

    Raises UsageError for a split that is not there, DataError for classes that the run never saw, or without any label.
    """
    run, teller = run if isinstance(run, Run) else open_run(run), teller or Teller()
    if split is not None and split not in SPLITS:
        raise UsageError(f"unknown split {split!r}", nearest(split, SPLITS))
    recipe = run.recipe
    data = None if data is None else str(data)
    if data is None:
        require_there(recipe, "give the data: evaluate RUN DATA")
        found = open_dataset(recipe, teller)
        same_data(run, found)
        split = split or ("test" if len(found.ids("test")) else "val")
        ids = found.ids(split)
        if not len(ids):
            raise UsageError(f"the run's data has no {split} split", "choose another --split")
    else:
        section = recipe.data.model_copy(update={"path": data, "name": None, "leaks": "keep"})
        found = open_dataset(recipe.model_copy(update={"data": section}), teller, whole=True)
        found = with_classes(found, run.classes)
        if split is None and _its_own(recipe, data):
            split = next((s for s in ("test", "val", "train") if len(found.ids(s))), None)
            teller.warn(f"{data} is what the run was trained on; judged is its {split} split (see --split)")
        split = split or "all"
        ids = found.ids(None if split == "all" else split)
        if not len(ids):
            raise UsageError(f"{data} has no {split} split", "choose another --split")
    if tta and recipe.task.kind != "classification":
        raise UsageError("--tta averages class probabilities", f"leave it out for {recipe.task.kind}")
    images = load(found, ids, run.preprocessing, recipe, judging=True)
    device = choose_device(device)
    with compute_threads(recipe.fit.threads), repeatable(device):
        rows = judge_split(run.task(), images, device, tta=tta)
    judgement = judge_any(rows, run.classes)
    if not judgement.n:
        raise DataError(
            f"no image of {data or 'this split'} has a label", "a folder for each class, or a table of labels"
        )
    return Evaluation(run, split, judgement)


def _its_own(recipe: Recipe, data: str) -> bool:
    """Whether these are the data that the run was trained on."""
    if recipe.data.path is None:
        return data == recipe.data.name
    return Path(data).resolve() == Path(recipe.data.path).resolve()


class Interrupted(Exception):
    """A judgement that was asked to stop between two batches."""


def judge_split(
    task: Task, images: Images, device: str, *, tta: bool = False, stop: Callable[[], bool] = lambda: False
) -> Rows:
    """A row for every image, in order; `tta` averages each class probability with that of the mirror image. Raises
    Interrupted where `stop()` says so."""
    rows = _rows(task, _until(stop, _batches(task, images)), device)
    if not tta:
        return rows
    other = _rows(task, (_mirror(batch) for batch in _batches(task, images)), device)
    assert isinstance(rows, ClassRows) and isinstance(other, ClassRows)
    return replace(rows, probability=(rows.probability + other.probability) / 2)


def _rows(task: Task, batches: Iterable[Batch], device: str) -> Rows:
    parts = [task.rows(batch, p) for batch, p in predictions(task, batches, device)]
    joined: Rows = type(parts[0]).join(parts)
    return joined


def _until(stop: Callable[[], bool], batches: Iterable[Batch]) -> Iterator[Batch]:
    for batch in batches:
        if stop():
            raise Interrupted
        yield batch


def _batches(task: Task, images: Images) -> Iterator[Batch]:
    return in_order(images, 256 if isinstance(task, Classification) else 8)


def write_split(run: Run, split: str, rows: Rows, data: Dataset) -> None:
    """predictions/<split>.parquet"""
    folder = run.folder / "predictions"
    folder.mkdir(exist_ok=True)
    names = [data.records[int(i)].name for i in rows.id]
    write_any(folder / f"{split}.parquet", rows, names=names, classes=data.classes)


def _mirror(batch: Batch) -> Batch:
    return replace(batch, image=batch.image.flip(3))
