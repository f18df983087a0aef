"""Edits from one sequence to another.

Levenshtein 1966: the fewest insertions, deletions and substitutions
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def edit_distance(one: Sequence[object], other: Sequence[object]) -> int:
    """The fewest insertions, deletions and substitutions that turn one into the other.

    >>> edit_distance("kitten", "sitting")
    3
    """
    if len(one) < len(other):
        one, other = other, one
    row = np.arange(len(other) + 1)
    for i, part in enumerate(one, 1):
        replaced = row[:-1] + np.array([part != each for each in other], np.int64)
        best = np.concatenate(([i], np.minimum(replaced, row[1:] + 1)))
        # The last choice, an insertion, depends on the entry to the left: row[j] = min over k <= j of best[k] + (j - k).
        row = np.minimum.accumulate(best - np.arange(len(best))) + np.arange(len(best))
    return int(row[-1])
