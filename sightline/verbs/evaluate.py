"""evaluate: how good is a run's model, on its own splits or on other data; with intervals, class by class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sightline.data.dataset import Dataset, with_classes
from sightline.data.loaders import Images, in_order
from sightline.engine.devices import choose_device, compute_threads
from sightline.engine.predicting import predictions
from sightline.errors import UsageError, nearest
from sightline.evaluation.judgement import Judgement, judge
from sightline.evaluation.predictions import write_rows
from sightline.recipes.run import Run, open_run
from sightline.structures.batch import Batch
from sightline.structures.predictions import ClassRows
from sightline.tasks.classification import Classification

from .preparing import load, open_dataset, same_data
from .telling import Teller

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` found: the judgement of one split of one run."""

    run: Run
    split: str
    judgement: Judgement

    def to_json(self) -> dict[str, Any]:
        return {"run": str(self.run.folder), "split": self.split, **self.judgement.to_json()}


def evaluate(
    run: Run | str | Path,
    data: str | None = None,
    *,
    split: str | None = None,
    tta: bool = False,
    device: str = "auto",
    teller: Teller | None = None,
) -> Evaluation:
    """Judge a run's kept weights on one of its splits (test, else val), or on other data whose classes it knows.

    `tta` averages each prediction with that of the mirrored image. Raises UsageError for a split that is not there,
    DataError for classes that the run never saw.
    """
    run, teller = run if isinstance(run, Run) else open_run(run), teller or Teller()
    if split is not None and split not in SPLITS:
        raise UsageError(f"unknown split {split!r}", nearest(split, SPLITS))
    recipe = run.recipe
    if data is None:
        found = open_dataset(recipe, teller)
        same_data(run, found)
        split = split or ("test" if len(found.ids("test")) else "val")
        ids = found.ids(split)
        if not len(ids):
            raise UsageError(f"the run's data has no {split} split", "choose another --split")
    else:
        section = recipe.data.model_copy(update={"path": data, "name": None, "leaks": "keep"})
        found = open_dataset(recipe.model_copy(update={"data": section}), teller, whole=True)
        found, split = with_classes(found, run.classes), split or "all"
        ids = found.ids(None if split == "all" else split)
    images = load(found, ids, run.preprocessing, cache=recipe.data.cache, workers=recipe.data.workers)
    with compute_threads(recipe.fit.threads):
        rows = judge_split(run.task(), images, choose_device(device), tta=tta)
    return Evaluation(run, split, judge(rows, run.classes))


def judge_split(task: Classification, images: Images, device: str, *, tta: bool = False) -> ClassRows:
    """A row for every image, in order; `tta` averages each prediction with that of the mirror image."""
    parts = [task.rows(batch, p) for batch, p in predictions(task, in_order(images), device)]
    rows = ClassRows.join(parts)
    if not tta:
        return rows
    mirrored = (_mirror(batch) for batch in in_order(images))
    other = ClassRows.join([task.rows(batch, p) for batch, p in predictions(task, mirrored, device)])
    return replace(rows, probability=(rows.probability + other.probability) / 2)


def write_split(run: Run, split: str, rows: ClassRows, data: Dataset) -> None:
    """predictions/<split>.parquet"""
    folder = run.folder / "predictions"
    folder.mkdir(exist_ok=True)
    names = [data.records[int(i)].name for i in rows.id]
    write_rows(folder / f"{split}.parquet", rows, names=names, classes=data.classes)


def _mirror(batch: Batch) -> Batch:
    return replace(batch, image=batch.image.flip(3))
