"""The filters of the first layer as pictures: what a network looks for in the pixels themselves.

    grid of filters     Krizhevsky, Sutskever & Hinton 2012, figure 3
    patch embeddings    their principal components instead, as most of the filters are alike: Dosovitskiy et al. 2020,
                        arXiv:2010.11929, figure 7

Two numbers say what kind of feature a filter is. Both are 0 to 1 and know neither the filter's size nor its sign:

    colour selectivity        the share of its energy that is not grey: 1 - ||mean over channels||² / mean ||channel||²
    orientation selectivity   |Σ P(f) e^{2iθ(f)}| / Σ P(f) over its Fourier spectrum P without the mean: 0 for a blob, which
                              has power in all directions, 0.6 to 0.9 for edges and gratings in so small a window. Noise is
                              not 0 either, so the filters are compared with themselves, their weights in another order
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.explanation.subject import Refused, undisturbed
from sightline.randomness.keyed import permutation

from .layers import Run, bare

COMPONENTS = 28  # of a patch embedding, as in the paper's figure


@dataclass(frozen=True)
class Filters:
    """layer     its name
    weights   (k, c, h, w) of each filter, or the principal components
    shares    of the embeddings' variance that each component explains; empty where these are the filters themselves
    """

    layer: str
    weights: Float[np.ndarray, "k c h w"]
    shares: tuple[float, ...] = ()

    @property
    def colour(self) -> Float[np.ndarray, "k"]:
        return colour_selectivity(self.weights)

    @property
    def orientation(self) -> Float[np.ndarray, "k"]:
        return orientation_selectivity(self.weights)

    @property
    def orientation_of_noise(self) -> Float[np.ndarray, "k"]:
        """The same with the places of all weights shuffled."""
        places = permutation(self.weights[0, 0].size, 0, "filter places").numpy()
        shuffled = self.weights.reshape(*self.weights.shape[:2], -1)[:, :, places].reshape(self.weights.shape)
        return orientation_selectivity(shuffled)


def first_filters(network: nn.Module, run: Run, pixels: Float[Tensor, "1 c h w"]) -> Filters:
    """The weights of the first layer that reads pixels: a convolution, or a dense layer over all of them. Refused where the
    first layer with weights is another one."""
    name, layer = _first(network, run, pixels)
    weights = layer.weight.detach().float().cpu()  # type: ignore[union-attr, operator]
    channels, height, width = pixels.shape[1:]
    if isinstance(layer, nn.Linear):
        if layer.in_features != channels * height * width:
            raise Refused(f"the first layer, {name}, does not read an image's pixels", "see activations or patches")
        weights = weights.view(-1, channels, height, width)
    if weights.ndim != 4 or weights.shape[1] != channels:
        raise Refused(f"the first layer, {name}, does not read an image's channels", "see activations or patches")
    if min(weights.shape[2:]) < 2:
        raise Refused(f"the filters of the first layer, {name}, are single pixels", "see activations or patches")
    stride = getattr(layer, "stride", (1, 1))
    if isinstance(layer, nn.Conv2d) and tuple(stride) == tuple(layer.kernel_size) and weights.shape[2] >= 4:
        return _components(name, weights)
    return Filters(name, weights.numpy())


def _first(network: nn.Module, run: Run, pixels: Float[Tensor, "1 c h w"]) -> tuple[str, nn.Module]:
    """The first module to run that has a matrix of weights."""
    ran: list[tuple[str, nn.Module]] = []

    def keep(name: str, module: nn.Module) -> None:
        ran.append((name, module))

    handles = [
        module.register_forward_pre_hook(lambda module, inputs, name=name: keep(name, module))
        for name, module in bare(network).named_modules()
        if isinstance(getattr(module, "weight", None), Tensor) and module.weight.ndim >= 2  # type: ignore[union-attr, operator]
    ]
    try:
        with undisturbed(network), torch.no_grad():
            run(pixels)
    finally:
        for handle in handles:
            handle.remove()
    if not ran:
        raise Refused("this network has no layer with filters", "see activations or patches")
    return ran[0]


def _components(name: str, weights: Float[Tensor, "k c h w"]) -> Filters:
    """The principal components of the embeddings' filters, the strongest first. Their sign has no meaning: it is chosen so that
    the largest weight is positive."""
    flat = weights.flatten(1).double()
    _, strength, directions = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    directions = directions[: min(COMPONENTS, len(flat) - 1)]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    shares = strength**2 / (strength**2).sum().clamp(min=1e-30)
    parts = (directions * largest.sign()).float().unflatten(1, weights.shape[1:])
    return Filters(name, parts.numpy(), tuple(float(share) for share in shares[: len(parts)]))


def colour_selectivity(weights: Float[np.ndarray, "k c h w"]) -> Float[np.ndarray, "k"]:
    """Zeros for filters of one channel.

    >>> red_green = np.stack([np.ones((3, 3)), -np.ones((3, 3)), np.zeros((3, 3))])[None]
    >>> float(colour_selectivity(red_green)[0])
    1.0
    """
    grey = (weights.mean(1) ** 2).sum((1, 2))
    whole = (weights**2).mean(1).sum((1, 2))
    return 1 - np.divide(grey, whole, out=np.ones_like(grey), where=whole > 0)


def orientation_selectivity(weights: Float[np.ndarray, "k c h w"]) -> Float[np.ndarray, "k"]:
    """Of the spectra of all channels together."""
    side = 2 * max(weights.shape[2:])  # padded, so that directions between the axes are resolved
    power = (np.abs(np.fft.fft2(weights - weights.mean((2, 3), keepdims=True), (side, side))) ** 2).sum(1)  # (k, s, s)
    fy, fx = np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side), indexing="ij")
    direction = np.exp(2j * np.arctan2(fy, fx))
    inside = (fx**2 + fy**2 <= 0.25) & (fx**2 + fy**2 > 0)  # a disc: the corners of the square would count as diagonals
    total = (power * inside).sum((1, 2))
    turned = np.abs((power * inside * direction).sum((1, 2)))
    return np.divide(turned, total, out=np.zeros_like(total), where=total > 0)
