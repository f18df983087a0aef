"""Tables by class for segmentation and detection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from sightline.drawing.bars import interval_strip
from sightline.drawing.overlay import colour
from sightline.drawing.swatch import swatch
from sightline.reports.finding import ClassFact, VerdictFacts
from sightline.reports.rules.learning import split_word
from sightline.reports.split_evaluation import SplitEvaluation
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
    """`heads` are (text, kind); `aside` explains how to read it."""

    heads: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Cell, ...], ...]
    aside: str

    def plain(self) -> tuple[list[str], list[list[str]]]:
        """Header and rows as text, without drawings."""
        columns = [i for i, (_, kind) in enumerate(self.heads) if kind != "strip"]
        rows = [[" ".join(filter(None, (row[i].text, row[i].aside))) for i in columns] for row in self.rows]
        return [self.heads[i][0] for i in columns], rows


def pixel_classes(evaluation: SplitEvaluation, facts: VerdictFacts) -> ClassTable:
    """Results of a segmentation by class, weakest first."""
    rates = {row["class"]: row for row in evaluation.judgement.per_class}
    place = {name: i for i, name in enumerate(evaluation.classes)}
    total = max(int(evaluation.judgement.confusion.sum()), 1)
    rows = []
    for fact in sorted(segment_classes(evaluation.judgement), key=lambda c: c.value):
        rate = rates[fact.name]
        share = f"({percent(fact.confusions / fact.n)})" if fact.confusions else ""
        rows.append(
            (
                Cell("name", fact.name, swatch(colour(place[fact.name]))),
                Cell("num", _count(facts, fact.name)),
                Cell("num", percent(fact.n / total)),
                *interval_cells(fact, "IoU"),
                Cell("num", percent(rate["dice"])),
                Cell("num", percent(rate["precision"])),
                Cell("num", percent(rate["recall"])),
                Cell("text", fact.confused_with, aside=share),
            )
        )
    word = split_word(evaluation.split)
    heads = [("class", "name"), ("train images", "num"), ("pixels", "num"), *interval_heads("IoU")]
    heads += [("Dice", "num"), ("precision", "num"), ("recall", "num"), ("most confused with", "text")]
    aside = (
        "Weakest first. IoU: intersection over union of the predicted and the true pixels of the class. Precision: share of "
        "the predicted pixels that are correct; recall: share of the true pixels that are found. “Pixels”: share of all "
        f"{word} pixels."
    )
    return ClassTable(tuple(heads), tuple(rows), aside)


def object_table(evaluation: SplitEvaluation, facts: VerdictFacts) -> ClassTable:
    """Results of a detector by class, weakest first."""
    rates = {row["class"]: row for row in evaluation.judgement.per_class}
    place = {name: i for i, name in enumerate(evaluation.classes)}
    metric, name = facts.headline.metric, facts.headline.name
    mean = metric.removesuffix("50")
    rows = []
    for fact in sorted(object_classes(evaluation, facts.headline), key=lambda c: c.value):
        rate = rates[fact.name]
        rows.append(
            (
                Cell("name", fact.name, swatch(colour(place[fact.name]))),
                Cell("num", _count(facts, fact.name)),
                Cell("num", f"{fact.n:,}"),
                *interval_cells(fact, name),
                Cell("num", percent(rate[mean])),
                Cell("num", NOTHING if rate["threshold"] is None else f"{rate['threshold']:.2f}"),
                Cell("num", percent(rate["precision"])),
                Cell("num", percent(rate["recall"])),
            )
        )
    word = split_word(evaluation.split)
    heads = [("class", "name"), ("train images", "num"), (f"{word} objects", "num"), *interval_heads(name)]
    heads += [(name.removesuffix("50"), "num"), ("score", "num"), ("precision", "num"), ("recall", "num")]
    aside = (
        "Weakest first. Precision and recall are of boxes with at least the given score, the best threshold for the class "
        "(largest F1). “Train images” counts the training images that show the class."
    )
    return ClassTable(tuple(heads), tuple(rows), aside)


def interval_cells(fact: ClassFact, name: str) -> tuple[Cell, Cell, Cell]:
    """The value, a strip and the interval; (0, 1) is none."""
    known = (fact.low, fact.high) != (0.0, 1.0)
    span = percent_range(fact.low, fact.high) if known else NOTHING
    title = f"{name} {percent(fact.value)}, 95 % interval {span}"
    low, high = (fact.low, fact.high) if known else (fact.value, fact.value)
    strip = interval_strip(fact.value, low, high, tone="one", title=title)
    return Cell("num", percent(fact.value)), Cell("strip", mark=strip), Cell("num", span)


def interval_heads(name: str) -> list[tuple[str, str]]:
    """The heads over `interval_cells`."""
    return [(name, "num"), ("0 – 100 %", "strip"), ("95 % interval", "num")]


def _count(facts: VerdictFacts, name: str) -> str:
    return f"{facts.train_counts[name]:,}" if name in facts.train_counts else NOTHING


def amounts(data: Any) -> str:
    """Objects or pixels by split in one line."""
    splits = [s for s in ("train", "val", "test") if any(of.get(s) for of in data.amounts.values())]
    counts = {s: sum(of.get(s, 0) for of in data.amounts.values()) for s in splits}
    return ", ".join(f"{split_word(s)} {quantity(n)}" for s, n in counts.items()) or NOTHING
