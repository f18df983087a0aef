"""AttGAN (He et al. 2017, arXiv:1711.10678): an image and its attributes to an image with other attributes.

    Editor            an encoder of strided convolutions; the attributes beside its code as constant planes; a decoder of
                      transposed ones. The first `skips` maps of the encoder also reach the decoder, with the attributes
                      beside them (the paper has one at 128 pixels): they keep fine detail, and what they hold is hard to move
    AttributeCritic   one body with two heads: how real an image is, and which attributes it has

Images are in [-1, 1], attributes are 1 (has it) and -1 (has it not) for the decoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from sightline.errors import UsageError

Shape = tuple[int, int, int]
OPTIONS: Mapping[str, Any] = {"base": 32, "depth": 3, "skips": 0}
WIDEST = 8  # channels of any map, in multiples of `base`
SLOPE = 0.2


class Opinion(NamedTuple):
    """What a critic says of images: `score` (b,), high for real ones, and `logits` (b, k) of the attributes."""

    score: Tensor
    logits: Tensor


class Editor(nn.Module):
    """base    channels of the first map; each further one has twice as many, at most 8 times
    depth   halvings of the encoder
    skips   maps of the encoder that reach the decoder directly
    """

    def __init__(self, shape: Shape, attributes: int, *, base: int = 32, depth: int = 3, skips: int = 0) -> None:
        super().__init__()
        require_halvings("attgan", shape, depth)
        if skips >= depth:
            raise UsageError(f"model.options.skips={skips} of {depth} maps", f"use at most {depth - 1}")
        widths = [base * min(2**level, WIDEST) for level in range(depth)]
        self.skips = skips
        self.encoder, self.decoder = nn.ModuleList(), nn.ModuleList()
        for level, wide in enumerate(widths):
            into = widths[level - 1] if level else shape[0]
            self.encoder.append(
                nn.Sequential(nn.Conv2d(into, wide, 4, stride=2, padding=1), nn.BatchNorm2d(wide), nn.LeakyReLU(SLOPE))
            )
        for level in reversed(range(depth)):
            direct = attributes + widths[level] if level < depth - 1 and level < skips else 0
            told = attributes if level == depth - 1 else direct
            wide = widths[level - 1] if level else base
            up = nn.ConvTranspose2d(widths[level] + told, wide, 4, stride=2, padding=1)
            self.decoder.append(nn.Sequential(up, nn.BatchNorm2d(wide), nn.ReLU()))
        self.pixels = nn.Conv2d(base, shape[0], 3, padding=1)

    def encode(self, x: Float[Tensor, "b c h w"]) -> list[Tensor]:
        """The maps of images (b, c, h, w), from fine to coarse."""
        maps = []
        for layer in self.encoder:
            x = layer(x)
            maps.append(x)
        return maps

    def decode(self, maps: list[Tensor], attributes: Float[Tensor, "b k"]) -> Float[Tensor, "b c h w"]:
        """Images in [-1, 1] with these attributes, of the maps of `encode`."""
        x = beside(maps[-1], attributes)
        for number, layer in enumerate(self.decoder):
            level = len(maps) - 1 - number
            if number and level < self.skips:
                x = torch.cat([x, beside(maps[level], attributes)], 1)
            x = layer(x)
        return self.pixels(x).tanh()

    def forward(
        self, x: Float[Tensor, "b c h w"], attributes: Float[Tensor, "b k"] | None = None
    ) -> Float[Tensor, "b c h w"]:
        """Images (b, c, h, w) with attributes (b, k), each 1 or -1; without them, with none."""
        maps = self.encode(x)
        if attributes is None:
            first = self.decoder[0][0]  # type: ignore[index]
            attributes = -torch.ones(len(x), first.in_channels - maps[-1].shape[1], device=x.device)
        return self.decode(maps, attributes)


class AttributeCritic(nn.Module):
    """Images (b, c, h, w) in [-1, 1] → their `Opinion`. No norm mixes images: the gradient penalty is of each one."""

    def __init__(self, shape: Shape, attributes: int, *, base: int = 32, depth: int = 3) -> None:
        super().__init__()
        require_halvings("attgan", shape, depth)
        channels, height, width = shape
        layers: list[nn.Module] = []
        for level in range(depth):
            wide = base * min(2**level, WIDEST)
            layers += [
                nn.Conv2d(channels, wide, 4, stride=2, padding=1), nn.GroupNorm(1, wide), nn.LeakyReLU(SLOPE),
            ]  # fmt: skip
            channels = wide
        vector = channels * (height >> depth) * (width >> depth)
        self.body = nn.Sequential(*layers, nn.Flatten())
        hidden = 8 * base
        self.of_realness, self.realness = nn.Linear(vector, hidden), nn.Linear(hidden, 1)
        self.of_attributes, self.attributes = nn.Linear(vector, hidden), nn.Linear(hidden, attributes)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Opinion:
        """The score (b,) and the logits (b, k) of images."""
        vector = self.body(x)
        score = self.realness(leaky_relu(self.of_realness(vector), SLOPE))[:, 0]
        return Opinion(score, self.attributes(leaky_relu(self.of_attributes(vector), SLOPE)))


def beside(x: Float[Tensor, "b c h w"], attributes: Float[Tensor, "b k"]) -> Float[Tensor, "b ck h w"]:
    """Maps with a constant plane for each attribute."""
    planes = attributes[:, :, None, None].expand(-1, -1, *x.shape[2:])  # (b, k) → (b, k, h, w)
    return torch.cat([x, planes.to(x.dtype)], 1)


def require_halvings(name: str, shape: Shape, depth: int) -> None:
    """UsageError for a size that cannot be halved as often."""
    _, height, width = shape
    if depth < 1 or height % 2**depth or width % 2**depth:
        raise UsageError(
            f"{name} cannot halve images of {height}x{width} {depth} times",
            "set input.size to a multiple of 8, or model.options.depth",
        )
