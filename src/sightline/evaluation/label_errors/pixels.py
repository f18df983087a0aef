"""Masks that are probably wrong, from class probabilities of each pixel by networks that were not trained on the image.

The quality of a mask is the softmin of its pixels' self-confidence p, the probability of the label that each pixel has
(Lad & Mueller 2023, "Estimating label quality and errors in semantic segmentation data via any model", arXiv 2307.05080):

    quality = Σ w p / Σ w,   w = exp((1 - p) / 0.1)

so a small region that the network is sure of counts more than many pixels that it is unsure of. Where to look follows from
confident learning (see `classes`), over the pixels of all images: a pixel's label is doubtful if another class is the most
probable and reaches its threshold, the mean probability of the pixels that are labelled with it. Networks and annotators
disagree along every outline, so what an opening by 3 x 3 pixels removes does not count: the region that is reported is the
largest of those left that share their label and their suggested class, and a mask is a candidate where it is large enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.engine.predicting import predictions
from sightline.structures.batch import Batch
from sightline.structures.predictions import Segments
from sightline.structures.targets import IGNORE, Masks
from sightline.tasks.task import Task

from .finding import LabelFindings, Suspicion

TEMPERATURE = 0.1
SMALLEST, LEAST = (
    0.0025,
    16,
)  # share of an image's labelled pixels, and pixels, from which a region makes its mask a candidate
_SLACK = 1e-6  # a probability this far below a threshold still reaches it


@dataclass(frozen=True)
class MaskEvidence:
    """What predictions say of one mask, in the network's frame.

    known, agreeing  pixels with a label, and those of them whose most probable class is their label
    frame            from the original image to the network's
    place            (d,) positions, row by row, of the pixels whose label is not the most probable class; their labels, the
                     most probable classes, and the probabilities of both
    """

    id: int
    quality: float
    known: int
    agreeing: int
    size: tuple[int, int]
    frame: Float[np.ndarray, "3 3"]
    place: Int[np.ndarray, "d"]
    given: Int[np.ndarray, "d"]
    suggested: Int[np.ndarray, "d"]
    confidence: Float[np.ndarray, "d"]
    other: Float[np.ndarray, "d"]


@dataclass(frozen=True)
class PixelEvidence:
    """The masks, and of each class the number of its labelled pixels and the sum of their probabilities of it, (k,) each."""

    masks: tuple[MaskEvidence, ...]
    count: Int[np.ndarray, "k"]
    total: Float[np.ndarray, "k"]

    @classmethod
    def join(cls, parts: Sequence[PixelEvidence]) -> PixelEvidence:
        masks = tuple(mask for part in parts for mask in part.masks)
        return cls(masks, sum(part.count for part in parts), sum(part.total for part in parts))  # type: ignore[arg-type]

    @property
    def thresholds(self) -> Float[np.ndarray, "k"]:
        """The mean probability that the pixels of each class get for it; out of reach for classes without pixels."""
        return np.where(self.count > 0, self.total / np.maximum(self.count, 1), 2.0)


def pixel_evidence(task: Task, batches: Iterable[Batch], device: str) -> PixelEvidence:
    """Predict masks that the networks of the task were not trained on."""
    parts = []
    for batch, prediction in predictions(task, batches, device):
        assert isinstance(prediction, Segments) and isinstance(batch.target, Masks)
        for row in range(len(batch)):
            height, width = batch.size[row].tolist()
            probability = prediction.score[row, :, :height, :width].double().softmax(0).cpu().numpy()
            index = batch.target.index[row, :height, :width].cpu().numpy()
            parts.append(evidence_of(int(batch.id[row]), index, probability, _numpy(batch.frame[row])))
    return PixelEvidence.join(parts) if parts else PixelEvidence((), np.zeros(0, int), np.zeros(0))


def _numpy(frame: Tensor) -> np.ndarray:
    return frame.detach().to("cpu", torch.float64).numpy()


def evidence_of(
    id: int, index: Int[np.ndarray, "h w"], probability: Float[np.ndarray, "k h w"], frame: Float[np.ndarray, "3 3"]
) -> PixelEvidence:
    """The evidence of one mask; pixels to ignore are left out."""
    known = np.flatnonzero(index.reshape(-1) != IGNORE)
    k = len(probability)
    given = index.reshape(-1)[known].astype(np.int64)
    flat = probability.reshape(k, -1)[:, known]  # (k, h, w) → (k, known)
    rows = np.arange(len(known))
    confidence, suggested = flat[given, rows], flat.argmax(0)
    apart = np.flatnonzero(suggested != given)
    mask = MaskEvidence(
        id=id,
        quality=softmin(confidence),
        known=len(known),
        agreeing=len(known) - len(apart),
        size=(index.shape[0], index.shape[1]),
        frame=frame,
        place=known[apart].astype(np.int32),
        given=given[apart].astype(np.int16),
        suggested=suggested[apart].astype(np.int16),
        confidence=confidence[apart].astype(np.float32),
        other=flat[suggested[apart], apart].astype(np.float32),
    )
    total = np.bincount(given, weights=confidence, minlength=k).astype(np.float64)  # integers of an empty mask
    return PixelEvidence((mask,), np.bincount(given, minlength=k), total)


def softmin(confidence: Float[np.ndarray, "n"]) -> float:
    """The quality of a mask by the self-confidence of its pixels; 1 without any."""
    if not len(confidence):
        return 1.0
    doubt = (1 - confidence.astype(np.float64)) / TEMPERATURE
    weight = np.exp(doubt - doubt.max())
    return float((confidence * weight).sum() / weight.sum())


def find_in_pixels(evidence: PixelEvidence, classes: Sequence[str]) -> LabelFindings:
    """One suspicion for each mask, candidates first, those of the lowest quality first."""
    thresholds = evidence.thresholds
    ranked = [_suspicion(mask, thresholds, classes) for mask in evidence.masks if mask.known]
    ranked.sort(key=lambda s: (not s.candidate, s.quality, s.id))
    known = sum(mask.known for mask in evidence.masks)
    agreement = sum(mask.agreeing for mask in evidence.masks) / known if known else None
    return LabelFindings(tuple(ranked), len(evidence.masks), len(ranked), "mask", agreement=agreement)


def doubtful(mask: MaskEvidence, thresholds: Float[np.ndarray, "k"]) -> Bool[np.ndarray, "d"]:
    """Which of the pixels with another most probable class are confidently of that class."""
    return np.asarray(mask.other >= thresholds[mask.suggested] - _SLACK)


def _suspicion(mask: MaskEvidence, thresholds: Float[np.ndarray, "k"], classes: Sequence[str]) -> Suspicion:
    region = _largest_region(mask, doubtful(mask, thresholds), len(classes))
    if region is None:
        return Suspicion(mask.id, "pixels", "", "", mask.quality, np.nan, np.nan, False, "no region of another class")
    given, suggested = classes[int(mask.given[region[0]])], classes[int(mask.suggested[region[0]])]
    probability, other = float(mask.confidence[region].mean()), float(mask.other[region].mean())
    drawn = np.zeros(mask.size[0] * mask.size[1], bool)
    drawn[mask.place[region]] = True
    drawn = drawn.reshape(mask.size)  # (h · w) → (h, w)
    share = len(region) / mask.known
    return Suspicion(
        id=mask.id,
        fault="pixels",
        given=given,
        suggested=suggested,
        quality=mask.quality,
        probability=probability,
        other=other,
        candidate=len(region) >= max(LEAST, SMALLEST * mask.known),
        words=f"{share:.1%} of the mask labelled {given} ({probability:.1%}), looks like {suggested} ({other:.1%})",
        boxes=(_box(drawn, mask.frame),),
        mask=drawn,
        frame=mask.frame,
    )


def _largest_region(mask: MaskEvidence, which: Bool[np.ndarray, "d"], k: int) -> Int[np.ndarray, "r"] | None:
    """The rows of the largest connected region of doubtful pixels with one label and one suggested class that an opening by
    3 x 3 leaves, None if it leaves nothing."""
    from scipy import ndimage  # imported here: the package must load without scipy

    pair = mask.given.astype(np.int64) * k + mask.suggested
    best: Int[np.ndarray, "r"] | None = None
    for one in np.unique(pair[which]).tolist():
        rows = np.flatnonzero(which & (pair == one))
        if len(rows) < 9 or (best is not None and len(rows) <= len(best)):
            continue
        plane = np.zeros(mask.size[0] * mask.size[1], bool)
        plane[mask.place[rows]] = True
        opened = ndimage.binary_opening(plane.reshape(mask.size), np.ones((3, 3), bool))  # (h · w) → (h, w)
        parts, n = ndimage.label(opened)
        if not n:
            continue
        sizes = np.bincount(parts.reshape(-1))[1:]
        if best is None or sizes.max() > len(best):
            best = rows[parts.reshape(-1)[mask.place[rows]] == sizes.argmax() + 1]
    return best


def _box(region: Bool[np.ndarray, "h w"], frame: Float[np.ndarray, "3 3"]) -> tuple[float, float, float, float]:
    """xyxy of a region of the network's frame in the original image."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    corners = np.array([[columns[0], rows[0], 1.0], [columns[-1] + 1, rows[-1] + 1, 1.0]])
    first, last = (corners @ np.linalg.inv(frame).T)[:, :2]
    low, high = np.minimum(first, last), np.maximum(first, last)
    return float(low[0]), float(low[1]), float(high[0]), float(high[1])
