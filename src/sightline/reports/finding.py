"""What the verdict is told (VerdictFacts) and what it answers (Findings): plain values, so that rules are pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sightline.evaluation.intervals import wilson

from .headline import ACCURACY, Headline

Severity = Literal["serious", "warning", "good", "note"]
Topic = Literal["run", "result", "bias", "variance", "data", "noise", "time", "confidence"]


@dataclass(frozen=True)
class Try:
    """What to do next, and the command that does it ("" where it is work for hands)."""

    what: str
    command: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that a person should know: a title, a sentence, the figures behind it, what to try."""

    severity: Severity
    kind: Topic
    title: str
    sentence: str
    evidence: str = ""
    try_next: tuple[Try, ...] = ()


@dataclass(frozen=True)
class ClassFact:
    """A class in the judged split: how well it does (`value`: recall, IoU or AP50) with its interval, `n` images, pixels
    or objects of it, and what it is mostly taken for (`taken` of the n)."""

    name: str
    value: float
    low: float
    high: float
    n: int
    taken_for: str = ""
    taken: int = 0


@dataclass(frozen=True)
class PixelConfusion:
    """Pixels of one class that were taken for another: `of_class` of the true class's pixels, `of_wrong` of all wrong."""

    target: str
    predicted: str
    of_class: float
    of_wrong: float


@dataclass(frozen=True)
class PixelFacts:
    """What only a segmentation has. `taken` begins with the largest share of all wrong pixels."""

    taken: tuple[PixelConfusion, ...] = ()


@dataclass(frozen=True)
class ObjectFacts:
    """What only a detector has: with boxes shown from the score `threshold` on, `found` of `objects` objects are found by
    as many of the `shown` boxes; mistakes by kind; `sizes` is size → (objects, AP); `unjudged` boxes were of classes that
    do not occur."""

    threshold: float | None = None
    objects: int = 0
    found: int = 0
    shown: int = 0
    errors: Mapping[str, int] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, float | None]] = field(default_factory=dict)
    unjudged: int = 0


@dataclass(frozen=True)
class VerdictFacts:
    """Everything that a verdict may depend on. What is unknown is None, empty or 0.

    `split` is the judged one, `n` its size, `interval` that of its headline; `metrics` and `sizes` are by split
    (sizes count the images that were measured); `history` has one mapping a validation; `command` trains this recipe.
    `train_counts` are images that show the class. `pixels` and `objects` are what a segmentation and a detector have.
    """

    status: str = "finished"
    smoke: bool = False
    reason: str = ""
    split: str = ""
    n: int = 0
    interval: tuple[float, float] | None = None
    ece_by_chance: float | None = None  # the calibration error that one may have by luck
    metrics: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    history: Sequence[Mapping[str, float | None]] = ()
    majority: tuple[str, float] | None = None  # the commonest class of the judged split; the headline of saying only it
    classes: tuple[ClassFact, ...] = ()
    train_counts: Mapping[str, int] = field(default_factory=dict)
    mistakes: int = 0
    sure_mistakes: int = 0  # mistakes whose probability was at least Thresholds.sure
    confidence: float | None = None  # mean probability of what was said
    files: int = 0
    quarantined: int = 0
    conflicts: int = 0
    leaks: int = 0  # images that were kept in two splits
    recipe: Mapping[str, Any] = field(default_factory=dict)
    command: str = "sightline train recipe.yaml"
    resume: str = "sightline train --resume ."
    headline: Headline = ACCURACY
    pixels: PixelFacts | None = None
    objects: ObjectFacts | None = None

    @property
    def value(self) -> float | None:
        """The headline of the judged split."""
        return self.metric(self.split, self.headline.metric)

    def main(self, split: str) -> float | None:
        """The headline of a split."""
        return self.metric(split, self.headline.metric)

    def noise(self, one: str, other: str, z: float) -> float | None:
        """How far apart the headlines of two splits can be by chance alone; None where nobody knows.

        Shares of images: the binomial's. Others: the judged split's own interval, the more so the fewer images.
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
        """A metric of a split, None where it is undefined."""
        value = self.metrics.get(split, {}).get(name)
        return value if value is not None and math.isfinite(value) else None

    def setting(self, key: str) -> Any:
        """A value of the recipe by dotted key, None where it has none."""
        value: Any = self.recipe
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def number(self, key: str) -> float | None:
        """A numeric value of the recipe."""
        value = self.setting(key)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def again(self, *changes: str) -> str:
        """The command that trains this recipe with changes."""
        return " ".join([self.command, *changes])


def chance(p: float, n: int, q: float, m: int, z: float) -> float:
    """How far apart two shares of n and m images can be by chance alone, 95 % for z = 1.96: the half of Newcombe's interval
    (1998, "Interval estimation for the difference between independent proportions", method 10) that reaches towards 0.
    Unlike the normal approximation it knows that 45 of 45 may be luck."""
    (low, high), (other_low, other_high) = wilson(p, n, z), wilson(q, m, z)
    return math.hypot(p - low, other_high - q) if p >= q else math.hypot(high - p, q - other_low)


def share_interval(value: float, interval: tuple[float, float] | None, n: int, z: float) -> tuple[float, float]:
    """The judged interval of a share; Wilson's where resampling says nothing because all were right or all wrong."""
    if interval is None or interval[0] == interval[1]:
        return wilson(value, n, z)
    return interval
