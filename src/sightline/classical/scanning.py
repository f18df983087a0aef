"""A cascade on a whole image: windows of all places and sizes, most of them rejected by their first features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sightline.errors import UsageError

from .features.gradients import grey
from .features.haar import FLAT, integral
from .learners.cascade import Cascade
from .pipeline import Pipeline


@dataclass(frozen=True)
class Scan:
    """boxes (n, 4) x1, y1, x2, y2 and scores (n,) of the windows that passed, before suppression; how many windows there were,
    and how many features were computed for them."""

    boxes: Float[np.ndarray, "n 4"]
    scores: Float[np.ndarray, "n"]
    windows: int
    features: int

    @property
    def per_window(self) -> float:
        return self.features / max(self.windows, 1)


def cascade_of(pipeline: Pipeline) -> Cascade:
    if not isinstance(pipeline.learner, Cascade):
        raise UsageError("only a cascade of Haar features scans images", "use a run of viola_jones")
    return pipeline.learner


@torch.no_grad()
def scan(
    pipeline: Pipeline, image: Float[Tensor, "c h w"], *, scale: float = 1.2, step: int = 2, smallest: int | None = None,
    early: bool = True,
) -> Scan:  # fmt: skip
    """Every window of an image with values of 0-1, at `step` pixels and in sizes that grow by `scale` from `smallest` pixels.
    `early=False` computes every feature of every window, as without a cascade; the answers are the same."""
    cascade = cascade_of(pipeline)
    side, grown = cascade.side, (smallest or cascade.side) / cascade.side
    light = grey(image[None])
    boxes, scores, windows, features = [], [], 0, 0
    while min(light.shape[2:]) / grown >= side:
        size = [round(n / grown) for n in light.shape[2:]]
        small = functional.interpolate(light, size=size, mode="bilinear", antialias=True, align_corners=False)[
            0, 0
        ].double()
        places, margin, count = _one_size(cascade, small, step, early)
        factor = [n / m for n, m in zip(light.shape[2:], size, strict=True)]
        top, left = places[:, 0] * factor[0], places[:, 1] * factor[1]
        boxes.append(np.stack([left, top, left + side * factor[1], top + side * factor[0]], 1))
        scores.append(margin)
        windows += ((size[0] - side) // step + 1) * ((size[1] - side) // step + 1)
        features += count
        grown *= scale
    if not boxes:
        return Scan(np.zeros((0, 4)), np.zeros(0), 0, 0)
    return Scan(np.concatenate(boxes), np.concatenate(scores), windows, features)


def _one_size(
    cascade: Cascade, image: Float[Tensor, "h w"], step: int, early: bool
) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"], int]:
    """The places (y, x) of the windows that pass, their smallest margin, and the number of features computed."""
    side = cascade.side
    table, squares = integral(image).numpy(), integral(image.square()).numpy()
    y, x = (axis.ravel() for axis in np.mgrid[: image.shape[0] - side + 1 : step, : image.shape[1] - side + 1 : step])
    area = side * side

    def total(of: np.ndarray) -> np.ndarray:
        return cast(np.ndarray, of[y + side, x + side] - of[y, x + side] - of[y + side, x] + of[y, x])

    mean = total(table) / area
    deviation = np.sqrt(np.maximum(total(squares) / area - mean**2, 0) + FLAT**2)
    alive = np.arange(len(y))
    margin, count = np.full(len(y), 1.0), 0
    stages = {name: getattr(cascade, name).cpu().numpy() for name in ("feature", "threshold", "sign", "vote")}
    for stage, limit in enumerate(cascade.limit.cpu().numpy()):
        used = np.flatnonzero(stages["feature"][stage] >= 0)
        if not len(used):
            continue
        votes = np.zeros(len(alive))
        for number in used:
            haar = cascade.candidates[stages["feature"][stage, number]]
            response = sum(weight * table[y[alive] + dy, x[alive] + dx] for (dy, dx), weight in haar.corners().items())
            gap = stages["sign"][stage, number] * (response / deviation[alive] - stages["threshold"][stage, number])
            votes += stages["vote"][stage, number] * (gap > 0)
            count += len(alive)
        margin[alive] = np.minimum(margin[alive], (votes - limit) / max(float(stages["vote"][stage].sum()), 1e-6))
        if early:
            alive = alive[margin[alive] >= 0]
    passed = np.flatnonzero(margin >= 0)
    return np.stack([y[passed], x[passed]], 1).astype(float), margin[passed], count
