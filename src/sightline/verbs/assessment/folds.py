"""k trainings, each on all folds but one: together they predict every image by a network that did not train on it.

Each is an ordinary run with `data.fold` in its recipe, in FOLDER/1 to FOLDER/k. One that is finished is not trained again, and
one that was interrupted is resumed, so the same command goes on where it was stopped.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sightline.data.dataset import Dataset
from sightline.data.folds import Fold, assign_fold
from sightline.data.loaders import in_order
from sightline.data.summary import has_hash
from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.errors import UsageError
from sightline.kinds.catalogue import kind_of
from sightline.kinds.kind import Kind
from sightline.kinds.networks import load_task
from sightline.kinds.opening import choose_kind, complete, open_dataset, require_known_network, traits_of
from sightline.recipes.recipe import Draft
from sightline.runs.console import Console
from sightline.runs.folder import recipe_hash, with_run_settings
from sightline.runs.run import Run, open_run
from sightline.storage.files import make_folder
from sightline.training.prepare import resolve
from sightline.verbs.train import train_on

LIGHTER = {"resnet20": "resnet8"}  # the default network of small colour pictures → one of a third of its work
SHARE = 2 / 3  # of the default epochs, where the network is not lighter: k trainings are to rank labels, not to be used
LEAST_EPOCHS = 3


@dataclass(frozen=True)
class Folds:
    """The runs of all folds, the data that they share, and the kind of task."""

    runs: Sequence[Run]
    data: Dataset
    kind: Kind


def train_folds(given: Draft, k: int, folder: Path, console: Console) -> Folds:
    """Train a draft on each of k folds. What it leaves open is chosen for a quick training: a lighter network where there is
    one, else two thirds of the default epochs. UsageError if the folder holds folds of something else."""
    require_known_network(given)
    given = with_run_settings(_fold(given, 1, k), folder / "1")
    data = open_dataset(given, console)
    kind = choose_kind(given, data.audit.source)
    if kind.labels is None:
        raise UsageError(f"labels of {kind.name} cannot be checked", "use data with classes, boxes or masks")
    given = _quick(given, kind, data)
    make_folder(folder)
    runs = []
    for i in range(1, k + 1):
        draft = _fold(given, i, k)
        fold = _held_out(data, Fold(i, k))
        place = folder / str(i)
        if (place / "run.json").is_file() and (run := open_run(place)).finished:
            _require_same(run, draft, kind, fold)
        else:
            console.say(f"fold {i} of {k}")
            run = train_on(draft, fold, place, console=console)
        runs.append(run)
    return Folds(runs, data, kind)


def evidence_of_folds(folds: Folds, device: str) -> list[Any]:
    """The evidence of each fold, by the network that was not trained on it."""
    k, parts = len(folds.runs), []
    for i, run in enumerate(folds.runs, 1):
        parts += [
            part for _, part in evidence_of(run, folds.kind, _held_out(folds.data, Fold(i, k)), device, ("test",))
        ]
    return parts


def evidence_of(run: Run, kind: Kind, data: Dataset, device: str, splits: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """(split, evidence) of a run's images outside of training: its stored rows, or what its kind computes of them again."""
    assert kind.labels is not None and kind.scoring is not None
    for split in splits:
        path = run.folder / "predictions" / f"{split}.parquet"
        if not path.is_file():
            continue
        if kind.labels.evidence is None:
            yield split, kind.scoring.rows.read(path)[0]
            continue
        yield split, _computed(run, data, split, device)


def _computed(run: Run, data: Dataset, split: str, device: str) -> Any:
    kind, recipe = kind_of(run), run.recipe
    assert kind.labels is not None and kind.labels.evidence is not None and kind.scoring is not None
    chosen = choose_device(device)
    images = kind.load(data, data.ids(split), run.preprocessing, recipe, truths=kind.truths, judging=False)
    with compute_threads(recipe.fit.threads), repeatable(chosen):
        return kind.labels.evidence(load_task(run), in_order(images, kind.scoring.batch), chosen)


def _held_out(data: Dataset, fold: Fold) -> Dataset:
    """The data with the images of one fold as test."""
    return replace(data, split=assign_fold(data.audit, fold).split)


def _fold(given: Draft, i: int, k: int) -> Draft:
    return given.model_copy(update={"data": given.data.model_copy(update={"fold": f"{i}/{k}"})})


def _quick(given: Draft, kind: Kind, data: Dataset) -> Draft:
    """The draft with a lighter network, or else fewer epochs, where it leaves them open."""
    usual = complete(given, kind, traits_of(data))
    if given.model.name is None and usual.model.name in LIGHTER:
        return given.model_copy(update={"model": given.model.model_copy(update={"name": LIGHTER[usual.model.name]})})
    if given.fit.epochs is not None:
        return given
    epochs = float(max(math.ceil(usual.fit.epochs * SHARE), LEAST_EPOCHS))
    return given.model_copy(update={"fit": given.fit.model_copy(update={"epochs": epochs})})


def _require_same(run: Run, draft: Draft, kind: Kind, data: Dataset) -> None:
    """UsageError unless a finished fold has this recipe and these data."""
    recipe = resolve(with_run_settings(draft, run.folder), kind, data)
    what = "" if run.status.get("recipe") == recipe_hash(recipe) else "another recipe"
    what = what or ("" if has_hash(data, run.status.get("data")) else "other data")
    if what:
        raise UsageError(f"{run.folder} holds a fold of {what}", "choose another --out, or remove the folder")
