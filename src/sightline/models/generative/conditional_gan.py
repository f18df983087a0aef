"""The fully connected networks of the conditional GAN's paper (Mirza & Osindero 2014, arXiv:1411.1784, section 4.1), for MNIST.

Generator: 100 numbers, uniform in the unit cube, to 200 units; the class to 1,000; both together to 1,200; 784 pixels by a
sigmoid. Critic, of maxout layers (Goodfellow et al. 2013, arXiv:1302.4389): the image to 240 units of 5 pieces, the class to
50 units of 5 pieces, both together to 240 units of 4 pieces. Dropout of 0.5 stands before the critic's last two
layers.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import one_hot
from torch.nn.utils.parametrizations import spectral_norm

from sightline.layers.activations import Maxout

from .conditions import Label, Way, labels_for

NOISE, CLASS, BOTH = 200, 1000, 1200  # units of the generator
IMAGE, LABEL, JOINT = (240, 5), (50, 5), (240, 4)  # units and pieces of the critic


def unit(z: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    """Standard normal numbers as uniform ones of the unit interval: noise is normal everywhere, so that walks are alike."""
    return torch.special.ndtr(z)


class Generator(nn.Module):
    """Noise (b, latent), standard normal, and classes (b,) → images (b, c, h, w) in [-1, 1]."""

    def __init__(
        self, shape: tuple[int, int, int], *, latent: int = 100, base: int = BOTH, classes: int = 0, way: Way = "none"
    ) -> None:
        """`base` units of the layer before the pixels; without classes their layer is left out."""
        super().__init__()
        self.shape, self.classes = shape, classes if way != "none" else 0
        self.of_noise = nn.Linear(latent, NOISE)
        self.of_class = nn.Linear(self.classes, CLASS) if self.classes else None
        self.both = nn.Linear(NOISE + (CLASS if self.classes else 0), base)
        self.pixels = nn.Linear(base, math.prod(shape))

    def forward(self, z: Float[Tensor, "b d"], label: Label = None) -> Float[Tensor, "b c h w"]:
        """Images (b, c, h, w) in [-1, 1]; without `label` of the first class."""
        hidden = [self.of_noise(unit(z))]
        if self.of_class is not None:
            hidden.append(self.of_class(one_hot(labels_for(z, label), self.classes).to(z.dtype)))
        x = self.both(torch.cat(hidden, 1).relu()).relu()
        return (2 * self.pixels(x).sigmoid() - 1).unflatten(1, self.shape)  # (b, c·h·w) → (b, c, h, w)


class Critic(nn.Module):
    """Images (b, c, h, w) in [-1, 1] and classes (b,) → logits of "real" (b,)."""

    def __init__(
        self,
        shape: tuple[int, int, int],
        *,
        base: int = BOTH,
        classes: int = 0,
        way: Way = "none",
        spectral: bool = False,
        batch_norm: bool = False,
    ) -> None:
        """`base` and `batch_norm` change nothing: the paper's critic has neither."""
        super().__init__()
        self.classes = classes if way != "none" else 0
        self.of_image = _maxout(math.prod(shape), *IMAGE, spectral)
        self.of_class = _maxout(self.classes, *LABEL, spectral) if self.classes else None
        self.both = _maxout(IMAGE[0] + (LABEL[0] if self.classes else 0), *JOINT, spectral)
        last = nn.Linear(JOINT[0], 1)
        self.last = spectral_norm(last) if spectral else last
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Float[Tensor, "b c h w"], label: Label = None) -> Float[Tensor, "b"]:
        """A logit an image (b,): positive for "real"."""
        hidden = [self.of_image(x.flatten(1))]
        if self.of_class is not None:
            hidden.append(self.of_class(one_hot(labels_for(x, label), self.classes).to(x.dtype)))
        score: Tensor = self.last(self.drop(self.both(self.drop(torch.cat(hidden, 1)))))
        return score[:, 0]


def _maxout(inputs: int, units: int, pieces: int, spectral: bool) -> Maxout:
    layer = Maxout(inputs, units, pieces=pieces)
    if spectral:
        spectral_norm(layer.linear)
    return layer
