"""The kinds of task that there are."""

from __future__ import annotations

from sightline.errors import UsageError, nearest
from sightline.recipes.recipe import TASKS
from sightline.runs.run import Run

from .classification import CLASSIFICATION
from .detection import DETECTION
from .instances import INSTANCES
from .kind import Kind
from .segmentation import SEGMENTATION

KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Add a kind of task; from then on every verb knows it."""
    if kind.name in KINDS:
        raise ValueError(f"the kind {kind.name!r} is registered twice")
    KINDS[kind.name] = kind
    TASKS[kind.name] = kind.section
    return kind


# The usual one first: it is what `task.` keys without a kind belong to. Where data can answer several, the first is chosen.
for _kind in (CLASSIFICATION, SEGMENTATION, INSTANCES, DETECTION):
    register(_kind)


def kind_named(name: str) -> Kind:
    """Raises UsageError for a name that no kind has."""
    if name not in KINDS:
        raise UsageError(f"unknown kind of task {name!r}", nearest(name, KINDS))
    return KINDS[name]


def kind_of(run: Run) -> Kind:
    """The kind of task that a run was trained for."""
    return kind_named(run.recipe.task.kind)
