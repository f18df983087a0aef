"""Everything that a training is, besides weights: where it stands, what it measured, the best weights so far.

Every field is saved in a checkpoint; `tests/engine/test_checkpoints.py` fails when one is added that is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import DamagedError


class Meter:
    """Weighted sums of a loss's parts, kept on the device until somebody reads them."""

    def __init__(self, sums: Mapping[str, Sequence[float | None]] | None = None) -> None:
        # JSON has no NaN: it comes back as null
        said = {n: [math.nan if value is None else value for value in pair] for n, pair in (sums or {}).items()}
        self._sums: dict[str, Tensor] = {n: torch.tensor(pair, dtype=torch.float64) for n, pair in said.items()}

    def add(self, weighted: Mapping[str, Tensor]) -> None:
        for name, pair in weighted.items():
            known = self._sums.get(name)
            self._sums[name] = pair if known is None else known.to(pair.device) + pair

    def sums(self) -> dict[str, tuple[float, float]]:
        return {n: (s[0].item(), s[1].item()) for n, s in self._sums.items()}

    def means(self) -> dict[str, float]:
        return {n: total / weight for n, (total, weight) in self.sums().items() if weight}

    def clear(self) -> None:
        self._sums.clear()


def weighted(parts: Mapping[str, Tensor | tuple[Tensor, Tensor]], weight: Tensor) -> dict[str, Float[Tensor, "2"]]:
    """Each part as (weight · part, weight), for any number of meters; a part of weight 0 may be anything. One that is
    (mean, weight) has its own."""
    exact = torch.float32 if weight.device.type == "mps" else torch.float64  # Apple's has no more
    owned = {name: part if isinstance(part, tuple) else (part, weight) for name, part in parts.items()}
    return {
        name: torch.stack([torch.where(own > 0, mean.detach() * own, 0.0).to(exact), own.to(exact)])
        for name, (mean, own) in owned.items()
    }


@dataclass
class State:
    """A training between two steps.

    step      optimiser steps done; also the data cursor, since the stream is a function of it
    ended     why it ended: "finished", "early", or None while it goes on (a signal is no end)
    history   one row a validation, in order
    skipped   turns that the guard did not take: {"step", "turn", "samples"}
    in_a_row  how many of the last turns were skipped
    logged    weighted sums since the last logged step;   epoch: since the last validation
    owed      the validation that is due at this step is still to be made: it was interrupted
    best_weights   the kept weights at the best validation so far
    """

    step: int = 0
    ended: str | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[dict[str, Any]] = field(default_factory=list)
    in_a_row: int = 0
    logged: Meter = field(default_factory=Meter)
    epoch: Meter = field(default_factory=Meter)
    owed: bool = False
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All fields but the tensors."""
        plain = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "best_weights"}
        return plain | {"logged": self.logged.sums(), "epoch": self.epoch.sums()}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any], best_weights: dict[str, Tensor]) -> State:
        expected = {f.name for f in fields(cls)} - {"best_weights"}
        if saved.keys() != expected:
            raise DamagedError(f"state.json has {sorted(saved)}, this version expects {sorted(expected)}")
        meters = {name: Meter(saved[name]) for name in ("logged", "epoch")}
        return cls(**{**saved, **meters}, best_weights=best_weights)
