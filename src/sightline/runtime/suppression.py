"""Non-maximum suppression without torch: the strict rule of `decoding.suppression`, with the same indices.

A box is dropped if its IoU with a better, kept one is above the threshold; of equal scores the lower index is the
better. IoU is computed in float32 in the same order of operations, so both agree to the last bit.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Int

_HEAD = 512  # boxes compared with each other at a time: a matrix of a megabyte


def suppress(
    boxes: Float[np.ndarray, "n 4"], scores: Float[np.ndarray, "n"], label: Int[np.ndarray, "n"], threshold: float
) -> Int[np.ndarray, "k"]:
    """Indices of the kept boxes, best first; boxes only compete with those of the same label."""
    order = np.argsort(-scores, kind="stable")
    boxes, label = boxes[order].astype(np.float32, copy=False), label[order]
    stays = np.zeros(len(order), dtype=bool)
    for one in np.unique(label):
        here = np.flatnonzero(label == one)
        stays[here] = _survivors(boxes[here], threshold)
    return order[stays]


def _survivors(boxes: Float[np.ndarray, "n 4"], threshold: float) -> Bool[np.ndarray, "n"]:
    """Which boxes, best first, are kept."""
    alive = np.ones(len(boxes), dtype=bool)
    for start in range(0, len(boxes), _HEAD):
        head = np.arange(start, min(start + _HEAD, len(boxes)))
        head = head[alive[head]]
        over = _overlap(boxes[head], boxes[head]) > threshold
        for i in range(len(head)):
            if alive[head[i]]:
                alive[head[i + 1 :]] &= ~over[i, i + 1 :]
        head, rest = head[alive[head]], np.arange(start + _HEAD, len(boxes))
        rest = rest[alive[rest]]
        if len(rest) and len(head):
            alive[rest] = ~(_overlap(boxes[head], boxes[rest]) > threshold).any(0)
    return alive


def _overlap(a: Float[np.ndarray, "n 4"], b: Float[np.ndarray, "m 4"]) -> Float[np.ndarray, "n m"]:
    """The IoU of each pair, computed in float32 and returned as float64: a threshold such as 0.7 has no float32, and must
    not be rounded to one."""
    areas = [(x[:, 2] - x[:, 0]) * (x[:, 3] - x[:, 1]) for x in (a, b)]
    wide, tall = (
        (np.minimum(a[:, None, high], b[None, :, high]) - np.maximum(a[:, None, low], b[None, :, low])).clip(min=0)
        for low, high in ((0, 2), (1, 3))
    )
    shared = wide * tall
    with np.errstate(divide="ignore", invalid="ignore"):  # two boxes without area: NaN, which is above no threshold
        return (shared / (areas[0][:, None] + areas[1][None] - shared)).astype(np.float64)
