"""The rows of several runs on the same images, in the same order; refused where the images differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.data.dataset import Dataset
from sightline.data.loaders import in_order
from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.errors import DataError, SightlineError, UsageError
from sightline.evaluation.splits import rows_of
from sightline.kinds.kind import Kind, Scoring
from sightline.kinds.networks import load_task
from sightline.kinds.opening import open_dataset, require_there, same_data
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.storage.text import printable
from sightline.tasks.task import Task
from sightline.verbs.evaluate import select

from .ensemble import same_task

_ALL = "compare all of them on the same images: --data DATA"
_NAMED = 3  # images in an error


@dataclass(frozen=True)
class SameImages:
    """`rows` of each run, aligned; `split` and `data` are what they are of; `images` opens them again for a task in one run's
    frame."""

    rows: list[Any]
    split: str
    data: str


def measured_kind(runs: Sequence[Run]) -> tuple[Kind, Scoring]:
    """The kind of task that all runs have. UsageError if they differ, or cannot be measured."""
    kind = same_task(runs)
    if kind.scoring is None or kind.scoring.per_image is None:
        raise UsageError(
            f"runs of {kind.name} cannot be compared: they have no score for an image", "see their reports"
        )
    return kind, kind.scoring


def stored(runs: Sequence[Run], scoring: Scoring, split: str | None, console: Console) -> SameImages:
    """The rows that the runs stored, of `split`, else of test, else of val."""
    chosen = split or ("test" if all(_file(run, "test").is_file() for run in runs) else "val")
    for run in runs:
        if not _file(run, chosen).is_file():
            raise UsageError(f"{run.folder} has no predictions of a {chosen} split", _ALL)
    rows = [scoring.rows.read(_file(run, chosen))[0] for run in runs]
    data = runs[0].read_json("data.json").get("name")
    if chosen == "train" and len({_fingerprint(one) for one in rows}) > 1:
        raise UsageError("the stored training predictions are of different images", "compare test or val")
    hashes = [run.status.get("data") for run in runs]
    if any(value != hashes[0] for value in hashes) or any(not np.array_equal(r.id, rows[0].id) for r in rows):
        rows = _aligned(runs, rows, console)
    return SameImages(rows, chosen, str(data))


def computed(
    runs: Sequence[Run],
    kind: Kind,
    scoring: Scoring,
    data: Any,
    split: str | None,
    device: str,
    console: Console,
    *,
    allow_network: bool = False,
    tasks: Sequence[Task] | None = None,
) -> SameImages:
    """The rows of all runs (or of `tasks` in their frames) on other data, or on their own where `data` is None."""
    chosen, found = choose_device(device), None
    rows: list[Any] = []
    for i, run in enumerate(runs):
        found = select(run, data, split, console, verb="compare", allow_network=allow_network)
        images = kind.load(found.data, found.ids, run.preprocessing, run.recipe, truths=kind.truths, judging=True)
        task = tasks[i] if tasks is not None else load_task(run)
        with (
            compute_threads(run.recipe.fit.threads),
            repeatable(chosen),
            console.working(f"predictions of {run.folder}", len(images)) as phase,
        ):
            rows.append(rows_of(task, phase.over(in_order(images, scoring.batch)), chosen))
        if not np.array_equal(rows[-1].id, rows[0].id):
            raise DataError(
                f"{runs[0].folder} and {run.folder} split {found.data.name} differently",
                "name data on which neither was trained",
            )
    assert found is not None
    return SameImages(rows, found.split, found.data.name)


def _file(run: Run, split: str) -> Path:
    return run.folder / "predictions" / f"{split}.parquet"


def _fingerprint(rows: Any) -> tuple[int, ...]:
    return tuple(rows.id.tolist())


def _aligned(runs: Sequence[Run], rows: Sequence[Any], console: Console) -> list[Any]:
    """The rows of every run in the order of the first one's images, which are recognised by their pixels and labels."""
    keys = [_keys(run, one, console) for run, one in zip(runs, rows, strict=True)]
    aligned = []
    for run, one, own in zip(runs, rows, keys, strict=True):
        if missing := Counter(_hashes(keys[0])) - Counter(_hashes(own)):
            _refuse(runs[0], keys[0], run, missing)
        if extra := Counter(_hashes(own)) - Counter(_hashes(keys[0])):
            _refuse(run, own, runs[0], extra)
        order = np.argsort([value for _, value in own], kind="stable")
        back = np.argsort(np.argsort([value for _, value in keys[0]], kind="stable"), kind="stable")
        aligned.append(one.take(order[back]))
    return aligned


def _hashes(keys: Sequence[tuple[str, str]]) -> list[str]:
    return [value for _, value in keys]


def _refuse(has: Run, keys: Sequence[tuple[str, str]], lacks: Run, missing: Counter[str]) -> None:
    names = [printable(name) for name, value in keys if value in missing]
    some = ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
    raise DataError(
        f"not the same images: {sum(missing.values()):,} of the {len(keys):,} of {has.folder} are not among those of "
        f"{lacks.folder}, or have another label: {some}",
        _ALL,
    )


def _keys(run: Run, rows: Any, console: Console) -> list[tuple[str, str]]:
    """(name, hash of pixels and label) of every row."""
    try:
        require_there(run.recipe, "restore them")
        data: Dataset = open_dataset(run.recipe, console)
        same_data(run, data)
    except SightlineError as error:
        raise DataError(
            f"the runs have different data, and those of {run.folder} cannot be compared: {error.message}", _ALL
        ) from error
    audit, records = data.audit, data.records
    labels = audit.truths or [record.label for record in records]
    return [(records[i].name, f"{audit.exact[i]} {labels[i]}") for i in rows.id.tolist()]
