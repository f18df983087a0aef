"""What the report says about answers to several questions only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sightline.drawing.curves import Frame, Line, line_chart
from sightline.evaluation.answers import USUAL, relative_errors
from sightline.metrics.answers import class_rows, label_rows, number_rows
from sightline.reports.chapter import Chapter, PageSection, RowFacts, Scene, Table
from sightline.reports.content import RunContent
from sightline.reports.finding import VerdictFacts
from sightline.reports.headline import Headline
from sightline.reports.parts.dense_tables import Cell, ClassTable
from sightline.reports.parts.figures import Chart, confusion
from sightline.reports.rules import data, guessing
from sightline.reports.rules.course import course
from sightline.reports.rules.learning import split_word
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import DENSE_LIMITS, Thresholds, dense_threshold_rows
from sightline.reports.wording import NOTHING, decimal, percent
from sightline.structures.heads import Head

from .measurements import value_charts
from .tags import label_bars
from .views import chart_section, worst_answers, worst_section

SKILL = Headline(
    "skill",
    "skill",
    meaning=(
        "the share of a constant guess's errors that does not happen, averaged over the questions; 0 is as good as always "
        "giving the mean of the training images, or their most frequent class"
    ),
)
METRICS = {"skill": "skill, mean over the questions", "loss": "loss, mean over the questions"}
WORDS = {"class": "class", "labels": "labels", "number": "number"}
MOST_QUESTIONS = 8  # with charts
MOST_LINES = 6  # of a chart
SLIGHT = 0.05  # a mean cosine so near 0 is neither help nor conflict
COSINE, WEIGHT = ".cosine", ".weight"


def _row_facts(evaluation: SplitEvaluation, headline: Headline, limits: Thresholds) -> RowFacts:
    return RowFacts(majority=("a constant guess", 0.0))


def _sections(scene: Scene) -> list[PageSection]:
    evaluation = scene.content.evaluation
    sections = []
    if conflict := _over_epochs(scene.content, COSINE, _conflict_chart):
        sections.append(chart_section("conflict", "Do the questions help each other?", [conflict]))
    if weights := _over_epochs(scene.content, WEIGHT, _weight_chart):
        sections.append(chart_section("weights", "Learned weights of the questions", [weights]))
    if evaluation is None or not evaluation.judgement.n:
        return sections
    table = PageSection("classes", "Questions", section("targets_section", _table(evaluation)))
    charts: list[PageSection] = []
    for i, head in enumerate(evaluation.judgement.heads[:MOST_QUESTIONS]):
        if own := _charts(evaluation, i, head):
            charts.append(chart_section(f"question-{i + 1}", head.name, own))
    views = worst_answers(evaluation, scene.load_image, scene.content.maps, lambda row: _words(evaluation, row))
    intro = "The images with the largest errors, largest first, each in units of the mean error of a constant guess."
    worst = [worst_section(views, intro, scene.content.maps)] if views else []
    return [table, *charts, *sections, *worst]


def alone(evaluation: SplitEvaluation, place: int, head: Head) -> SplitEvaluation:
    """One question as if there were no other."""
    of = {"class": class_rows, "labels": label_rows, "number": number_rows}[head.kind]
    judged = evaluation.judgement.alone[place]
    return SplitEvaluation(evaluation.split, of(evaluation.rows, head), evaluation.names, head.answers, judged)


def _charts(evaluation: SplitEvaluation, place: int, head: Head) -> list[Chart]:
    own = alone(evaluation, place, head)
    if not own.judgement.n:
        return []
    if head.kind == "number":
        return value_charts(own, 0)
    if head.kind == "labels":
        bars = label_bars(own)
        return [bars] if bars is not None else []
    table, _ = confusion(own.judgement, own.split)
    return [Chart(table, f"Accuracy {percent(own.judgement.metrics['accuracy'], own.judgement.n)}.")]


def _over_epochs(content: RunContent, ending: str, draw: Callable[[Sequence[Line]], Chart]) -> Chart | None:
    """A chart of the training's columns with this ending, by epoch."""
    names = [name for row in content.history for name in row if name.startswith("train_") and name.endswith(ending)]
    lines = []
    for tone, name in zip(("one", "two", "three", "plain", "quiet", "quiet"), dict.fromkeys(names), strict=False):
        points = [(row.get("epoch"), row.get(name)) for row in content.history]
        known = [(x, y) for x, y in points if x is not None and y is not None]
        shown = name.removeprefix("train_").removesuffix(ending).replace(".", " and ")
        if known:
            lines.append(Line(shown, [x for x, _ in known], [y for _, y in known], tone))
    return draw(lines[:MOST_LINES]) if lines else None


