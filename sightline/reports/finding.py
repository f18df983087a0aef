"""What the verdict is told (Facts) and what it answers (Findings): plain values, so that rules are pure functions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["serious", "warning", "good", "note"]
Kind = Literal["run", "result", "bias", "variance", "data", "noise", "time", "confidence"]


@dataclass(frozen=True)
class Try:
    """What to do next, and the command that does it ("" where it is work for hands)."""

    what: str
    command: str = ""


@dataclass(frozen=True)
class Finding:
    """One thing that a person should know: a title, a sentence, the figures behind it, what to try."""

    severity: Severity
    kind: Kind
    title: str
    sentence: str
    evidence: str = ""
    try_next: tuple[Try, ...] = ()


@dataclass(frozen=True)
class ClassFact:
    """A class in the judged split: recall with its interval, `n` images, and what it is mostly taken for."""

    name: str
    recall: float
    low: float
    high: float
    n: int
    taken_for: str = ""
    taken: int = 0


@dataclass(frozen=True)
class Facts:
    """Everything that a verdict may depend on. What is unknown is None, empty or 0.

    `split` is the judged one, `n` its size, `interval` that of its accuracy; `metrics` and `sizes` are by split
    (sizes count the images that were measured); `history` has one mapping a validation; `command` trains this recipe.
    """

    status: str = "finished"
    smoke: bool = False
    reason: str = ""
    split: str = ""
    n: int = 0
    interval: tuple[float, float] | None = None
    metrics: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    history: Sequence[Mapping[str, float | None]] = ()
    majority: tuple[str, float] | None = None  # the commonest class of the judged split and its share
    classes: tuple[ClassFact, ...] = ()
    train_counts: Mapping[str, int] = field(default_factory=dict)
    mistakes: int = 0
    sure_mistakes: int = 0  # mistakes whose probability was at least Thresholds.sure
    confidence: float | None = None  # mean probability of what was said
    files: int = 0
    quarantined: int = 0
    conflicts: int = 0
    recipe: Mapping[str, Any] = field(default_factory=dict)
    command: str = "sightline train recipe.yaml"
    resume: str = "sightline train --resume ."

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
    """How far apart two shares of n and m images can be by chance alone (normal approximation, 95 % for z = 1.96)."""
    return z * math.sqrt(p * (1 - p) / max(n, 1) + q * (1 - q) / max(m, 1))


def wilson(share: float, n: int, z: float) -> tuple[float, float]:
    """Interval of a share of n (Wilson 1927), which stays inside [0, 1] and honest near both ends."""
    if n == 0:
        return 0.0, 1.0
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, centre - half), min(1.0, centre + half)
