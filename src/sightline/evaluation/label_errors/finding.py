"""What a search for wrong labels returns, whatever the kind of task: one suspicion an annotation, and what they amount to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Fault = Literal["label", "missing box", "wrong class", "bad location", "pixels"]


@dataclass(frozen=True)
class Suspicion:
    """One annotation that may be wrong.

    id           row of the data manifest
    fault        what may be wrong with it
    given        the label that the data give; "" where there is none
    suggested    the label that the predictions suggest; "" where none is
    quality      0 to 1, the lower the more suspicious: the ranking ascends with it
    probability  the predictions' probability of `given`, and `other` of `suggested`; NaN where there is none
    candidate    whether it is probably wrong, so worth a look
    words        what speaks against it, for people
    boxes        the boxes concerned, xyxy in the original image: the given one, the predicted one
    mask         the pixels concerned in the network's frame, where these are the fault, and the matrix `frame` from the
                 original image to that frame
    """

    id: int
    fault: Fault
    given: str
    suggested: str
    quality: float
    probability: float
    other: float
    candidate: bool
    words: str
    boxes: tuple[tuple[float, ...], ...] = ()
    mask: np.ndarray | None = field(default=None, repr=False, compare=False)
    frame: np.ndarray | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The JSON of one suspicion, without the path of its image."""
        return {
            "id": self.id, "fault": self.fault, "label": self.given or None, "suggested": self.suggested or None,
            "quality": self.quality, "probability": _number(self.probability), "suggested_probability": _number(self.other),
            "boxes": [list(box) for box in self.boxes], "words": self.words,
        }  # fmt: skip


@dataclass(frozen=True)
class LabelFindings:
    """`ranked` annotations of `n` images, the most suspicious first; `unit` of what was checked ("label", "object", …) and
    how many (`checked`); `wrong` is the estimated number of wrong ones, None where there is no estimate; `agreement` the share
    of annotations with which the predictions agree, None where undefined."""

    ranked: tuple[Suspicion, ...]
    n: int
    checked: int
    unit: str
    wrong: float | None = None
    agreement: float | None = None

    @property
    def candidates(self) -> tuple[Suspicion, ...]:
        return tuple(s for s in self.ranked if s.candidate)

    def pairs(self, most: int = 12) -> list[tuple[str, str, str, int]]:
        """(fault, given, suggested, candidates), the most frequent first."""
        counts = Counter((s.fault, s.given, s.suggested) for s in self.candidates)
        return [(*which, count) for which, count in sorted(counts.items(), key=lambda it: (-it[1], it[0]))[:most]]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
