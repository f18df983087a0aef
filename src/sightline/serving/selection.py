"""The part of a row that a request asks for, by the rules of `sightline predict --conf --classes`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

LEFT_OUT = 255  # in a mask: pixels of other classes


class Choice(NamedTuple):
    """`conf` is the least score, `classes` those that are reported; None: any."""

    conf: float | None = None
    classes: frozenset[str] | None = None

    def names(self, name: str) -> bool:
        return self.classes is None or name in self.classes


def choice_of(facts: Mapping[str, Any]) -> Choice:
    """As a request states it."""
    classes = facts.get("classes")
    return Choice(facts.get("conf"), frozenset(classes) if classes else None)


def selected(row: dict[str, Any], choice: Choice) -> dict[str, Any]:
    """Boxes of other classes or a lower score are left out, as are other classes' shares of the pixels; the label of another
    class becomes null, one of a lower probability is marked `uncertain`."""
    if choice == Choice():
        return row
    chosen = dict(row)
    if "boxes" in row:
        least = choice.conf or 0.0
        chosen["boxes"] = [box for box in row["boxes"] if choice.names(box["label"]) and box["score"] >= least]
    if "shares" in row:
        chosen["shares"] = {name: share for name, share in row["shares"].items() if choice.names(name)}
    if "top" in row:
        chosen["top"] = [pair for pair in row["top"] if choice.names(pair[0])]
        if not choice.names(row["label"]):
            chosen |= {"label": None, "probability": None}
        elif choice.conf is not None and row["probability"] < choice.conf:
            chosen["uncertain"] = True
    return chosen


def selected_mask(mask: np.ndarray, choice: Choice, classes: Sequence[str]) -> np.ndarray:
    """The class of each pixel, `LEFT_OUT` where it is another one."""
    if choice.classes is None:
        return mask
    table = np.array([i if choice.names(name) else LEFT_OUT for i, name in enumerate(classes)], mask.dtype)
    return table[mask]
