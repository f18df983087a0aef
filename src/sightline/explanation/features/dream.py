"""DeepDream: an image is changed so that a layer is more active, with whatever the layer sees in it already.

    max over x of ||a(x)||²: the gradient at the layer is its own activation       Mordvintsev, Olah & Tyka 2015,
                                                                "Inceptionism: going deeper into neural networks"

It is done on a small image first and then on larger ones, octave after octave: each begins with the enlarged original plus the
enlarged change so far. The network always looks through a window of its own size, so that networks of one fixed size dream too;
a larger octave is covered by several windows, shifted at random before each step so that no seams appear.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional as F

from sightline.explanation.subject import undisturbed
from sightline.randomness.keyed import integers

from .layers import Layer, activations, stopped_behind
from .patches import Viewing

OCTAVES, SCALE = 3, 1.4
RATE = 3.0  # mean change of a pixel in a step, in levels
TRIES = 6  # halvings of the rate before an octave is given up


@dataclass(frozen=True)
class Octave:
    """The layer's norm, as the root mean square of its activations over all windows, before and after the octave's steps."""

    size: tuple[int, int]
    before: float
    after: float


@dataclass(frozen=True)
class Dream:
    """image (c, h, w) uint8, larger than the original by all octaves but the first."""

    layer: Layer
    image: UInt8[Tensor, "c h w"]
    octaves: tuple[Octave, ...]

    @property
    def rising(self) -> bool:
        """Whether the norm rose in every octave."""
        return all(octave.after > octave.before for octave in self.octaves)


def dream(
    viewing: Viewing,
    layer: Layer,
    image: Float[Tensor, "1 c h w"],
    *,
    octaves: int = OCTAVES,
    steps: int = 10,
    seed: int = 0,
    tick: Callable[[int], object] = lambda steps: None,
) -> Dream:
    """Dream a layer into an image of the network's own size, in 0-255 units. An octave whose norm would not rise is repeated
    with smaller steps."""
    height, width = image.shape[2:]
    change = torch.zeros_like(image)
    rows, x, done = [], image, 0
    with undisturbed(viewing.network):
        for octave in range(octaves):
            size = (round(height * SCALE**octave), round(width * SCALE**octave))
            base = _resized(image, size)
            start = (base + _resized(change, size)).clamp(0, 255)
            before = _norm(viewing, layer, start, (height, width))
            for attempt in range(TRIES):
                x = start
                for step in range(steps):
                    x = _step(viewing, layer, x, (height, width), RATE / 2**attempt, seed, octave * 1000 + step)
                    done += 1
                    tick(done)
                x = x.round()
                after = _norm(viewing, layer, x, (height, width))
                if after > before:
                    break
                done -= steps
            rows.append(Octave(size, before, after))
            change = x - base
    return Dream(layer, x[0].to(torch.uint8).cpu(), tuple(rows))


def _resized(image: Float[Tensor, "1 c h w"], size: tuple[int, int]) -> Float[Tensor, "1 c h w"]:
    if tuple(image.shape[2:]) == size:
        return image
    return F.interpolate(image, size=size, mode="bicubic", align_corners=False, antialias=True)


def _windows(image: Float[Tensor, "1 c h w"], size: tuple[int, int]) -> Float[Tensor, "b c h w"]:
    """Windows that cover the image, which continues at the opposite edge."""
    rows = [
        torch.arange(i * size[0], (i + 1) * size[0]) % image.shape[2]
        for i in range(math.ceil(image.shape[2] / size[0]))
    ]
    columns = [
        torch.arange(i * size[1], (i + 1) * size[1]) % image.shape[3]
        for i in range(math.ceil(image.shape[3] / size[1]))
    ]
    return torch.cat([image[:, :, row][:, :, :, column] for row in rows for column in columns])


def _activation(viewing: Viewing, layer: Layer, windows: Float[Tensor, "b c h w"]) -> Tensor:
    with activations(viewing.network, [layer]) as kept, stopped_behind(viewing.network, layer):
        viewing.run(windows)
    return kept[layer.name].float()


def _norm(viewing: Viewing, layer: Layer, image: Float[Tensor, "1 c h w"], size: tuple[int, int]) -> float:
    with torch.no_grad():
        return float(_activation(viewing, layer, _windows(image, size)).square().mean().sqrt())


def _step(
    viewing: Viewing,
    layer: Layer,
    image: Float[Tensor, "1 c h w"],
    size: tuple[int, int],
    rate: float,
    seed: int,
    step: int,
) -> Float[Tensor, "1 c h w"]:
    shift = tuple(
        int(integers(side, seed, name, torch.tensor([step]))[0])
        for side, name in zip(image.shape[2:], ("dream down", "dream across"), strict=True)
    )
    with torch.enable_grad():
        leaf = image.detach().clone().requires_grad_()
        loss = _activation(viewing, layer, _windows(leaf.roll(shift, (2, 3)), size)).square().mean()
        (slope,) = torch.autograd.grad(loss, leaf)
    return (image + rate * slope / slope.abs().mean().clamp(min=1e-20)).clamp(0, 255).detach()
