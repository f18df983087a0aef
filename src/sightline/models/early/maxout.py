"""Maxout: Goodfellow, Warde-Farley, Mirza, Courville & Bengio 2013, arXiv:1302.4389.

A unit is the maximum of several affine maps of its inputs: a learned convex function, linear almost everywhere, for
which dropout's averaging is nearly exact. This is the paper's permutation-invariant network for digits, in the sizes of
the authors' published recipe: two layers of 240 units with 5 pieces each, and ten scores; 1,233,610 parameters.

Dropout precedes every layer, with a lower rate for the pixels. Where we differ: kept pixels are scaled by 1/0.8 in
training, as by torch's dropout; the recipe leaves them unscaled. Weights are initialised uniformly between ±0.005,
biases from 0. The recipe also limits the norm of each unit's weights to 1.9365 after every step: that is part of
training and not of this file.
"""

from __future__ import annotations

import math

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.activations import Maxout
from sightline.layers.dropout import require_share
from sightline.layers.initialise import uniform
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_exactly


class MaxoutNet(nn.Module):
    """Dense maxout layers. Each counts as a map of one pixel.

    hidden           units of each hidden layer
    pieces           affine maps for each unit
    dropout          probability of dropping a hidden unit
    input_dropout    probability of dropping a pixel
    image_size       (height, width) of all its images
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: tuple[int, int] = (28, 28),
        hidden: tuple[int, ...] = (240, 240),
        pieces: int = 5,
        dropout: float = 0.5,
        input_dropout: float = 0.2,
    ) -> None:
        super().__init__()
        if not hidden:
            raise UsageError("maxout without hidden layers is a linear classifier", "use linear")
        for share in (dropout, input_dropout):
            require_share(share)
        self.input_size = (in_channels, *image_size)
        self.channels = hidden
        widths = (math.prod(self.input_size), *hidden)
        self.drop_pixels = nn.Dropout(input_dropout)
        self.hidden = nn.ModuleList(
            nn.Sequential(Maxout(width, units, pieces=pieces), nn.Dropout(dropout))
            for width, units in zip(widths, hidden, strict=False)
        )
        self.fc = nn.Linear(widths[-1], num_classes) if num_classes else nn.Identity()
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                uniform(layer.weight, 0.005)
                nn.init.zeros_(layer.bias)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ 1 1"]]:
        """The units of each hidden layer, (b, units, 1, 1)."""
        require_exactly(x, *self.input_size)
        a = self.drop_pixels(x.flatten(1))  # (b, c·h·w)
        units = []
        for layer in self.hidden:
            a = layer(a)  # (b, units)
            units.append(a[:, :, None, None])
        return units

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc(self.features(x)[-1].flatten(1))


@MODELS.register
def maxout(**options) -> MaxoutNet:
    """Maxout network for digits, Goodfellow et al. 2013, arXiv:1302.4389, section 5.1.

    1.2 M parameters at (1, 28, 28).
    """
    return MaxoutNet(**options)
