"""Which predictions are reported: those of some classes, those with at least some score. Applied to rows and masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from sightline.errors import UsageError, nearest

LEFT_OUT = 255  # in a mask: pixels of other classes


@dataclass(frozen=True)
class Choice:
    """conf      the least score; None: any
    classes   the names of those that are reported; None: all
    """

    conf: float | None = None
    classes: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.conf is not None and not 0 <= self.conf <= 1:
            raise UsageError(f"--conf {self.conf:g} is no confidence", "give a number from 0 to 1")

    def names(self, name: str) -> bool:
        return self.classes is None or name in self.classes


ALL = Choice()


def chosen_classes(given: str | Sequence[str] | None, classes: Sequence[str]) -> frozenset[str] | None:
    """Names, or one string of names with commas between, as a set. UsageError for an unknown one, with the nearest. A name
    that has a comma itself is taken whole."""
    if given is None:
        return None
    parts = [given] if isinstance(given, str) else list(given)
    names = [n for part in parts for n in ([part] if part in classes else [p.strip() for p in part.split(",")]) if n]
    for name in names:
        if name not in classes:
            raise UsageError(f"{name!r} is not a class of this model", nearest(name, classes))
    if not names:
        raise UsageError("--classes names no class", f"give some of: {', '.join(list(classes)[:12])}")
    return frozenset(names)


def choose_label(row: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    """A class of others becomes null; one below `conf` is marked with `uncertain`."""
    kept = {**row, "top": [pair for pair in row["top"] if choice.names(pair[0])]}
    if not choice.names(row["label"]):
        return {**kept, "label": None, "probability": None}
    return {**kept, "uncertain": True} if choice.conf is not None and row["probability"] < choice.conf else kept


def choose_labels(row: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    """Labels of the chosen classes; with `conf` those from it on, among the labels and the most likely ones."""
    known = {**row["labels"], **dict(row["top"])} if choice.conf is not None else row["labels"]
    kept = {name: p for name, p in known.items() if choice.names(name) and p >= (choice.conf or 0.0)}
    return {**row, "labels": kept, "top": [pair for pair in row["top"] if choice.names(pair[0])]}


def choose_values(row: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    """The values of the chosen targets."""
    return {**row, "values": {name: value for name, value in row["values"].items() if choice.names(name)}}


def choose_answers(row: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    """The answers to the questions of which any entry is chosen."""
    questions = (
        None if choice.classes is None else {part for name in choice.classes for part in (name, name.split("=")[0])}
    )
    kept = {name: answer for name, answer in row["answers"].items() if questions is None or name in questions}
    return {**row, "answers": kept}


def choose_nearest(row: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    """Only the chosen identities are nearest; another one as the answer becomes "unknown"."""
    kept = {**row, "nearest": [pair for pair in row["nearest"] if choice.names(pair[0])]}
    return kept if choice.names(row["label"]) else {**kept, "label": "unknown"}


def choose_boxes(row: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    """Boxes of other classes, or below `conf`, are left out."""
    least = choice.conf or 0.0
    return {**row, "boxes": [b for b in row["boxes"] if choice.names(b["label"]) and b["score"] >= least]}


def choose_shares(row: Mapping[str, Any], choice: Choice) -> dict[str, Any]:
    """Shares of other classes are left out; they remain shares of the whole image."""
    return {**row, "shares": {name: share for name, share in row["shares"].items() if choice.names(name)}}


def chosen_mask(mask: Int[np.ndarray, "h w"], choice: Choice, classes: Sequence[str]) -> Int[np.ndarray, "h w"]:
    """The class of each pixel, `LEFT_OUT` where it is not one of those."""
    if choice.classes is None:
        return mask
    table = np.array([i if choice.names(name) else LEFT_OUT for i, name in enumerate(classes)], mask.dtype)
    return table[mask]
