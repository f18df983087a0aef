"""Fooling noise: pictures without content that a network is sure of. After Nguyen, Yosinski & Clune 2015, "Deep neural
networks are easily fooled" (arXiv:1412.1897), section 3.4: gradient ascent on the score of a class, from noise.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from sightline.attacks.draws import flat
from sightline.attacks.scores import Labels, Pixels, Scores, ascent
from sightline.losses.adversarial import LEVELS


def noise(shape: tuple[int, ...], classes: Labels, seed: int) -> Pixels:
    """Uniform noise of whole levels, one picture a class (b, c, h, w)."""
    return (flat(shape, seed, "fooling noise", classes) * (LEVELS + 1)).floor()


def fool(
    scores: Scores, start: Pixels, classes: Labels, *, steps: int = 200, rate: float = 2.0, until: float = 0.995
) -> Pixels:
    """Ascend the log-probability of each picture's class until that exceeds `until`.

    rate    levels of the largest change of a pixel in a step: the gradient is divided by its largest entry
    """
    here = start
    for _ in range(steps):
        values, gradient = ascent(scores, here, lambda s: -F.cross_entropy(s.float(), classes, reduction="none"))
        open_ = (values.exp() < until).view(-1, 1, 1, 1)
        if not open_.any():
            break
        largest = gradient.abs().flatten(1).amax(1).clamp(min=1e-12).view(-1, 1, 1, 1)
        here = torch.where(open_, (here + rate * gradient / largest).clamp(0.0, LEVELS), here)
    return here
