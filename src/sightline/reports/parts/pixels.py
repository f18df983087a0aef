"""What the report says about segmentation only."""

from __future__ import annotations

from sightline.reports.chapter import Chapter, PageSection, RowFacts, Scene, Table
from sightline.reports.finding import VerdictFacts
from sightline.reports.headline import MEAN_IOU, Headline
from sightline.reports.rules import data, dense
from sightline.reports.rules.course import course
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import DENSE_LIMITS, Thresholds, dense_threshold_rows
from sightline.reports.wording import percent

from .dense_facts import most_common, pixel_facts, segment_classes
from .dense_tables import pixel_classes
from .examples import class_legend, example_values, ignore_legend, pixel_notes
from .segments import confusion_of_pixels

SEGMENT_METRICS = {
    "mean_iou": "mean IoU",
    "mean_dice": "mean Dice",
    "pixel_accuracy": "pixel accuracy",
    "mean_class_accuracy": "mean class accuracy",
    "frequency_weighted_iou": "frequency-weighted IoU",
    "boundary_f": "boundary F1",
    "loss": "loss (nats per pixel)",
}


def _row_facts(evaluation: SplitEvaluation, headline: Headline, limits: Thresholds) -> RowFacts:
    own = evaluation.judgement
    return RowFacts(majority=most_common(own), classes=segment_classes(own), pixels=pixel_facts(own))


def _sections(scene: Scene) -> list[PageSection]:
    evaluation, facts = scene.content.evaluation, scene.facts
    sections = []
    if evaluation is not None:
        confusion = section("confusion_section", confusion_of_pixels(evaluation, facts))
        sections.append(PageSection("confusions", "Confusion matrix", confusion))
        sections.append(PageSection("classes", "Classes", section("classes_section", pixel_classes(evaluation, facts))))
    intro = "the network's input, the ground truth and the prediction"
    if (examples := example_values(scene, pixel_notes, intro)) is not None:
        legend = [*class_legend(scene.content), *ignore_legend()]
        sections.append(PageSection("examples", "Examples", section("examples_section", examples, legend, [])))
    return sections


def _mistakes(facts: VerdictFacts) -> Table | None:
    if facts.pixels is None or not facts.pixels.confusions:
        return None
    rows = [[t.target, t.predicted, percent(t.of_class), percent(t.of_wrong)] for t in facts.pixels.confusions]
    return ["true class", "predicted as", "of the class", "of all wrong pixels"], rows


PIXELS = Chapter(
    headline=MEAN_IOU,
    metric_names=SEGMENT_METRICS,
    row_facts=_row_facts,
    result=dense.result,
    rules=(
        course,
        dense.confused_pixels,
        data.labels,
        data.weak_classes,
        dense.scarce,
        dense.edges,
        data.test_size,
        data.untested,
        data.near_perfect,
    ),
    sections=_sections,
    class_table=lambda evaluation, facts, limits: pixel_classes(evaluation, facts).plain(),
    mistakes=_mistakes,
    limits=DENSE_LIMITS,
    threshold_rows=dense_threshold_rows,
    in_per_cent=lambda name: name != "loss",
    examples=True,
    batch_note=", tinted with the true classes",
    batch_legend=lambda content: [] if content.examples or not content.evaluation else class_legend(content),
)
