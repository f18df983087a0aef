"""Golden rows and what computes them: each test file decorates one function for every row of its JSON file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Compute = Callable[[dict[str, Any]], Any]


class Golden:
    """The rows of one file beside this one, and the functions inputs → value that must meet them."""

    def __init__(self, name: str) -> None:
        rows = json.loads((Path(__file__).parent / f"{name}.json").read_text())
        self.rows: dict[str, dict[str, Any]] = {row["id"]: row for row in rows}
        self.computed: dict[str, Compute] = {}

    def __call__(self, identifier: str) -> Callable[[Compute], Compute]:
        def register(compute: Compute) -> Compute:
            assert identifier not in self.computed, identifier
            self.computed[identifier] = compute
            return compute

        return register

    def check(self, identifier: str) -> None:
        """The product's value is the row's; where the lecture printed another, that one is not met."""
        row = self.rows[identifier]
        got = self.computed[identifier](row["inputs"])
        tolerances = row["tolerance"], row.get("tolerance_rel", 0.0)
        assert agrees(got, row["expected"], *tolerances), f"{got} is not {row['expected']}"
        if row["lecture_is_wrong"]:
            assert not agrees(got, row["lecture_printed"], *tolerances)


def agrees(got: Any, want: Any, absolute: float, relative: float) -> bool:
    """Equal structure, numbers within |got - want| ≤ absolute + relative · |want|."""
    if isinstance(want, Mapping):
        return (
            isinstance(got, Mapping)
            and got.keys() == want.keys()
            and all(agrees(got[key], want[key], absolute, relative) for key in want)
        )
    if isinstance(want, list):
        return (
            isinstance(got, list)
            and len(got) == len(want)
            and all(agrees(g, w, absolute, relative) for g, w in zip(got, want, strict=True))
        )
    if isinstance(want, bool | str) or not isinstance(got, int | float):
        return got == want
    return math.isfinite(got) and abs(got - want) <= absolute + relative * abs(want)
