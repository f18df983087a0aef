"""Rows of several labels, numbers, or answers to several questions for each image: one row an image, on the host.

What is unknown is NaN. What a row's figures depend on besides the answers (the threshold from which a label counts, the
constant with which numbers are compared) lies beside them, so that every metric stays a pure function of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from sightline.structures.heads import Head


@dataclass(frozen=True)
class LabelRows:
    """`id` (n,) row of the data manifest; `target` (n, k) 1, 0 or NaN where unknown; `probability` (n, k); an image is said
    to have the labels whose probability is at least `threshold`."""

    id: Int[np.ndarray, "n"]
    target: Float[np.ndarray, "n k"]
    probability: Float[np.ndarray, "n k"]
    threshold: float = 0.5

    def __len__(self) -> int:
        return len(self.id)

    def take(self, which: np.ndarray) -> LabelRows:
        """The rows that an index array or a boolean mask selects."""
        return LabelRows(self.id[which], self.target[which], self.probability[which], self.threshold)

    @classmethod
    def join(cls, parts: list[LabelRows]) -> LabelRows:
        id, target, probability = (
            np.concatenate([getattr(p, name) for p in parts]) for name in ("id", "target", "probability")
        )
        return cls(id, target, probability, parts[0].threshold)


@dataclass(frozen=True)
class NumberRows:
    """`id` (n,) row of the data manifest; `target` (n, t), NaN where unknown; `prediction` (n, t); both in the data's own
    units. `constant` (t,) is the mean of the training images: what predicts without looking; `scale` (t,) their standard
    deviation."""

    id: Int[np.ndarray, "n"]
    target: Float[np.ndarray, "n t"]
    prediction: Float[np.ndarray, "n t"]
    constant: Float[np.ndarray, "t"]
    scale: Float[np.ndarray, "t"]

    def __len__(self) -> int:
        return len(self.id)

    def take(self, which: np.ndarray) -> NumberRows:
        """The rows that an index array or a boolean mask selects."""
        return NumberRows(self.id[which], self.target[which], self.prediction[which], self.constant, self.scale)

    @classmethod
    def join(cls, parts: list[NumberRows]) -> NumberRows:
        id, target, prediction = (
            np.concatenate([getattr(p, name) for p in parts]) for name in ("id", "target", "prediction")
        )
        return cls(id, target, prediction, parts[0].constant, parts[0].scale)


@dataclass(frozen=True)
class AnswerRows:
    """`id` (n,) row of the data manifest; `target` (n, k) the entries of all `heads`: 1 or 0 of a class or a label, or a
    number, NaN where unknown; `answer` (n, k) probabilities and numbers. `constant` (k,) are shares of the training images,
    or means: what answers without looking; `scale` (k,) standard deviations of numbers, else 1; `threshold` (k,) the
    probability from which an image has a label, 0.5 elsewhere."""

    id: Int[np.ndarray, "n"]
    target: Float[np.ndarray, "n k"]
    answer: Float[np.ndarray, "n k"]
    heads: tuple[Head, ...]
    constant: Float[np.ndarray, "k"]
    scale: Float[np.ndarray, "k"]
    threshold: Float[np.ndarray, "k"]

    def __len__(self) -> int:
        return len(self.id)

    def take(self, which: np.ndarray) -> AnswerRows:
        """The rows that an index array or a boolean mask selects."""
        return replace(self, id=self.id[which], target=self.target[which], answer=self.answer[which])

    @classmethod
    def join(cls, parts: list[AnswerRows]) -> AnswerRows:
        id, target, answer = (np.concatenate([getattr(p, name) for p in parts]) for name in ("id", "target", "answer"))
        return replace(parts[0], id=id, target=target, answer=answer)
