"""Conditions on images, such as "brightness < 41" or "class is cat": which hold for which image, and how they read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool

from .images import ImageTable

SHARES = (0.02, 0.05, 0.08, 0.1, 0.15, 0.2, 0.25, 1 / 3, 0.5)  # of the images, on either side of a cut
MOST_WORDS = (
    300  # values of a column of words; a column with more is an identifier, or has its most frequent values only
)
CLASS, CLUSTER = "class", "cluster"
_NAMED = {
    ("brightness", "<"): "dark images", ("brightness", "≥"): "bright images",
    ("contrast", "<"): "low-contrast images", ("contrast", "≥"): "high-contrast images",
    ("sharpness", "<"): "blurred images", ("sharpness", "≥"): "grainy images",
    ("size", "<"): "small images", ("size", "≥"): "large images",
    ("aspect", "<"): "narrow images", ("aspect", "≥"): "wide images",
    ("objects", "<"): "images with few objects", ("objects", "≥"): "images with many objects",
}  # fmt: skip
_UNITS = {"size": " pixels"}


@dataclass(frozen=True)
class Condition:
    """On the column `name`: below `value` ("<"), from it on ("≥"), or equal to the word `value` ("is")."""

    name: str
    sign: Literal["<", "≥", "is"]
    value: float | str

    @property
    def words(self) -> str:
        """In a few words: "dark images", "class “cat”", "camera “B”", "age < 40"."""
        if self.sign == "is":
            return (
                f"a group of similar images ({self.value})" if self.name == CLUSTER else f"{self.name} “{self.value}”"
            )
        return _NAMED.get((self.name, self.sign), self.precise)

    @property
    def precise(self) -> str:
        """With its figure: "brightness < 41"."""
        if self.sign == "is":
            return f"{self.name} is “{self.value}”"
        return f"{self.name} {self.sign} {self.value:,.4g}{_UNITS.get(self.name, '')}"

    def holds(self, table: ImageTable) -> Bool[np.ndarray, "n"]:
        """For which images it holds; for none where the column is unknown."""
        if self.sign == "is":
            values = table.words.get(self.name)
            return (
                np.array([v == self.value for v in values], bool) if values is not None else np.zeros(len(table), bool)
            )
        numbers = table.numbers.get(self.name)
        if numbers is None:
            return np.zeros(len(table), bool)
        with np.errstate(invalid="ignore"):
            return numbers < self.value if self.sign == "<" else numbers >= self.value


def conditions_on(table: ImageTable, least: int) -> list[Condition]:
    """All conditions that are tried, each with at least `least` images on both of its sides."""
    found: list[Condition] = []
    for name, numbers in table.numbers.items():
        found += _cuts(name, numbers[np.isfinite(numbers)], least)
    for name, words in table.words.items():
        found += _words(name, words, least)
    return found


def _cuts(name: str, known: np.ndarray, least: int) -> list[Condition]:
    """Below and above quantiles, rounded to three digits, so that the words give the very cut that was tested."""
    if len(known) < 2 * least:
        return []
    cuts: dict[tuple[str, float], Condition] = {}
    for share in SHARES:
        for sign, quantile in (("<", share), ("≥", 1 - share)):
            value = float(f"{np.quantile(known, quantile):.3g}")
            below = int((known < value).sum())
            if min(below, len(known) - below) >= least:
                cuts[sign, value] = Condition(name, sign, value)  # type: ignore[arg-type]
    return list(cuts.values())


def _words(name: str, words: Sequence[str | None], least: int) -> list[Condition]:
    counts = Counter(word for word in words if word is not None).most_common(MOST_WORDS)
    return [Condition(name, "is", word) for word, n in counts if least <= n <= len(words) - least]
