"""Scene labelling: Farabet, Couprie, Najman & LeCun 2013, "Learning Hierarchical Features for Scene Labeling", PAMI 35(8).
One convolutional network reads the image at three scales; a classifier reads all three at every pixel.

    image   → Y, U, V → Laplacian pyramid of three octaves → each 15x15 patch to zero mean and unit deviation
    network → 7x7, 16 maps (10 of Y, 6 of U and V), tanh, pooling → 7x7, 64 maps of 8 each, tanh, pooling
              → 7x7, 256 maps of 32 each. The same weights at each scale; each output sees 46x46 pixels of its scale
    3 · 256 maps, the coarse ones upsampled → 1,024 tanh units → classes

Which maps are read is random in the paper; here it is drawn once for all. Maps are padded, so that they keep their place, and
scores of every fourth pixel are resized to the image. The paper trains the network under a linear classifier (`linear`),
then the classifier of 1,024 units on frozen features; here all is trained at once. Its superpixels, trees and conditional
random fields, which clean the answer up, are not part of this.
"""

from __future__ import annotations

from functools import cache, partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.convolution.laplacian import laplacian_pyramid
from sightline.layers.convolution.partial import PartialConvolution
from sightline.layers.convolution.upsampling import bilinear
from sightline.layers.initialise import initialise
from sightline.layers.normalisation import local_contrast
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_channels
from sightline.randomness.keyed import reference_hash

from .backbones import pad_to_multiple, require_classes
from .fcn import resize_to

SCALES = 3
POOLED = 4  # stride of the network within its scale


def yuv(x: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Brightness and two colour differences of ITU-R BT.601, of red, green and blue."""
    r, g, b = x.unbind(1)
    y = 0.299 * r + 0.587 * g + 0.114 * b
    return torch.stack([y, 0.492 * (b - y), 0.877 * (r - y)], 1)


@cache
def chosen(maps: int, read: int, outputs: int) -> tuple[tuple[int, ...], ...]:
    """For each of `outputs` maps the `read` of `maps` that it reads."""
    orders = (sorted(range(maps), key=partial(reference_hash, 0, "connections", maps, o)) for o in range(outputs))
    return tuple(tuple(sorted(order[:read])) for order in orders)


class SceneLabelling(nn.Module):
    """Images to class scores of every pixel.

    hidden    units of the classifier
    linear    no such units: a linear classifier
    """

    def __init__(
        self, *, in_channels: int = 3, num_classes: int = 11, hidden: int = 1024, linear: bool = False
    ) -> None:
        super().__init__()
        require_classes(num_classes)
        self.input_size = (in_channels, 240, 320)
        colours = ((0,),) * 10 + ((1, 2),) * 6 if in_channels == 3 else (tuple(range(in_channels)),) * 16
        self.network = nn.Sequential(
            PartialConvolution(in_channels, colours, 7, padding=3),
            nn.Tanh(),
            nn.MaxPool2d(2),
            PartialConvolution(16, chosen(16, 8, 64), 7, padding=3),
            nn.Tanh(),
            nn.MaxPool2d(2),
            PartialConvolution(64, chosen(64, 32, 256), 7, padding=3),
        )
        features = SCALES * 256
        wide = [] if linear else [nn.Conv2d(features, hidden, 1), nn.Tanh()]
        self.classifier = nn.Sequential(*wide, nn.Conv2d(features if linear else hidden, num_classes, 1))
        initialise(self, "lecun")

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Class scores of every pixel, (b, num_classes, h, w)."""
        require_channels(x, self.input_size[0])
        height, width = x.shape[2:]
        x = pad_to_multiple(x, POOLED * 2 ** (SCALES - 1))
        bands = laplacian_pyramid(yuv(x) if x.shape[1] == 3 else x, SCALES)
        maps = [
            self.network(local_contrast(band)) for band in bands
        ]  # (b, 256, h / 4, w / 4), of strides 8 and 16 beside
        finest = maps[0]
        alike = [finest, *(bilinear(m, (finest.shape[2], finest.shape[3])) for m in maps[1:])]
        return resize_to(self.classifier(torch.cat(alike, 1)), x)[:, :, :height, :width]


@MODELS.under("pixel scores")
def farabet(**options) -> SceneLabelling:
    """Scene labelling at three scales, Farabet et al. 2013 (PAMI 35): 1.2 M parameters at (3, 240, 320)."""
    return SceneLabelling(**options)
