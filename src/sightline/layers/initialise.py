"""Weight initialisers by name, and the experiment that shows what each does to a deep network.

    normal, uniform   small numbers (0.01): fine for one layer, but signals vanish within ten
    sparse            Martens 2010: each unit starts with a fixed number of incoming connections
    xavier            Glorot & Bengio 2010: variance 2 / (in + out)
    lecun             LeCun et al. 1998, "Efficient backprop": variance 1 / in; also called Xavier (as in Caffe)
    he                He et al. 2015, arXiv:1502.01852: variance 2 / in, because a ReLU passes half of the mean square

`xavier` and `lecun` agree only where a layer has as many outputs as inputs. A weight is (out, in, *kernel). All draw
from torch's global generator, so `torch_seeded` makes them reproducible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.convolution.partial import PartialConvolution
from sightline.randomness.keyed import torch_seeded
from sightline.registry import lookup

from .activations import activation as named_activation

Weight = Float[Tensor, "out in *kernel"]


def fans(weight: Weight) -> tuple[int, int]:
    """(fan-in, fan-out): inputs of a unit, and units that read an input.

    Grouped convolutions follow torch's convention: fan-out counts the units of all groups.
    """
    window = math.prod(weight.shape[2:])
    return weight.shape[1] * window, weight.shape[0] * window


def zeros(weight: Weight) -> None:
    """All 0: every unit of a layer computes and learns the same, so the layer never becomes more than one unit."""
    nn.init.zeros_(weight)


def normal(weight: Weight, std: float = 0.01) -> None:
    """Gaussian of a fixed small standard deviation."""
    nn.init.normal_(weight, std=std)


def uniform(weight: Weight, limit: float = 0.01) -> None:
    """Uniform between ±limit."""
    nn.init.uniform_(weight, -limit, limit)


def sparse(weight: Weight, connections: int = 15, std: float = 1.0) -> None:
    """Gaussian weights on exactly `connections` inputs of each output unit (all, where there are fewer), 0 elsewhere.

    `torch.nn.init.sparse_` fixes the number for each input instead, so it is given the transpose.
    """
    rows = weight.flatten(1)  # (out, in * window)
    inputs = rows.shape[1]
    # torch zeroes ceil(sparsity * rows): half a connection less stays clear of rounding
    sparsity = max(0.0, (inputs - connections - 0.5) / inputs)
    with torch.no_grad():
        rows.copy_(nn.init.sparse_(torch.empty_like(rows.T), sparsity, std).T)


def xavier(weight: Weight) -> None:
    """Gaussian of variance 2 / (in + out): preserves the variance forward and backward through linear units."""
    nn.init.normal_(weight, std=math.sqrt(2 / sum(fans(weight))))


def lecun(weight: Weight) -> None:
    """Gaussian of variance 1 / in: preserves the variance forward through linear units."""
    nn.init.normal_(weight, std=math.sqrt(1 / fans(weight)[0]))


def he(weight: Weight) -> None:
    """Gaussian of variance 2 / in: preserves the mean square forward through rectified units."""
    nn.init.normal_(weight, std=math.sqrt(2 / fans(weight)[0]))


def he_out(weight: Weight) -> None:
    """Gaussian of variance 2 / out: preserves it backward; torchvision's choice for ResNets."""
    nn.init.normal_(weight, std=math.sqrt(2 / fans(weight)[1]))


INITIALISERS: Mapping[str, Callable[[Tensor], None]] = {
    "zeros": zeros,
    "normal": normal,
    "uniform": uniform,
    "sparse": sparse,
    "xavier": xavier,
    "lecun": lecun,
    "he": he,
    "he_out": he_out,
}

_SYNONYMS = {  # torch, Keras and Caffe → here
    **dict.fromkeys(("kaiming", "kaiming_normal", "kaiming_normal_", "he_normal", "msra"), "he"),
    **dict.fromkeys(("glorot", "glorot_normal", "xavier_normal", "xavier_normal_"), "xavier"),
    **dict.fromkeys(("gaussian", "normal_", "random_normal"), "normal"),
    "lecun_normal": "lecun",
}


def initialiser(name: str) -> Callable[[Tensor], None]:
    """An initialiser by name; UsageError with the nearest name."""
    return lookup("initialiser", name, INITIALISERS, _SYNONYMS)


def initialise(module: nn.Module, name: str) -> None:
    """Fill the weights of every convolution and dense layer inside with the named initialiser, and their biases with 0."""
    fill = initialiser(name)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            layer.fill_kernels(fill) if isinstance(layer, PartialConvolution) else fill(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


class Spread(NamedTuple):
    """Mean and standard deviation of one layer's outputs."""

    mean: float
    std: float


def activation_statistics(
    initialiser_name: str,
    activation_name: str,
    *,
    samples: int = 1000,
    width: int = 500,
    layers: int = 10,
    seed: int = 0,
) -> list[Spread]:
    """Mean and deviation of the outputs of each of `layers` dense layers without biases, for unit Gaussian inputs."""
    fill, squash = initialiser(initialiser_name), named_activation(activation_name)
    spreads = []
    with torch_seeded(seed, "activation statistics"), torch.no_grad():
        x = torch.randn(samples, width)
        for _ in range(layers):
            weight = torch.empty(width, width)
            fill(weight)
            x = squash(x @ weight.T)  # (samples, width)
            spreads.append(Spread(x.mean().item(), x.std().item()))
    return spreads
