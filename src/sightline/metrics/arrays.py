"""Lists as arrays: what is typed at a prompt gets the same metrics as what a program computes.

Arrays of the right type pass through without a copy, so metrics that a bootstrap evaluates a thousand times pay
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from sightline.errors import UsageError

Classes = Int[np.ndarray, "n"] | Sequence[int]
Flags = Bool[np.ndarray, "n"] | Int[np.ndarray, "n"] | Sequence[bool] | Sequence[int]
Scores = Real[np.ndarray, "n"] | Sequence[float] | Sequence[int]
Probabilities = Float[np.ndarray, "n k"] | Sequence[Sequence[float]]


def class_array(classes: Classes) -> Int[np.ndarray, "n"]:
    """Class indices as an array of integers. UsageError for anything else, such as class names."""
    array = np.asarray(classes)
    if not array.size:
        return array.astype(np.int64)
    if array.dtype.kind not in "iu":
        raise UsageError(f"classes are {array.dtype}, not integers", "pass the index of each sample's class, from 0")
    return array


def ranking_arrays(positive: Flags, score: Scores) -> tuple[Bool[np.ndarray, "n"], Real[np.ndarray, "n"]]:
    """Labels as booleans, scores as numbers, equally many. UsageError where they are not."""
    flags, scores = np.asarray(positive), np.asarray(score)
    if flags.shape != scores.shape:
        raise UsageError(f"{len(flags)} labels for {len(scores)} scores", "pass one label for each score")
    if flags.dtype != bool:
        if not np.isin(flags, (0, 1)).all():
            raise UsageError("positive holds values other than 0 and 1", "pass target == c for the class c")
        flags = flags.astype(bool)
    return flags, scores


def probability_rows(
    target: Classes, probability: Probabilities
) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n k"]]:
    """Class indices (n,) and probabilities (n, k) as arrays. UsageError unless there is one row for each sample."""
    classes, rows = class_array(target), np.asarray(probability)
    if rows.ndim != 2 or len(rows) != len(classes):
        raise UsageError(
            f"probabilities have shape {rows.shape} for {len(classes)} samples", "pass one row for each sample, (n, k)"
        )
    return classes, rows
