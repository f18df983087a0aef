"""The prototype of a convolutional network, [CONV-RELU-POOL]*N-[FC-RELU]*K-FC, of introductory courses (Karpathy's
CS231n).

Weights are initialised from He's Gaussian (arXiv:1502.01852).
"""

from __future__ import annotations

import math
from itertools import islice

from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.initialise import initialise
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_exactly

from .pattern import build_layers


class ConvNet(nn.Module):
    """Blocks of convolutions, each followed by a ReLU, and a pooling; then dense layers. `pattern` spells the network.

    widths        maps of each block
    convs         convolutions a block
    kernel        side of their kernels, odd
    pool          halve the size at the end of each block
    dense         units of the dense layers before the head; with none the head reads the last maps, pixel by pixel
    image_size    (height, width) of all its images
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: tuple[int, int] = (32, 32),
        widths: tuple[int, ...] = (32, 64),
        convs: int = 1,
        kernel: int = 3,
        pool: bool = True,
        dense: tuple[int, ...] = (128,),
    ) -> None:
        super().__init__()
        if not widths:
            raise UsageError("convnet without blocks has no convolutions", "use mlp, or set widths=32,64")
        self.input_size = (in_channels, *image_size)
        blocks = [f"[CONV{width}@{kernel}-RELU]*{convs}" + "-POOL" * pool for width in widths]
        head = [f"FC{num_classes}"] if num_classes else []
        self.pattern = "-".join([*blocks, *(f"FC{units}-RELU" for units in dense), *head])
        layers = build_layers(self.pattern, self.input_size)
        length = 2 * convs + pool
        pixels = math.prod(layers[length * len(widths) - 1].output)
        self.channels = (*widths, *(dense or (pixels,)))

        modules = iter([layer.module for layer in layers])
        self.blocks = nn.ModuleList(nn.Sequential(*islice(modules, length)) for _ in widths)
        self.flatten = next(modules, nn.Flatten())
        self.dense = nn.ModuleList(nn.Sequential(*islice(modules, 2)) for _ in dense)
        self.fc = next(modules, nn.Identity())
        initialise(self, "he")

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """The map after each block, then the vector after each dense layer; without dense layers the flattened map."""
        require_exactly(x, *self.input_size)
        maps = []
        for block in self.blocks:
            x = block(x)  # (b, width, h / 2, w / 2)
            maps.append(x)
        vectors = [self.flatten(x)]  # (b, width · h · w)
        for layer in self.dense:
            vectors.append(layer(vectors[-1]))  # (b, units)
        return maps + [vector[:, :, None, None] for vector in vectors[1:] or vectors]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc(self.features(x)[-1].flatten(1))


@MODELS.register
def convnet(**options) -> ConvNet:
    """[CONV-RELU-POOL]*2-FC128-RELU-FC10, the convolutional network of introductory courses (CS231n).

    545,098 parameters at (3, 32, 32).
    """
    return ConvNet(**options)
