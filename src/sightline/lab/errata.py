"""Errata as numbers: what is often printed, what is right, and what the product computes.

`judged` turns rows into claims and a table: every value that is shown must be the right one, and none the printed one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .experiment import Claim, Result, Table

Value = float | str | Sequence[float]


@dataclass(frozen=True)
class Erratum:
    """`shown` computes the value by the product; `why` is what went wrong. Numbers agree within `tolerance` of their size
    (0: within a billionth)."""

    subject: str
    printed: Value
    right: Value
    shown: Callable[[], Value]
    why: str
    tolerance: float = 0.0


def agree(a: Value, b: Value, tolerance: float) -> bool:
    """Texts by equality, numbers within the tolerance, NaN with NaN, sequences entry by entry."""
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and isinstance(b, str) and a == b
    if isinstance(a, Sequence) or isinstance(b, Sequence):
        both = isinstance(a, Sequence) and isinstance(b, Sequence) and len(a) == len(b)
        return both and all(agree(x, y, tolerance) for x, y in zip(a, b, strict=True))  # type: ignore[arg-type]
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return abs(a - b) <= max(tolerance, 1e-9) * max(1.0, abs(b))


def text(value: Value) -> str:
    """Seven significant digits, ten of large numbers: slips are often in the last ones."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return ", ".join(text(v) for v in value)
    return (
        "undefined"
        if math.isnan(value)
        else f"{value:,.7g}".replace("-", "−")
        if abs(value) < 1e4
        else f"{value:,.10g}"
    )


def judged(errata: Sequence[Erratum], caption: str) -> Result:
    """The claims and the table of all rows."""
    shown = [row.shown() for row in errata]
    wrong = [r.subject for r, v in zip(errata, shown, strict=True) if not agree(v, r.right, r.tolerance)]
    as_printed = [r.subject for r, v in zip(errata, shown, strict=True) if agree(v, r.printed, r.tolerance)]
    count = len(errata)
    rows = [
        [r.subject, text(r.printed), text(r.right), text(v), r.why] for r, v in zip(errata, shown, strict=True)
    ]  # fmt: skip
    return Result(
        claims=[
            Claim("What sightline computes is the right value in every row.", not wrong,
                "; ".join(wrong) or f"{count} of {count}"),
            Claim("What is printed comes out in no row.", not as_printed, "; ".join(as_printed) or f"0 of {count}"),
        ],
        tables=[Table(("about", "printed", "right", "shown", "what went wrong"), rows, caption)],
    )  # fmt: skip
