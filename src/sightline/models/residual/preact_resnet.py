"""Pre-activation ResNet: He, Zhang, Ren & Sun 2016, "Identity mappings in deep residual networks", arXiv:1603.05027.

    resnet          y = relu(x + norm(conv(relu(norm(conv(x))))))
    preact_resnet   y = x + conv(relu(norm(conv(relu(norm(x))))))     nothing on the shortcut

so signal and gradient pass between any two blocks as a plain sum, and 1001 layers train: 4.92 % error on CIFAR-10 with
10.2 M weights, as the paper reports. Where the shape changes, the projection reads the block's first activation; a last
norm and ReLU close the trunk.

The 6n + 2 (basic) and 9n + 2 (bottleneck) nets are for 32x32 images: a 3x3 stem, three stages. They follow the paper's
appendix and the authors' code (github.com/KaimingHe/resnet-1k-layers): bottlenecks have their stride at the first 1x1,
and the first block's shortcut starts after the stem's activation. Basic blocks have `resnet_cifar`'s shortcuts without
weights (the paper names projections for bottlenecks only, and not what a padded shortcut reads: here the plain sum).

Where we differ: the other variants are ResNets with a 7x7 stem, like timm's resnetv2, whose weights load (`as_timm`).
Their stride is at the 3x3, they pool before the first norm and ReLU, and the first basic block's shortcut is plain.
Initialisation is `resnet`'s.
"""

from __future__ import annotations

from collections.abc import Mapping

from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.initialise import he_out
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_at_least

from .resnet import conv1x1, conv3x3
from .resnet_cifar import PaddedShortcut

BIG = (64, 128, 256, 512)  # planes of the stages for images of about 224 pixels
CIFAR = (16, 32, 64)  # and for images of about 32 pixels


class PreActBlock(nn.Module):
    """Two 3x3 convolutions, each preceded by norm and ReLU."""

    expansion = 1

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv3x3(inputs, planes, stride)
        self.bn2, self.conv2 = nn.BatchNorm2d(planes), conv3x3(planes, planes)
        self.downsample = conv1x1(inputs, planes, stride) if stride != 1 or inputs != planes else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, inputs, h, w) → (b, planes, h/stride, w/stride)."""
        a = self.relu(self.bn1(x))  # (b, c, h, w)
        y = self.conv1(a)  # (b, planes, h/s, w/s)
        y = self.conv2(self.relu(self.bn2(y)))  # (b, planes, h/s, w/s)
        return y + self.shortcut(x, a)

    def shortcut(self, x: Float[Tensor, "b c h w"], a: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b d i j"]:
        """The identity `x`, or the projection of the activation `a` where the shape changes."""
        return x if self.downsample is None else self.downsample(a)


class PreActBottleneck(nn.Module):
    """1x1 down, 3x3, 1x1 up, each preceded by norm and ReLU."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__()
        outputs = planes * self.expansion
        self.bn1, self.conv1 = nn.BatchNorm2d(inputs), conv1x1(inputs, planes)
        self.bn2, self.conv2 = nn.BatchNorm2d(planes), conv3x3(planes, planes, stride)
        self.bn3, self.conv3 = nn.BatchNorm2d(planes), conv1x1(planes, outputs)
        self.downsample = conv1x1(inputs, outputs, stride) if stride != 1 or inputs != outputs else None
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, inputs, h, w) → (b, 4 · planes, h/stride, w/stride)."""
        a = self.relu(self.bn1(x))  # (b, c, h, w)
        y = self.conv1(a)  # (b, planes, h, w)
        y = self.conv2(self.relu(self.bn2(y)))  # (b, planes, h/s, w/s)
        y = self.conv3(self.relu(self.bn3(y)))  # (b, outputs, h/s, w/s)
        return y + (x if self.downsample is None else self.downsample(a))


class CifarBlock(PreActBlock):
    """A basic block whose shortcut pads new channels with zeros."""

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__(inputs, planes, stride)
        self.padded, self.downsample = PaddedShortcut(planes - inputs, stride), None

    def shortcut(self, x: Float[Tensor, "b c h w"], a: Float[Tensor, "b _ _ _"]) -> Float[Tensor, "b d i j"]:
        """The identity, subsampled, with zeros for new channels."""
        return super().shortcut(self.padded(x), a)


class CifarBottleneck(PreActBottleneck):
    """A bottleneck with its stride at the first 1x1."""

    def __init__(self, inputs: int, planes: int, stride: int) -> None:
        super().__init__(inputs, planes, stride)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride


class PreActResNet(nn.Module):
    """Maps images to class scores, or to a pyramid of maps: the sums of the stages, the last one after norm and ReLU.

    small_images    a 3x3 stem without stride and pooling, for images of about 32 pixels
    """

    def __init__(
        self,
        block: type[PreActBlock] | type[PreActBottleneck],
        depths: tuple[int, ...],
        planes: tuple[int, ...] = BIG,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        small_images: bool = False,
    ) -> None:
        super().__init__()
        self.input_size = (in_channels, 32, 32) if small_images else (in_channels, 224, 224)
        stride = (1 if small_images else 4) * 2 ** (len(planes) - 2)  # before the last stage
        self.smallest = stride + 1  # the last strided layer then reads two pixels
        self.channels = tuple(block.expansion * p for p in planes)
        stem = nn.Conv2d(in_channels, planes[0], 7, stride=2, padding=3, bias=False)
        self.conv1 = conv3x3(in_channels, planes[0]) if small_images else stem
        self.maxpool = nn.Identity() if small_images else nn.MaxPool2d(3, stride=2, padding=1)
        stages, inputs = [], planes[0]
        for index, (width, depth) in enumerate(zip(planes, depths, strict=True)):
            first = block(inputs, width, 2 if index else 1)
            inputs = width * block.expansion
            stages.append(nn.Sequential(first, *(block(inputs, width, 1) for _ in range(depth - 1))))
        self.stages = nn.ModuleList(stages)
        self.norm, self.relu = nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, num_classes) if num_classes else nn.Identity()
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                he_out(layer.weight)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """One map for each stage; of 50 layers from (b, 256, h/4, w/4) to (b, 2048, h/32, w/32)."""
        require_at_least(x, self.input_size[0], self.smallest)
        x = self.maxpool(self.conv1(x))  # (b, 64, h/4, w/4); small: (b, 16, h, w)
        maps = []
        for stage in self.stages:
            x = stage(x)  # (b, 256, h/4, w/4) …; small: (b, 64, h, w) …
            maps.append(x)
        return [*maps[:-1], self.relu(self.norm(x))]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc(self.avgpool(self.features(x)[-1]).flatten(1))


class CifarPreActResNet(PreActResNet):
    """Three stages of `depth` blocks for 32x32 images."""

    def __init__(
        self,
        block: type[CifarBlock] | type[CifarBottleneck],
        depth: int,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
    ) -> None:
        depths = (depth,) * len(CIFAR)
        super().__init__(block, depths, CIFAR, in_channels=in_channels, num_classes=num_classes, small_images=True)
        if block is CifarBlock:  # makes the shortcut read the activation; a projecting bottleneck's does anyway
            self.get_submodule("stages.0.0").downsample = nn.Identity()


def as_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's state dict of a resnetv2 with batch norms under the names used here; its head is a 1x1 convolution."""
    names = {"stem.conv.": "conv1.", "head.fc.": "fc.", ".norm1.": ".bn1.", ".norm2.": ".bn2.", ".norm3.": ".bn3."}
    renamed = {}
    for key, x in state.items():
        for theirs, ours in names.items():
            key = key.replace(theirs, ours)
        key = key.replace(".blocks.", ".").replace("downsample.conv.", "downsample.")
        renamed[key] = x.flatten(1) if key == "fc.weight" else x
    return renamed


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def preact_resnet18(**options) -> PreActResNet:
    """ResNet-18 with pre-activation, He et al. 2016, arXiv:1603.05027; not in the paper, as timm's resnetv2.

    11.7 M parameters at (3, 224, 224).
    """
    return PreActResNet(PreActBlock, (2, 2, 2, 2), **options)


