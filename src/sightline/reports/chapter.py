"""What the report says about one kind of task only: its headline, metrics, rules and sections.

The room knows no kind: `sightline.kinds` hands it a `Chapter`. All callables are pure functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from sightline.evaluation.skill import Skill

from .content import RunContent
from .finding import ClassFact, Finding, ObjectFacts, PixelFacts, VerdictFacts
from .headline import Headline
from .rules import data, failing, layers
from .rules.course import course
from .split_evaluation import SplitEvaluation
from .thresholds import Thresholds

Rule = Callable[[VerdictFacts, Thresholds], Finding | None]
ImageLookup = Callable[[str], np.ndarray | None]  # image name → uint8 (h, w, c), None if unavailable
Table = tuple[list[str], list[list[str]]]  # header and rows as text


@dataclass(frozen=True)
class RowFacts:
    """What the verdict needs to know from the rows of a split; see `VerdictFacts` for the fields."""

    majority: tuple[str, float] | None = None
    classes: tuple[ClassFact, ...] = ()
    confidence: float | None = None
    mistakes: int = 0
    confident_mistakes: int = 0
    ece_by_chance: float | None = None
    skill: Skill | None = None
    only_answer: str = ""
    separation: tuple[float, float] | None = None
    scatter: tuple[float, int] | None = None
    pixels: PixelFacts | None = None
    objects: ObjectFacts | None = None


@dataclass(frozen=True)
class Scene:
    """Everything that a section may use."""

    content: RunContent
    facts: VerdictFacts
    limits: Thresholds
    load_image: ImageLookup


@dataclass(frozen=True)
class PageSection:
    """A section of the page: its anchor, its title in the table of contents, its markup."""

    anchor: str
    title: str
    html: Markup


_LIMITS = Thresholds()
RULES: tuple[Rule, ...] = (
    layers.dead_units,
    layers.slow,
    layers.lagging_norms,
    failing.small_data,
    course,
    data.labels,
    data.weak_classes,
    data.imbalance,
    data.test_size,
    data.untested,
    failing.slices,
    data.calibration,
    data.near_perfect,
)


def _no_sections(scene: Scene) -> list[PageSection]:
    return []


def _no_result(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    return None


@dataclass(frozen=True)
class Chapter:
    """headline         the main metric; None if the kind of task has none
    metric_names     its metrics in reading order, with their names in words
    row_facts        what the verdict needs to know from the rows
    opening          the first sentence of the verdict, where there is no headline to say it with
    result           the rule about how good the model is; `rules` are all others that apply, in the order of their findings
    sections         of the page, between the learning curves and the training batch
    class_table      results by class, for the model card
    mistakes         kinds of mistakes with their frequency, for the model card
    limits           thresholds of the verdict; `threshold_rows` lists them as (name, value, meaning)
    in_per_cent      whether a metric is written in per cent
    in_short_table   whether a metric is in the short table
    resamples        of the bootstrap for its intervals, over what `resampled` says
    intervals        how they are computed where it is not by a bootstrap, completes "Intervals: …"
    examples         whether a finished run saves images with predictions
    batch_note       completes "… before normalisation" under the training batch; `batch_legend` explains its colours
    """

    headline: Headline | None = None
    metric_names: Mapping[str, str] = field(default_factory=dict)
    row_facts: Callable[[SplitEvaluation, Headline, Thresholds], RowFacts] = lambda evaluation, headline, limits: (
        RowFacts()
    )
    opening: Callable[[VerdictFacts], str] | None = None
    result: Rule = _no_result
    rules: tuple[Rule, ...] = RULES
    sections: Callable[[Scene], list[PageSection]] = _no_sections
    class_table: Callable[[SplitEvaluation, VerdictFacts, Thresholds], Table] | None = None
    mistakes: Callable[[VerdictFacts], Table | None] = lambda facts: None
    limits: Thresholds = _LIMITS
    threshold_rows: Callable[[Thresholds, Headline], list[tuple[str, str, str]]] = lambda limits, headline: []
    in_per_cent: Callable[[str], bool] = lambda name: False
    in_short_table: Callable[[str], bool] = lambda name: True
    resamples: int = 1_000
    resampled: str = "images"
    intervals: str = ""
    examples: bool = False
    batch_note: str = ""
    batch_legend: Callable[[RunContent], list[tuple[Any, str]]] = lambda content: []
