"""How well faces are re-enacted and joined, over the images that have each figure."""

from __future__ import annotations

import numpy as np

from sightline.structures.figure_rows import FigureRows

from .figures import WORST, FigureJudgement
from .translations import known_means


def judge_faces(rows: FigureRows, *, seed: int = 0) -> FigureJudgement:
    """Means with bootstrapped intervals; the worst are those of the largest landmark error."""
    metrics, intervals, reasons = known_means(rows, rows.names, seed=seed)
    order = np.lexsort((rows.id, -rows.column("landmark_error")))[:WORST]
    return FigureJudgement(len(rows), metrics, intervals, reasons, tuple(int(i) for i in rows.id[order]))
