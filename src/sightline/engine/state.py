"""The state of a training besides its weights: how far it is, what it has measured, the best weights so far.

Every field is saved in a checkpoint; `tests/engine/test_checkpoints.py` fails if a field is added that is not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.storage.schema import Fields, brief, finite

_MOST_STEPS = 1 << 48  # a step is stored in 64 bits, and multiplied by the batch


class Meter:
    """Weighted sums of the parts of a loss. They stay on the device until they are read: reading every step would stall it."""

    def __init__(self, sums: Mapping[str, Sequence[float]] | None = None) -> None:
        self._sums = {name: torch.tensor(pair, dtype=torch.float64) for name, pair in (sums or {}).items()}

    @classmethod
    def from_json(cls, stored: Fields) -> Meter:
        """From [weighted sum, weight] by name. JSON has no NaN: it is stored as null."""
        sums = {}
        for name in stored.values:
            total, weight = stored.items(name, length=2)
            numbers = [math.nan if value is None else finite(value) for value in (total, weight)]
            if None in numbers or (weight is not None and weight < 0):
                raise stored.wrong(name, f"is [{brief(total)}, {brief(weight)}], not a sum and its weight")
            sums[str(name)] = [number for number in numbers if number is not None]
        return cls(sums)

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
    """Each part as (weight · mean, weight), ready to be added up. A part given as (mean, weight) has its own weight, the
    others have `weight`. The mean of a part with weight 0 is ignored: it may be 0 / 0."""
    exact = torch.float32 if weight.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    owned = {name: part if isinstance(part, tuple) else (part, weight) for name, part in parts.items()}
    return {
        name: torch.stack([torch.where(own > 0, mean.detach() * own, 0.0).to(exact), own.to(exact)])
        for name, (mean, own) in owned.items()
    }


@dataclass
class State:
    """A training between two steps.

    step      optimiser steps done; also the data cursor, since the stream is a function of it
    ended     why it ended: "finished", "early", or None while it goes on (also after a signal: it can be resumed)
    history   one row a validation, in order
    skipped   turns that the guard skipped: {"step", "turn", "samples"}
    in_a_row  skipped turns since the last good one
    logged    weighted sums since the last logged step;   epoch: since the last validation
    owed      the validation of this step was interrupted and must be run before training goes on
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
    def from_json(cls, saved: Any, best_weights: dict[str, Tensor], what: str = "state.json") -> State:
        """The inverse of `to_json`. Raises DamagedError for anything that it cannot have written."""
        stored = Fields(saved, what, "state")
        stored.require({f.name for f in fields(cls)} - {"best_weights"})
        step = stored.whole("step", most=_MOST_STEPS)
        history = [dict(row.values) for row in stored.rows("history")]
        for place, row in enumerate(history):
            for name, value in row.items():
                if value is not None and finite(value) is None:
                    raise stored.wrong(f"history[{place}].{name}", f"is {brief(value)}, not a finite number or null")
        steps = [row["step"] for row in history if "step" in row]
        if any(type(n) is not int or not 0 <= n <= step for n in steps) or steps != sorted(set(steps)):
            raise stored.wrong("history", f"has rows of other steps than 0 to {step} in order")
        skipped = []
        for turn in stored.rows("skipped"):
            turn.require(("step", "turn", "samples"))
            own = {"step": turn.whole("step", most=step), "turn": turn.text("turn"), "samples": turn.wholes("samples")}
            skipped.append(own)
        return cls(
            step=step,
            ended=None if stored.raw("ended") is None else stored.text("ended", among=("finished", "early")),
            history=history,
            skipped=skipped,
            in_a_row=stored.whole("in_a_row", most=_MOST_STEPS),
            logged=Meter.from_json(stored.fields("logged")),
            epoch=Meter.from_json(stored.fields("epoch")),
            owed=stored.flag("owed"),
            best_weights=best_weights,
        )
