"""A metric under attack, with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Measure(Protocol):
    """What a curve over strength or budget consists of: accuracy as a `Share`, any other metric as a `Figure`."""

    @property
    def name(self) -> str: ...

    @property
    def value(self) -> float: ...

    @property
    def interval(self) -> tuple[float, float] | None: ...

    @property
    def n(self) -> int: ...

    def to_json(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Figure:
    """`name` is the metric in words, `n` how many images, pixels or objects it speaks of; `interval` holds 95 %, None where
    there are too few images for one."""

    name: str
    value: float
    interval: tuple[float, float] | None
    n: int

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "name": self.name,
            "value": self.value,
            "interval": None if self.interval is None else list(self.interval),
        }
