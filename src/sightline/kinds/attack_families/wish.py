"""What was asked for, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.attacks.subject import Subject
from sightline.errors import UsageError, nearest

Over = Callable[..., Iterable[Any]]


@dataclass(frozen=True)
class Wish:
    """What the user asked for; None where the method decides."""

    method: str
    eps: tuple[float, ...] | None
    steps: int | None
    norm: str | None
    target: int | None
    seed: int

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
    ) -> Wish:
        """UsageError for values that no attack has."""
        if target is not None and target not in classes:
            raise UsageError(f"the run has no class {target!r}", nearest(target, classes))
        if steps is not None and steps < 1:
            raise UsageError(f"--steps is {steps}", "use at least 1")
        budgets = (
            None if eps is None else tuple(sorted(map(float, {eps} if isinstance(eps, int | float) else set(eps))))
        )
        if budgets is not None and (not budgets or budgets[0] <= 0):
            raise UsageError("--eps has a budget that is not above 0", "use levels of 255, such as --eps 8")
        place = None if target is None else list(classes).index(target)
        return cls(method, budgets, steps, norm, place, seed)

    def words(self) -> list[str]:
        """The options that repeat it."""
        pairs = {
            "eps": None if self.eps is None else ",".join(f"{e:g}" for e in self.eps),
            "steps": self.steps,
            "norm": self.norm,
            "seed": self.seed or None,
        }
        return [f"--{name} {value}" for name, value in pairs.items() if value is not None]


@dataclass(frozen=True)
class Outcome:
    """The facts for the JSON file; the page, by the run's name and the command that repeats it; a contact sheet."""

    facts: dict[str, Any]
    page: Callable[[str, str], str]
    sheet: bytes | None


Family = Callable[[Subject, Wish, Path, Over], Outcome]


def unused(wish: Wish, **known: str) -> None:
    """UsageError for an option that has no effect on this method; `known` are those with one, by name."""
    given = {"eps": wish.eps, "steps": wish.steps, "norm": wish.norm, "target": wish.target}
    for name, value in given.items():
        if value is not None and name not in known:
            raise UsageError(f"--{name} has no effect on {wish.method}", "leave it out")
