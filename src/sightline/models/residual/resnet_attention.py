"""Residual networks with attention: y = relu(a(f(x)) + x), where a scales channels, or channels and places.

    SE-…     Hu et al. 2017     arXiv:1709.01507   channels: winner of ILSVRC 2017 with 2.3 % top-5 error (an ensemble)
    CBAM-…   Woo et al. 2018    arXiv:1807.06521   channels, then places

On every backbone of CBAM's table, whose parameters and multiply-adds are reproduced exactly with `stride_on="1x1"` for
bottlenecks (its ResNets have the paper's stride; the default here is that of `resnet`). timm names the former seresnet:
its attention `se` is `attention` here (`as_timm`), and its narrow networks never squeeze below 8 channels.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from sightline.layers.attention.scores import CBAM, SqueezeExcite
from sightline.models.catalogue import MODELS

from .resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152
from .resnext import resnext50_32x4d, resnext101_32x4d, wide_resnet18_1_5, wide_resnet18_2


def as_timm(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's state dict of a seresnet under the names used here."""
    return {key.replace(".se.", ".attention."): x for key, x in state.items()}


# ----------------------------------------------------------------------------------------------------------- variants
@MODELS.register
def se_resnet18(**options) -> ResNet:
    """ResNet-18 + SE, Woo et al. 2018, arXiv:1807.06521, table 4: 11.8 M parameters at (3, 224, 224)."""
    return resnet18(attention=SqueezeExcite, **options)


@MODELS.register
def se_resnet34(**options) -> ResNet:
    """ResNet-34 + SE, Woo et al. 2018, arXiv:1807.06521, table 4: 22.0 M parameters at (3, 224, 224)."""
    return resnet34(attention=SqueezeExcite, **options)


@MODELS.register
def se_resnet50(**options) -> ResNet:
    """SE-ResNet-50, Hu et al. 2017, arXiv:1709.01507, table 2: 28.1 M parameters at (3, 224, 224)."""
    return resnet50(attention=SqueezeExcite, **options)


@MODELS.register
def se_resnet101(**options) -> ResNet:
    """SE-ResNet-101, Hu et al. 2017, arXiv:1709.01507, table 2: 49.3 M parameters at (3, 224, 224)."""
    return resnet101(attention=SqueezeExcite, **options)


@MODELS.register
def se_resnet152(**options) -> ResNet:
    """SE-ResNet-152, Hu et al. 2017, arXiv:1709.01507, table 2: 66.8 M parameters at (3, 224, 224)."""
    return resnet152(attention=SqueezeExcite, **options)


@MODELS.register
def se_wide_resnet18_1_5(**options) -> ResNet:
    """WideResNet-18 (widen 1.5) + SE, Woo et al. 2018, arXiv:1807.06521, table 4.

    26.1 M parameters at (3, 224, 224).
    """
    return wide_resnet18_1_5(attention=SqueezeExcite, **options)


@MODELS.register
def se_wide_resnet18_2(**options) -> ResNet:
    """WideResNet-18 (widen 2) + SE, Woo et al. 2018, arXiv:1807.06521, table 4: 46.0 M parameters at (3, 224, 224)."""
    return wide_resnet18_2(attention=SqueezeExcite, **options)


@MODELS.register
def se_resnext50_32x4d(**options) -> ResNet:
    """ResNeXt-50 (32x4d) + SE, Woo et al. 2018, arXiv:1807.06521, table 4: 27.6 M parameters at (3, 224, 224)."""
    return resnext50_32x4d(attention=SqueezeExcite, **options)


@MODELS.register
def se_resnext101_32x4d(**options) -> ResNet:
    """ResNeXt-101 (32x4d) + SE, Woo et al. 2018, arXiv:1807.06521, table 4: 49.0 M parameters at (3, 224, 224)."""
    return resnext101_32x4d(attention=SqueezeExcite, **options)


@MODELS.register
def cbam_resnet18(**options) -> ResNet:
    """ResNet-18 + CBAM, Woo et al. 2018, arXiv:1807.06521, table 4: 11.8 M parameters at (3, 224, 224)."""
    return resnet18(attention=CBAM, **options)


@MODELS.register
def cbam_resnet34(**options) -> ResNet:
    """ResNet-34 + CBAM, Woo et al. 2018, arXiv:1807.06521, table 4: 22.0 M parameters at (3, 224, 224)."""
    return resnet34(attention=CBAM, **options)


@MODELS.register
def cbam_resnet50(**options) -> ResNet:
    """ResNet-50 + CBAM, Woo et al. 2018, arXiv:1807.06521, table 4: 28.1 M parameters at (3, 224, 224)."""
    return resnet50(attention=CBAM, **options)


@MODELS.register
def cbam_resnet101(**options) -> ResNet:
    """ResNet-101 + CBAM, Woo et al. 2018, arXiv:1807.06521, table 4: 49.3 M parameters at (3, 224, 224)."""
    return resnet101(attention=CBAM, **options)


@MODELS.register
def cbam_resnet152(**options) -> ResNet:
    """ResNet-152 + CBAM; the attention of Woo et al. 2018, arXiv:1807.06521, on a deeper network.

    66.8 M parameters at (3, 224, 224).
    """
    return resnet152(attention=CBAM, **options)


@MODELS.register
def cbam_wide_resnet18_1_5(**options) -> ResNet:
    """WideResNet-18 (widen 1.5) + CBAM, Woo et al. 2018, arXiv:1807.06521, table 4.

    26.1 M parameters at (3, 224, 224).
    """
    return wide_resnet18_1_5(attention=CBAM, **options)


@MODELS.register
def cbam_wide_resnet18_2(**options) -> ResNet:
    """WideResNet-18 (widen 2) + CBAM, Woo et al. 2018, arXiv:1807.06521, table 4.

    46.0 M parameters at (3, 224, 224).
    """
    return wide_resnet18_2(attention=CBAM, **options)


@MODELS.register
def cbam_resnext50_32x4d(**options) -> ResNet:
    """ResNeXt-50 (32x4d) + CBAM, Woo et al. 2018, arXiv:1807.06521, table 4: 27.6 M parameters at (3, 224, 224)."""
    return resnext50_32x4d(attention=CBAM, **options)


@MODELS.register
def cbam_resnext101_32x4d(**options) -> ResNet:
    """ResNeXt-101 (32x4d) + CBAM, Woo et al. 2018, arXiv:1807.06521, table 4: 49.0 M parameters at (3, 224, 224)."""
    return resnext101_32x4d(attention=CBAM, **options)
