"""Predictions for a batch, one frozen dataclass for each kind; and the rows of a classifier.

Every metric, slice, interval and comparison is computed from rows: one per sample, on the host. Each is therefore a
pure function that needs neither network nor images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Classes:
    """`probability` (b, k), rows summing to one."""

    probability: Float[Tensor, "b k"]


@dataclass(frozen=True)
class LabelScores:
    """`probability` (b, k) of each label, independent of each other."""

    probability: Float[Tensor, "b k"]


@dataclass(frozen=True)
class Numbers:
    """`value` (b, t) in the data's own units."""

    value: Float[Tensor, "b t"]


@dataclass(frozen=True)
class Answers:
    """`value` (b, k) of all answers to several questions (`Head`): probabilities of classes and of labels, and numbers in the
    data's own units."""

    value: Float[Tensor, "b k"]


@dataclass(frozen=True)
class Detections:
    """Boxes of all images, packed: `boxes` (n, 4) xyxy in the batch's frame, `label` (n,), `score` (n,), and the image of
    each, `sample` (n,)."""

    boxes: Float[Tensor, "n 4"]
    label: Int[Tensor, "n"]
    score: Float[Tensor, "n"]
    sample: Int[Tensor, "n"]


@dataclass(frozen=True)
class Instances:
    """Detections with a mask each: `mask` (n, m, m) probabilities on a grid spread over the box."""

    detections: Detections
    mask: Float[Tensor, "n m m"]


@dataclass(frozen=True)
class Segments:
    """`score` (b, k, h, w) of each class at each pixel of the batch's frame, on any scale; the largest wins."""

    score: Float[Tensor, "b k h w"]


@dataclass(frozen=True)
class Images:
    """Generated or transformed images (b, c, h, w) in 0-255 units."""

    image: Float[Tensor, "b c h w"]


@dataclass(frozen=True)
class Embeddings:
    """A vector (b, d) for each image."""

    vector: Float[Tensor, "b d"]


@dataclass(frozen=True)
class Rivals:
    """What a critic and a generator say of images: `score` (b,) of each image, of its own class or, where that is unknown, of
    the class `label` (b,) in which it looks most real; features `real` (b, d) of it and `made` (b, d) of an image that was
    made beside it, with its `score_made` (b,)."""

    score: Float[Tensor, "b"]
    label: Int[Tensor, "b"]
    real: Float[Tensor, "b d"]
    made: Float[Tensor, "b d"]
    score_made: Float[Tensor, "b"]


@dataclass(frozen=True)
class Written:
    """A text for each sample. `loss` (b,) is the sum of the losses of the `terms` (b,) tokens of the true text, 0 and 0 where
    that is unknown; `confidence` (b,) the probability that the network gives its own text."""

    text: tuple[str, ...]
    loss: Float[Tensor, "b"]
    terms: Float[Tensor, "b"]
    confidence: Float[Tensor, "b"]


Prediction = (
    Classes
    | LabelScores
    | Numbers
    | Answers
    | Segments
    | Detections
    | Instances
    | Images
    | Embeddings
    | Rivals
    | Written
)


@dataclass(frozen=True)
class ClassRows:
    """One row per sample: `id` (n,) row of the data manifest, `target` (n,) true class or -1 if unknown,
    `probability` (n, k) float64."""

    id: Int[np.ndarray, "n"]
    target: Int[np.ndarray, "n"]
    probability: Float[np.ndarray, "n k"]

    def __len__(self) -> int:
        return len(self.id)

    def take(self, which: np.ndarray) -> ClassRows:
        """The rows that an index array or a boolean mask selects."""
        return ClassRows(self.id[which], self.target[which], self.probability[which])

    @classmethod
    def join(cls, parts: list[ClassRows]) -> ClassRows:
        return cls(*(np.concatenate([getattr(p, name) for p in parts]) for name in ("id", "target", "probability")))
