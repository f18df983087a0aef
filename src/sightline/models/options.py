"""The options of a network: parsed and checked before anything is built.

A variant's options are the keyword-only parameters of its family's constructor that are plain data (numbers, words,
tuples) and that the variant does not fix. They may come as text from a recipe or a command line: "true", "1e-3",
"64,32".
"""

from __future__ import annotations

import ast
import inspect
import math
import textwrap
import typing
from collections.abc import Callable
from functools import cache
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple

from pydantic import TypeAdapter, ValidationError
from torch import nn

from sightline.errors import UsageError, nearest

from .catalogue import MODELS
from .own import is_own


class Option(NamedTuple):
    """The type annotation and the default of an option."""

    annotation: Any
    default: Any


def model_options(name: str) -> dict[str, Option]:
    """The options of a network: name → (annotation, default); none are known of a network of the user's own. UsageError for
    an unknown name."""
    make = MODELS[name]
    return {} if is_own(name) else dict(_options(make))


def parse_option(name: str, key: str, value: Any) -> Any:
    """The value, converted to its option's type. UsageError for an unknown option, a wrong type or a value out of range."""
    make = MODELS[name]
    if is_own(name):
        return value
    options = _options(make)
    if key not in options:
        raise UsageError(f"{name} has no option {key!r}{_fixed_by_variant(MODELS[name], key)}", nearest(key, options))
    annotation = options[key].annotation
    if isinstance(value, str) and _is_tuple(annotation):
        value = [part.strip() for part in value.strip("()[] ").split(",") if part.strip()]
    try:
        parsed = TypeAdapter(annotation).validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise UsageError(f"{name} option {key}={value!r}: {reason}", f"pass {_in_words(annotation)}") from error
    _require_range(name, key, parsed)
    return parsed


def _require_range(name: str, key: str, value: Any) -> None:
    """Integers are counts, so they start at 1, except that 0 classes mean no head. Other numbers are finite and at least 0."""
    for number in value if isinstance(value, tuple) else (value,):
        if isinstance(number, float) and not math.isfinite(number):
            raise UsageError(f"{name} option {key}={value!r} is not finite", "pass a finite number")
        least = 1 if type(number) is int and key != "num_classes" else 0
        if isinstance(number, int | float) and number < least:
            raise UsageError(f"{name} option {key}={value!r} is too small", f"use at least {least}")


@cache
def _options(variant: Callable[..., nn.Module]) -> dict[str, Option]:
    family = typing.get_type_hints(variant)["return"]
    annotations = typing.get_type_hints(family.__init__)
    fixed = set_by(variant)
    return {
        key: Option(annotations[key], parameter.default)
        for key, parameter in inspect.signature(family).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and key not in fixed and _is_plain_data(annotations[key])
    }


def set_by(variant: Callable[..., nn.Module]) -> set[str]:
    """The keywords that a variant fixes: `groups` in `return ResNet(Bottleneck, …, groups=32, **options)`.

    They are read from its source, because calling it would build the network and its signature is just `**options`.
    """
    function = ast.parse(textwrap.dedent(inspect.getsource(variant))).body[0]
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Return)]
    call = calls[0].value
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise TypeError(f"{variant.__name__} must end in one line: return Family(…, **options)")
    names = {keyword.arg for keyword in call.keywords if keyword.arg is not None}
    called = inspect.getmodule(variant).__dict__[call.func.id]
    return names if inspect.isclass(called) else names | set_by(called)


def _fixed_by_variant(variant: Callable[..., nn.Module], key: str) -> str:
    return ": the variant sets it itself" if key in set_by(variant) else ""


def _is_tuple(annotation: Any) -> bool:
    return typing.get_origin(annotation) is tuple


def _is_plain_data(annotation: Any) -> bool:
    """Whether a recipe can spell values of this type: numbers, words, literals, and tuples or unions of them."""
    origin = typing.get_origin(annotation)
    if origin in (tuple, UnionType, typing.Union):
        return all(_is_plain_data(part) for part in typing.get_args(annotation))
    return origin is Literal or annotation in (bool, int, float, str, NoneType, Ellipsis)


def _in_words(annotation: Any) -> str:
    """An annotation in plain English, for hints."""
    if typing.get_origin(annotation) is Literal:
        return "one of " + ", ".join(map(str, typing.get_args(annotation)))
    if _is_tuple(annotation):
        parts = typing.get_args(annotation)
        many = "any number of" if Ellipsis in parts else str(len(parts))
        of = {int: "whole numbers", float: "numbers"}.get(parts[0], "words")
        return f"{many} {of} with commas between, such as 64,32"
    if typing.get_origin(annotation) in (UnionType, typing.Union):
        return ", or ".join(_in_words(part) for part in typing.get_args(annotation))
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(annotation, str(annotation))
