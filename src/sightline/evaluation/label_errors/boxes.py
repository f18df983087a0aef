"""ObjectLab (Tkachenko, Thyagarajan & Mueller 2023, "ObjectLab: automated diagnosis of mislabeled images in object detection
data", arXiv 2309.00832): boxes that are missing, of the wrong class, or badly placed, from detections outside of training.

How alike two boxes are is 0.9 · IoU + 0.1 · exp(-0.1 · distance of their centres in pixels). Each box gets a quality of 0 to 1:

* **missing** (of a detection): a detection with a score of at least 0.95 that touches no given box. Its quality is its likeness
  to the nearest given box of its class; without one, the least likeness anywhere times (1 - score).
* **wrong class** (of a given box): 1 minus its likeness to the nearest detection of another class with a score above 0.95; 1 if
  there is none. Two given boxes of different classes on one place (IoU of at least 0.95) get the lowest quality.
* **bad location** (of a given box): its likeness to the nearest detection of its own class that touches it, with a score above
  0.5; 1 if there is none.

The quality of an image is the geometric mean of the three kinds, each pooled over its boxes by a softmin at temperature 0.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from sightline.structures.detection_rows import DetectionRows

from .finding import LabelFindings, Suspicion

WEIGHT, NEAR = 0.9, 0.1  # of the IoU; per pixel of distance
LOW, HIGH, SAME_PLACE, TEMPERATURE = 0.5, 0.95, 0.95, 0.1
DOUBTFUL = 0.5  # quality below which a given box is a candidate
_TINY = 1e-100


@dataclass(frozen=True)
class BoxQuality:
    """`image` (n,) the lower the more suspicious; `missing` (p,) of the detections, NaN for those that miss nothing;
    `swapped` and `misplaced` (t,) of the given boxes, NaN for those that are ignored; `rival` (t,) the detection of another
    class that speaks against a box, -1 if there is none, and `match` (t,) the one of its own class."""

    image: Float[np.ndarray, "n"]
    missing: Float[np.ndarray, "p"]
    swapped: Float[np.ndarray, "t"]
    misplaced: Float[np.ndarray, "t"]
    rival: np.ndarray
    match: np.ndarray


def box_quality(rows: DetectionRows) -> BoxQuality:
    """The quality of every image and box of a detector's rows, which must be out of sample."""
    true = ~rows.true_ignore
    pairs = []
    for i in range(len(rows)):
        given = np.flatnonzero((rows.true_image == i) & true)
        found = np.flatnonzero(rows.image == i)
        pairs.append((given, found, *_likeness(rows.true_boxes[given], rows.boxes[found])))
    positive = [likeness[likeness != 0].min() for *_, likeness in pairs if (likeness != 0).any()]
    least = float(min([1.0, *positive]))
    missing = np.full(len(rows.boxes), np.nan)
    swapped, misplaced = np.full(len(rows.true_boxes), np.nan), np.full(len(rows.true_boxes), np.nan)
    rival, match = np.full(len(rows.true_boxes), -1), np.full(len(rows.true_boxes), -1)
    image = np.ones(len(rows))
    for i, (given, found, iou, likeness) in enumerate(pairs):
        missing[found] = _missing(rows, given, found, iou, likeness, least)
        swapped[given], rival[given] = _swapped(rows, given, found, likeness, least)
        misplaced[given], match[given] = _misplaced(rows, given, found, iou, likeness)
        kinds = (missing[found], misplaced[given], swapped[given])
        image[i] = np.exp(np.mean([np.log(_TINY + _softmin(one)) for one in kinds]))
    return BoxQuality(image, missing, swapped, misplaced, rival, match)


def _likeness(
    given: Float[np.ndarray, "t 4"], found: Float[np.ndarray, "p 4"]
) -> tuple[Float[np.ndarray, "t p"], Float[np.ndarray, "t p"]]:
    """IoU and likeness of every given box to every detection."""
    low = np.maximum(given[:, None, :2], found[None, :, :2])
    high = np.minimum(given[:, None, 2:], found[None, :, 2:])
    inside = np.prod(np.clip(high - low, 0, None), axis=2)
    area = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (given, found)]
    iou = inside / np.clip(area[0][:, None] + area[1][None] - inside, 1e-6, None)
    centre = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (given, found)]
    distance = np.linalg.norm(centre[0][:, None] - centre[1][None], axis=2)
    return iou, WEIGHT * iou + (1 - WEIGHT) * np.exp(-NEAR * distance)


def _missing(
    rows: DetectionRows, given: np.ndarray, found: np.ndarray, iou: np.ndarray, likeness: np.ndarray, least: float
) -> np.ndarray:
    quality = np.full(len(found), np.nan)
    for j, box in enumerate(found):
        if rows.score[box] < HIGH or (iou[:, j] > 0).any():
            continue
        own = likeness[rows.true_label[given] == rows.label[box], j]
        quality[j] = own.max() if len(own) else least * (1 - rows.score[box])
    return quality


