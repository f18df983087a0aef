"""Drawn detection rows for tests: boxes near true ones and elsewhere, crowds, ties, absent classes, empty images, masks."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as coco_mask

from sightline.structures.detection_rows import DetectionRows

SIDE = 160


def drawn(seed: int, *, masks: bool = False, ties: bool | None = None) -> tuple[DetectionRows, int]:
    """Rows and a number of classes. Integer edges, so that overlaps meet thresholds exactly; every other seed has scores
    of one decimal. Images, classes, truths or detections may be none at all."""
    rng = np.random.default_rng(seed)
    n, k, t, p = (int(rng.integers(low, high)) for low, high in ((1, 8), (1, 6), (0, 30), (0, 70)))
    ties = seed % 2 == 1 if ties is None else ties
    true_boxes, true_label, true_image = _boxes(rng, t), rng.integers(0, k, t), rng.integers(0, n, t)
    boxes, label, image = _boxes(rng, p), rng.integers(0, k, p), rng.integers(0, n, p)
    if t:
        near, of = rng.random(p) < 0.75, rng.integers(0, t, p)
        moved = true_boxes[of] + rng.integers(-9, 10, (p, 4)) * (rng.random((p, 1)) < 0.8)
        moved = np.clip(moved, 0, SIDE - 1)
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        half = rng.random(p) < 0.2  # an IoU of 0.5 to the bit, where the width is even
        moved[half] = true_boxes[of][half]
        moved[half, 2] -= (moved[half, 2] - moved[half, 0]) // 2
        boxes[near], image[near] = moved[near], true_image[of][near]
        same = near & (rng.random(p) < 0.85)
        label[same] = true_label[of][same]
    score = rng.integers(0, 10, p) / 10 if ties else rng.permutation(p) / max(p, 1)
    return DetectionRows(
        id=np.arange(n) + 100,
        size=np.full((n, 2), SIDE),
        boxes=boxes,
        label=label,
        score=score,
        image=image,
        true_boxes=true_boxes,
        true_label=true_label,
        true_image=true_image,
        true_ignore=rng.random(t) < 0.2,
        found_rle=_rles(boxes, rng) if masks else (),
        true_rle=_rles(true_boxes, rng) if masks else (),
    ), k


def rows_of(
    found: list[tuple[int, int, float, list[float]]],
    true: list[tuple[int, int, list[float]]],
    *,
    n: int,
    ignore: tuple[int, ...] = (),
) -> DetectionRows:
    """By hand: found (image, label, score, box), true (image, label, box), which of the true are ignored."""
    return DetectionRows(
        id=np.arange(n) + 100,
        size=np.full((n, 2), SIDE),
        boxes=np.array([f[3] for f in found], dtype=float).reshape(-1, 4),
        label=np.array([f[1] for f in found], dtype=int),
        score=np.array([f[2] for f in found], dtype=float),
        image=np.array([f[0] for f in found], dtype=int),
        true_boxes=np.array([t[2] for t in true], dtype=float).reshape(-1, 4),
        true_label=np.array([t[1] for t in true], dtype=int),
        true_image=np.array([t[0] for t in true], dtype=int),
        true_ignore=np.isin(np.arange(len(true)), ignore),
    )


def _boxes(rng: np.random.Generator, m: int) -> np.ndarray:
    corner = rng.integers(0, 100, (m, 2))
    return np.concatenate([corner, np.minimum(corner + rng.integers(2, 130, (m, 2)), SIDE)], axis=1).astype(float)


def _rles(boxes: np.ndarray, rng: np.random.Generator) -> tuple[bytes, ...]:
    """The boxes with a corner missing."""
    rles = []
    for x1, y1, x2, y2 in boxes.astype(int):
        mask = np.zeros((SIDE, SIDE), dtype=np.uint8, order="F")
        mask[y1:y2, x1:x2] = 1
        mask[y1 : y1 + int(rng.integers(0, max(1, (y2 - y1) // 2))), x1 : (x1 + x2) // 2] = 0
        rles.append(coco_mask.encode(mask)["counts"])
    return tuple(rles)
