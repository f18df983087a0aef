"""Adversarial patches: Brown, Mané, Roy, Abadi & Gilmer 2017, "Adversarial patch" (arXiv:1712.09665).

One square picture that makes a network answer a chosen class wherever it lies: it ascends the mean log-probability of the
target over training images and over keyed places, scales and rotations. There is no budget but its size.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.attacks.draws import Ids, flat
from sightline.attacks.scores import Counted, Pixels, Scores
from sightline.losses.adversarial import LEVELS

Patch = Float[Tensor, "c s s"]
RATE = 8.0  # levels
PIXELS = 1 << 19  # of the images of one step


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
    height, width = shape[-2:]
    # half the side of the patch and of its bounding box in pixels
    half = side * min(height, width) / 2
    reach = half * (angle.cos().abs() + angle.sin().abs())
    x, y = (((2 * draw[:, i] - 1) * (n / 2 - reach).clamp(min=0)) for i, n in ((2, width), (3, height)))
    return _maps(x, y, half, angle, (height, width))


def on_objects(
    boxes: Float[Tensor, "t 4"],
    share: float,
    spread: Spread,
    shape: tuple[int, ...],
    seed: int,
    keys: Ids,
    turn: int = 0,
) -> Float[Tensor, "t 2 3"]:
    """For each object (xyxy) the affine map of a patch on its centre, as `placements` gives those of images.

    share   side of the patch over that of a square as large as the box
    """
    draw = flat((2,), seed, "patch on objects", keys, turn)
    low, high = boxes[:, :2], boxes[:, 2:]
    height, width = shape[-2:]
    half = share * (1 + spread.scale * (2 * draw[:, 0] - 1)) * (high - low).clamp(min=1).prod(1).sqrt() / 2
    centre = (low + high) / 2 - torch.tensor([width / 2, height / 2]).to(boxes)
    return _maps(
        centre[:, 0], centre[:, 1], half, math.radians(spread.rotation) * (2 * draw[:, 1] - 1), (height, width)
    )


def _maps(
    x: Float[Tensor, "b"],
    y: Float[Tensor, "b"],
    half: Float[Tensor, "b"],
    angle: Float[Tensor, "b"],
    shape: tuple[int, int],
) -> Float[Tensor, "b 2 3"]:
    """Maps of patches with the centre (x, y) from that of the image and half the side, all in pixels."""
    height, width = shape
    cosine, sine = angle.cos(), angle.sin()
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


def pasted_on_objects(x: Pixels, patch: Patch, place: Float[Tensor, "t 2 3"], sample: Int[Tensor, "t"]) -> Pixels:
    """The images with the patch on each object; `sample` is the image of each. Differentiable in the patch."""
    images = list(x.split(1))
    for image, one in zip(sample.tolist(), place.split(1), strict=True):
        images[image] = pasted(images[image], patch, one)
    return torch.cat(images)


def climbed(value: Callable[[Patch, int], Float[Tensor, ""]], patch: Patch, *, steps: int, rate: float = RATE) -> Patch:
    """The patch after `steps` steps of Adam up the value of (patch, step); its pixels stay between 0 and 255.

    rate    of the first steps, in levels; it falls to 0 in a straight line
    """
    first, second = torch.zeros_like(patch), torch.zeros_like(patch)
    for turn in range(steps):
        leaf = patch.detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(value(leaf, turn), leaf)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        size = rate * (1 - turn / steps)
        move = (first / (1 - 0.9 ** (turn + 1))) / ((second / (1 - 0.999 ** (turn + 1))).sqrt() + 1e-8)
        patch = (patch + size * move).clamp(0.0, LEVELS)
    return patch.round()


def train_patch(
    scores: Scores,
    x: Pixels,
    *,
    target: int,
    share: float = 0.25,
    steps: int = 300,
    batch: int | None = None,
    rate: float = RATE,
    seed: int = 0,
    spread: Spread = Spread(),
) -> Patch:
    """The patch that makes images the target: up the mean log-probability of it.

    batch   keyed images of each step; None: 64, fewer where they are large
    """
    batch = min(64, max(8, PIXELS // (x.shape[2] * x.shape[3]))) if batch is None else batch
    side = max(2, round(share * min(x.shape[2:])))
    wanted = torch.full((batch,), target, device=x.device)

    def value(patch: Patch, turn: int) -> Float[Tensor, ""]:
        chosen = (flat((batch,), seed, "patch images", torch.tensor([turn]))[0] * len(x)).long()
        place = placements(share, spread, tuple(x.shape[2:]), seed, "patch places", torch.arange(batch), turn).to(x)
        if isinstance(scores, Counted):
            scores.backwards += batch
        return -F.cross_entropy(scores(pasted(x[chosen], patch, place)).float(), wanted)

    return climbed(value, noise_patch(x.shape[1], side, seed).to(x), steps=steps, rate=rate)


def noise_patch(channels: int, side: int, seed: int) -> Patch:
    """A patch of uniform noise: where training starts, and what its result is compared with."""
    return (flat((channels, side, side), seed, "patch noise", torch.tensor([0]))[0] * (LEVELS + 1)).floor()
