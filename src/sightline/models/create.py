"""Networks by name: built, loaded with weights, or outlined as shapes without values."""

from __future__ import annotations

import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from sightline.errors import UsageError
from sightline.randomness.keyed import torch_seeded

from .catalogue import MODELS
from .options import model_options, parse_option
from .weights import LoadReport, load


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
    """Build a network: a pure function of its name, options, seed and weights.

    num_classes      None: as published (1000 for ImageNet, 10 for digits); 0: no head, the output is the feature vector
    in_channels      None: as published
    weights          a file, or published weights by name, such as "torchvision". What was loaded is printed to stderr and
                     kept as `network.origin`, a `weights.LoadReport`. None: random initialisation from `seed`
    allow_network    download published weights that are not in the cache
    options          of this network, see `model_options`; text such as "64,32" is parsed
    UsageError       for an unknown model, option or value, with the nearest known one; or for weights of another network
    DataError, DamagedError, ResourceError   for weights that cannot be used or fetched

        >>> create_model("resnet18", num_classes=10, small_images=True)
    """
    explicit = {"num_classes": num_classes, "in_channels": in_channels}
    options = {key: value for key, value in explicit.items() if value is not None} | options
    options = {key: parse_option(name, key, value) for key, value in options.items()}
    with torch_seeded(seed, "initialise"):
        network = MODELS[name](**options)
    if weights is not None:
        network.origin = load_into(network, name, weights, allow_network=allow_network, **options)
        print(*network.origin.lines(), sep="\n", file=sys.stderr)
    return network


def load_into(
    network: nn.Module, name: str, weights: str | Path, *, allow_network: bool = False, **options: Any
) -> LoadReport:
    """Load weights into a network built by `name` with `options`, and return the report. See `weights.load`. A network that
    is built on a classifier (`backbone`) also takes that classifier's weights, for its trunk."""
    read = partial(_load_whole, allow_network=allow_network)
    backbone = getattr(network, "backbone", None)
    try:
        return read(network, name, weights, options)
    except UsageError:
        if not isinstance(backbone, str):
            raise
        with suppress(UsageError):
            report = read(network.trunk, backbone, weights, {})  # type: ignore[arg-type]
            return report.inside("trunk.", network.state_dict())
        raise


def _load_whole(
    network: nn.Module, name: str, weights: str | Path, options: dict[str, Any], *, allow_network: bool
) -> LoadReport:
    defaults = model_options(name)
    changed = {
        key: value
        for key, value in options.items()
        if key not in ("in_channels", "num_classes") and parse_option(name, key, value) != defaults[key].default
    }
    return load(
        network, name, weights, heads=partial(head_tensors, name, options), changed=changed, allow_network=allow_network
    )


def head_tensors(name: str, options: dict[str, Any]) -> set[str]:
    """The names of tensors whose shape depends on the number of classes."""
    two, three = (outline(name, **options | {"num_classes": k}).state_dict() for k in (2, 3))
    return {key for key in two if two[key].shape != three[key].shape}


def outline(name: str, **options: Any) -> nn.Module:
    """The network on the "meta" device: shapes without values, so nothing is allocated or drawn."""
    with torch.device("meta"), _SkipFilling():
        return create_model(name, **options)


_FILL_FUNCTIONS = {"normal_", "uniform_", "erfinv_", "clamp_", "mul_", "add_", "zero_", "fill_", "kaiming_uniform_"}


class _SkipFilling(TorchFunctionMode):
    """Skips functions that only fill tensors in place: on the meta device they do nothing but take most of the time."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in _FILL_FUNCTIONS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def default_input(name: str, **options: Any) -> tuple[int, int, int]:
    """(c, h, w) of the images that a network with these options was published for."""
    network: Any = outline(name, **options)
    return network.input_size  # every registered network has it
