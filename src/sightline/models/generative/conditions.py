"""How a class reaches a generator and its critic.

concat       the class as one-hot numbers beside the noise, and as constant planes beside the image (Mirza & Osindero 2014,
             arXiv:1411.1784)
channel      the class as one more channel: each class has a learned plane, an embedding in the form of an image
projection   scales and offsets of each class after every norm of the generator (Dumoulin et al. 2017, arXiv:1610.07629),
             and a score of each class in the critic (Miyato & Koyama 2018, arXiv:1802.05637)
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import one_hot

Way = Literal["none", "concat", "channel", "projection"]
Label = Int[Tensor, "b"] | None


def labels_for(x: Tensor, label: Label) -> Int[Tensor, "b"]:
    """The labels; the first class where there are none, as when a network is described."""
    return torch.zeros(len(x), dtype=torch.long, device=x.device) if label is None else label


class Beside(nn.Module):
    """Adds one-hot numbers: (b, d) → (b, d + k); to maps as constant planes, (b, c, h, w) → (b, c + k, h, w)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, x: Float[Tensor, "b c *shape"], label: Label = None) -> Float[Tensor, "b ck *shape"]:
        """`x` with k more numbers, or planes."""
        known = one_hot(labels_for(x, label), self.classes).to(x.dtype)
        planes = known.reshape(*known.shape, *(1,) * (x.dim() - 2)).expand(
            -1, -1, *x.shape[2:]
        )  # (b, k) → (b, k, h, w)
        return torch.cat([x, planes], 1)


class Plane(nn.Module):
    """Adds the learned plane of the class: (b, c, h, w) → (b, c + 1, h, w)."""

    def __init__(self, classes: int, height: int, width: int) -> None:
        super().__init__()
        self.size = (height, width)
        self.plane = nn.Embedding(classes, height * width)

    def forward(self, x: Float[Tensor, "b c h w"], label: Label = None) -> Float[Tensor, "b cp h w"]:
        """`x` with one more plane."""
        plane = self.plane(labels_for(x, label)).unflatten(1, (1, *self.size))  # (b, hw) → (b, 1, h, w)
        return torch.cat([x, plane], 1)


class ClassNorm(nn.Module):
    """Batch norm whose scale and offset belong to the class of each image; they start at 1 and 0."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.scale, self.offset = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        nn.init.ones_(self.scale.weight)
        nn.init.zeros_(self.offset.weight)

    def forward(self, x: Float[Tensor, "b c h w"], label: Label = None) -> Float[Tensor, "b c h w"]:
        """Maps of the shape of `x`, with the scale and offset of each image's class."""
        label = labels_for(x, label)
        scale, offset = (table(label)[..., None, None] for table in (self.scale, self.offset))  # (b, c) → (b, c, 1, 1)
        return self.norm(x) * scale + offset