def _swapped(
    rows: DetectionRows, given: np.ndarray, found: np.ndarray, likeness: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray]:
    quality, rival = np.ones(len(given)), np.full(len(given), -1)
    doubled = _doubled(rows, given)
    for i, box in enumerate(given):
        others = (rows.label[found] != rows.true_label[box]) & (rows.score[found] > HIGH)
        if others.any():
            nearest = int(np.where(others, likeness[i], -1).argmax())
            quality[i], rival[i] = max(least, 1 - likeness[i, nearest]), found[nearest]
        if doubled[i]:
            quality[i] = least
    return quality, rival


def _doubled(rows: DetectionRows, given: np.ndarray) -> Bool[np.ndarray, "t"]:
    """Whether another given box of another class lies on the same place."""
    iou, _ = _likeness(rows.true_boxes[given], rows.true_boxes[given])
    label = rows.true_label[given]
    return ((iou >= SAME_PLACE) & (label[:, None] != label[None])).any(axis=1)


def _misplaced(
    rows: DetectionRows, given: np.ndarray, found: np.ndarray, iou: np.ndarray, likeness: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    quality, match = np.ones(len(given)), np.full(len(given), -1)
    for i, box in enumerate(given):
        own = (rows.label[found] == rows.true_label[box]) & (rows.score[found] > LOW) & (iou[i] > 0)
        if own.any():
            nearest = int(np.where(own, likeness[i], -1).argmax())
            quality[i], match[i] = likeness[i, nearest], found[nearest]
    return quality, match


def _softmin(quality: np.ndarray) -> float:
    """The pooled quality of an image's boxes of one kind; 1 without any."""
    known = quality[~np.isnan(quality)]
    if not len(known):
        return 1.0
    weight = np.exp((1 - known) / TEMPERATURE - ((1 - known) / TEMPERATURE).max())
    return float((known * weight).sum() / weight.sum())


def find_in_boxes(rows: DetectionRows, classes: Sequence[str]) -> LabelFindings:
    """The suspicions of all images, those of the lowest quality first. Given boxes are candidates below a quality of 0.5, and
    every missing one is."""
    quality = box_quality(rows)
    found = [*_missing_boxes(rows, quality, classes), *_given_boxes(rows, quality, classes)]
    place = {int(id): i for i, id in enumerate(rows.id)}
    found.sort(key=lambda s: (not s.candidate, quality.image[place[s.id]], s.id, s.quality))
    return LabelFindings(tuple(found), len(rows), int((~rows.true_ignore).sum()), "object")


def _missing_boxes(rows: DetectionRows, quality: BoxQuality, classes: Sequence[str]) -> list[Suspicion]:
    found = []
    for j in np.flatnonzero(~np.isnan(quality.missing)).tolist():
        name, score = classes[int(rows.label[j])], float(rows.score[j])
        words = f"no box here, looks like {name} ({score:.1%})"
        box = tuple(rows.boxes[j].tolist())
        id, value = int(rows.id[rows.image[j]]), float(quality.missing[j])
        found.append(Suspicion(id, "missing box", "", name, value, np.nan, score, True, words, ((), box)))
    return found


def _given_boxes(rows: DetectionRows, quality: BoxQuality, classes: Sequence[str]) -> list[Suspicion]:
    """One suspicion a given box: of the graver of its two faults."""
    found = []
    for t in np.flatnonzero(~rows.true_ignore).tolist():
        name, box = classes[int(rows.true_label[t])], tuple(rows.true_boxes[t].tolist())
        swapped = quality.swapped[t] <= quality.misplaced[t] and (quality.rival[t] >= 0 or quality.swapped[t] < 1)
        value = float(quality.swapped[t] if swapped else quality.misplaced[t])
        witness = int((quality.rival if swapped else quality.match)[t])
        score = float(rows.score[witness]) if witness >= 0 else np.nan
        suggested = classes[int(rows.label[witness])] if witness >= 0 else ""
        if swapped:
            words = (
                f"labelled {name}, looks like {suggested} ({score:.1%})"
                if witness >= 0
                else f"two classes on one {name}"
            )
        else:
            words = f"the box of {name} lies elsewhere" if value < DOUBTFUL else f"{name}"
        boxes = (box, tuple(rows.boxes[witness].tolist())) if witness >= 0 else (box,)
        fault = "wrong class" if swapped else "bad location"
        id = int(rows.id[rows.true_image[t]])
        found.append(Suspicion(id, fault, name, suggested, value, np.nan, score, value < DOUBTFUL, words, boxes))  # type: ignore[arg-type]
    return found
