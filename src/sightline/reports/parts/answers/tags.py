"""What the report says about several labels for each image only."""

from __future__ import annotations

import numpy as np

from sightline.drawing.bars import Row, interval_rows
from sightline.drawing.curves import Frame, Line, line_chart
from sightline.metrics.ranking import precision_recall_curve
from sightline.reports.chapter import Chapter, PageSection, RowFacts, Scene
from sightline.reports.finding import ClassFact, VerdictFacts
from sightline.reports.headline import Headline
from sightline.reports.parts.dense_tables import Cell, ClassTable, interval_cells, interval_heads
from sightline.reports.parts.figures import Chart
from sightline.reports.rules import data, dense, guessing
from sightline.reports.rules.course import course
from sightline.reports.rules.learning import split_word
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import DENSE_LIMITS, Thresholds, dense_threshold_rows
from sightline.reports.wording import NOTHING, percent, worst_and_others

from .views import chart_section, worst_answers, worst_section

MEAN_AP = Headline(
    "map",
    "mean average precision",
    meaning="the precision averaged over all recalls as images are ranked by the probability of a label, averaged over labels",
)
METRICS = {
    "map": "mean average precision (mAP)",
    "micro_f1": "micro F1",
    "macro_f1": "macro F1",
    "loss": "loss (nats per label)",
}
MOST_BARS = 30  # labels
WORST_CURVES, MOST_CURVES = 3, 20
NAMED = 5  # labels of an answer


def label_facts(evaluation: SplitEvaluation) -> tuple[ClassFact, ...]:
    """Each label that occurs, with its average precision and the interval."""
    facts = []
    for row in evaluation.judgement.per_class:
        if row["ap"] is not None:
            low, high = row["intervals"]["ap"] or (0.0, 1.0)
            facts.append(ClassFact(row["class"], row["ap"], low, high, row["support"]))
    return tuple(facts)


def _row_facts(evaluation: SplitEvaluation, headline: Headline, limits: Thresholds) -> RowFacts:
    own = [row for row in evaluation.judgement.per_class if row["ap"] is not None]
    chance = float(np.mean([row["support"] / row["known"] for row in own])) if own else None
    majority = ("a random ranking", chance) if chance is not None else None
    return RowFacts(majority=majority, classes=label_facts(evaluation))


def _sections(scene: Scene) -> list[PageSection]:
    evaluation, facts = scene.content.evaluation, scene.facts
    if evaluation is None:
        return []
    sections = []
    if charts := [*filter(None, [label_bars(evaluation), _curves(evaluation)])]:
        sections.append(chart_section("labels", "Labels", charts))
    table = _table(evaluation, facts)
    sections.append(PageSection("classes", "Classes", section("classes_section", table)))
    if views := worst_answers(evaluation, scene.load_image, scene.content.maps, lambda row: _words(evaluation, row)):
        intro = (
            "The images whose labels cost the most cross-entropy, worst first. An image is said to have the labels with a "
            f"probability of at least {evaluation.judgement.threshold:.2f}, the threshold with the best F1 on validation."
        )
        sections.append(worst_section(views, intro, scene.content.maps))
    return sections


def label_bars(evaluation: SplitEvaluation) -> Chart | None:
    facts = sorted(label_facts(evaluation), key=lambda fact: fact.value)
    if not facts:
        return None
    shown = facts[:MOST_BARS]
    rows = [
        Row(
            f.name,
            f.value,
            *((f.low, f.high) if (f.low, f.high) != (0.0, 1.0) else (f.value, f.value)),
            percent(f.value),
        )
        for f in shown
    ]
    description = "; ".join(f"{row.name} {row.note}" for row in rows)
    rest = f" The {len(shown)} weakest of {len(facts)} labels." if len(facts) > len(shown) else ""
    caption = f"Average precision of each label with its 95 % interval, weakest first.{rest}"
    return Chart(interval_rows(rows, title="Average precision by label", description=f"{description}."), caption)


