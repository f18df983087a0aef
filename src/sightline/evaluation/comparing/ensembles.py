"""The mean of several networks' answers, and how far their mistakes agree.

An ensemble gains what its members do not get wrong together (Krogh & Vedelsby 1995, "Neural network ensembles, cross
validation, and active learning"): members that all make the same mistakes are worth one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields, replace
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

_AVERAGED = ("probability", "prediction", "answer")  # columns of rows that hold the answers of a network


def mean_rows(members: Sequence[Any]) -> Any | None:
    """Rows (of the same images in the same order) with the mean of the members' probabilities or numbers; None where rows hold
    no answers that have a mean, such as boxes."""
    names = {field.name for field in fields(members[0])}
    for name in _AVERAGED:
        if name in names:
            return replace(members[0], **{name: np.mean([getattr(rows, name) for rows in members], axis=0)})
    return None


def error_correlation(scores: Sequence[Float[np.ndarray, "n"]]) -> float | None:
    """The mean correlation between two members' scores of the images (1: they fail on the same ones); None where one of
    them is the same for all images."""
    known = np.isfinite(np.stack(scores)).all(axis=0)
    found = [_correlation(a[known], b[known]) for a, b in combinations(scores, 2)]
    defined = [value for value in found if not math.isnan(value)]
    return float(np.mean(defined)) if defined and len(defined) == len(found) else None


def _correlation(a: Float[np.ndarray, "n"], b: Float[np.ndarray, "n"]) -> float:
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])
