"""What the rows of a classifier say, for the verdict and the class table."""

from __future__ import annotations

import numpy as np

from sightline.evaluation.intervals import ece_by_chance
from sightline.evaluation.judgement import Judgement
from sightline.reports.chapter import RowFacts
from sightline.reports.finding import ClassFact, share_interval
from sightline.reports.headline import Headline
from sightline.reports.judged import JudgedSplit
from sightline.reports.thresholds import Thresholds


def row_facts(judged: JudgedSplit, headline: Headline, limits: Thresholds) -> RowFacts:
    """Everything at once."""
    judgement = judged.judgement
    return RowFacts(majority(judgement), class_facts(judgement, limits), *_confidence(judged, limits))


def class_facts(judgement: Judgement, limits: Thresholds) -> tuple[ClassFact, ...]:
    """Each class that occurs, with its recall, the interval, and the class that takes most of what it loses."""
    facts = []
    for index, row in enumerate(judgement.per_class):
        if not row["support"]:
            continue
        lost = judgement.confusion[index].copy()
        lost[index] = 0
        other = int(lost.argmax())
        low, high = share_interval(row["recall"], row["intervals"]["recall"], row["support"], limits.z)
        taken = int(lost[other])
        name = judgement.classes[other] if taken else ""
        facts.append(ClassFact(row["class"], row["recall"], low, high, row["support"], name, taken))
    return tuple(facts)


def majority(judgement: Judgement) -> tuple[str, float] | None:
    support = judgement.confusion.sum(1)
    if not judgement.n:
        return None
    most = int(support.argmax())
    return judgement.classes[most], float(support[most] / judgement.n)


def _confidence(judged: JudgedSplit, limits: Thresholds) -> tuple[float | None, int, int, float | None]:
    """Mean probability of what was said; mistakes; mistakes made with at least the probability `limits.sure`; the
    calibration error that chance may make of such probabilities."""
    rows = judged.rows.take(judged.rows.target >= 0)
    if not len(rows):
        return None, 0, 0, None
    top = rows.probability.max(1)
    wrong = rows.probability.argmax(1) != rows.target
    sure = int(np.count_nonzero(wrong & (top >= limits.sure)))
    return float(top.mean()), int(wrong.sum()), sure, ece_by_chance(top.astype(np.float64))
