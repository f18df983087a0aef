"""Lookup by name: tables that answer an unknown name with the nearest known one, and registries that refuse duplicates.

There are two registries: `models.MODELS` and `data.DATASETS`. Functions are registered under their own names and returned
unchanged, so jump-to-definition and direct calls keep working. Each belongs to a heading (`MODELS` groups networks by
what they output: "class scores", "pixel scores", "boxes", "boxes and masks").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from sightline.errors import UsageError, nearest

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")
Elsewhere = tuple[Callable[[str], bool], Callable[[str], Callable[..., Any]]]


def lookup(kind: str, name: str, table: Mapping[str, T], synonyms: Mapping[str, str] | None = None) -> T:
    """`table[name]`. UsageError "unknown <kind> '<name>'" with the nearest name as its hint.

    synonyms    names used elsewhere, in lower case → the name used here: {"kaiming": "he"}. They are hints, not aliases,
                because a recipe or a run should spell one thing in one way
    """
    if isinstance(name, str) and name in table:
        return table[name]
    raise UsageError(f"unknown {kind} {name!r}", suggestion(str(name), table, synonyms or {}))


def suggestion(name: str, known: Mapping[str, Any], synonyms: Mapping[str, str]) -> str:
    """A hint for an unknown name. "ReLU" and "Sobel-X" differ from a known name only by case and separators: edit
    distance alone would rank another name first (`nearest` compares case-sensitively)."""
    plain = _plain(name)
    for other, ours in synonyms.items():
        if plain == _plain(other):
            return f"use {ours}, the name for {name} here"
    same = [ours for ours in known if _plain(ours) == plain]
    return f"did you mean {same[0]!r}?" if same else nearest(name.lower(), known)


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


class Registry:
    """Functions by name.

    `@REGISTRY.register` adds a function under the usual heading, `@REGISTRY.under(heading)` under another;
    `REGISTRY[name]` returns it, and iteration yields the sorted names.

    elsewhere    names that it recognises, and how to find their functions: these are found but never listed
    """

    def __init__(self, kind: str, usual: str = "", elsewhere: Elsewhere | None = None) -> None:
        self.kind = kind
        self.usual = usual
        self.elsewhere = elsewhere
        self._functions: dict[str, Callable[..., Any]] = {}
        self._heading: dict[str, str] = {}

    def register(self, function: F) -> F:
        """Decorator: add a function under the usual heading."""
        return self.under(self.usual)(function)

    def under(self, heading: str) -> Callable[[F], F]:
        """Decorator: add a function under this heading. ValueError for a name that is taken."""

        def register(function: F) -> F:
            name = function.__name__
            if name in self._functions:
                raise ValueError(f"{self.kind} {name!r} is registered twice")
            self._functions[name], self._heading[name] = function, heading
            return function

        return register

    def heading(self, name: str) -> str:
        """The heading of a registered function; "" for one that was found elsewhere."""
        self[name]
        return self._heading.get(name, "")

    def __getitem__(self, name: str) -> Callable[..., Any]:
        if self._is_elsewhere(name):
            assert self.elsewhere
            return self.elsewhere[1](name)
        return lookup(self.kind, name, self._functions)

    def __contains__(self, name: object) -> bool:
        return name in self._functions or self._is_elsewhere(name)

    def _is_elsewhere(self, name: object) -> bool:
        return isinstance(name, str) and self.elsewhere is not None and self.elsewhere[0](name)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._functions))

    def __len__(self) -> int:
        return len(self._functions)

    def matching(self, pattern: str = "*", heading: str | None = None) -> list[str]:
        """Sorted names that match a shell pattern such as `resnet*`, under one heading or under all."""
        return [name for name in self if fnmatchcase(name, pattern) and heading in (None, self._heading[name])]
