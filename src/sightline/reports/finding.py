"""What goes into the verdict (VerdictFacts) and what comes out (Findings): plain values, so that rules are pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sightline.evaluation.intervals import wilson
from sightline.evaluation.skill import Skill

from .diagnosis.health import Health
from .diagnosis.stored import Diagnosis
from .headline import ACCURACY, Headline

Severity = Literal["serious", "warning", "good", "note"]
Topic = Literal["run", "result", "bias", "variance", "data", "noise", "time", "confidence", "layers"]


@dataclass(frozen=True)
class Try:
    """What to do next, and the command that does it ("" for manual work)."""

    what: str
    command: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that a person should know: a title, a sentence, the figures behind it, what to try. `limit` completes "Limited
    by …" where the topic alone would say too little."""

    severity: Severity
    kind: Topic
    title: str
    sentence: str
    evidence: str = ""
    try_next: tuple[Try, ...] = ()
    limit: str = ""


@dataclass(frozen=True)
class ClassFact:
    """A class in the reported split: its `value` (recall, IoU or AP50) with the interval, its `n` images, pixels or objects,
    and the class that it is most often confused with (`confusions` of the n)."""

    name: str
    value: float
    low: float
    high: float
    n: int
    confused_with: str = ""
    confusions: int = 0


@dataclass(frozen=True)
class PixelConfusion:
    """Pixels of one class that were predicted as another: `of_class` is their share of the true class's pixels, `of_wrong` of
    all wrong pixels."""

    target: str
    predicted: str
    of_class: float
    of_wrong: float


@dataclass(frozen=True)
class PixelFacts:
    """What only a segmentation has. `confusions` begins with the largest share of all wrong pixels."""

    confusions: tuple[PixelConfusion, ...] = ()


@dataclass(frozen=True)
class ObjectFacts:
    """What only a detector has: of the `boxes` with at least the score `threshold`, `correct` are matched to as many of
    the `objects`; mistakes by kind, and the AP50 that fixing each would gain; `sizes` is size → (objects, AP);
    `absent_class_boxes` are predicted as classes that do not occur."""

    threshold: float | None = None
    objects: int = 0
    correct: int = 0
    boxes: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    gains: Mapping[str, float | None] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, float | None]] = field(default_factory=dict)
    absent_class_boxes: int = 0


@dataclass(frozen=True)
class VerdictFacts:
    """Everything that a verdict may depend on. What is unknown is None, empty or 0.

    `split` is the reported one, `n` its size, `interval` that of its headline; `metrics` and `sizes` are by split
    (sizes count images); `history` has one mapping per validation; `command` trains this recipe.
    `train_counts` are images that show the class. `pixels` and `objects` are for segmentation and detection only.
    """

    status: str = "finished"
    smoke: bool = False
    reason: str = ""
    split: str = ""
    n: int = 0
    interval: tuple[float, float] | None = None
    ece_by_chance: float | None = None  # the calibration error that chance alone may cause
    metrics: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    history: Sequence[Mapping[str, float | None]] = ()
    majority: tuple[str, float] | None = None  # the most common class and the headline of always predicting it
    classes: tuple[ClassFact, ...] = ()
    train_counts: Mapping[str, int] = field(default_factory=dict)
    mistakes: int = 0
    confident_mistakes: int = 0  # mistakes with a probability of at least Thresholds.confident
    confidence: float | None = None  # mean probability of the predicted class
    files: int = 0
    quarantined: int = 0
    conflicts: int = 0
    leaks: int = 0  # images in two splits
    recipe: Mapping[str, Any] = field(default_factory=dict)
    command: str = "sightline train recipe.yaml"
    resume: str = "sightline train --resume ."
    steps: int = 0
    skill: Skill | None = None
    only_answer: str = ""  # the class that is predicted for every image
    separation: tuple[float, float] | None = (
        None  # AUC of confidence for right against wrong answers, its standard error
    )
    scatter: tuple[float, int] | None = (
        None  # where labels of confident mistakes stand, and how many mistakes these are
    )
    headline: Headline = ACCURACY
    pixels: PixelFacts | None = None
    objects: ObjectFacts | None = None
    diagnosis: Diagnosis | None = None
    health: Health | None = None

    @property
    def value(self) -> float | None:
        """The headline of the reported split."""
        return self.metric(self.split, self.headline.metric)

    def main(self, split: str) -> float | None:
        """The headline of a split."""
        return self.metric(split, self.headline.metric)

    def noise(self, one: str, other: str, z: float) -> float | None:
        """How far apart the headlines of two splits can be by chance alone; None if unknown.

        Of shares of images by the binomial. Of others by the reported split's own interval, scaled by 1 / √n.
        """
        p, q = self.main(one), self.main(other)
        n, m = self.sizes.get(one, 0), self.sizes.get(other, 0)
        if self.headline.of_images:
            return chance(p or 0.0, n, q or 0.0, m, z)
        if self.interval is None or not n or not m:
            return None
        half = (self.interval[1] - self.interval[0]) / 2
        return half * math.sqrt(self.n / n + self.n / m)

    def metric(self, split: str, name: str) -> float | None:
        """A metric of a split, None if undefined."""
        value = self.metrics.get(split, {}).get(name)
        return value if value is not None and math.isfinite(value) else None

    def setting(self, key: str) -> Any:
        """A value of the recipe by dotted key, None if it has none."""
        value: Any = self.recipe
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def number(self, key: str) -> float | None:
        """A numeric value of the recipe."""
        value = self.setting(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def command_with(self, *changes: str) -> str:
        """The command that trains this recipe with changes to it."""
        return " ".join([self.command, *changes])


def chance(p: float, n: int, q: float, m: int, z: float) -> float:
    """How far apart two shares of n and m images can be by chance alone, 95 % for z = 1.96: the side of Newcombe's interval
    (1998, "Interval estimation for the difference between independent proportions", method 10) that faces 0. Unlike the
    normal approximation, it does not take 45 of 45 for certainty."""
    (low, high), (other_low, other_high) = wilson(p, n, z), wilson(q, m, z)
    return math.hypot(p - low, other_high - q) if p >= q else math.hypot(high - p, q - other_low)
