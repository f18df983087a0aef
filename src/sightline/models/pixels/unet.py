"""U-Net: Ronneberger, Fischer & Brox 2015, arXiv:1505.04597.

A contracting path of 3x3 pairs and max-pooling, an expanding path of 2x2 transposed convolutions, and at every size the
map of the former concatenated to that of the latter. `unet` is the paper's; `unet_resnet18` and the like contract by
the trunk of a classifier.

As published (`padding="valid"`) no 3x3 is padded: maps of the contracting path are cropped, and the image is mirrored
by 92 pixels on each side, so that every output pixel has its full context. By default 3x3s are zero-padded ("same"), as
in nearly all later implementations: half the work, and images may be smaller than the mirror needs. The paper drops
units at the end of the contracting path but gives no rate; here only if `dropout` is set. Its loss weights, which
separate touching cells, belong to the data. Transposed convolutions are initialised with variance 1 / in instead of 2 /
in, because no ReLU follows them.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.initialise import initialise
from sightline.models.catalogue import MODELS
from sightline.models.residual.resnet import norm2d
from sightline.models.sizes import require_at_least, require_channels

from .backbones import backbone as trunk
from .backbones import pad_to_multiple, require_classes, strides

Norm = Literal["none", "batch", "group"]
Up = Literal["transposed", "bilinear", "bicubic", "nearest"]


class Pair(nn.Sequential):
    """Two 3x3 convolutions, each followed by a norm and a ReLU."""

    def __init__(self, inputs: int, outputs: int, *, norm: Norm, padding: int = 1) -> None:
        layers: list[nn.Module] = []
        for read in (inputs, outputs):
            layers.append(nn.Conv2d(read, outputs, 3, padding=padding, bias=norm == "none"))
            if norm != "none":
                layers.append(norm2d(norm, outputs))
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*layers)


def upsampler(inputs: int, outputs: int, up: Up) -> nn.Module:
    """Twice the height and width: a learned 2x2 of stride 2, or fixed interpolation and a 1x1 that changes the channels."""
    if up == "transposed":
        layer = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        nn.init.normal_(layer.weight, std=inputs**-0.5)  # every output is one tap of each input
        assert layer.bias is not None
        nn.init.zeros_(layer.bias)
        return layer
    smooth = {} if up == "nearest" else {"align_corners": False}
    return nn.Sequential(nn.Upsample(scale_factor=2, mode=up, **smooth), nn.Conv2d(inputs, outputs, 1))


class UNet(nn.Module):
    """Images to class scores of every pixel.

    width      channels of the finest maps; they double with each of the `depth` poolings
    padding    of the 3x3s: "same", or the paper's "valid" with a mirrored border
    dropout    rate of dropping channels of the two coarsest maps
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 2,
        width: int = 64,
        depth: int = 4,
        norm: Norm = "none",
        up: Up = "transposed",
        padding: Literal["same", "valid"] = "same",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        require_classes(num_classes)
        self.input_size = (in_channels, 572, 572) if padding == "valid" else (in_channels, 512, 512)
        self.depth, self.valid = depth, padding == "valid"
        channels = [width * 2**level for level in range(depth + 1)]
        border = 0 if self.valid else 1
        reads = [in_channels, *channels[:-1]]
        self.down = nn.ModuleList(Pair(i, o, norm=norm, padding=border) for i, o in zip(reads, channels, strict=True))
        self.drop = nn.Dropout2d(dropout)
        self.up = nn.ModuleList(upsampler(2 * c, c, up) for c in reversed(channels[:-1]))
        self.merge = nn.ModuleList(Pair(2 * c, c, norm=norm, padding=border) for c in reversed(channels[:-1]))
        self.head = nn.Conv2d(width, num_classes, 1)
        initialise(self, "he")

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Class scores of every pixel, (b, num_classes, h, w)."""
        require_channels(x, self.input_size[0])
        height, width = x.shape[2:]
        x = self._mirrored(x) if self.valid else pad_to_multiple(x, 2**self.depth)
        maps = []
        for level, pair in enumerate(self.down):
            x = pair(F.max_pool2d(x, 2) if level else x)  # (b, width · 2^level, h / 2^level, w / 2^level)
            if level >= self.depth - 1:
                x = self.drop(x)
            maps.append(x)
        x = climb(maps.pop(), maps, self.up, self.merge)  # (b, width, h, w)
        return self.head(x)[:, :, :height, :width]

    def _mirrored(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
        """The paper's overlap-tile strategy: with n = 2^depth, n·m + 4(n - 1) input pixels give n·(m - 4) - 4(n - 1)."""
        n = 2**self.depth
        margin = 6 * n - 4
        require_at_least(x, self.input_size[0], margin + n)
        ends = [-(-(side + 8 * n - 4) // n) * n + 4 * n - 4 - side - margin for side in x.shape[2:]]
        return F.pad(x, (margin, ends[1], margin, ends[0]), mode="reflect")


class BackboneUNet(nn.Module):
    """A U-Net that contracts by a classifier's trunk. At sizes above its finest map there is no skip connection.

    backbone   any classifier with a pyramid of maps
    width      channels of the maps at the image's own size; they double with each halving
    """

    trunk: Any  # a network with `features` and `channels`

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 21,
        backbone: str = "resnet18",
        width: int = 16,
        norm: Literal["batch", "group"] = "batch",
        up: Up = "nearest",
    ) -> None:
        super().__init__()
        require_classes(num_classes)
        self.input_size = (in_channels, 512, 512)
        self.backbone = backbone
        self.trunk = trunk(backbone, in_channels=in_channels, norm=norm)
        steps = strides(backbone, in_channels=in_channels, norm=norm)
        self.coarsest = steps[-1]
        beside = dict(zip(steps, self.trunk.channels, strict=True))  # stride → channels
        below, ups, merges = beside[self.coarsest], [], []
        for level in reversed(range(self.coarsest.bit_length() - 1)):  # 2^level is the stride of the output
            outputs = width * 2**level
            ups.append(upsampler(below, outputs, up))
            merges.append(Pair(outputs + beside.get(2**level, 0), outputs, norm=norm))
            below = outputs
        self.up, self.merge = nn.ModuleList(ups), nn.ModuleList(merges)
        self.head = nn.Conv2d(below, num_classes, 1)
        for part in (self.up, self.merge, self.head):
            initialise(part, "he")

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Class scores of every pixel, (b, num_classes, h, w)."""
        height, width = x.shape[2:]
        maps = self.trunk.features(pad_to_multiple(x, self.coarsest))
        x = climb(maps.pop(), maps, self.up, self.merge)  # (b, width, h, w)
        return self.head(x)[:, :, :height, :width]


def climb(
    x: Float[Tensor, "b c h w"], maps: list[Tensor], ups: nn.ModuleList, merges: nn.ModuleList
) -> Float[Tensor, "b d i j"]:
    """The expanding path: upsample, concatenate the matching one of `maps` (fine to coarse, cropped to its centre), merge."""
    beside = list(reversed(maps))
    for up, merge in zip(ups, merges, strict=True):
        x = up(x)
        if beside:
            skip = beside.pop(0)
            top, left = (skip.shape[2] - x.shape[2]) // 2, (skip.shape[3] - x.shape[3]) // 2
            x = torch.cat([skip[:, :, top : top + x.shape[2], left : left + x.shape[3]], x], 1)
        x = merge(x)
    return x


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.under("pixel scores")
def unet(**options) -> UNet:
    """U-Net, Ronneberger et al. 2015, arXiv:1505.04597, figure 1: 31.0 M parameters at (1, 512, 512)."""
    return UNet(**options)


@MODELS.under("pixel scores")
def unet_backbone(**options) -> BackboneUNet:
    """U-Net on any classifier (`backbone`, here ResNet-18), after Ronneberger et al. 2015, arXiv:1505.04597.

    13.7 M parameters at (3, 512, 512).
    """
    return BackboneUNet(**options)


@MODELS.under("pixel scores")
def unet_resnet18(**options) -> BackboneUNet:
    """U-Net on ResNet-18, after Ronneberger et al. 2015, arXiv:1505.04597: 13.7 M parameters at (3, 512, 512)."""
    return BackboneUNet(backbone="resnet18", **options)


@MODELS.under("pixel scores")
def unet_resnet34(**options) -> BackboneUNet:
    """U-Net on ResNet-34, after Ronneberger et al. 2015, arXiv:1505.04597: 23.8 M parameters at (3, 512, 512)."""
    return BackboneUNet(backbone="resnet34", **options)


@MODELS.under("pixel scores")
def unet_resnet50(**options) -> BackboneUNet:
    """U-Net on ResNet-50, after Ronneberger et al. 2015, arXiv:1505.04597: 28.7 M parameters at (3, 512, 512)."""
    return BackboneUNet(backbone="resnet50", **options)


@MODELS.under("pixel scores")
def unet_vgg16_bn(**options) -> BackboneUNet:
    """U-Net on VGG-16 with batch norm, after Ronneberger et al. 2015, arXiv:1505.04597.

    18.0 M parameters at (3, 512, 512).
    """
    return BackboneUNet(backbone="vgg16_bn", **options)


@MODELS.under("pixel scores")
def unet_efficientnet_lite0(**options) -> BackboneUNet:
    """U-Net on EfficientNet-Lite0, after Ronneberger et al. 2015, arXiv:1505.04597: 5.6 M parameters at (3, 512, 512)."""
    return BackboneUNet(backbone="efficientnet_lite0", **options)


@MODELS.under("pixel scores")
def unet_mobilenet_v2(**options) -> BackboneUNet:
    """U-Net on MobileNetV2, after Ronneberger et al. 2015, arXiv:1505.04597: 4.4 M parameters at (3, 512, 512)."""
    return BackboneUNet(backbone="mobilenet_v2", **options)
