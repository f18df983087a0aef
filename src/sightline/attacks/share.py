"""How many of the images are right, with Wilson's interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sightline.metrics.proportions import wilson

Z = 1.959963984540054  # of a 95 % interval


@dataclass(frozen=True)
class Share:
    """Of n images `right` are right. Without images the accuracy is 0 and the interval everything."""

    right: int
    n: int

    @property
    def accuracy(self) -> float:
        return self.right / self.n if self.n else 0.0

    @property
    def value(self) -> float:
        return self.accuracy

    @property
    def name(self) -> str:
        return "accuracy"

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95 %."""
        return wilson(self.accuracy, self.n, Z)

    def to_json(self) -> dict[str, Any]:
        return {"n": self.n, "right": self.right, "accuracy": self.accuracy, "interval": list(self.interval)}
