"""The report's tables of numbers: metrics by split, confusion matrix, results by class."""

from __future__ import annotations

from typing import Any

from sightline.drawing.bars import interval_strip
from sightline.reports.chapter import Chapter
from sightline.reports.content import RunContent
from sightline.reports.finding import VerdictFacts
from sightline.reports.rules.learning import split_word
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import NOTHING, percent, percent_range, three_decimals

from .class_facts import class_facts
from .figures import confusion

MOST_PAIRS = 10


def metrics_table(content: RunContent, chapter: Chapter, facts: VerdictFacts) -> dict[str, Any] | None:
    """One row per metric, one column per split; `more` are those outside the short table."""
    known_names = chapter.metric_names
    splits = [s for s in ("train", "val", "test") if s in facts.metrics]
    known = {name for split in splits for name in facts.metrics[split]}
    names = [n for n in known_names if n in known] + sorted(known - set(known_names))
    if not names:
        return None
    judgement = content.evaluation.judgement if content.evaluation is not None else None
    intervals = dict(judgement.intervals) if judgement is not None else {}
    reasons = dict(getattr(judgement, "reasons", {}))
    rows: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for name in names:
        cells = [_figure(chapter, name, facts.metric(s, name), facts.sizes.get(s)) for s in splits]
        first = chapter.in_short_table(name)
        span = _range(chapter, name, intervals.get(name), facts.n)
        span = f"none: {reasons[name]}" if name in reasons else span
        rows[first].append({"name": known_names.get(name, name), "cells": cells, "interval": span})
    sizes = [f"{split_word(s)} {facts.sizes[s]:,}" for s in splits if s in facts.sizes]
    note = f"Selected weights, no augmentation. Number of images: {', '.join(sizes)}." if sizes else "Selected weights."
    if content.evaluation is not None:
        own = "of proportions by Wilson, of other metrics by the " if _of_images(chapter) else ""
        how = chapter.intervals or f"{own}bootstrap over {chapter.resampled}, {chapter.resamples:,} resamples"
        note += f" Intervals: {how}."
    split = split_word(facts.split) if facts.split else ""
    return {
        "splits": [split_word(s) for s in splits],
        "rows": rows[True],
        "more": rows[False],
        "interval_split": split,
        "note": note,
    }


def _figure(chapter: Chapter, name: str, value: float | None, n: int | None) -> str:
    if name == "unjudged":
        return NOTHING if value is None else f"{value:,.0f}"
    if not chapter.in_per_cent(name):
        return three_decimals(value)
    return percent(value, n if _of_images(chapter) else None)


def _range(chapter: Chapter, name: str, interval: tuple[float, float] | None, n: int) -> str:
    if interval is None:
        return NOTHING
    if not chapter.in_per_cent(name):
        return f"{three_decimals(interval[0])}–{three_decimals(interval[1])}"
    return percent_range(*interval, n if _of_images(chapter) else None)


def _or_reason(figure: str, rate: dict[str, Any], name: str) -> str:
    reason = rate.get("reasons", {}).get(name, "")
    return f"{figure} ({reason})" if rate[name] is None and reason else figure


def _of_images(chapter: Chapter) -> bool:
    return chapter.headline is not None and chapter.headline.of_images


def confusion_values(evaluation: SplitEvaluation) -> dict[str, Any]:
    judgement = evaluation.judgement
    table, folded = confusion(judgement, evaluation.split)
    names = judgement.classes
    pairs = [
        {
            "target": names[c.target],
            "predicted": names[c.predicted],
            "count": f"{c.count:,} of {_support(evaluation, c.target):,}",
        }
        for c in judgement.confused[:MOST_PAIRS]
    ]
    folding = (
        f"The {len(folded.names) - 1} classes with most confusions are shown; the other {folded.folded} share one row "
        "and one column."
    )
    return {"table": table, "pairs": pairs, "folded": folding if folded.folded else ""}


def _support(evaluation: SplitEvaluation, index: int) -> int:
    return int(evaluation.judgement.per_class[index]["support"])


def class_table(evaluation: SplitEvaluation, facts: VerdictFacts, limits: Thresholds) -> list[dict[str, Any]]:
    """The rows of the class table, weakest recall first."""
    rates = {row["class"]: row for row in evaluation.judgement.per_class}
    rows = []
    for fact in sorted(class_facts(evaluation.judgement, limits), key=lambda c: c.value):
        n, rate = fact.n, rates[fact.name]
        title = f"recall {percent(fact.value, n)}, 95 % interval {percent_range(fact.low, fact.high, n)}"
        rows.append(
            {
                "name": fact.name,
                "train": f"{facts.train_counts[fact.name]:,}" if fact.name in facts.train_counts else NOTHING,
                "n": f"{n:,}",
                "recall": percent(fact.value, n),
                "strip": interval_strip(fact.value, fact.low, fact.high, tone="one", title=title),
                "interval": percent_range(fact.low, fact.high, n),
                "precision": _or_reason(percent(rate["precision"], n), rate, "precision"),
                "f1": three_decimals(rate["f1"]),
                "confused_with": fact.confused_with,
                "confusions": f"({fact.confusions})" if fact.confusions else "",
            }
        )
    return rows
