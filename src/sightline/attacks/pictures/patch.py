"""Adversarial patches: Brown, Mané, Roy, Abadi & Gilmer 2017, "Adversarial patch" (arXiv:1712.09665).

One square picture that makes a network answer a chosen class wherever it lies: it ascends the mean log-probability of the
target over training images and over keyed places, scales and rotations. There is no budget but its size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.attacks.draws import Ids, flat
from sightline.attacks.scores import Labels, Pixels, Scores, ascent
from sightline.losses.adversarial import LEVELS

Patch = Float[Tensor, "c s s"]


@dataclass(frozen=True)
class Spread:
    """How much the transformations vary: `scale` around 1, `rotation` in degrees to both sides."""

    scale: float = 0.1
    rotation: float = 20.0


EXACT = Spread(0.0, 20.0)  # for judging: the size that is spoken of


def placements(
    share: float, spread: Spread, shape: tuple[int, ...], seed: int, purpose: str, ids: Ids, turn: int = 0
) -> Float[Tensor, "b 2 3"]:
    """For each image the affine map from its pixels to those of the patch, both in -1 to 1 as `affine_grid` has them.

    share   side of the patch over the image's shorter side
    The whole patch stays inside: a centre is drawn where its rotated square fits.
    """
    draw = flat((4,), seed, purpose, ids, turn)
    side = share * (1 + spread.scale * (2 * draw[:, 0] - 1))
    angle = math.radians(spread.rotation) * (2 * draw[:, 1] - 1)
    cosine, sine = angle.cos(), angle.sin()
    height, width = shape[-2:]
    shorter = min(height, width)
    # half the side of the patch and of its bounding box in pixels
    half = side * shorter / 2
    reach = half * (cosine.abs() + sine.abs())
    x, y = (((2 * draw[:, i] - 1) * (n / 2 - reach).clamp(min=0)) for i, n in ((2, width), (3, height)))
    # (u, v) in -1..1 of the image → pixels from the centre → minus the patch's centre → rotated → over half its side
    rows = [
        torch.stack([cosine * width / 2, sine * height / 2, -(cosine * x + sine * y)], 1),
        torch.stack([-sine * width / 2, cosine * height / 2, -(-sine * x + cosine * y)], 1),
    ]
    return torch.stack(rows, 1) / half[:, None, None]


def pasted(x: Pixels, patch: Patch, place: Float[Tensor, "b 2 3"]) -> Pixels:
    """The images with the patch on them. Differentiable in the patch."""
    grid = F.affine_grid(place, [len(x), len(patch), *x.shape[2:]], align_corners=False)  # (b, h, w, 2)
    inside = (grid.abs() <= 1).all(-1)[:, None]  # (b, 1, h, w)
    drawn = F.grid_sample(
        patch.expand(len(x), *patch.shape), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return torch.where(inside, drawn, x)


def train_patch(
    scores: Scores,
    x: Pixels,
    *,
    target: int,
    share: float = 0.25,
    steps: int = 300,
    batch: int = 64,
    rate: float = 8.0,
    seed: int = 0,
    spread: Spread = Spread(),
) -> Patch:
    """The patch after `steps` steps of Adam on minus the log-probability of the target, `batch` keyed images each.

    rate    of Adam, in levels. Pixels of the patch stay between 0 and 255
    """
    side = max(2, round(share * min(x.shape[2:])))
    patch = noise_patch(x.shape[1], side, seed)
    first, second = torch.zeros_like(patch), torch.zeros_like(patch)
    for turn in range(steps):
        chosen = (flat((batch,), seed, "patch images", torch.tensor([turn]))[0] * len(x)).long()
        place = placements(share, spread, tuple(x.shape[2:]), seed, "patch places", torch.arange(batch), turn).to(x)
        wanted = torch.full((batch,), target, device=x.device)
        gradient = _ascent_of_patch(scores, x[chosen], patch, place, wanted)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        size = rate * (1 - turn / steps)
        move = (first / (1 - 0.9 ** (turn + 1))) / ((second / (1 - 0.999 ** (turn + 1))).sqrt() + 1e-8)
        patch = (patch + size * move).clamp(0.0, LEVELS)
    return patch.round()


def _ascent_of_patch(scores: Scores, x: Pixels, patch: Patch, place: Tensor, target: Labels) -> Patch:
    """The gradient of the mean log-probability with respect to the patch: through the images, then through the pasting."""
    leaf = patch.detach().requires_grad_()
    with torch.enable_grad():
        images = pasted(x, leaf, place)
    _, gradient = ascent(scores, images, lambda s: -F.cross_entropy(s.float(), target, reduction="none"))
    (found,) = torch.autograd.grad(images, leaf, gradient / len(x))
    return found


def noise_patch(channels: int, side: int, seed: int) -> Patch:
    """A patch of uniform noise: where training starts, and what its result is compared with."""
    return (flat((channels, side, side), seed, "patch noise", torch.tensor([0]))[0] * (LEVELS + 1)).floor()
