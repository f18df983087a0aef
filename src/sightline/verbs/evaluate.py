"""evaluate: measure a run's model on its own splits or on other data, with intervals, overall and for each class."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from sightline.data.dataset import Dataset, with_classes
from sightline.data.formats.passed.sources import is_passed, name_of_data
from sightline.data.loaders import in_order
from sightline.data.split_rules import Cuts
from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.engine.timing import frame_rate
from sightline.errors import DamagedError, DataError, SightlineError, UsageError, nearest
from sightline.evaluation.diagnosis.images import ImageTable
from sightline.evaluation.diagnosis.stored import read_table, table_file
from sightline.evaluation.splits import rows_of
from sightline.inference.diagnosing.diagnosis import Noting, diagnose
from sightline.inference.diagnosing.metadata import with_metadata
from sightline.kinds.catalogue import kind_of
from sightline.kinds.kind import Scoring
from sightline.kinds.networks import load_task
from sightline.kinds.opening import open_dataset, require_there, same_data
from sightline.kinds.pretrained import open_run_or_model
from sightline.models.own import Builder
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.recipe import Recipe
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.structures.batch import Batch
from sightline.tasks.task import Task

from .assessment.learning_curve import learning_curve as measure_learning_curve
from .assessment.views import over_views, views_named

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Evaluation:
    """The judgement of one split of one run, and its diagnosis: slices, temperature, shift (see docs/diagnosis.md)."""

    run: Run
    split: str
    judgement: Any
    diagnosis: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"run": str(self.run.folder), "split": self.split, **self.judgement.to_json(), **self.diagnosis}


def evaluate(
    run: Run | str | Path,
    data: Any = None,
    *,
    split: str | None = None,
    tta: bool | str = False,
    device: str = "auto",
    allow_network: bool = False,
    model: str | nn.Module | Builder | None = None,
    learning_curve: bool = False,
    console: Console | None = None,
) -> Evaluation:
    """Evaluate a run's kept weights on one of its splits (test, else val), or on other data with the same classes (a
    name or path, or data in memory as `train` takes them).

    If these are the data that it was trained on, possibly grown since, its test split is evaluated: no image leaves
    the split that it had in the run. `tta` averages over views of each image: "flips" (or True) or "ten-crop", and the
    diagnosis says what that gains and costs. `model` is the network where it is code of your own, as it was given to `train`;
    `allow_network`: fetch data at an address that are not in the cache. `learning_curve` trains three more networks, on
    parts of the run's data, to forecast what twice as many images would give; it takes about three times as long as the run.

    UsageError for a split that does not exist; DataError for unknown classes, or if there are no labels.
    """
    run, console = run if isinstance(run, Run) else open_run_or_model(run, model), console or Console()
    recipe, kind = run.recipe, kind_of(run)
    if (scoring := kind.scoring) is None:
        raise UsageError(f"{run.folder} cannot be evaluated: {kind.name} has no metrics", "see its report.html")
    found, split, ids = select(run, data, split, console, verb="evaluate", allow_network=allow_network)
    views = views_named(tta, kind)
    images = kind.load(found, ids, run.preprocessing, recipe, truths=kind.truths, judging=True)
    device, task = choose_device(device), load_task(run)
    with compute_threads(recipe.fit.threads), repeatable(device):
        noting = Noting(task, len(run.classes))
        begun = time.perf_counter()
        rows = rows_of(task, noting.over(in_order(images, scoring.batch)), device)
        viewed = None
        if views is not None:
            seconds = time.perf_counter() - begun

            def load(preprocessing: Preprocessing) -> Iterator[Batch]:
                return in_order(
                    kind.load(found, ids, preprocessing, recipe, truths=kind.truths, judging=True), scoring.batch
                )

            viewed = over_views(
                views, task, kind, load, run.preprocessing, rows, found.classes, device=device, seconds=seconds
            )
            rows = viewed.rows
    judgement = scoring.rows.judge(rows, found.classes)
    if not judgement.n:
        raise DataError(
            f"no image of {'this split' if data is None else found.name} has a label",
            "sort the images into a folder for each class, or add a table of labels",
        )
    val = None if split == "val" and data is None else _val_rows(run, scoring)
    diagnosis = diagnose(scoring, rows, judgement, with_metadata(noting.table(), found), val=val, tables=_tables(run))
    if viewed is not None:
        diagnosis["views"] = viewed.facts
    if scoring.timed:
        diagnosis["speed"] = _speed(run, task, device)
    if learning_curve:
        diagnosis["learning_curve"] = measure_learning_curve(run, console)
    return Evaluation(run, split, judgement, diagnosis)


def _speed(run: Run, task: Task, device: str) -> dict[str, Any]:
    return frame_rate(task, run.preprocessing.shape, threads=run.recipe.fit.threads, device=device)


def _val_rows(run: Run, scoring: Scoring) -> Any:
    """The validation rows that the run stored, None where it has none that can be read."""
    with suppress(SightlineError, OSError):
        return scoring.rows.read(run.folder / "predictions" / "val.parquet")[0]
    return None


def _tables(run: Run) -> dict[str, ImageTable]:
    """The measurements of the training images, none for runs of earlier versions."""
    with suppress(SightlineError):
        return {"train": read_table(run.folder / table_file("train"))}
    return {}


class Selection(NamedTuple):
    """The data, the split by name ("all" where it is none), and the ids of its images."""

    data: Dataset
    split: str
    ids: np.ndarray


def select(
    run: Run, data: Any, split: str | None, console: Console, *, verb: str, allow_network: bool = False
) -> Selection:
    """The images that a verb measures: a split of the run's own data (test, else val), or other data with its classes.

    If these are the data that it was trained on, possibly grown since, its test split is chosen: no image leaves the split
    that it had in the run. UsageError for a split that does not exist; DataError for unknown classes.
    """
    if split is not None and split not in SPLITS:
        raise UsageError(f"unknown split {split!r}", nearest(split, SPLITS))
    recipe = run.recipe
    data = None if data is None else name_of_data(data)
    if data is None:
        require_there(recipe, f"name the data: sightline {verb} RUN DATA")
        section = recipe.data.model_copy(update={"allow_network": allow_network})
        found = open_dataset(recipe.model_copy(update={"data": section}), console)
        same_data(run, found)
        split = split or ("test" if len(found.ids("test")) else "val")
        ids = found.ids(split)
        if not len(ids):
            raise UsageError(f"the run's data have no {split} split", "choose another --split")
    else:
        where = {"path": None, "name": data} if is_passed(data) else {"path": data, "name": None}
        section = recipe.data.model_copy(update={**where, "leaks": "keep", "allow_network": allow_network})
        found = open_dataset(recipe.model_copy(update={"data": section}), console, whole=True, cuts=_cuts(run))
        if kind_of(run).needs != "identities":  # of which nobody needs to have been seen before
            found = with_classes(found, run.classes)
        if split is None and _its_own(recipe, data):
            split = next((s for s in ("test", "val", "train") if len(found.ids(s))), None)
            console.warn(f"the run was trained on {data}: evaluating the {split} split (see --split)")
        split = split or "all"
        ids = found.ids(None if split == "all" else split)
        if not len(ids):
            raise UsageError(f"{data} has no {split} split", "choose another --split")
    return Selection(found, split, ids)


def _cuts(run: Run) -> Cuts | None:
    """Where the run parted its splits: none of its images may change sides in data that have grown. None for runs that split
    by threshold, and where the data give their splits."""
    value = run.read_json("data.json").get("cuts")
    try:
        return Cuts.from_json(value) if value is not None else None
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(f"{run.folder / 'data.json'}: its cuts are unreadable", "see `sightline verify`") from error


def _its_own(recipe: Recipe, data: str) -> bool:
    """Whether these are the data that the run was trained on."""
    if recipe.data.path is None:
        return data == recipe.data.name
    return Path(data).resolve() == Path(recipe.data.path).resolve()
