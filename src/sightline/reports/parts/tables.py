"""The report's tables of figures: all metrics by split, the confusion matrix, class by class."""

from __future__ import annotations

from typing import Any

from sightline.drawing.bars import interval_strip
from sightline.reports.chapter import Chapter
from sightline.reports.content import RunContent
from sightline.reports.finding import VerdictFacts, share_interval
from sightline.reports.judged import JudgedSplit
from sightline.reports.rules.learning import split_word
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import NOTHING, fixed, percent, percent_range

from .class_facts import class_facts
from .figures import confusion

MOST_PAIRS = 10


def metrics_table(content: RunContent, chapter: Chapter, facts: VerdictFacts) -> dict[str, Any] | None:
    """A row a metric, a column a split; `more` are those that a detector has too many of."""
    known_names, z = chapter.metric_names, chapter.limits.z
    splits = [s for s in ("train", "val", "test") if s in facts.metrics]
    known = {name for split in splits for name in facts.metrics[split]}
    names = [n for n in known_names if n in known] + sorted(known - set(known_names))
    if not names:
        return None
    intervals = dict(content.judged.judgement.intervals) if content.judged is not None else {}
    for name in ("accuracy", "top5"):  # shares of images: an interval also where all are right
        value, own = facts.metric(facts.split, name), intervals.get(name)
        intervals[name] = share_interval(value, own, facts.n, z) if value is not None and facts.n else own
    rows: dict[bool, list[dict[str, Any]]] = {True: [], False: []}
    for name in names:
        cells = [_figure(chapter, name, facts.metric(s, name), facts.sizes.get(s)) for s in splits]
        first = chapter.stands_first(name)
        span = _range(chapter, name, intervals.get(name), facts.n)
        rows[first].append({"name": known_names.get(name, name), "cells": cells, "interval": span})
    sizes = [f"{split_word(s)} {facts.sizes[s]:,}" for s in splits if s in facts.sizes]
    note = f"Kept weights, no augmentation. Images measured: {', '.join(sizes)}." if sizes else "Kept weights."
    if content.judged is not None:
        note += f" Intervals: bootstrap over images, {chapter.resamples:,} resamples"
        all_or_none = any(facts.metric(facts.split, name) in (0.0, 1.0) for name in ("accuracy", "top5"))
        note += "; by Wilson where all images are right, or none." if all_or_none else "."
    judged = split_word(facts.split) if facts.split else ""
    return {
        "splits": [split_word(s) for s in splits],
        "rows": rows[True],
        "more": rows[False],
        "judged": judged,
        "note": note,
    }


def _figure(chapter: Chapter, name: str, value: float | None, n: int | None) -> str:
    if name == "unjudged":
        return NOTHING if value is None else f"{value:,.0f}"
    if not chapter.in_per_cent(name):
        return fixed(value)
    return percent(value, n if _of_images(chapter) else None)


def _range(chapter: Chapter, name: str, interval: tuple[float, float] | None, n: int) -> str:
    if interval is None:
        return NOTHING
    if not chapter.in_per_cent(name):
        return f"{fixed(interval[0])}–{fixed(interval[1])}"
    return percent_range(*interval, n if _of_images(chapter) else None)


def _of_images(chapter: Chapter) -> bool:
    return chapter.headline is not None and chapter.headline.of_images


def confusion_values(judged: JudgedSplit) -> dict[str, Any]:
    judgement = judged.judgement
    table, folded = confusion(judgement, judged.split)
    names = judgement.classes
    pairs = [
        {
            "target": names[c.target],
            "predicted": names[c.predicted],
            "count": f"{c.count:,} of {_support(judged, c.target):,}",
        }
        for c in judgement.confused[:MOST_PAIRS]
    ]
    told = (
        f"Shown are the {len(folded.names) - 1} classes with most confusions; the other {folded.folded} are one row "
        "and one column."
    )
    return {"table": table, "pairs": pairs, "folded": told if folded.folded else ""}


def _support(judged: JudgedSplit, index: int) -> int:
    return int(judged.judgement.per_class[index]["support"])


def class_table(judged: JudgedSplit, facts: VerdictFacts, limits: Thresholds) -> list[dict[str, Any]]:
    """The rows of the class table, weakest recall first."""
    rates = {row["class"]: row for row in judged.judgement.per_class}
    rows = []
    for fact in sorted(class_facts(judged.judgement, limits), key=lambda c: c.value):
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
                "precision": percent(rate["precision"], n),
                "f1": fixed(rate["f1"]),
                "taken_for": fact.taken_for,
                "taken": f"({fact.taken})" if fact.taken else "",
            }
        )
    return rows
