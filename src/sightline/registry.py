"""Names → functions: a dictionary that refuses duplicates and answers a wrong name with the nearest right one.

There are two: `models.MODELS` and `data.DATASETS`. Functions are registered under their own names and returned
unchanged, so jump-to-definition and direct calls keep working. Each is filed under a heading (`MODELS` by what a network
is asked: "classification", "segmentation", "detection", "instances").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from sightline.errors import UsageError, nearest

F = TypeVar("F", bound=Callable[..., Any])


class Registry:
    """`@REGISTRY.register` adds a function under the first heading, `@REGISTRY.under(heading)` under another;
    `REGISTRY[name]` finds it; iteration gives the sorted names."""

    def __init__(self, kind: str, headings: tuple[str, ...] = ("",)) -> None:
        self.kind = kind
        self.headings = headings
        self._functions: dict[str, Callable[..., Any]] = {}
        self._heading: dict[str, str] = {}

    def register(self, function: F) -> F:
        return self.under(self.headings[0])(function)

    def under(self, heading: str) -> Callable[[F], F]:
        if heading not in self.headings:
            raise ValueError(f"no heading {heading!r}; {self.headings}")

        def register(function: F) -> F:
            name = function.__name__
            if name in self._functions:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._functions[name], self._heading[name] = function, heading
            return function

        return register

    def heading(self, name: str) -> str:
        """What a function is filed under."""
        self[name]
        return self._heading[name]

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

    def matching(self, pattern: str = "*", heading: str | None = None) -> list[str]:
        """Sorted names that match a shell pattern such as `resnet*`, under one heading or all."""
        return [name for name in self if fnmatchcase(name, pattern) and heading in (None, self._heading[name])]
