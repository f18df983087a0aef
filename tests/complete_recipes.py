"""Recipes without gaps, as a training would fill them for data with these traits."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from sightline.kinds.catalogue import KINDS
from sightline.kinds.kind import Kind
from sightline.kinds.opening import choose_kind, complete
from sightline.recipes.defaults import Traits
from sightline.recipes.reading import make_draft
from sightline.recipes.recipe import Draft, Recipe

KNOWN = {
    "classification": "labels", "segmentation": "masks", "detection": "boxes", "instances": "outlines",
    "localisation": "boxes",
}  # fmt: skip
DIGITS = Traits(n=100, height=8, width=8, grey=True, one_aspect=True, classes=2)


def kind_for(draft: Draft, traits: Traits) -> Kind:
    """The kind of task that such data are trained for. Raises UsageError where they cannot answer what the draft asks."""
    source: Any = SimpleNamespace(annotations=None)
    if traits.knows != "labels":
        source.annotations = SimpleNamespace(knows=traits.knows)
    return choose_kind(draft, source)


def completed(draft: Draft, traits: Traits) -> Recipe:
    return complete(draft, kind_for(draft, traits), traits)


def recipe_of(values: Mapping[str, Any]) -> Recipe:
    """The recipe with these values, for small grey images; of the kind that the values name."""
    draft = make_draft(values)
    kind = draft.task.kind if draft.task is not None else next(iter(KINDS))
    return complete(draft, KINDS[kind], DIGITS)
