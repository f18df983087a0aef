"""Networks of style transfer: the features of a classifier, and a decoder from features to pictures."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Num
from torch import Tensor, nn

from sightline.errors import UsageError

LAYERS = 4  # of the features; deeper ones know what is in a picture, not how it looks


class StyleFeatures(nn.Module):
    """Images in levels → the first maps of a classifier, which normalises them as it was trained to. Beside them `pictures`
    (k, c, s, s) uint8, the styles, so that a run has them.

    network    with `features` and `channels`
    mean, std  in levels, one of each channel
    """

    mean: Tensor
    std: Tensor
    pictures: Tensor

    def __init__(
        self, network: nn.Module, mean: tuple[float, ...], std: tuple[float, ...], pictures: Num[Tensor, "k c s s"]
    ) -> None:
        super().__init__()
        self.network: Any = network
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("std", torch.tensor(std))
        self.register_buffer("pictures", pictures)

    def forward(self, levels: Num[Tensor, "b c h w"]) -> list[Tensor]:
        """The first maps of the network, from fine to coarse."""
        normalised = (levels.float() - self.mean[:, None, None]) / self.std[:, None, None]
        return list(self.network.features(normalised)[:LAYERS])


class AdainDecoder(nn.Module):
    """Features (b, k, h/stride, w/stride) → images (b, 3, h, w): 3x3 convolutions and nearest-neighbour enlargement, without
    norms, which would bring every image to one style (arXiv:1703.06868, section 6.1).

    UsageError for a stride that is no power of two.
    """

    def __init__(self, inputs: int, stride: int, *, outputs: int = 3, base: int = 32) -> None:
        super().__init__()
        doublings = stride.bit_length() - 1
        if stride != 2**doublings or not doublings:
            raise UsageError(f"features of stride {stride} cannot be doubled to a picture", "choose another task.layer")
        wide = base * 2 ** min(doublings, 2)
        layers: list[nn.Module] = [*_conv(inputs, wide), *_conv(wide, wide)]
        for left in reversed(range(doublings)):
            narrow = base * 2 ** min(left, 2)
            layers += [nn.Upsample(scale_factor=2), *_conv(wide, narrow), *_conv(narrow, narrow)]
            wide = narrow
        self.layers = nn.Sequential(*layers, nn.Conv2d(wide, outputs, 3, padding=1, padding_mode="reflect"))

    def forward(self, x: Float[Tensor, "b k i j"]) -> Float[Tensor, "b 3 h w"]:
        """The image whose features these are, in [-1, 1]."""
        return self.layers(x).clamp(-1.5, 1.5)  # a little beyond white, so that gradients pass there


def _conv(inputs: int, outputs: int) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect"), nn.ReLU()
