"""Several runs as one: their networks over the same images, and the mean of what they predict."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.errors import UsageError
from sightline.kinds.catalogue import kind_of
from sightline.kinds.kind import Kind
from sightline.kinds.networks import load_task
from sightline.runs.run import Run
from sightline.storage.text import printable
from sightline.tasks.ensemble import Ensemble


def same_task(runs: Sequence[Run]) -> Kind:
    """The kind of task that all runs have. UsageError if they are for different tasks or classes."""
    first, kind = runs[0], kind_of(runs[0])
    for run in runs[1:]:
        if (own := kind_of(run)).name != kind.name:
            raise UsageError(f"{first.folder} is for {kind.name}, {run.folder} for {own.name}", "name runs of one task")
        if run.classes != first.classes:
            odd = sorted({*run.classes} ^ {*first.classes})
            what = f"only one of them knows {printable(odd[0])}" if odd else "they are in another order"
            raise UsageError(
                f"{first.folder} and {run.folder} have different classes: {what}", "train both on the same classes"
            )
    return kind


def require_mean(kind: Kind) -> None:
    """UsageError where predictions have no mean."""
    if not kind.answers.averaged:
        raise UsageError(
            f"predictions of {kind.name} cannot be averaged: boxes of different networks are different objects",
            "use one run",
        )


def ensemble_task(runs: Sequence[Run]) -> Ensemble:
    """The mean of these runs' predictions, for images in the frame of all of them. UsageError where their tasks, classes or
    frames differ, or where predictions have no mean."""
    require_mean(same_task(runs))
    first = runs[0].preprocessing
    for run in runs[1:]:
        own = run.preprocessing
        if (own.geometry, own.channels, own.depth) != (first.geometry, first.channels, first.depth):
            shape = f"{own.channels}x{own.geometry.height}x{own.geometry.width} ({own.geometry.fit})"
            other = f"{first.channels}x{first.geometry.height}x{first.geometry.width} ({first.geometry.fit})"
            raise UsageError(
                f"{run.folder} takes images of {shape}, {runs[0].folder} of {other}", "train them with the same input.*"
            )
    return Ensemble([load_task(run) for run in runs])
