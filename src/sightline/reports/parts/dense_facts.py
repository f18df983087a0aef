"""Judgements of segmentations and detections → what the verdict and the class table need to know."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from sightline.evaluation.segments import SegmentJudgement
from sightline.metrics.counts import mean_defined, one_vs_rest
from sightline.metrics.segmentation import intersection_over_union
from sightline.reports.finding import ClassFact, ObjectFacts, PixelConfusion, PixelFacts
from sightline.reports.headline import Headline
from sightline.reports.split_evaluation import SplitEvaluation

MOST_CONFUSIONS = 10


def segment_classes(judgement: SegmentJudgement) -> tuple[ClassFact, ...]:
    """Each class that occurs, with its IoU, the interval, and the class that most of its wrong pixels are predicted as."""
    facts = []
    for index, row in enumerate(judgement.per_class):
        if not row["support"] or row["iou"] is None:
            continue
        confusions = judgement.confusion[index].copy()
        confusions[index] = 0
        other = int(confusions.argmax())
        count = int(confusions[other])
        low, high = row["intervals"]["iou"] or (0.0, 1.0)
        name = judgement.classes[other] if count else ""
        facts.append(ClassFact(row["class"], row["iou"], low, high, row["support"], name, count))
    return tuple(facts)


def object_classes(evaluation: SplitEvaluation, headline: Headline) -> tuple[ClassFact, ...]:
    """Each class that occurs, with its AP50 (of masks if the headline is) and the interval."""
    facts = []
    for row in evaluation.judgement.per_class:
        value = row.get(headline.metric)
        if not row["support"] or value is None:
            continue
        low, high = row["intervals"].get(headline.metric) or (0.0, 1.0)
        facts.append(ClassFact(row["class"], value, low, high, row["support"]))
    return tuple(facts)


def pixel_facts(judgement: SegmentJudgement) -> PixelFacts:
    """The pairs of classes that are confused, by their share of all wrong pixels."""
    confusion, names = judgement.confusion, judgement.classes
    between = confusion - np.diag(np.diag(confusion))
    wrong, of = int(between.sum()), confusion.sum(1)
    order = np.argsort(-between, axis=None, kind="stable")[:MOST_CONFUSIONS]
    pairs = [divmod(int(cell), len(names)) for cell in order]
    return PixelFacts(
        tuple(
            PixelConfusion(
                names[true],
                names[predicted],
                float(between[true, predicted] / of[true]),
                float(between[true, predicted] / wrong),
            )
            for true, predicted in pairs
            if between[true, predicted]
        )
    )


def most_common(judgement: SegmentJudgement) -> tuple[str, float] | None:
    """The class with most pixels, and the mean IoU of predicting it everywhere."""
    support = judgement.confusion.sum(1)
    total, present = int(support.sum()), int((support > 0).sum())
    if not total:
        return None
    most = int(support.argmax())
    return judgement.classes[most], float(support[most] / total / present)


def object_facts(evaluation: SplitEvaluation) -> ObjectFacts:
    """What only a detector has."""
    judgement = evaluation.judgement
    errors = judgement.errors
    return ObjectFacts(
        threshold=judgement.score_threshold,
        objects=sum(int(row["support"]) for row in judgement.per_class),
        correct=errors.hits,
        boxes=errors.hits + int(errors.false.sum()),
        errors=errors.counts,
        gains=judgement.gains,
        sizes={name: (int(row["support"] or 0), row["ap"]) for name, row in judgement.sizes.items()},
        absent_class_boxes=int(judgement.metrics.get("unjudged") or 0),
    )


def image_ious(evaluation: SplitEvaluation) -> Float[np.ndarray, "n"]:
    """The mean IoU of each image's own classes, NaN without a known pixel."""
    return mean_defined(intersection_over_union(one_vs_rest(evaluation.rows.confusion)))
