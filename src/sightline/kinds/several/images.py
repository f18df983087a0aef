"""How well the questions about each image were answered: what slices are searched by."""

from __future__ import annotations

from typing import Any

import numpy as np

from sightline.evaluation.answers import relative_errors
from sightline.evaluation.diagnosis.images import ImageTable
from sightline.evaluation.diagnosis.slices import ImageScores
from sightline.metrics.answers import class_of
from sightline.metrics.counts import mean_defined
from sightline.structures.rows.labels import AnswerRows


def of_answers(rows: AnswerRows, judgement: Any) -> ImageScores:
    """Minus the mean error over the known answers, each in units of the constant guess's mean error."""
    measured = {f"true {h.name}": rows.target[:, h.start] for h in rows.heads if h.kind == "number"}
    named = {}
    for head in rows.heads:
        if head.kind == "class":
            index = class_of(rows.target[:, head.place]).tolist()
            named[f"true {head.name}"] = [head.answers[i] if i >= 0 else None for i in index]
    value = -mean_defined(relative_errors(rows))
    return ImageScores(
        rows.id, np.asarray(value), "error beside a guess", share=False, table=ImageTable(rows.id, measured, named)
    )
