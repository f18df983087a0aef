"""What the user wants of an attack, and its outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from sightline.attacks.aim import Aim
from sightline.errors import UsageError, nearest

Over = Callable[..., Iterable[Any]]


@dataclass(frozen=True)
class Request:
    """The options of the user; None where the method decides."""

    method: str
    eps: tuple[float, ...] | None
    steps: int | None
    norm: str | None
    target: int | None
    seed: int
    region: int | None = None
    object: int | None = None

    @classmethod
    def of(
        cls,
        method: str,
        eps: float | Sequence[float] | None,
        steps: int | None,
        norm: str | None,
        target: str | None,
        seed: int,
        classes: Sequence[str],
        region: str | None = None,
        object: int | None = None,
    ) -> Request:
        """UsageError for values that no attack has."""
        for name in (target, region):
            if name is not None and name not in classes:
                raise UsageError(f"the run has no class {name!r}", nearest(name, classes))
        if object is not None and object < 0:
            raise UsageError(f"--object is {object}", "use 0 for the surest detection, 1 for the next")
        if region is not None and object is not None:
            raise UsageError("--region and --object both say what is attacked", "leave one of them out")
        if seed < 0:
            raise UsageError(f"--seed is {seed}", "use 0 or more")
        if steps is not None and steps < 1:
            raise UsageError(f"--steps is {steps}", "use at least 1")
        budgets = (
            None if eps is None else tuple(sorted(map(float, {eps} if isinstance(eps, int | float) else set(eps))))
        )
        if budgets is not None and (odd := [e for e in budgets if not isfinite(e)]):
            raise UsageError(f"--eps {odd[0]:g} is not finite", "use levels of 255, such as --eps 8")
        if budgets is not None and (not budgets or budgets[0] <= 0):
            raise UsageError("--eps has a budget that is not above 0", "use levels of 255, such as --eps 8")
        place, only = (None if name is None else list(classes).index(name) for name in (target, region))
        return cls(method, budgets, steps, norm, place, seed, only, object)

    @property
    def aim(self) -> Aim:
        return Aim(self.target, self.region, self.object)

    def words(self) -> list[str]:
        """The options that repeat it."""
        pairs = {
            "eps": None if self.eps is None else ",".join(f"{e:g}" for e in self.eps),
            "steps": self.steps,
            "norm": self.norm,
            "seed": self.seed or None,
            "object": self.object,
        }
        return [f"--{name} {value}" for name, value in pairs.items() if value is not None]


@dataclass(frozen=True)
class Outcome:
    """The facts for the JSON file; the page, by the run's name and the command that repeats it; a contact sheet."""

    facts: dict[str, Any]
    page: Callable[[str, str], str]
    sheet: bytes | None


Family = Callable[[Any, Request, Path, Over], Outcome]  # of a Subject, or of images that are Measured


def unused(request: Request, **known: str) -> None:
    """UsageError for an option that has no effect on this method; `known` are those with one, by name."""
    given = {
        "eps": request.eps, "steps": request.steps, "norm": request.norm, "target": request.target, "region": request.region,
        "object": request.object,
    }  # fmt: skip
    for name, value in given.items():
        if value is not None and name not in known:
            raise UsageError(f"--{name} has no effect on {request.method}", "leave it out")
