"""The small ResNets for 32x32 images: He, Zhang, Ren & Sun 2015, arXiv:1512.03385, section 4.2.

A 3x3 stem, three stages of n basic blocks with 16, 32 and 64 channels at strides 1, 2, 4, a linear head: 6n + 2 layers.
All shortcuts are the paper's option A: the identity, subsampled and with zeros for the new channels, so without
parameters. The paper reports test errors on CIFAR-10 from 8.75 % (20 layers) to 6.43 % (110).

Where we differ: half of the zeros precede the channels and half follow (the paper does not say). Convolutions are
initialised from He's Gaussian of variance 2 / fan-out (arXiv:1502.01852), as in `resnet`.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.initialise import he_out
from sightline.models.catalogue import MODELS
from sightline.models.sizes import require_at_least

from .resnet import conv3x3


class PaddedShortcut(nn.Module):
    """The paper's option A: the identity, subsampled, with zeros for `new` channels; no parameters."""

    def __init__(self, new: int, stride: int) -> None:
        super().__init__()
        self.new, self.stride = new, stride

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, c, h, w) → (b, c + new, h/stride, w/stride)."""
        if not self.new:
            return x
        x = F.avg_pool2d(
            x, 1, self.stride
        )  # (b, c, h/s, w/s); unlike a slice, its gradient keeps the channels-last layout
        return F.pad(x, (0, 0, 0, 0, self.new // 2, self.new - self.new // 2))  # (b, c + new, h/s, w/s)


class PaddedBlock(nn.Module):
    """Two 3x3 convolutions and, where `residual`, a shortcut without parameters."""

    def __init__(self, inputs: int, outputs: int, stride: int, residual: bool = True) -> None:
        super().__init__()
        self.conv1, self.bn1 = conv3x3(inputs, outputs, stride), nn.BatchNorm2d(outputs)
        self.conv2, self.bn2 = conv3x3(outputs, outputs), nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut = PaddedShortcut(outputs - inputs, stride) if residual else None

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d i j"]:
        """(b, inputs, h, w) → (b, outputs, h/stride, w/stride)."""
        y = self.relu(self.bn1(self.conv1(x)))  # (b, outputs, h/s, w/s)
        y = self.bn2(self.conv2(y))  # (b, outputs, h/s, w/s)
        return self.relu(y if self.shortcut is None else y.add_(self.shortcut(x)))


class CifarResNet(nn.Module):
    """6n + 2 layers with n = `depth` blocks in each stage; `residual=False` removes the shortcuts (the paper's plain nets)."""

    def __init__(self, depth: int, *, in_channels: int = 3, num_classes: int = 10, residual: bool = True) -> None:
        super().__init__()

        def stage(inputs: int, outputs: int, stride: int) -> nn.Sequential:
            rest = (PaddedBlock(outputs, outputs, 1, residual) for _ in range(depth - 1))
            return nn.Sequential(PaddedBlock(inputs, outputs, stride, residual), *rest)

        self.input_size = (in_channels, 32, 32)
        self.channels = (16, 32, 64)
        self.conv1, self.bn1 = conv3x3(in_channels, 16), nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = stage(16, 16, stride=1)
        self.layer2 = stage(16, 32, stride=2)
        self.layer3 = stage(32, 64, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, num_classes) if num_classes else nn.Identity()
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                he_out(layer.weight)

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b _ _ _"]]:
        """Three maps at strides 1, 2, 4."""
        require_at_least(x, self.input_size[0], 3)
        x = self.relu(self.bn1(self.conv1(x)))  # (b, 16, h, w)
        c1 = self.layer1(x)  # (b, 16, h, w)
        c2 = self.layer2(c1)  # (b, 32, h/2, w/2)
        c3 = self.layer3(c2)  # (b, 64, h/4, w/4)
        return [c1, c2, c3]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the feature vector (b, channels[-1])."""
        return self.fc(self.avgpool(self.features(x)[-1]).flatten(1))


# ------------------------------------------------------------------------------- variants: the layers are in the name
@MODELS.register
def resnet8(**options) -> CifarResNet:
    """ResNet-8 by the 6n + 2 rule of He et al. 2015, arXiv:1512.03385, section 4.2; not in the paper.

    75,290 parameters at (3, 32, 32).
    """
    return CifarResNet(1, **options)


@MODELS.register
def resnet14(**options) -> CifarResNet:
    """ResNet-14 by the 6n + 2 rule of He et al. 2015, arXiv:1512.03385, section 4.2; not in the paper.

    172,506 parameters at (3, 32, 32).
    """
    return CifarResNet(2, **options)


@MODELS.register
def resnet20(**options) -> CifarResNet:
    """ResNet-20 for CIFAR-10, He et al. 2015, arXiv:1512.03385, table 6: 269,722 parameters at (3, 32, 32)."""
    return CifarResNet(3, **options)


@MODELS.register
def resnet32(**options) -> CifarResNet:
    """ResNet-32 for CIFAR-10, He et al. 2015, arXiv:1512.03385, table 6: 464,154 parameters at (3, 32, 32)."""
    return CifarResNet(5, **options)


@MODELS.register
def resnet44(**options) -> CifarResNet:
    """ResNet-44 for CIFAR-10, He et al. 2015, arXiv:1512.03385, table 6: 658,586 parameters at (3, 32, 32)."""
    return CifarResNet(7, **options)


@MODELS.register
def resnet56(**options) -> CifarResNet:
    """ResNet-56 for CIFAR-10, He et al. 2015, arXiv:1512.03385, table 6: 853,018 parameters at (3, 32, 32)."""
    return CifarResNet(9, **options)


@MODELS.register
def resnet110(**options) -> CifarResNet:
    """ResNet-110 for CIFAR-10, He et al. 2015, arXiv:1512.03385, table 6: 1.7 M parameters at (3, 32, 32)."""
    return CifarResNet(18, **options)


@MODELS.register
def resnet1202(**options) -> CifarResNet:
    """ResNet-1202 for CIFAR-10, He et al. 2015, arXiv:1512.03385, table 6: 19.4 M parameters at (3, 32, 32)."""
    return CifarResNet(200, **options)


@MODELS.register
def plain20(**options) -> CifarResNet:
    """ResNet-20 without shortcuts, He et al. 2015, arXiv:1512.03385, figure 6: 269,722 parameters at (3, 32, 32)."""
    return CifarResNet(3, residual=False, **options)


@MODELS.register
def plain32(**options) -> CifarResNet:
    """ResNet-32 without shortcuts, He et al. 2015, arXiv:1512.03385, figure 6: 464,154 parameters at (3, 32, 32)."""
    return CifarResNet(5, residual=False, **options)


@MODELS.register
def plain44(**options) -> CifarResNet:
    """ResNet-44 without shortcuts, He et al. 2015, arXiv:1512.03385, figure 6: 658,586 parameters at (3, 32, 32)."""
    return CifarResNet(7, residual=False, **options)


@MODELS.register
def plain56(**options) -> CifarResNet:
    """ResNet-56 without shortcuts, He et al. 2015, arXiv:1512.03385, figure 6: 853,018 parameters at (3, 32, 32)."""
    return CifarResNet(9, residual=False, **options)
