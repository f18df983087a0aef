"""Augmentation pipelines of the user's own, by `augment.transform=package.module:attribute`.

As with networks (`models.own`), code is imported only when the user names it in this process: a recipe or a run may come from
anywhere, so the name that it holds imports nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sightline.errors import UsageError
from sightline.models.own import MARK, import_named

KEY = "augment.transform"
_KNOWN: dict[str, Callable[..., Any]] = {}


def use_transform(given: Mapping[str, Any]) -> None:
    """Import the pipeline that the user's own settings name. UsageError if there is none under that name."""
    name = given.get(KEY)
    if not isinstance(name, str):
        return
    if MARK not in name:
        raise UsageError(f"{KEY}={name} is no package.module:attribute", "name it such as my_transforms:train")
    value = import_named(name)
    if not callable(value):
        raise UsageError(
            f"{KEY}={name} is a {type(value).__name__}, no pipeline", "name what can be called with an image"
        )
    _KNOWN[name] = value


def transform_named(name: str) -> Callable[..., Any]:
    """The pipeline. UsageError where this process has not been told to use that code."""
    if name not in _KNOWN:
        raise UsageError(
            f"{KEY}={name} is code outside sightline, which is only imported when you name it",
            f"name it in the command, also to resume: {KEY}={name}",
        )
    return _KNOWN[name]
