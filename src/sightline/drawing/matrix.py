"""A confusion matrix as a table that is also a heat map: numbers to read, shades to find them by, headers for screen readers.

It is an HTML table and not an SVG, so that it can be read aloud, selected, copied and scrolled. Rows are the truth,
columns the predictions; a cell's shade is the square root of its share of its row, so that errors of 1 % stand out. Many
classes fold to those with the most confusions; the rest becomes one row and one column, so every sample is still counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from markupsafe import Markup

from .svg import Attribute, element, joined, shortened

MOST_CLASSES = 30  # more than these fold …
KEPT_CLASSES = 20  # … to so many
_LEVELS = 9


@dataclass(frozen=True)
class Folded:
    """A matrix (m, m) with its names; `folded` classes are summed in the last row and column (0: none)."""

    counts: Int[np.ndarray, "m m"]
    names: tuple[str, ...]
    folded: int


def fold(counts: Int[np.ndarray, "k k"], names: Sequence[str], *, most: int = MOST_CLASSES) -> Folded:
    """All classes if they are at most `most`; else the KEPT_CLASSES with the most errors, in their own order."""
    if counts.shape != (len(names), len(names)):
        raise ValueError(f"a confusion matrix of {len(names)} classes is not {counts.shape}")
    if len(names) <= most:
        return Folded(counts, tuple(names), 0)
    wrong = counts - np.diag(np.diag(counts))
    kept = np.sort(np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")[:KEPT_CLASSES])
    place = np.full(len(names), len(kept))
    place[kept] = np.arange(len(kept))
    small = np.zeros((len(kept) + 1, len(kept) + 1), counts.dtype)
    np.add.at(small, (place[:, None], place[None, :]), counts)
    others = len(names) - len(kept)
    return Folded(small, (*(names[i] for i in kept), f"{others} others"), others)


def confusion_table(folded: Folded, *, caption: str, shares: bool = False) -> Markup:
    """The table; `caption` describes it. With `shares` cells are percentages of their row and the last column of all
    samples: for counts too large to read."""
    kind = "matrix dense turned" if len(folded.names) > 12 else "matrix"
    if kind == "matrix" and max(len(name) for name in folded.names) > 6:
        kind = "matrix turned"
    heads = [element("th", {"scope": "col"}, _name(name)) for name in folded.names]
    corner = element("td", {"class": "corner"}, "true ↓ predicted →")
    head = element(
        "tr", None, corner, *heads, element("th", {"scope": "col", "class": "total"}, "of all" if shares else "n")
    )
    rows = [_row(folded, i, shares) for i in range(len(folded.names))]
    body = element("tbody", None, *rows)
    table = joined([element("caption", None, caption), element("thead", None, head), body])
    return element("table", {"class": kind}, table)


def _row(folded: Folded, true: int, shares: bool) -> Markup:
    counts = folded.counts[true]
    total = int(counts.sum())
    cells = [_cell(folded, true, predicted, total, shares) for predicted in range(len(folded.names))]
    head = element("th", {"scope": "row"}, _name(folded.names[true]))
    last = _per_cent(total, int(folded.counts.sum())) + "\u202f%" if shares else f"{total:,}"
    return element("tr", None, head, *cells, element("td", {"class": "total"}, last))


def _per_cent(count: int, total: int) -> str:
    """A whole number; "<1" instead of 0 for a count that is not 0."""
    share = 100 * count / total if total else 0.0
    return "<1" if 0 < share < 0.5 else f"{share:.0f}"


def _cell(folded: Folded, true: int, predicted: int, total: int, shares: bool) -> Markup:
    count = int(folded.counts[true, predicted])
    others = folded.folded > 0 and true == predicted == len(folded.names) - 1  # right and wrong are mixed there
    kind = "mixed" if others else "hit" if true == predicted else "miss"
    level = int(np.ceil(_LEVELS * np.sqrt(count / total))) if count else 0
    attributes: dict[str, Attribute] = {"class": f"{kind} h{level}"}
    if count:
        names = [shortened(folded.names[i], 40) for i in (true, predicted)]
        attributes["title"] = f"true {names[0]}, predicted {names[1]}: {count:,} of {total:,} ({count / total:.1%})"
    text = _per_cent(count, total) if shares else f"{count:,}"
    return element("td", attributes, text if count else "")


def _name(name: str) -> Markup:
    return element("bdi", {"title": shortened(name, 255)}, shortened(name, 24))
