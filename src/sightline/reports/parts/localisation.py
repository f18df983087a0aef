"""What the report says about one object an image only."""

from __future__ import annotations

from sightline.drawing.overlay import MISSED, RIGHT, WRONG
from sightline.drawing.swatch import swatch
from sightline.metrics.localisation import one_object
from sightline.reports.chapter import Chapter, PageSection, RowFacts, Scene
from sightline.reports.headline import Headline
from sightline.reports.rules import data, guessing
from sightline.reports.rules.course import course
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import DENSE_LIMITS, Thresholds, dense_threshold_rows
from sightline.reports.wording import NOTHING, percent, percent_range

from .dense_tables import Cell, ClassTable
from .examples import example_values

LOCALISED = Headline(
    "localised",
    "share localised",
    of_images=True,
    meaning="images with an object whose class is right and whose box overlaps it with an IoU of at least 50 %",
)
METRICS = {
    "localised": "class right and IoU of at least 50 %",
    "accuracy": "accuracy of the class",
    "mean_iou": "mean IoU of the box",
}


def _row_facts(evaluation: SplitEvaluation, headline: Headline, limits: Thresholds) -> RowFacts:
    blind = evaluation.judgement.blind
    answer = "the most frequent class with the mean of its boxes, for every image,"
    return RowFacts(majority=None if blind is None else (answer, blind))


def _table(evaluation: SplitEvaluation) -> ClassTable:
    rows = []
    for row in evaluation.judgement.per_class:
        cells = [Cell("name", row["class"]), Cell("num", f"{row['support']:,}")]
        for key in ("recall", "mean_iou", "localised"):
            span = row["intervals"][key]
            cells += [Cell("num", percent(row[key])), Cell("num", percent_range(*span) if span else NOTHING)]
        rows.append(tuple(cells))
    heads = [("class", "name"), ("images", "num")]
    for name in ("class right", "mean IoU", "localised"):
        heads += [(name, "num"), ("95 %", "num")]
    return ClassTable(tuple(heads), tuple(rows), "localised: class right and IoU of at least 50 %")


def _notes(evaluation: SplitEvaluation) -> dict[int, str]:
    one = one_object(evaluation.rows, len(evaluation.classes))
    words = {}
    for i, right, iou in zip(evaluation.rows.id.tolist(), one.right.tolist(), one.iou.tolist(), strict=True):
        words[i] = f"{'' if right else 'wrong class, '}IoU {percent(iou)}"
    return words


def _sections(scene: Scene) -> list[PageSection]:
    sections = []
    if scene.content.evaluation is not None:
        table = _table(scene.content.evaluation)
        sections.append(PageSection("classes", "Classes", section("classes_section", table)))
    intro = "the network's input, the true box, and the predicted one with class and probability"
    if (examples := example_values(scene, _notes, intro)) is not None:
        colours = [
            (swatch(RIGHT), "right class, IoU of at least 50 %"),
            (swatch(WRONG), "wrong class or poorly localised (dashed)"),
            (swatch(MISSED), "the object that no box matches (dotted)"),
        ]
        sections.append(PageSection("examples", "Examples", section("examples_section", examples, [], colours)))
    return sections


ONE_OBJECT = Chapter(
    headline=LOCALISED,
    metric_names=METRICS,
    row_facts=_row_facts,
    result=guessing.result,
    rules=(course, data.labels, data.test_size, data.untested, data.near_perfect),
    sections=_sections,
    class_table=lambda evaluation, facts, limits: _table(evaluation).plain(),
    limits=DENSE_LIMITS,
    threshold_rows=dense_threshold_rows,
    in_per_cent=lambda name: True,
    examples=True,
    batch_note=", with the true box",
)
