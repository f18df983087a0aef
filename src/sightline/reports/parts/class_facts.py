"""What the verdict and the class table need to know from the rows of a classifier."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sightline.evaluation.intervals import ece_by_chance, wilson
from sightline.evaluation.judgement import Judgement
from sightline.evaluation.skill import confidence_separates, label_scatter, skill_of
from sightline.reports.chapter import RowFacts
from sightline.reports.finding import ClassFact
from sightline.reports.headline import Headline
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.thresholds import Thresholds


def row_facts(evaluation: SplitEvaluation, headline: Headline, limits: Thresholds) -> RowFacts:
    """All facts from the rows."""
    judgement = evaluation.judgement
    known = RowFacts(majority(judgement), class_facts(judgement, limits), *_confidence(evaluation, limits))
    rows = evaluation.rows.take(evaluation.rows.target >= 0)
    if not len(rows):
        return known
    predicted, top = rows.probability.argmax(1), rows.probability.max(1)
    answers = np.unique(predicted)
    mcc, auc = judgement.metrics.get("mcc"), judgement.metrics.get("auc")
    return replace(
        known,
        skill=skill_of(rows.target, rows.probability, mcc=mcc, auc=auc),
        only_answer=judgement.classes[int(answers[0])] if len(answers) == 1 else "",
        separation=confidence_separates(top, predicted == rows.target),
        scatter=label_scatter(rows.target, rows.probability),
    )


def class_facts(judgement: Judgement, limits: Thresholds) -> tuple[ClassFact, ...]:
    """Each class that occurs, with its recall, the interval, and the class that it is most often confused with."""
    facts = []
    for index, row in enumerate(judgement.per_class):
        if not row["support"]:
            continue
        confusions = judgement.confusion[index].copy()
        confusions[index] = 0
        other = int(confusions.argmax())
        low, high = row["intervals"]["recall"] or wilson(row["recall"], row["support"], limits.z)
        count = int(confusions[other])
        name = judgement.classes[other] if count else ""
        facts.append(ClassFact(row["class"], row["recall"], low, high, row["support"], name, count))
    return tuple(facts)


def majority(judgement: Judgement) -> tuple[str, float] | None:
    support = judgement.confusion.sum(1)
    if not judgement.n:
        return None
    most = int(support.argmax())
    return judgement.classes[most], float(support[most] / judgement.n)


def _confidence(evaluation: SplitEvaluation, limits: Thresholds) -> tuple[float | None, int, int, float | None]:
    """Mean probability of the predicted class; mistakes; mistakes with a probability of at least `limits.confident`; the
    calibration error that chance alone may cause with such probabilities."""
    rows = evaluation.rows.take(evaluation.rows.target >= 0)
    if not len(rows):
        return None, 0, 0, None
    top = rows.probability.max(1)
    wrong = rows.probability.argmax(1) != rows.target
    confident = int(np.count_nonzero(wrong & (top >= limits.confident)))
    return float(top.mean()), int(wrong.sum()), confident, ece_by_chance(top.astype(np.float64))