@MODELS.register
def preact_resnet34(**options) -> PreActResNet:
    """ResNet-34 with pre-activation, He et al. 2016, arXiv:1603.05027; not in the paper, as timm's resnetv2.

    21.8 M parameters at (3, 224, 224).
    """
    return PreActResNet(PreActBlock, (3, 4, 6, 3), **options)


@MODELS.register
def preact_resnet50(**options) -> PreActResNet:
    """ResNet-50 with pre-activation, He et al. 2016, arXiv:1603.05027; not in the paper, as timm's resnetv2.

    25.5 M parameters at (3, 224, 224).
    """
    return PreActResNet(PreActBottleneck, (3, 4, 6, 3), **options)


@MODELS.register
def preact_resnet101(**options) -> PreActResNet:
    """Pre-activation ResNet-101, He et al. 2016, arXiv:1603.05027: 44.5 M parameters at (3, 224, 224)."""
    return PreActResNet(PreActBottleneck, (3, 4, 23, 3), **options)


@MODELS.register
def preact_resnet152(**options) -> PreActResNet:
    """Pre-activation ResNet-152, He et al. 2016, arXiv:1603.05027, table 5: 60.2 M parameters at (3, 224, 224)."""
    return PreActResNet(PreActBottleneck, (3, 8, 36, 3), **options)


@MODELS.register
def preact_resnet200(**options) -> PreActResNet:
    """Pre-activation ResNet-200, He et al. 2016, arXiv:1603.05027, table 5: 64.7 M parameters at (3, 224, 224)."""
    return PreActResNet(PreActBottleneck, (3, 24, 36, 3), **options)


# for 32x32 images: the layers are in the name
@MODELS.register
def preact_resnet20(**options) -> CifarPreActResNet:
    """Pre-activation ResNet-20 by the 6n + 2 rule, He et al. 2016, arXiv:1603.05027; not in the paper.

    269,722 parameters at (3, 32, 32).
    """
    return CifarPreActResNet(CifarBlock, 3, **options)


@MODELS.register
def preact_resnet110(**options) -> CifarPreActResNet:
    """Pre-activation ResNet-110 for CIFAR, He et al. 2016, arXiv:1603.05027, table 3.

    1.7 M parameters at (3, 32, 32).
    """
    return CifarPreActResNet(CifarBlock, 18, **options)


@MODELS.register
def preact_resnet164(**options) -> CifarPreActResNet:
    """Pre-activation ResNet-164 for CIFAR, He et al. 2016, arXiv:1603.05027, table 3.

    1.7 M parameters at (3, 32, 32).
    """
    return CifarPreActResNet(CifarBottleneck, 18, **options)


@MODELS.register
def preact_resnet1001(**options) -> CifarPreActResNet:
    """Pre-activation ResNet-1001 for CIFAR, He et al. 2016, arXiv:1603.05027, table 4.

    10.3 M parameters at (3, 32, 32).
    """
    return CifarPreActResNet(CifarBottleneck, 111, **options)
