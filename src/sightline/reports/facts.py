"""RunContent → VerdictFacts: what the verdict depends on, from the run folder."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from sightline.evaluation.intervals import wilson

from .chapter import Chapter, RowFacts
from .content import DataFacts, RunContent
from .finding import VerdictFacts
from .headline import NOT_MEASURED, Headline
from .thresholds import Thresholds


def facts_of(content: RunContent, chapter: Chapter) -> VerdictFacts:
    """The facts of a run; unknown ones keep their defaults."""
    evaluation, data = content.evaluation, content.data
    headline = chapter.headline or NOT_MEASURED
    split, n, own = _reported_split(content, headline)
    metrics: dict[str, Mapping[str, float | None]] = dict(content.metrics)
    if evaluation is not None:
        metrics[split] = {**metrics.get(split, {}), **evaluation.judgement.metrics}
    rows = chapter.row_facts(evaluation, headline, chapter.limits) if evaluation is not None else RowFacts()
    return VerdictFacts(
        status=content.run.status,
        smoke=content.run.smoke,
        reason=content.run.reason,
        split=split,
        n=n,
        interval=own,
        ece_by_chance=rows.ece_by_chance,
        metrics=metrics,
        sizes={**content.sizes, **({split: n} if split else {})},
        history=content.history,
        majority=rows.majority,
        classes=rows.classes,
        train_counts=_train_counts(data),
        mistakes=rows.mistakes,
        confident_mistakes=rows.confident_mistakes,
        confidence=rows.confidence,
        files=data.n if data is not None else 0,
        quarantined=data.quarantined if data is not None else 0,
        conflicts=data.conflicts if data is not None else 0,
        leaks=data.leaks if data is not None else 0,
        recipe=content.recipe,
        command=f"sightline train {shlex.quote(content.run.place + '/recipe.yaml')}",
        resume=f"sightline train --resume {shlex.quote(content.run.place)}",
        headline=headline,
        steps=content.run.step,
        skill=rows.skill,
        only_answer=rows.only_answer,
        separation=rows.separation,
        scatter=rows.scatter,
        pixels=rows.pixels,
        objects=rows.objects,
        diagnosis=content.diagnosis,
        health=content.health,
    )


def _reported_split(content: RunContent, headline: Headline) -> tuple[str, int, tuple[float, float] | None]:
    """The split that the report is about, its size, and the bootstrap interval of its headline."""
    evaluation = content.evaluation
    if evaluation is not None:
        value = evaluation.judgement.metrics.get(headline.metric)
        interval = evaluation.judgement.intervals.get(headline.metric)
        n = evaluation.judgement.n
        if headline.of_images and interval is None and value is not None:
            interval = wilson(value, n, Thresholds().z)
        return evaluation.split, n, interval
    for split in ("test", "val"):
        n = content.data.splits.get(split, 0) if content.data is not None else 0
        if split in content.metrics and n:
            return split, n, None
    return "", 0, None


def _train_counts(data: DataFacts | None) -> dict[str, int]:
    return {name: counts.get("train", 0) for name, counts in data.counts.items()} if data is not None else {}
