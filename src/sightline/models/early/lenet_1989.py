"""The zip-code network: LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition".

The first convolutional network trained from pixels by backpropagation: 1,256 units, 64,660 connections and 9,760
independent parameters at 1x16x16 and ten classes.

    layer    units      reads                            connections       parameters
    H1       12@8x8     5x5 of the image, stride 2       768 · 26          12 · 25 + 768
    H2       12@4x4     5x5 of 8 of the 12, stride 2     192 · 201         12 · 200 + 192
    H3       30         all of H2                        30 · 193          5,790
    output   10         all of H3                        10 · 31           310

Weights are shared across a map, biases are not: each unit has its own. Beyond the border lies background, -1, so images
should range from -1 to 1. Units apply a scaled tanh. All connections, biases included, are initialised uniformly
between ±2.4 / fan-in.

Where this differs: which 8 maps a map of H2 reads is not published; here map j reads maps j, j+1, … j+7 modulo 12, so
that each is read by 8. The output is linear scores (the paper squashes them too, for squared errors against ±1); their
order is the same. Other image sizes are possible.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.activations import ScaledTanh
from sightline.layers.convolution.partial import PartialConvolution
from sightline.layers.initialise import fans
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_exactly

MAPS, READ = 12, 8
TABLE = tuple(tuple((first + step) % MAPS for step in range(READ)) for first in range(MAPS))
BACKGROUND = -1.0


def init_uniform(*connections: Tensor, inputs: int) -> None:
    """Uniform between ±2.4 / inputs of the unit, so that its sum stays in the steep range of the tanh."""
    for values in connections:
        nn.init.uniform_(values, -2.4 / inputs, 2.4 / inputs)


@torch.no_grad()
def init_layers_uniform(module: nn.Module) -> None:
    """Apply `init_uniform` to every convolution and dense layer inside, biases included; a bias is not counted as an input."""
    for layer in module.modules():
        if isinstance(layer, PartialConvolution):
            for number, read in enumerate(layer.kernels.split([len(maps) for maps in layer.table])):
                bias = [] if layer.bias is None else [layer.bias[number : number + 1]]
                init_uniform(read, *bias, inputs=read.numel())
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            init_uniform(*layer.parameters(recurse=False), inputs=fans(layer.weight)[0])


def half_size(size: int) -> int:
    """The output size at stride 2: every second pixel, starting with the first."""
    return (size + 1) // 2


class Plane(nn.Module):
    """Maps of half the height and width: kernels shared across a map, a bias for each unit, a scaled tanh.

    `connections` is a 5x5 convolution at stride 2 without padding and bias, `units` the shape of its output.
    """

    def __init__(self, connections: nn.Module, units: tuple[int, int, int], inputs: int) -> None:
        super().__init__()
        self.connections = connections
        self.bias = nn.Parameter(torch.empty(units))
        self.tanh = ScaledTanh()
        init_uniform(self.bias, inputs=inputs)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, c, h, w) → (b, 12, h/2, w/2), odd sizes rounded up."""
        x = F.pad(x, (2, 2, 2, 2), value=BACKGROUND)  # (b, c, h + 4, w + 4)
        return self.tanh(self.connections(x) + self.bias)


class LeNet1989(nn.Module):
    """The layer table above.

    image_size    (height, width) of all its images, because every unit has its own bias
    """

    normalisation = (127.5, 127.5)  # maps pixels from 0 to 255 to -1 to 1, with the background at -1

    def __init__(self, *, in_channels: int = 1, num_classes: int = 10, image_size: tuple[int, int] = (16, 16)) -> None:
        super().__init__()
        self.input_size = (in_channels, *image_size)
        self.channels = (MAPS, MAPS, 30)
        size1 = half_size(image_size[0]), half_size(image_size[1])
        size2 = half_size(size1[0]), half_size(size1[1])
        first = nn.Conv2d(in_channels, MAPS, 5, stride=2, bias=False)
        second = PartialConvolution(MAPS, TABLE, 5, stride=2, bias=False)
        self.h1 = Plane(first, (MAPS, *size1), inputs=in_channels * 25)
        self.h2 = Plane(second, (MAPS, *size2), inputs=READ * 25)
        self.h3, self.tanh = nn.Linear(MAPS * math.prod(size2), 30), ScaledTanh()
        self.fc = nn.Linear(30, num_classes) if num_classes else nn.Identity()
        init_layers_uniform(self)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """H1 (b, 12, 8, 8), H2 (b, 12, 4, 4) and H3 (b, 30, 1, 1)."""
        require_exactly(x, *self.input_size)
        h1 = self.h1(x)  # (b, 12, 8, 8)
        h2 = self.h2(h1)  # (b, 12, 4, 4)
        h3 = self.tanh(self.h3(h2.flatten(1)))  # (b, 30)
        return [h1, h2, h3[:, :, None, None]]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc(self.features(x)[-1].flatten(1))


@MODELS.register
def lenet_1989(**options) -> LeNet1989:
    """The zip-code network, LeCun et al. 1989: 9,760 parameters at (1, 16, 16)."""
    return LeNet1989(**options)
