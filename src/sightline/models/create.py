"""Networks by name: made, loaded, or drawn as shapes without numbers."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from sightline.randomness.keyed import torch_seeded

from .catalogue import MODELS
from .options import model_options, understood
from .weights import Fit, load


def list_models(pattern: str = "*") -> list[str]:
    """Sorted names of the networks that match a shell pattern such as `resnet*`."""
    return MODELS.matching(pattern)


def create_model(
    name: str,
    *,
    num_classes: int | None = None,
    in_channels: int | None = None,
    seed: int = 0,
    weights: str | Path | None = None,
    allow_network: bool = False,
    **options: Any,
) -> nn.Module:
    """A network, a pure function of its name, its options, `seed`, and of the weights that it is given.

    num_classes      None: as published (1000 for ImageNet's, 10 for digits'); 0: no head, feature vectors come out
    in_channels      None: as published
    weights          a file of them, or published ones by name, such as "torchvision"; what became of them is said on
                     stderr and kept as `origin`, a `weights.Fit`. None: fresh ones
    allow_network    fetch published weights that are not in the cache
    options          see `model_options`; text is understood
    UsageError       names a wrong model, option or value, and the nearest right one; or weights of another network
    DataError, DamagedError, ResourceError   for weights that cannot be used or fetched
    """
    given = {"num_classes": num_classes, "in_channels": in_channels}
    options = {key: value for key, value in given.items() if value is not None} | options
    options = {key: understood(name, key, value) for key, value in options.items()}
    with torch_seeded(seed, "initialise"):
        network = MODELS[name](**options)
    if weights is not None:
        network.origin = load_into(network, name, weights, allow_network=allow_network, **options)
        print(*network.origin.said(), sep="\n", file=sys.stderr)
    return network


def load_into(
    network: nn.Module, name: str, weights: str | Path, *, allow_network: bool = False, **options: Any
) -> Fit:
    """Load weights into a network that was made by `name` with `options`; reports instead of printing. See `weights.load`."""
    defaults = model_options(name)
    changed = {
        key: value
        for key, value in options.items()
        if key not in ("in_channels", "num_classes") and understood(name, key, value) != defaults[key].default
    }
    return load(
        network, name, weights, heads=partial(_heads, name, options), changed=changed, allow_network=allow_network
    )


def _heads(name: str, options: dict[str, Any]) -> set[str]:
    """The names of tensors whose shape follows the number of classes."""
    two, three = (outline(name, **options | {"num_classes": k}).state_dict() for k in (2, 3))
    return {key for key in two if two[key].shape != three[key].shape}


def outline(name: str, **options: Any) -> nn.Module:
    """The network as shapes without numbers, on the "meta" device: nothing is allocated, nothing drawn."""
    with torch.device("meta"), _Undrawn():
        return create_model(name, **options)


_FILLING = {"normal_", "uniform_", "erfinv_", "clamp_", "mul_", "add_", "zero_", "fill_", "kaiming_uniform_"}


class _Undrawn(TorchFunctionMode):
    """Skips what only fills tensors in place: drawing numbers for shapes takes most of their time."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in _FILLING:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def default_input(name: str, **options: Any) -> tuple[int, int, int]:
    """(c, h, w) of the images that a network, with these options, was published for."""
    network: Any = outline(name, **options)
    return network.input_size  # every network of the room has it
