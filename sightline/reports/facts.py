"""Content → Facts: what the verdict is told, taken from the run folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

import numpy as np

from sightline.evaluation.judgement import Judgement

from .content import Content, DataFacts, Judged
from .finding import ClassFact, Facts, wilson
from .thresholds import Thresholds

MEASURED_TRAIN = 2_000  # training figures are measured on at most max(n_val, so many) images


def facts_of(content: Content, limits: Thresholds) -> Facts:
    """The facts of a run; what is not known stays at its default."""
    judged, data = content.judged, content.data
    split, n, own = _judged_split(content)
    metrics: dict[str, Mapping[str, float | None]] = dict(content.metrics)
    if judged is not None:
        metrics[split] = {**metrics.get(split, {}), **judged.judgement.metrics}
    confidence, mistakes, sure = _confidence(judged, limits) if judged is not None else (None, 0, 0)
    return Facts(
        status=content.run.status,
        smoke=content.run.smoke,
        reason=content.run.reason,
        split=split,
        n=n,
        interval=own,
        metrics=metrics,
        sizes=_sizes(data, split, n),
        history=content.history,
        majority=_majority(judged.judgement) if judged is not None else None,
        classes=class_facts(judged.judgement, limits) if judged is not None else (),
        train_counts=_train_counts(data),
        mistakes=mistakes,
        sure_mistakes=sure,
        confidence=confidence,
        files=data.n if data is not None else 0,
        quarantined=data.quarantined if data is not None else 0,
        conflicts=data.conflicts if data is not None else 0,
        recipe=content.recipe,
        command=f"sightline train {shlex.quote(content.run.place + '/recipe.yaml')}",
        resume=f"sightline train --resume {shlex.quote(content.run.place)}",
    )


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


def _judged_split(content: Content) -> tuple[str, int, tuple[float, float] | None]:
    """The split that the report speaks of, its size, and the judged interval of its accuracy."""
    judged = content.judged
    if judged is not None:
        value = judged.judgement.metrics.get("accuracy")
        interval = judged.judgement.intervals.get("accuracy")
        n = judged.judgement.n
        own = share_interval(value, interval, n, Thresholds().z) if value is not None else None
        return judged.split, n, own
    for split in ("test", "val"):
        n = content.data.splits.get(split, 0) if content.data is not None else 0
        if split in content.metrics and n:
            return split, n, None
    return "", 0, None


def _sizes(data: DataFacts | None, split: str, n: int) -> dict[str, int]:
    """How many images each split's figures were measured on."""
    sizes = dict(data.splits) if data is not None else {}
    if "train" in sizes:
        sizes["train"] = min(sizes["train"], max(sizes.get("val", 0), MEASURED_TRAIN))
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


def _confidence(judged: Judged, limits: Thresholds) -> tuple[float | None, int, int]:
    """Mean probability of what was said; mistakes; mistakes made with at least the probability `limits.sure`."""
    rows = judged.rows.take(judged.rows.target >= 0)
    if not len(rows):
        return None, 0, 0
    top = rows.probability.max(1)
    wrong = rows.probability.argmax(1) != rows.target
    return float(top.mean()), int(wrong.sum()), int(np.count_nonzero(wrong & (top >= limits.sure)))
