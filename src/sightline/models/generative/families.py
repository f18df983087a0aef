"""The families of generators and critics, by the name of `model.name`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import nn

from . import conditional_gan, dcgan, stylegan
from .conditions import Way


class Family(NamedTuple):
    """generator   shape (c, h, w), latent=, classes=, way=, options → noise (b, latent), classes (b,) → images in [-1, 1]
    critic      shape, classes=, way=, spectral=, batch_norm=, options → images, classes → logits of "real" (b,)
    options     of both, with their defaults
    latent      numbers of the noise
    ways        how classes can reach them, the usual way first
    """

    generator: Callable[..., nn.Module]
    critic: Callable[..., nn.Module]
    options: Mapping[str, Any]
    latent: int
    ways: tuple[Way, ...]


FAMILIES: Mapping[str, Family] = {
    "dcgan": Family(dcgan.Generator, dcgan.Critic, {"base": 32}, 100, ("projection", "concat", "channel")),
    "conditional_gan": Family(
        conditional_gan.Generator, conditional_gan.Critic, {"base": conditional_gan.BOTH}, 100, ("concat",)
    ),
    "stylegan": Family(stylegan.Generator, stylegan.Critic, {"base": 32}, 64, ("projection",)),
}