def _curves(evaluation: SplitEvaluation) -> Chart | None:
    order = sorted(label_facts(evaluation), key=lambda fact: fact.value)[:MOST_CURVES]
    place = {name: i for i, name in enumerate(evaluation.classes)}
    rows, lines = evaluation.rows, []
    tones = ("one", "two", "three")
    for rank, fact in reversed(list(enumerate(order))):  # the weakest are drawn last, above the others
        c = place[fact.name]
        known = ~np.isnan(rows.target[:, c])
        curve = precision_recall_curve(rows.target[known, c] == 1, rows.probability[known, c])
        if curve is not None:
            named = rank < WORST_CURVES
            step = max(1, len(curve.recall) // 200)
            recall, precision = (x[::step].tolist() for x in (curve.recall, curve.precision))
            lines.append(Line(fact.name if named else "", recall, precision, tones[rank] if named else "quiet"))
    if not lines:
        return None
    worst = min(len(lines), WORST_CURVES)
    which = worst_and_others(worst, len(lines) - worst, "average precision") if len(lines) > worst else ""
    unit = ((0.0, 1.0), (0.0, 1.0))
    frame = Frame("Precision and recall", which, "recall", "precision", *unit, square=True, names="lower left")
    return Chart(line_chart(lines, frame), f"Precision against recall as the threshold falls. {which}")


def _table(evaluation: SplitEvaluation, facts: VerdictFacts) -> ClassTable:
    rates = {row["class"]: row for row in evaluation.judgement.per_class}
    rows = []
    for fact in sorted(label_facts(evaluation), key=lambda c: c.value):
        rate = rates[fact.name]
        rows.append(
            (
                Cell("name", fact.name),
                Cell("num", f"{facts.train_counts[fact.name]:,}" if fact.name in facts.train_counts else NOTHING),
                Cell("num", f"{fact.n:,}"),
                *interval_cells(fact, "AP"),
                Cell("num", percent(rate["precision"])),
                Cell("num", percent(rate["recall"])),
                Cell("num", percent(rate["f1"])),
            )
        )
    word = split_word(evaluation.split)
    heads = [("label", "name"), ("train images", "num"), (f"{word} images", "num"), *interval_heads("AP")]
    heads += [("precision", "num"), ("recall", "num"), ("F1", "num")]
    aside = (
        "Weakest first. AP: the precision averaged over all recalls. Precision, recall and F1 are at a probability of "
        f"{evaluation.judgement.threshold:.2f}, the threshold with the best micro F1 on validation."
    )
    return ClassTable(tuple(heads), tuple(rows), aside)


def _words(evaluation: SplitEvaluation, row: int) -> tuple[str, str]:
    """Answer and truth: those that only one of them has come first."""
    rows, names = evaluation.rows, evaluation.classes
    said, true = rows.probability[row] >= rows.threshold, rows.target[row] == 1
    wrong = said != true
    return _names(said, wrong, names), _names(true, wrong, names)


def _names(have: np.ndarray, first: np.ndarray, names: tuple[str, ...]) -> str:
    own = [names[i] for i in (*np.flatnonzero(have & first), *np.flatnonzero(have & ~first))]
    return ", ".join(own[:NAMED]) + (f" and {len(own) - NAMED} more" if len(own) > NAMED else "") or "none"


TAGS = Chapter(
    headline=MEAN_AP,
    metric_names=METRICS,
    row_facts=_row_facts,
    result=guessing.result,
    rules=(
        course,
        data.labels,
        data.weak_classes,
        dense.scarce,
        data.test_size,
        data.untested,
        data.near_perfect,
    ),
    sections=_sections,
    class_table=lambda evaluation, facts, limits: _table(evaluation, facts).plain(),
    limits=DENSE_LIMITS,
    threshold_rows=dense_threshold_rows,
    in_per_cent=lambda name: name != "loss",
)
