"""Content → Facts: what the verdict is told, taken from the run folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sightline.evaluation.intervals import ece_by_chance, wilson
from sightline.evaluation.judgement import Judgement
from sightline.reports.parts.dense_facts import commonest, object_classes, object_facts, pixel_facts, segment_classes
from sightline.reports.parts.judged import AnyJudged, Judged, JudgedObjects, JudgedSegments

from .content import Content, DataFacts
from .finding import ClassFact, Facts, ObjectFacts, PixelFacts
from .headline import Headline, headline_of
from .thresholds import Thresholds

MEASURED_TRAIN = 2_000  # training figures are measured on at most max(n_val, so many) images
MEASURED_DENSE = 200  # … where each has pixels or objects to be judged


def facts_of(content: Content, limits: Thresholds) -> Facts:
    """The facts of a run; what is not known stays at its default."""
    judged, data = content.judged, content.data
    headline = headline_of(content.kind)
    split, n, own = _judged_split(content, headline)
    metrics: dict[str, Mapping[str, float | None]] = dict(content.metrics)
    if judged is not None:
        metrics[split] = {**metrics.get(split, {}), **judged.judgement.metrics}
    told = _told(judged, headline, limits)
    return Facts(
        status=content.run.status,
        smoke=content.run.smoke,
        reason=content.run.reason,
        split=split,
        n=n,
        interval=own,
        ece_by_chance=told.ece_by_chance,
        metrics=metrics,
        sizes=_sizes(data, split, n, MEASURED_TRAIN if headline.of_images else MEASURED_DENSE),
        history=content.history,
        majority=told.majority,
        classes=told.classes,
        train_counts=_train_counts(data),
        mistakes=told.mistakes,
        sure_mistakes=told.sure,
        confidence=told.confidence,
        files=data.n if data is not None else 0,
        quarantined=data.quarantined if data is not None else 0,
        conflicts=data.conflicts if data is not None else 0,
        leaks=data.leaks if data is not None else 0,
        recipe=content.recipe,
        command=f"sightline train {shlex.quote(content.run.place + '/recipe.yaml')}",
        resume=f"sightline train --resume {shlex.quote(content.run.place)}",
        headline=headline,
        pixels=told.pixels,
        objects=told.objects,
    )


@dataclass(frozen=True)
class _Told:
    """What the rows tell, by what they are."""

    majority: tuple[str, float] | None = None
    classes: tuple[ClassFact, ...] = ()
    confidence: float | None = None
    mistakes: int = 0
    sure: int = 0
    ece_by_chance: float | None = None
    pixels: PixelFacts | None = None
    objects: ObjectFacts | None = None


def _told(judged: AnyJudged | None, headline: Headline, limits: Thresholds) -> _Told:
    if judged is None:
        return _Told()
    if isinstance(judged, JudgedSegments):
        own = judged.judgement
        return _Told(majority=commonest(own), classes=segment_classes(own), pixels=pixel_facts(own))
    if isinstance(judged, JudgedObjects):
        objects = object_facts(judged)
        return _Told(classes=object_classes(judged, headline), objects=objects)
    judgement = judged.judgement
    return _Told(_majority(judgement), class_facts(judgement, limits), *_confidence(judged, limits))


def share_interval(value: float, interval: tuple[float, float] | None, n: int, z: float) -> tuple[float, float]:
    """The judged interval of a share; Wilson's where resampling says nothing because all were right or all wrong."""
    if interval is None or interval[0] == interval[1]:
        return wilson(value, n, z)
    return interval


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


def _judged_split(content: Content, headline: Headline) -> tuple[str, int, tuple[float, float] | None]:
    """The split that the report speaks of, its size, and the judged interval of its headline."""
    judged = content.judged
    if judged is not None:
        value = judged.judgement.metrics.get(headline.metric)
        interval = judged.judgement.intervals.get(headline.metric)
        n = judged.judgement.n
        if headline.of_images:
            interval = share_interval(value, interval, n, Thresholds().z) if value is not None else None
        return judged.split, n, interval
    for split in ("test", "val"):
        n = content.data.splits.get(split, 0) if content.data is not None else 0
        if split in content.metrics and n:
            return split, n, None
    return "", 0, None


def _sizes(data: DataFacts | None, split: str, n: int, most: int) -> dict[str, int]:
    """How many images each split's figures were measured on."""
    sizes = dict(data.splits) if data is not None else {}
    if "train" in sizes:
        sizes["train"] = min(sizes["train"], max(sizes.get("val", 0), most))
    if split:
        sizes[split] = n
    return sizes


def _train_counts(data: DataFacts | None) -> dict[str, int]:
    return {name: counts.get("train", 0) for name, counts in data.counts.items()} if data is not None else {}


def _majority(judgement: Judgement) -> tuple[str, float] | None:
    support = judgement.confusion.sum(1)
    if not judgement.n:
        return None
    most = int(support.argmax())
    return judgement.classes[most], float(support[most] / judgement.n)


def _confidence(judged: Judged, limits: Thresholds) -> tuple[float | None, int, int, float | None]:
    """Mean probability of what was said; mistakes; mistakes made with at least the probability `limits.sure`; the
    calibration error that chance may make of such probabilities."""
    rows = judged.rows.take(judged.rows.target >= 0)
    if not len(rows):
        return None, 0, 0, None
    top = rows.probability.max(1)
    wrong = rows.probability.argmax(1) != rows.target
    sure = int(np.count_nonzero(wrong & (top >= limits.sure)))
    return float(top.mean()), int(wrong.sum()), sure, ece_by_chance(top.astype(np.float64))
