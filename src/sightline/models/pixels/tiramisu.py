"""The One Hundred Layers Tiramisu: Jégou, Drozdzal, Vazquez, Romero & Bengio 2016, arXiv:1611.09326. A U-Net of dense
blocks (Huang et al. 2016, arXiv:1608.06993): each layer reads all maps of its block so far and adds `growth` maps.

    variant       layers of the blocks            growth   learned     with norms' statistics   the paper's
    tiramisu56    4 4 4 4 4 - 4 - 4 4 4 4 4           12   1,376,795   1,397,963                1.5 M
    tiramisu67    5 5 5 5 5 - 5 - 5 5 5 5 5           16   3,463,243   3,502,923                3.5 M
    tiramisu103   4 5 7 10 12 - 15 - 12 10 7 5 4      16   9,322,091   9,425,163                9.4 M

The counts (3 channels, 11 classes) follow from the paper's tables 1 and 2 with a bias in every convolution. Two of the
paper's three are matched if running means and variances are counted as parameters too; its smallest is not.

On the way down a block's input is passed on beside its output; on the way up only the output is upsampled, or the
number of maps would grow too large. Dropout 0.2 follows every convolution of a layer and of a transition down. The
paper's table prints 578 maps where its own rule gives 576.

Where we differ: images are padded with zeros to a multiple of 32 (the paper's crops fit anyway), and He's
initialisation is Gaussian, not uniform.
"""

from __future__ import annotations

from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.dropout import require_share
from sightline.layers.initialise import initialise
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_channels

from .backbones import pad_to_multiple, require_classes


def layer(inputs: int, outputs: int, kernel: int, dropout: float) -> nn.Sequential:
    """Norm, ReLU, convolution, dropout."""
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(inplace=True), convolution, nn.Dropout2d(dropout))


class Dense(nn.Module):
    """A dense block: (b, inputs, h, w) → its new maps, (b, layers · growth, h, w)."""

    def __init__(self, inputs: int, layers: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer(inputs + i * growth, growth, 3, dropout) for i in range(layers))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d h w"]:
        """(b, inputs, h, w) → (b, layers · growth, h, w)."""
        made: list[Tensor] = []
        for each in self.layers:
            made.append(each(torch.cat([x, *made], 1)))
        return torch.cat(made, 1)


class Tiramisu(nn.Module):
    """FC-DenseNet. `blocks` are the layers of each block on the way down; the way up mirrors them.

    growth    new maps of each layer
    first     maps of the first convolution
    """

    def __init__(
        self,
        blocks: tuple[int, ...],
        bottleneck: int,
        *,
        in_channels: int = 3,
        num_classes: int = 11,
        growth: int = 16,
        first: int = 48,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        require_classes(num_classes)
        require_share(dropout)
        self.input_size = (in_channels, 224, 224)
        self.multiple = 2 ** len(blocks)
        self.first = nn.Conv2d(in_channels, first, 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        channels, beside = first, []
        for layers in blocks:
            self.down.append(Dense(channels, layers, growth, dropout))
            channels += layers * growth
            beside.append(channels)
            self.shrink.append(nn.Sequential(layer(channels, channels, 1, dropout), nn.MaxPool2d(2)))
        self.middle = Dense(channels, bottleneck, growth, dropout)
        self.grow, self.up = nn.ModuleList(), nn.ModuleList()
        made = bottleneck * growth
        for layers, skip in zip(reversed(blocks), reversed(beside), strict=True):
            self.grow.append(nn.ConvTranspose2d(made, made, 3, stride=2, padding=1, output_padding=1))
            self.up.append(Dense(made + skip, layers, growth, dropout))
            channels, made = made + skip + layers * growth, layers * growth
        self.head = nn.Conv2d(channels, num_classes, 1)
        initialise(self, "he")
        for enlarge in self.grow:
            weight, bias = cast(nn.ConvTranspose2d, enlarge).weight, cast(nn.ConvTranspose2d, enlarge).bias
            nn.init.normal_(weight, std=(weight.shape[0] * 9 / 4) ** -0.5)  # an output meets a quarter of the 3x3 taps
            nn.init.zeros_(cast(Tensor, bias))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Class scores of every pixel, (b, num_classes, h, w)."""
        require_channels(x, self.input_size[0])
        height, width = x.shape[2:]
        x = self.first(pad_to_multiple(x, self.multiple))  # (b, first, h, w)
        beside = []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            beside.append(torch.cat([x, block(x)], 1))
            x = shrink(beside[-1])  # (b, _, h/2, w/2)
        made = self.middle(x)
        for grow, block in zip(self.grow, self.up, strict=True):
            x = torch.cat([grow(made), beside.pop()], 1)  # (b, _, 2h, 2w)
            made = block(x)
        return self.head(torch.cat([x, made], 1))[:, :, :height, :width]


# ------------------------------------------------------------------------------- variants: the layers are in the name
@MODELS.under("pixel scores")
def tiramisu56(**options) -> Tiramisu:
    """FC-DenseNet56, Jégou et al. 2016, arXiv:1611.09326: 1.4 M parameters at (3, 224, 224)."""
    return Tiramisu((4,) * 5, 4, growth=12, **options)


@MODELS.under("pixel scores")
def tiramisu67(**options) -> Tiramisu:
    """FC-DenseNet67, Jégou et al. 2016, arXiv:1611.09326: 3.5 M parameters at (3, 224, 224)."""
    return Tiramisu((5,) * 5, 5, growth=16, **options)


@MODELS.under("pixel scores")
def tiramisu103(**options) -> Tiramisu:
    """FC-DenseNet103, Jégou et al. 2016, arXiv:1611.09326, table 2: 9.3 M parameters at (3, 224, 224)."""
    return Tiramisu((4, 5, 7, 10, 12), 15, growth=16, **options)
