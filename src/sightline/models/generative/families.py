"""The families of generators and critics, by the name of `model.name`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import nn

from .dcgan import Critic as DcganCritic
from .dcgan import Generator as DcganGenerator


class Family(NamedTuple):
    """generator   shape (c, h, w), latent=, classes=, way=, options → noise (b, latent), classes (b,) → images in [-1, 1]
    critic      shape, classes=, way=, spectral=, batch_norm=, options → images, classes → logits of "real" (b,)
    options     of both, with their defaults
    latent      numbers of the noise
    about       one line for people
    """

    generator: Callable[..., nn.Module]
    critic: Callable[..., nn.Module]
    options: Mapping[str, Any]
    latent: int
    about: str


FAMILIES: Mapping[str, Family] = {
    "dcgan": Family(DcganGenerator, DcganCritic, {"base": 64}, 100, "transposed convolutions (arXiv:1511.06434)"),
}
