"""The part of a row that a request asks for, by the rules of `sightline predict --conf --classes`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sightline.runtime.choosing import ALL, Choice, choose_boxes, choose_label, choose_shares


def choice_of(facts: Mapping[str, Any]) -> Choice:
    """As a request states it."""
    classes = facts.get("classes")
    return Choice(facts.get("conf"), frozenset(classes) if classes else None)


def selected(row: dict[str, Any], choice: Choice, score: float) -> dict[str, Any]:
    """The row as `predict` reports it; `score` is that from which boxes are reported where the request states none."""
    if "boxes" in row:
        return choose_boxes(row, Choice(score if choice.conf is None else choice.conf, choice.classes))
    if choice == ALL:
        return row
    if "top" in row:
        return choose_label(row, choice)
    return choose_shares(row, choice) if "shares" in row else row
