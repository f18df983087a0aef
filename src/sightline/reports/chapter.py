"""What the report says of one kind of task only: its number, its metrics, its rules, its sections.

The room knows no kind: `sightline.kinds` hands it a `Chapter`. All callables are pure functions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from .content import RunContent
from .finding import ClassFact, Finding, ObjectFacts, PixelFacts, VerdictFacts
from .headline import Headline
from .judged import JudgedSplit
from .rules import data
from .rules.course import course
from .thresholds import Thresholds

Rule = Callable[[VerdictFacts, Thresholds], Finding | None]
Pictures = Callable[[str], np.ndarray | None]  # image name → uint8 (h, w, c), None where it is unavailable
Table = tuple[list[str], list[list[str]]]  # head and rows in words and numbers


@dataclass(frozen=True)
class RowFacts:
    """What the rows of a split say, for the verdict; see `VerdictFacts` for the fields."""

    majority: tuple[str, float] | None = None
    classes: tuple[ClassFact, ...] = ()
    confidence: float | None = None
    mistakes: int = 0
    sure_mistakes: int = 0
    ece_by_chance: float | None = None
    pixels: PixelFacts | None = None
    objects: ObjectFacts | None = None


@dataclass(frozen=True)
class Scene:
    """Everything that a section may draw from."""

    content: RunContent
    facts: VerdictFacts
    limits: Thresholds
    picture: Pictures


@dataclass(frozen=True)
class PageSection:
    """A section of the page: its anchor, its name among the contents, its markup."""

    place: str
    title: str
    html: Markup


_LIMITS = Thresholds()
RULES: tuple[Rule, ...] = (
    course,
    data.labels,
    data.weak_classes,
    data.imbalance,
    data.test_size,
    data.untested,
    data.calibration,
    data.near_perfect,
)


def _no_sections(scene: Scene) -> list[PageSection]:
    return []


def _no_result(facts: VerdictFacts, limits: Thresholds) -> Finding | None:
    return None


@dataclass(frozen=True)
class Chapter:
    """headline       the one number; None where the kind of task has none
    metric_names   its metrics in the order to read them, and what they are called
    row_facts      what the rows say, for the verdict
    result         the rule that says how good it is; `rules` all others that apply, in the order of their findings
    sections       of the page, between the learning curves and the first batch
    class_table    class by class, for the model card
    mistakes       which mistakes there are, for the model card
    limits         where the verdict draws its lines; `lines` the same as (name, value, meaning)
    in_per_cent    whether a metric is written in per cent
    stands_first   whether a metric stands in the short table
    resamples      of the bootstrap behind its intervals
    examples       whether a finished run keeps pictures of answers
    batch_note     completes "… before normalisation" under the first batch; `batch_legend` explains its colours
    """

    headline: Headline | None = None
    metric_names: Mapping[str, str] = field(default_factory=dict)
    row_facts: Callable[[JudgedSplit, Headline, Thresholds], RowFacts] = lambda judged, headline, limits: RowFacts()
    result: Rule = _no_result
    rules: tuple[Rule, ...] = RULES
    sections: Callable[[Scene], list[PageSection]] = _no_sections
    class_table: Callable[[JudgedSplit, VerdictFacts, Thresholds], Table] | None = None
    mistakes: Callable[[VerdictFacts], Table | None] = lambda facts: None
    limits: Thresholds = _LIMITS
    lines: Callable[[Thresholds, Headline], list[tuple[str, str, str]]] = lambda limits, headline: []
    in_per_cent: Callable[[str], bool] = lambda name: False
    stands_first: Callable[[str], bool] = lambda name: True
    resamples: int = 1_000
    examples: bool = False
    batch_note: str = ""
    batch_legend: Callable[[RunContent], list[tuple[Any, str]]] = lambda content: []
