"""The part of a row that a request asks for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


def selected(row: dict[str, Any], conf: float | None, classes: Collection[str] | None) -> dict[str, Any]:
    """Boxes of at least the score `conf`, of the named classes only; the same of the list `top`. The label of an image, its
    mask and the shares of its pixels stay: they are one answer to the whole image."""
    if conf is None and not classes:
        return row
    chosen = dict(row)
    if "boxes" in row:
        chosen["boxes"] = [box for box in row["boxes"] if _wanted(box["label"], box["score"], conf, classes)]
    if "top" in row:
        chosen["top"] = [pair for pair in row["top"] if _wanted(pair[0], pair[1], conf, classes)]
    return chosen


def _wanted(label: str, score: float, conf: float | None, classes: Collection[str] | None) -> bool:
    return (conf is None or score >= conf) and (not classes or label in classes)
