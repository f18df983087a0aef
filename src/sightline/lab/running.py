"""Running an experiment: its parameters, its seeds, and what came of each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import torch
from pydantic import TypeAdapter, ValidationError

from sightline.errors import UsageError
from sightline.registry import suggestion

from .catalogue import Entry
from .experiment import Experiment, Result

SEEDS = (0, 1, 2)


class Listener(Protocol):
    """Where progress goes."""

    def say(self, line: str, /) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """An experiment that ran: one Result a seed, in their order."""

    entry: Entry
    experiment: Experiment[Any]
    parameters: Any
    seeds: Sequence[int]
    results: Sequence[Result]
    seconds: float

    @property
    def holds(self) -> bool:
        """Does every claim hold for every seed?"""
        return all(claim.holds for result in self.results for claim in result.claims)

    def to_json(self) -> dict[str, Any]:
        """Parameters, numbers and claims; no pictures."""
        return {
            "experiment": self.entry.name,
            "title": self.entry.title,
            "parameters": asdict(self.parameters),
            "seeds": list(self.seeds),
            "holds": self.holds,
            "claims": [
                {
                    "claim": claims[0].sentence,
                    "holds": [claim.holds for claim in claims],
                    "measured": [claim.measured for claim in claims],
                }
                for claims in self.claims()
            ],
            "numbers": {
                name: [result.numbers[name] for result in self.results] for name in self.results[0].numbers
            },
            "seconds": round(self.seconds, 2),
        }  # fmt: skip

    def claims(self) -> list[tuple[Any, ...]]:
        """Each claim over the seeds."""
        return list(zip(*(result.claims for result in self.results), strict=True))


def with_overrides(parameters: Any, overrides: Mapping[str, Any], name: str) -> Any:
    """The parameters with other values. UsageError names a key that does not exist or a value that does not fit."""
    known = asdict(parameters)
    for key in overrides:
        if key not in known:
            raise UsageError(f"{name} has no parameter {key!r}", suggestion(key, dict.fromkeys(known), {}))
    try:
        return TypeAdapter(type(parameters)).validate_python(known | dict(overrides))
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise UsageError(
            f"{key}={overrides.get(key)!r} does not fit: {reason}", f"the default is {key}={known.get(key)}"
        ) from None


def run(
    entry: Entry,
    experiment: Experiment[Any],
    overrides: Mapping[str, Any],
    *,
    seeds: Sequence[int] = SEEDS,
    listener: Listener | None = None,
) -> Outcome:
    """Run every seed, one after the other on one thread."""
    parameters = with_overrides(experiment.parameters, overrides, entry.name)
    seeds = tuple(seeds) if experiment.random else tuple(seeds)[:1]
    results, start = [], time.perf_counter()
    for seed in seeds:
        if listener is not None and len(seeds) > 1:
            listener.say(f"{entry.name}: seed {seed}")
        with _seeded(seed):
            results.append(experiment.run(parameters, seed))
    return Outcome(entry, experiment, parameters, seeds, results, time.perf_counter() - start)


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """One thread and torch's generator at `seed`; both as before afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
