"""DeepLab v3: Chen, Papandreou, Schroff & Adam 2017, arXiv:1706.05587. A dilated trunk, and an atrous spatial pyramid on its
last map.

    deeplabv3_resnet50, deeplabv3_resnet101   torchvision's, whose weights load: output stride 8, rates 12, 24, 36
    deeplabv3_resnet18                        the same on basic blocks at output stride 16, rates 6, 12, 18
    deeplabv3_backbone                        on any classifier with a pyramid of maps, whose last strides become dilations
    deeplabv3_efficientnet_lite0              of which this is one

The paper trains at stride 16 and evaluates at 8 and several scales; here both are the same. Scores are resized bilinearly to
the image.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.convolution.atrous import AtrousPyramid
from sightline.layers.initialise import initialise
from sightline.models.catalogue import MODELS
from sightline.models.residual.resnet import BasicBlock, Bottleneck, Norm, ResNet, norm2d

from .backbones import backbone as trunk
from .backbones import dilate, pad_to_multiple, require_classes
from .fcn import WithAuxiliary, resize_to
from .fcn import head as plain_head

Stride = Literal[8, 16]


def head(inputs: int, classes: int, *, stride: int, width: int, norm: Norm, dropout: float) -> nn.Sequential:
    """The pyramid with the paper's rates for that output stride, a 3x3 and a 1x1 convolution."""
    rates = tuple(rate * 16 // stride for rate in (6, 12, 18))
    layer = partial(norm2d, norm)
    pyramid = AtrousPyramid(inputs, rates, width, norm=layer, dropout=dropout)
    smooth = nn.Conv2d(width, width, 3, padding=1, bias=False)
    return nn.Sequential(pyramid, smooth, layer(width), nn.ReLU(), nn.Conv2d(width, classes, 1))


class DeepLabV3(nn.Module):
    """On a dilated ResNet.

    width      channels of the pyramid
    dropout    rate behind it
    aux        a second, plain head on the third stage, used in training mode only
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        depths: tuple[int, int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 21,
        output_stride: Stride = 8,
        width: int = 256,
        dropout: float = 0.5,
        aux: bool = False,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        require_classes(num_classes)
        self.input_size = (in_channels, 520, 520)
        self.backbone = ResNet(
            block, depths, in_channels=in_channels, num_classes=0, norm=norm, output_stride=output_stride
        )
        *_, third, last = self.backbone.channels
        self.classifier = head(last, num_classes, stride=output_stride, width=width, norm=norm, dropout=dropout)
        self.aux_classifier = plain_head(third, num_classes, norm) if aux else None

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"] | WithAuxiliary:
        """Class scores of every pixel, (b, num_classes, h, w); `WithAuxiliary` in training mode with `aux`."""
        *_, c4, c5 = self.backbone.features(x)  # (b, third, h/8, w/8), (b, last, h/8, w/8)
        scores = resize_to(self.classifier(c5), x)
        if self.training and self.aux_classifier is not None:
            return WithAuxiliary(scores, resize_to(self.aux_classifier(c4), x))
        return scores


class BackboneDeepLabV3(nn.Module):
    """On a classifier's trunk. Where its strides exceed `output_stride`, its convolutions dilate instead, so that published
    weights of the classifier fit.

    backbone   any classifier with a pyramid of maps that strides by convolutions
    width      channels of the pyramid
    dropout    rate behind it
    """

    trunk: Any  # a network with `features` and `channels`

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 21,
        backbone: str = "resnet18",
        output_stride: Stride = 16,
        width: int = 256,
        dropout: float = 0.5,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        require_classes(num_classes)
        self.input_size = (in_channels, 512, 512)
        self.backbone, self.multiple = backbone, output_stride
        self.trunk = trunk(backbone, in_channels=in_channels, norm=norm)
        dilate(self.trunk, backbone, output_stride, in_channels=in_channels)
        last = self.trunk.channels[-1]
        self.head = head(last, num_classes, stride=output_stride, width=width, norm=norm, dropout=dropout)
        initialise(self.head, "he")

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Class scores of every pixel, (b, num_classes, h, w)."""
        height, width = x.shape[2:]
        x = pad_to_multiple(x, self.multiple)
        *_, last = self.trunk.features(x)  # (b, last, h/stride, w/stride)
        return resize_to(self.head(last), x)[:, :, :height, :width]


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.under("pixel scores")
def deeplabv3_resnet18(**options) -> DeepLabV3:
    """DeepLab v3 on ResNet-18 at output stride 16, after Chen et al. 2017, arXiv:1706.05587.

    15.9 M parameters at (3, 520, 520).
    """
    return DeepLabV3(BasicBlock, (2, 2, 2, 2), output_stride=16, **options)


@MODELS.under("pixel scores")
def deeplabv3_resnet50(**options) -> DeepLabV3:
    """DeepLab v3 on ResNet-50 at output stride 8, Chen et al. 2017, arXiv:1706.05587, in torchvision's form.

    39.6 M parameters at (3, 520, 520).
    """
    return DeepLabV3(Bottleneck, (3, 4, 6, 3), **options)


@MODELS.under("pixel scores")
def deeplabv3_resnet101(**options) -> DeepLabV3:
    """DeepLab v3 on ResNet-101 at output stride 8, Chen et al. 2017, arXiv:1706.05587, in torchvision's form.

    58.6 M parameters at (3, 520, 520).
    """
    return DeepLabV3(Bottleneck, (3, 4, 23, 3), **options)


@MODELS.under("pixel scores")
def deeplabv3_backbone(**options) -> BackboneDeepLabV3:
    """DeepLab v3 on any classifier (`backbone`, here ResNet-18), after Chen et al. 2017, arXiv:1706.05587.

    15.9 M parameters at (3, 512, 512).
    """
    return BackboneDeepLabV3(**options)


@MODELS.under("pixel scores")
def deeplabv3_efficientnet_lite0(**options) -> BackboneDeepLabV3:
    """DeepLab v3 on EfficientNet-Lite0 at output stride 16, after Chen et al. 2017, arXiv:1706.05587.

    13.8 M parameters at (3, 512, 512).
    """
    return BackboneDeepLabV3(backbone="efficientnet_lite0", **options)
