"""Wide ResNet and ResNeXt: residual blocks with more channels, or with parallel paths at the same cost.

    Wide ResNet   Zagoruyko & Komodakis 2016   arXiv:1605.07146   more channels in the 3x3 of a bottleneck (`base_width`),
                                                                  or in whole stages of basic blocks (`widen`)
    ResNeXt       Xie et al. 2016              arXiv:1611.05431   the 3x3 of a bottleneck as `groups` parallel paths

`resnext50_32x4d` has 32 paths, each 4 channels wide at the first stage; `resnet101_1x100d` is ResNeXt's control, with
one path of 100. The wide nets of basic blocks are those of CBAM's table: their stem keeps 64 channels. Names are
torchvision's where it has the network; weights load as those of `resnet`.
"""

from __future__ import annotations

from sightline.models.catalogue import MODELS

from .resnet import ResNet, resnet18, resnet50, resnet101


@MODELS.register
def wide_resnet18_1_5(**options) -> ResNet:
    """ResNet-18 with stages 1.5 times as wide, Woo et al. 2018, arXiv:1807.06521, table 4.

    25.9 M parameters at (3, 224, 224).
    """
    return resnet18(widen=1.5, **options)


@MODELS.register
def wide_resnet18_2(**options) -> ResNet:
    """ResNet-18 with stages twice as wide, Woo et al. 2018, arXiv:1807.06521, table 4.

    45.6 M parameters at (3, 224, 224).
    """
    return resnet18(widen=2.0, **options)


@MODELS.register
def wide_resnet50_2(**options) -> ResNet:
    """ResNet-50 with 3x3s twice as wide, Zagoruyko & Komodakis 2016, arXiv:1605.07146, table 8.

    68.9 M parameters at (3, 224, 224).
    """
    return resnet50(base_width=128, **options)


@MODELS.register
def wide_resnet101_2(**options) -> ResNet:
    """ResNet-101 with 3x3s twice as wide; the rule of Zagoruyko & Komodakis 2016, arXiv:1605.07146.

    126.9 M parameters at (3, 224, 224).
    """
    return resnet101(base_width=128, **options)


@MODELS.register
def resnet101_1x100d(**options) -> ResNet:
    """ResNet-101 with one path of 100 channels, the control of Xie et al. 2016, arXiv:1611.05431, table 4.

    85.6 M parameters at (3, 224, 224).
    """
    return resnet101(base_width=100, **options)


@MODELS.register
def resnext50_32x4d(**options) -> ResNet:
    """ResNeXt-50 (32x4d), Xie et al. 2016, arXiv:1611.05431, table 3: 25.0 M parameters at (3, 224, 224)."""
    return resnet50(groups=32, base_width=4, **options)


@MODELS.register
def resnext101_32x4d(**options) -> ResNet:
    """ResNeXt-101 (32x4d), Xie et al. 2016, arXiv:1611.05431, table 3: 44.2 M parameters at (3, 224, 224)."""
    return resnet101(groups=32, base_width=4, **options)


@MODELS.register
def resnext101_32x8d(**options) -> ResNet:
    """ResNeXt-101 (32x8d), torchvision's size of Xie et al. 2016, arXiv:1611.05431.

    88.8 M parameters at (3, 224, 224).
    """
    return resnet101(groups=32, base_width=8, **options)


@MODELS.register
def resnext101_2x64d(**options) -> ResNet:
    """ResNeXt-101 (2x64d), Xie et al. 2016, arXiv:1611.05431, table 4: 84.2 M parameters at (3, 224, 224)."""
    return resnet101(groups=2, base_width=64, **options)


@MODELS.register
def resnext101_64x4d(**options) -> ResNet:
    """ResNeXt-101 (64x4d), Xie et al. 2016, arXiv:1611.05431, table 4: 83.5 M parameters at (3, 224, 224)."""
    return resnet101(groups=64, base_width=4, **options)
