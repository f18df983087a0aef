"""The content of one picture in the style of another, in the features of any network.

    content   F of one layer: where things are
    style     G_ij = Σ F_i F_j / n of several layers: which features occur together, wherever that is
    image     arg min over x of |F(x) - F(content)|² / start + w · mean over layers of |G(x) - G(style)|² / start, from noise

Each loss is divided by its value at the start, so w has one meaning for all networks and layers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from sightline.errors import UsageError
from sightline.losses.style import content_loss, gram, gram_loss
from sightline.preprocessing.signed import HALF, to_levels, to_signed
from sightline.randomness.keyed import normal

Features = Callable[[Float[Tensor, "b c h w"]], Sequence[Float[Tensor, "b k i j"]]]
NOISE = 0.3  # deviation of the start, of pixels in [-1, 1]


@dataclass(frozen=True)
class Stylised:
    """`image` (c, h, w) and what is left of its losses, of the rounded pixels, as shares of those of the start."""

    image: UInt8[Tensor, "c h w"]
    content: float
    style: float


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
        maps = features((signed + 1) * HALF)
        apart = [gram_loss(gram(f), g).mean() for f, g in zip(maps, grams, strict=True)]
        return content_loss(maps[content_layer], aim).mean(), torch.stack(apart)

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
