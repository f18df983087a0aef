"""What an experiment is, and what it returns.

A file in `experiments/<topic>/` is an experiment. The first line of its docstring is its title, the rest its question; its
`EXPERIMENT` holds everything else. So `sightline lab` can list them without importing torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from jaxtyping import UInt8
from markupsafe import Markup

P = TypeVar("P")


@dataclass(frozen=True)
class Claim:
    """A sentence that this run of the experiment confirms or refutes, and the numbers behind it."""

    sentence: str
    holds: bool
    measured: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "holds", bool(self.holds))  # also of numpy's and torch's booleans


@dataclass(frozen=True)
class Picture:
    """A drawing (SVG), pixels (h, w, c), or the bytes of a GIF, with what it shows. `wide` takes the width of the page."""

    content: Markup | UInt8[np.ndarray, "h w c"] | bytes
    caption: str
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of texts and numbers under a header; the first column names the row."""

    header: Sequence[str]
    rows: Sequence[Sequence[str | int | float | None]]
    caption: str = ""


@dataclass(frozen=True)
class Formula:
    """One or more lines of mathematics in Unicode, and the paper that has it."""

    text: str
    source: str


@dataclass(frozen=True)
class Variation:
    """Parameters to try, as on the command line, and what will be seen."""

    overrides: str
    effect: str


@dataclass(frozen=True)
class Result:
    """What one seed of an experiment gives. `numbers` are shown with their spread over the seeds; pictures and tables are
    those of the first seed."""

    claims: Sequence[Claim]
    numbers: Mapping[str, float] = field(default_factory=dict)
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()


@dataclass(frozen=True)
class Experiment(Generic[P]):
    """One idea to run.

    run          (parameters, seed) → Result. Torch has one thread, and its generator is seeded with `seed`.
    parameters   a frozen dataclass with the defaults; its field names are the keys of `sightline lab NAME key=value`
    notice       what to look at, a sentence or two each
    code         the functions of the product that do the work; the page shows their source
    random       False where the seed changes nothing: it runs once
    """

    run: Callable[[P, int], Result]
    parameters: P
    notice: Sequence[str]
    formulas: Sequence[Formula] = ()
    code: Sequence[Callable[..., Any] | type] = ()
    variations: Sequence[Variation] = ()
    random: bool = True
