"""The content of one picture in the style of another, in the features of any network.

    content   F of one layer: where things are
    style     G_ij = Σ F_i F_j / n of several layers: which features occur together, wherever that is
    image     arg min over x of |F(x) - F(content)|² / start + w · mean over layers of |G(x) - G(style)|² / start, from noise

    image     arg min over x of |F(x) - F(content)|² / start + w · mean over layers of |G(x) - G(style)|² / start; from noise
has one meaning for all networks and layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.errors import UsageError
from sightline.preprocessing.signed import HALF, to_levels, to_signed
from sightline.randomness.keyed import normal

Features = Callable[[Float[Tensor, "b c h w"]], Sequence[Float[Tensor, "b k i j"]]]
NOISE = 0.3  # deviation of the start, of pixels in [-1, 1]
_EPS = 1e-5


@dataclass(frozen=True)
class Stylised:
    """`image` (c, h, w) and what is left of its losses, of the rounded pixels, as shares of those of the start."""

    image: UInt8[Tensor, "c h w"]
    content: float
    style: float


def gram(feature: Float[Tensor, "b k i j"]) -> Float[Tensor, "b k k"]:
    """Mean products of features over all places."""
    flat = feature.flatten(2)  # (b, k, i, j) → (b, k, i·j)
    return flat @ flat.transpose(1, 2) / flat.shape[2]


def adain(content: Float[Tensor, "b k i j"], style: Float[Tensor, "b k m n"]) -> Float[Tensor, "b k i j"]:
    """The features of the content with mean and deviation, channel by channel, of those of the style (adaptive instance norm,
    Huang & Belongie 2017, arXiv:1703.06868, equation 8)."""
    mean, deviation = content.mean((2, 3), keepdim=True), content.std((2, 3), keepdim=True, correction=0)
    new_mean, new_deviation = style.mean((2, 3), keepdim=True), style.std((2, 3), keepdim=True, correction=0)
    return new_deviation * (content - mean) / (deviation + _EPS) + new_mean


def stylised(
    features: Features,
    content: UInt8[Tensor, "c h w"],
    style: UInt8[Tensor, "s j k"],
    *,
    content_layer: int = -1,
    weight: float = 1.0,
    steps: int = 200,
    seed: int = 0,
) -> Stylised:
    """The picture after at most `steps` steps of L-BFGS, a function of the arguments and the seed.

    features        images (1, c, h, w), levels 0-255 → the features of several layers, all of which make the style
    content_layer   which of them makes the content
    weight          of the style beside the content

    UsageError for a weight or number of steps below what means something, or for pictures of different channels.
    """
    if weight < 0 or steps < 1:
        raise UsageError(f"weight={weight:g} and steps={steps} make no picture", "use a weight from 0 and steps from 1")
    if len(content) != len(style):
        raise UsageError(
            f"the content has {len(content)} channels and the style {len(style)}", "convert both to the same colours"
        )
    with torch.no_grad():
        aim = features(content[None].float())[content_layer]
        grams = [gram(feature) for feature in features(style[None].float())]

    def losses(signed: Tensor) -> tuple[Tensor, Tensor]:
        found = features((signed + 1) * HALF)
        apart = [(gram(f) - g).square().mean() for f, g in zip(found, grams, strict=True)]
        return (found[content_layer] - aim).square().mean(), torch.stack(apart)

    start = NOISE * normal(seed, "start of a style", torch.arange(content.numel())).reshape(content.shape)
    image = start[None].clone().requires_grad_()
    with torch.no_grad():
        first = tuple(loss.clamp(min=torch.finfo(loss.dtype).tiny) for loss in losses(image))
    optimizer = torch.optim.LBFGS([image], max_iter=steps, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        of_content, of_style = losses(image)
        outside = (image.abs() - 1).clamp(min=0).square().mean()  # pixels that no file can hold
        total = of_content / first[0] + weight * (of_style / first[1]).mean() + outside
        total.backward()
        return total

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    made = to_levels(image.detach()[0])
    with torch.no_grad():
        of_content, of_style = losses(to_signed(made)[None])
    return Stylised(made, float(of_content / first[0]), float((of_style / first[1]).mean()))
