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
