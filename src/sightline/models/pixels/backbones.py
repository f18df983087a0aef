"""The trunk of a classifier, for networks that answer about places: segmentation, detection.

Any registered classifier will do whose `features` halve the image step by step and take any size. What belongs to its
head alone (dense layers, the head itself) is left out.
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
from sightline.models.catalogue import MODELS

_PROBE = 128  # pixels: no trunk strides further


def backbone(name: str, *, in_channels: int = 3, norm: Literal["batch", "group"] = "batch") -> nn.Module:
    """The network of that name without a head: `features(x)` are its maps from fine to coarse, `channels` theirs.

    norm    "group" where batches are small and the network offers it
    UsageError for an unknown network, one without a pyramid of maps, or one without group normalisation
    """
    strides(name, in_channels=in_channels, norm=norm)
    return MODELS[name](**_options(name, in_channels, norm))


@cache
def strides(name: str, *, in_channels: int = 3, norm: Literal["batch", "group"] = "batch") -> tuple[int, ...]:
    """How many pixels of the image each map of that backbone steps over, from fine to coarse; each twice the last."""
    options = _options(name, in_channels, norm)
    with torch.device("meta"):  # nothing is drawn
        trunk = MODELS[name](**options).eval()
    trunk.to_empty(device="cpu")  # torch takes longer to prepare a sum of shapes than this takes to run
    try:
        with torch.no_grad():
            maps = trunk.features(torch.zeros(1, in_channels, _PROBE, _PROBE, device="cpu"))
    except UsageError as error:  # it sees one size of image only
        raise _no_pyramid(name) from error
    steps = tuple(_PROBE // m.shape[2] for m in maps)
    if any(b != 2 * a for a, b in pairwise(steps)) or steps[-1] == 1:
        raise _no_pyramid(name)
    return steps


def padded(x: Float[Tensor, "b c h w"], multiple: int) -> Float[Tensor, "b c i j"]:
    """Zeros (behind the normalisation: the mean colour) below and on the right, up to multiples of that many pixels."""
    return F.pad(x, (0, -x.shape[3] % multiple, 0, -x.shape[2] % multiple))


def require_classes(num_classes: int) -> None:
    """UsageError for a network of no classes: the scores of pixels are all that it is for."""
    if not num_classes:
        raise UsageError("a segmentation network needs classes", "for a trunk without a head take a classifier")


def _options(name: str, in_channels: int, norm: str) -> dict[str, Any]:
    from sightline.models.options import model_options  # it knows all families, of which this file is a part

    if MODELS.heading(name) != "classification":
        raise UsageError(f"{name} is no classifier", "take a backbone such as resnet50")
    known = model_options(name)
    options: dict[str, Any] = {"in_channels": in_channels, "num_classes": 0}
    if "dense" in known:
        if Ellipsis not in get_args(known["dense"].annotation):
            raise _no_pyramid(name)  # its dense layers cannot be left out
        options["dense"] = ()
    if "norm" in known:
        options["norm"] = norm
    elif norm != "batch":
        raise UsageError(f"{name} has no {norm} normalisation", "take a backbone such as resnet50")
    return options


def _no_pyramid(name: str) -> UsageError:
    return UsageError(f"{name} has no pyramid of maps to build on", "take a backbone such as resnet50")
