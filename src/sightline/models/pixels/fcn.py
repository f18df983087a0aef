"""Fully convolutional networks: Long, Shelhamer & Darrell 2014, arXiv:1411.4038.

    fcn_resnet50, fcn_resnet101   torchvision's: a ResNet whose last two stages dilate (stride 8), one 3x3 head, bilinear
    fcn32s, fcn16s, fcn8s         the paper's: VGG-16 whose dense layers are convolutions, scores added from stride 16, 8

The former keep torchvision's parameter names; with `aux` a second head on the stage before is trained along (Zhao et
al. 2016, arXiv:1612.01105), as in all its published weights.

The latter differ from the paper. Where it pads the image by 100 pixels, so that the 7x7 of fc6 fits, here fc6 is
padded, and images are filled up to a multiple of 32. The last transposed convolution, which the paper fixes to
bilinear, is only initialised so, with one filter for each class. As in the paper the skips' scores are initialised to
0, the other transposed convolutions to bilinear. The score layer is initialised from a Gaussian of deviation 0.01 (the
paper: 0, after pre-training), so that gradient reaches the trunk in the first step.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.convolution.upsampling import bilinear_upsampler
from sightline.layers.initialise import initialise
from sightline.models.catalogue import MODELS
from sightline.models.early.vgg import D, stages
from sightline.models.residual.resnet import Bottleneck, Norm, ResNet, norm2d
from sightline.models.sizes import require_channels

from .backbones import pad_to_multiple, require_classes


class WithAuxiliary(NamedTuple):
    """The output in training mode with an auxiliary head: two sets of scores of every pixel."""

    scores: Float[Tensor, "b k h w"]
    auxiliary: Float[Tensor, "b k h w"]


def head(inputs: int, classes: int, norm: Norm) -> nn.Sequential:
    """torchvision's FCNHead: 3x3 to a quarter of the channels, and a 1x1 to the classes."""
    middle = inputs // 4
    reduce = nn.Conv2d(inputs, middle, 3, padding=1, bias=False)
    return nn.Sequential(reduce, norm2d(norm, middle), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(middle, classes, 1))


class DilatedFCN(nn.Module):
    """Class scores at an eighth of the image's height and width, resized to the image.

    aux    a second head on the third stage, used in training mode only
    """

    def __init__(
        self,
        depths: tuple[int, int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 21,
        aux: bool = False,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        require_classes(num_classes)
        self.input_size = (in_channels, 520, 520)
        self.backbone = ResNet(Bottleneck, depths, in_channels=in_channels, num_classes=0, norm=norm, output_stride=8)
        self.classifier = head(2048, num_classes, norm)
        self.aux_classifier = head(1024, num_classes, norm) if aux else None

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"] | WithAuxiliary:
        """Class scores of every pixel, (b, num_classes, h, w); `WithAuxiliary` in training mode with `aux`."""
        *_, c4, c5 = self.backbone.features(x)  # (b, 1024, h/8, w/8), (b, 2048, h/8, w/8)
        scores = resize_to(self.classifier(c5), x)
        if self.training and self.aux_classifier is not None:
            return WithAuxiliary(scores, resize_to(self.aux_classifier(c4), x))
        return scores


def resize_to(scores: Float[Tensor, "b k i j"], x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
    """Scores resized bilinearly to the height and width of the image `x`."""
    return F.interpolate(scores, size=x.shape[2:], mode="bilinear", align_corners=False)


class VGGFCN(nn.Module):
    """VGG-16 as a convolution: scores at stride 32, upsampled to stride `finest`, adding scores of earlier maps.

    finest    8, 16 or 32: the stride from which the last upsampling goes to the image's size
    width     channels of fc6 and fc7
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 21,
        finest: Literal[8, 16, 32] = 8,
        width: int = 4096,
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        require_classes(num_classes)
        self.input_size = (in_channels, 500, 500)
        self.trunk = stages(D, in_channels, batch_norm)
        self.fc6, self.fc7 = nn.Conv2d(512, width, 7, padding=3), nn.Conv2d(width, width, 1)
        self.relu, self.drop = nn.ReLU(inplace=True), nn.Dropout2d(dropout)
        self.score = nn.Conv2d(width, num_classes, 1)
        levels = {8: 2, 16: 1, 32: 0}[finest]
        self.skips = nn.ModuleList(nn.Conv2d(c, num_classes, 1) for c in (512, 256)[:levels])  # of strides 16, 8
        self.ups = nn.ModuleList(bilinear_upsampler(num_classes, 2, mixing=True) for _ in self.skips)
        self.last = bilinear_upsampler(num_classes, finest)
        for part, start in ((self.fc6, "he_out"), (self.fc7, "he_out"), (self.score, "normal"), (self.skips, "zeros")):
            initialise(part, start)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k h w"]:
        """Class scores of every pixel, (b, num_classes, h, w)."""
        require_channels(x, self.input_size[0])
        height, width = x.shape[2:]
        _, _, c3, c4, c5 = self.trunk(pad_to_multiple(x, 32))
        y = self.drop(self.relu(self.fc6(c5)))  # (b, width, h/32, w/32)
        y = self.drop(self.relu(self.fc7(y)))  # (b, width, h/32, w/32)
        y = self.score(y)  # (b, k, h/32, w/32)
        for up, skip, earlier in zip(self.ups, self.skips, (c4, c3), strict=False):
            y = up(y) + skip(earlier)  # (b, k, h/16, w/16), then (b, k, h/8, w/8)
        return self.last(y)[:, :, :height, :width]


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.under("pixel scores")
def fcn_resnet50(**options) -> DilatedFCN:
    """FCN on a dilated ResNet-50 (stride 8), torchvision's form of Long et al. 2014, arXiv:1411.4038.

    33.0 M parameters at (3, 520, 520).
    """
    return DilatedFCN((3, 4, 6, 3), **options)


@MODELS.under("pixel scores")
def fcn_resnet101(**options) -> DilatedFCN:
    """FCN on a dilated ResNet-101 (stride 8), torchvision's form of Long et al. 2014, arXiv:1411.4038.

    51.9 M parameters at (3, 520, 520).
    """
    return DilatedFCN((3, 4, 23, 3), **options)


@MODELS.under("pixel scores")
def fcn32s(**options) -> VGGFCN:
    """FCN-32s on VGG-16, Long et al. 2014, arXiv:1411.4038, figure 3: 134.4 M parameters at (3, 500, 500)."""
    return VGGFCN(finest=32, **options)


@MODELS.under("pixel scores")
def fcn16s(**options) -> VGGFCN:
    """FCN-16s on VGG-16, Long et al. 2014, arXiv:1411.4038, figure 3: 134.4 M parameters at (3, 500, 500)."""
    return VGGFCN(finest=16, **options)


@MODELS.under("pixel scores")
def fcn8s(**options) -> VGGFCN:
    """FCN-8s on VGG-16, Long et al. 2014, arXiv:1411.4038, figure 3: 134.4 M parameters at (3, 500, 500)."""
    return VGGFCN(finest=8, **options)
