"""The trunk of a classifier, as the backbone of segmentation and detection networks.

Any registered classifier works whose `features` halve the image step by step at any image size. What belongs to its
head alone (dense layers, the classifier itself) is left out.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any, Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.layers.convolution.mbconv import SameConv2d
from sightline.models.catalogue import CLASS_SCORES, MODELS

_PROBE = 128  # side of the probe image; larger than the total stride of any trunk


def backbone(name: str, *, in_channels: int = 3, norm: Literal["batch", "group"] = "batch") -> nn.Module:
    """The network of that name without a head: `features(x)` returns maps from fine to coarse, with `channels` channels.

    norm          "group" for small batches, where the network offers it
    UsageError    for an unknown network, one without a pyramid of maps, or one without group normalisation
    """
    strides(name, in_channels=in_channels, norm=norm)
    return MODELS[name](**_options(name, in_channels, norm))


@cache
def strides(name: str, *, in_channels: int = 3, norm: Literal["batch", "group"] = "batch") -> tuple[int, ...]:
    """The stride of each map of that backbone, from fine to coarse; each is twice the one before."""
    options = _options(name, in_channels, norm)
    with torch.device("meta"):  # skips the initialisation
        trunk = MODELS[name](**options).eval()
    trunk.to_empty(device="cpu")  # on the meta device this pass would take longer
    try:
        with torch.no_grad():
            maps = trunk.features(torch.zeros(1, in_channels, _PROBE, _PROBE, device="cpu"))
    except UsageError as error:  # it accepts one image size only
        raise _no_pyramid(name) from error
    steps = tuple(_PROBE // m.shape[2] for m in maps)
    if any(b != 2 * a for a, b in pairwise(steps)) or steps[-1] == 1:
        raise _no_pyramid(name)
    return steps


def dilate(trunk: Any, name: str, output_stride: int, *, in_channels: int = 3) -> None:
    """Let no map of the trunk be coarser than `output_stride`: convolutions that would stride further lose their stride, and
    those behind them read pixels as far apart as before. No weight changes (Chen et al. 2014, arXiv:1412.7062).

    UsageError    for a trunk that pools beyond that stride: a pooling cannot dilate without a change of its answers
    """
    found: list[tuple[nn.Module, int]] = []

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        found.append((module, _PROBE // inputs[0].shape[2]))

    layers = [m for m in trunk.modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d)]
    handles = [layer.register_forward_pre_hook(note) for layer in layers]
    training = trunk.training
    with torch.no_grad():
        trunk.eval().features(torch.zeros(1, in_channels, _PROBE, _PROBE))
    trunk.train(training)
    for handle in handles:
        handle.remove()
    for layer, stride in found:  # of the map that it reads
        if stride < output_stride:
            continue
        if not isinstance(layer, nn.Conv2d):
            raise UsageError(
                f"{name} pools beyond an output stride of {output_stride}", "use a backbone such as resnet18"
            )
        times = stride // output_stride
        if isinstance(layer, SameConv2d):
            layer.skipped = layer.stride[0]
        layer.stride = (1, 1)
        layer.dilation = (times * layer.dilation[0], times * layer.dilation[1])
        layer.padding = tuple(times * int(p) for p in layer.padding)


def pad_to_multiple(x: Float[Tensor, "b c h w"], multiple: int) -> Float[Tensor, "b c i j"]:
    """Pad with zeros (the mean colour, after normalisation) at the bottom and right, to multiples of `multiple` pixels."""
    return F.pad(x, (0, -x.shape[3] % multiple, 0, -x.shape[2] % multiple))


def require_classes(num_classes: int) -> None:
    """UsageError for num_classes=0: a segmentation network has no feature vector to return instead of scores."""
    if not num_classes:
        raise UsageError("a segmentation network needs classes", "set num_classes to at least 1, or use a classifier")


def _options(name: str, in_channels: int, norm: str) -> dict[str, Any]:
    from sightline.models.options import model_options  # imported late: it imports all families, including this one

    if MODELS.heading(name) != CLASS_SCORES:
        raise UsageError(f"{name} is no classifier", "use a backbone such as resnet50")
    known = model_options(name)
    options: dict[str, Any] = {"in_channels": in_channels, "num_classes": 0}
    if "dense" in known:
        if Ellipsis not in get_args(known["dense"].annotation):
            raise _no_pyramid(name)  # its dense layers cannot be removed
        options["dense"] = ()
    if "norm" in known:
        options["norm"] = norm
    elif norm != "batch":
        raise UsageError(f"{name} has no {norm} normalisation", "use a backbone such as resnet50")
    return options


def _no_pyramid(name: str) -> UsageError:
    return UsageError(f"{name} has no pyramid of maps to build on", "use a backbone such as resnet50")
