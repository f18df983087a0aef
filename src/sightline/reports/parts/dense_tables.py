"""Tables of segmentations and detections class by class, and what their metrics are called."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sightline.drawing.bars import interval_strip
from sightline.drawing.overlay import colour
from sightline.drawing.swatch import swatch
from sightline.reports.finding import ClassFact, VerdictFacts
from sightline.reports.judged import JudgedSplit
from sightline.reports.rules.learning import split_word
from sightline.reports.wording import NOTHING, percent, percent_range, quantity

from .dense_facts import object_classes, segment_classes

NO_MARK = Markup()


@dataclass(frozen=True)
class Cell:
    """A cell: `kind` name, num, strip or text; `mark` is a drawing (a swatch before the text, or the strip)."""

    kind: str
    text: str = ""
    mark: Markup = NO_MARK
    aside: str = ""


@dataclass(frozen=True)
class ClassTable:
    """`heads` are (text, kind); `aside` says how to read it."""

    heads: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Cell, ...], ...]
    aside: str

    def plain(self) -> tuple[list[str], list[list[str]]]:
        """Heads and rows of words and numbers alone."""
        kept = [i for i, (_, kind) in enumerate(self.heads) if kind != "strip"]
        rows = [[" ".join(filter(None, (row[i].text, row[i].aside))) for i in kept] for row in self.rows]
        return [self.heads[i][0] for i in kept], rows


def pixel_classes(judged: JudgedSplit, facts: VerdictFacts) -> ClassTable:
    """A segmentation class by class, weakest first."""
    rates = {row["class"]: row for row in judged.judgement.per_class}
    place = {name: i for i, name in enumerate(judged.classes)}
    total = max(int(judged.judgement.confusion.sum()), 1)
    rows = []
    for fact in sorted(segment_classes(judged.judgement), key=lambda c: c.value):
        rate = rates[fact.name]
        taken = f"({percent(fact.taken / fact.n)})" if fact.taken else ""
        rows.append(
            (
                Cell("name", fact.name, swatch(colour(place[fact.name]))),
                Cell("num", _count(facts, fact.name)),
                Cell("num", percent(fact.n / total)),
                *_interval(fact, "IoU"),
                Cell("num", percent(rate["dice"])),
                Cell("num", percent(rate["precision"])),
                Cell("num", percent(rate["recall"])),
                Cell("text", fact.taken_for, aside=taken),
            )
        )
    word = split_word(judged.split)
    heads = [("class", "name"), ("train images", "num"), ("pixels", "num"), *_interval_heads("IoU")]
    heads += [("Dice", "num"), ("precision", "num"), ("recall", "num"), ("mostly taken for", "text")]
    aside = (
        "Weakest first. IoU: of the area that is of the class or is called so, the share that is both. Precision: share of "
        f"what is called so that is so; recall: share of the class that is found. “Pixels”: share of all {word} pixels."
    )
    return ClassTable(tuple(heads), tuple(rows), aside)


def object_table(judged: JudgedSplit, facts: VerdictFacts) -> ClassTable:
    """A detector class by class, weakest first."""
    rates = {row["class"]: row for row in judged.judgement.per_class}
    place = {name: i for i, name in enumerate(judged.classes)}
    metric, name = facts.headline.metric, facts.headline.name
    mean = metric.removesuffix("50")
    rows = []
    for fact in sorted(object_classes(judged, facts.headline), key=lambda c: c.value):
        rate = rates[fact.name]
        rows.append(
            (
                Cell("name", fact.name, swatch(colour(place[fact.name]))),
                Cell("num", _count(facts, fact.name)),
                Cell("num", f"{fact.n:,}"),
                *_interval(fact, name),
                Cell("num", percent(rate[mean])),
                Cell("num", NOTHING if rate["threshold"] is None else f"{rate['threshold']:.2f}"),
                Cell("num", percent(rate["precision"])),
                Cell("num", percent(rate["recall"])),
            )
        )
    word = split_word(judged.split)
    heads = [("class", "name"), ("train images", "num"), (f"{word} objects", "num"), *_interval_heads(name)]
    heads += [(name.removesuffix("50"), "num"), ("score", "num"), ("precision", "num"), ("recall", "num")]
    aside = (
        "Weakest first. Precision and recall are those of boxes at the score threshold that stands before them, the best for "
        "the class (largest F1). “Train images” are those that show the class."
    )
    return ClassTable(tuple(heads), tuple(rows), aside)


def _interval(fact: ClassFact, name: str) -> tuple[Cell, Cell, Cell]:
    known = (fact.low, fact.high) != (0.0, 1.0)
    span = percent_range(fact.low, fact.high) if known else NOTHING
    title = f"{name} {percent(fact.value)}, 95 % interval {span}"
    low, high = (fact.low, fact.high) if known else (fact.value, fact.value)
    strip = interval_strip(fact.value, low, high, tone="one", title=title)
    return Cell("num", percent(fact.value)), Cell("strip", mark=strip), Cell("num", span)


def _interval_heads(name: str) -> list[tuple[str, str]]:
    return [(name, "num"), ("0 – 100 %", "strip"), ("95 % interval", "num")]


def _count(facts: VerdictFacts, name: str) -> str:
    return f"{facts.train_counts[name]:,}" if name in facts.train_counts else NOTHING


def amounts(data: Any) -> str:
    """Objects or pixels by split in a line."""
    splits = [s for s in ("train", "val", "test") if any(of.get(s) for of in data.amounts.values())]
    counts = {s: sum(of.get(s, 0) for of in data.amounts.values()) for s in splits}
    return ", ".join(f"{split_word(s)} {quantity(n)}" for s, n in counts.items()) or NOTHING