def _conflict_chart(lines: Sequence[Line]) -> Chart:
    means = {line.name: float(np.mean(line.y)) for line in lines}
    figures = "; ".join(f"{name} {value:+.2f}" for name, value in means.items())
    frame = Frame(
        "Cosine between the gradients", f"Mean over the epochs: {figures}.", "epoch", "cosine", None, (-1.0, 1.0)
    )
    against = [f"{name} ({value:+.2f})" for name, value in means.items() if value < -SLIGHT]
    verdict = f"They conflict on average: {'; '.join(against)}." if against else "On average no two of them conflict."
    caption = (
        "The cosine between what two questions ask of the layers that they share, mean over an epoch. "
        f"Above 0 they help each other, below 0 each undoes some of the other. {verdict} Mean: {figures}."
    )
    return Chart(line_chart(lines, frame), caption)


def _weight_chart(lines: Sequence[Line]) -> Chart:
    figures = "; ".join(f"{line.name} {line.y[-1]:.3g}" for line in lines)
    frame = Frame("Weights of the losses", f"At the end: {figures}.", "epoch", "weight")
    caption = f"What each loss is multiplied by, learned from how well it can be answered. At the end: {figures}."
    return Chart(line_chart(lines, frame), caption)


def _table(evaluation: SplitEvaluation) -> ClassTable:
    rows = []
    for row in evaluation.judgement.per_class:
        usual = USUAL[row["kind"]]
        write = decimal if usual == "mae" else percent
        rows.append(
            (
                Cell("name", row["class"]),
                Cell("name", WORDS[row["kind"]]),
                Cell("num", f"{row['support']:,}"),
                Cell("num", percent(row["skill"])),
                Cell("num", _span(row, "skill", percent)),
                Cell("num", f"{usual} {write(row[usual])}"),
                Cell("num", _span(row, usual, write)),
                Cell("num", decimal(row["error"])),
                Cell("num", decimal(row["guess"])),
            )
        )
    heads = [
        ("question", "name"),
        ("answer", "name"),
        (f"{split_word(evaluation.split)} images", "num"),
        ("skill", "num"),
    ]
    heads += [("95 % interval", "num"), ("usual metric", "num"), ("95 % interval", "num"), ("error", "num")]
    heads += [("error of the guess", "num")]
    aside = (
        "Skill: the share of a constant guess's errors that does not happen. The guess is the mean of the training "
        "images, their most frequent class, or the labels that most have. Error: the share of wrong answers; of numbers "
        "the root of the mean squared difference. Unknown answers count nowhere. mae: mean absolute error; map: mean "
        "average precision."
    )
    return ClassTable(tuple(heads), tuple(rows), aside)


def _span(row: dict[str, Any], name: str, write: Callable[[float], str]) -> str:
    bounds = row["intervals"].get(name)
    return NOTHING if bounds is None else f"{write(bounds[0])}–{write(bounds[1])}"


def _words(evaluation: SplitEvaluation, row: int) -> tuple[str, str]:
    """Answer and truth of the question with the largest error."""
    rows = evaluation.rows
    error = relative_errors(rows)[row]
    head = rows.heads[int(np.nanargmax(error))]
    answer, target = rows.answer[row, head.place], rows.target[row, head.place]
    if head.kind == "number":
        return f"{head.name} {answer[0]:.4g}", f"{target[0]:.4g}"
    if head.kind == "class":
        return f"{head.name} {head.answers[int(answer.argmax())]}", head.answers[int(np.nanargmax(target))]
    have = answer >= rows.threshold[head.place]
    return f"{head.name}: {_names(have, head)}", _names(target == 1, head)


def _names(have: np.ndarray, head: Head) -> str:
    return ", ".join(head.answers[i] for i in np.flatnonzero(have)) or "none"


def _class_table(evaluation: SplitEvaluation, facts: VerdictFacts, limits: Thresholds) -> Table:
    return _table(evaluation).plain()


QUESTIONS = Chapter(
    headline=SKILL,
    metric_names=METRICS,
    row_facts=_row_facts,
    result=guessing.result,
    rules=(course, data.labels, data.test_size, data.untested, data.near_perfect),
    sections=_sections,
    class_table=_class_table,
    limits=DENSE_LIMITS,
    threshold_rows=dense_threshold_rows,
    in_per_cent=lambda name: name.endswith(("skill", "accuracy", "map")),
)
