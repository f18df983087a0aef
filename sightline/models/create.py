"""Networks by name, with options that are checked and understood before anything is built.

A variant's options are the keyword-only parameters of its family's constructor that are plain data (numbers, words,
tuples) and that the variant does not set itself. They may come as the text of a recipe or a command line: "true",
"1e-3", "64,32".
"""

from __future__ import annotations

import ast
import inspect
import math
import sys
import textwrap
import typing
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple

import torch
from pydantic import TypeAdapter, ValidationError
from torch import nn
from torch.overrides import TorchFunctionMode

from sightline.errors import UsageError, nearest
from sightline.randomness.keyed import torch_seeded

from . import MODELS
from .weights import Fit, load


class Option(NamedTuple):
    """What an option may be, and what it is when nobody says."""

    annotation: Any
    default: Any


def list_models(pattern: str = "*") -> list[str]:
    """Sorted names of the networks that match a shell pattern such as `resnet*`."""
    return MODELS.matching(pattern)


def model_options(name: str) -> dict[str, Option]:
    """The options of a network: name → (annotation, default). UsageError for an unknown name."""
    return dict(_options(MODELS[name]))


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
    understood = {key: _understood(name, key, value) for key, value in options.items()}
    with torch_seeded(seed, "initialise"):
        network = MODELS[name](**understood)
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
        if key not in ("in_channels", "num_classes") and _understood(name, key, value) != defaults[key].default
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


class _Undrawn(TorchFunctionMode):
    """Skips what only fills tensors in place: drawing numbers for shapes takes most of their time."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func.__name__ in ("normal_", "uniform_", "erfinv_", "clamp_", "mul_", "add_", "zero_", "fill_"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def default_input(name: str, **options: Any) -> tuple[int, int, int]:
    """(c, h, w) of the images that a network, with these options, was published for."""
    network: Any = outline(name, **options)
    return network.input_size  # every network of the room has it


def _understood(name: str, key: str, value: Any) -> Any:
    """The value as its option's annotation wants it."""
    options = _options(MODELS[name])
    if key not in options:
        raise UsageError(f"{name} has no option {key!r}{_because(MODELS[name], key)}", nearest(key, options))
    annotation = options[key].annotation
    if isinstance(value, str) and _is_tuple(annotation):
        value = [part.strip() for part in value.strip("()[] ").split(",") if part.strip()]
    try:
        understood = TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise UsageError(f"{name} option {key}={value!r}: {reason}", f"{key} is {_words(annotation)}") from error
    _require_enough(name, key, understood)
    return understood


def _require_enough(name: str, key: str, value: Any) -> None:
    """Whole numbers count something, so they start at 1; a network of 0 classes has no head. Others start at 0, and end."""
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, float) and not math.isfinite(number):
            raise UsageError(f"{name} option {key}={value!r} is not finite", "a number")
        least = 1 if type(number) is int and key != "num_classes" else 0
        if isinstance(number, int | float) and number < least:
            raise UsageError(f"{name} option {key}={value!r} is too small", f"at least {least}")


@cache
def _options(variant: Callable[..., nn.Module]) -> dict[str, Option]:
    family = typing.get_type_hints(variant)["return"]
    annotations = typing.get_type_hints(family.__init__)
    fixed = _set_by(variant)
    return {
        key: Option(annotations[key], parameter.default)
        for key, parameter in inspect.signature(family).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and key not in fixed and _is_plain(annotations[key])
    }


def _set_by(variant: Callable[..., nn.Module]) -> set[str]:
    """The keywords that a variant passes on itself: `groups` of `return ResNet(Bottleneck, …, groups=32, **options)`.

    Read from its source, because a call would build the network, and a signature of `**options` does not say.
    """
    function = ast.parse(textwrap.dedent(inspect.getsource(variant))).body[0]
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
    call = calls[0].value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise TypeError(f"{variant.__name__} must be one line: return Family(…, **options)")
    names = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
    called = inspect.getmodule(variant).__dict__[call.func.id]
    return names if inspect.isclass(called) else names | _set_by(called)


def _because(variant: Callable[..., nn.Module], key: str) -> str:
    return ": the variant sets it itself" if key in _set_by(variant) else ""


def _is_tuple(annotation: Any) -> bool:
    return typing.get_origin(annotation) is tuple


def _is_plain(annotation: Any) -> bool:
    """Can a recipe say it? Numbers, words, literals, and tuples or alternatives of them."""
    origin = typing.get_origin(annotation)
    if origin in (tuple, UnionType, typing.Union):
        return all(_is_plain(part) for part in typing.get_args(annotation))
    return origin is Literal or annotation in (bool, int, float, str, NoneType, Ellipsis)


def _words(annotation: Any) -> str:
    """An annotation for people."""
    if typing.get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(annotation)))
    if _is_tuple(annotation):
        parts = typing.get_args(annotation)
        many = "any number of" if Ellipsis in parts else str(len(parts))
        of = {int: "whole numbers", float: "numbers"}.get(parts[0], "words")
        return f"{many} {of} with commas between, such as 64,32"
    if typing.get_origin(annotation) in (UnionType, typing.Union):
        return ", or ".join(_words(part) for part in typing.get_args(annotation))
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(annotation, str(annotation))
