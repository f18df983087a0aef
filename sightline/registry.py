"""Names → functions: a dictionary that refuses duplicates and answers a wrong name with the nearest right one.

There are two: `models.MODELS` and `data.DATASETS`. Functions are registered under their own names and returned
unchanged, so jump-to-definition and direct calls keep working.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from sightline.errors import UsageError, nearest

F = TypeVar("F", bound=Callable[..., Any])


class Registry:
    """`@REGISTRY.register` adds a function; `REGISTRY[name]` finds it; iteration gives the sorted names."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._functions: dict[str, Callable[..., Any]] = {}

    def register(self, function: F) -> F:
        name = function.__name__
        if name in self._functions:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._functions[name] = function
        return function

    def __getitem__(self, name: str) -> Callable[..., Any]:
        if name not in self._functions:
            raise UsageError(f"unknown {self.kind} {name!r}", nearest(name, self._functions))
        return self._functions[name]

    def __contains__(self, name: object) -> bool:
        return name in self._functions

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._functions))

    def __len__(self) -> int:
        return len(self._functions)

    def matching(self, pattern: str = "*") -> list[str]:
        """Sorted names that match a shell pattern such as `resnet*`."""
        return [name for name in self if fnmatchcase(name, pattern)]
