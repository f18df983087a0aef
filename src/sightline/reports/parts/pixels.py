"""What the report says of segmentations only."""

from __future__ import annotations

from sightline.reports.chapter import Chapter, PageSection, RowFacts, Scene, Table
from sightline.reports.finding import VerdictFacts
from sightline.reports.headline import MEAN_IOU, Headline
from sightline.reports.judged import JudgedSplit
from sightline.reports.rules import data, dense
from sightline.reports.rules.course import course
from sightline.reports.template import section
from sightline.reports.thresholds import DENSE_LIMITS, Thresholds, dense_lines
from sightline.reports.wording import percent

from .dense_facts import commonest, pixel_facts, segment_classes
from .dense_tables import pixel_classes
from .examples import class_legend, example_values, ignored_legend, pixel_notes
from .segments import confusion_of_pixels

SEGMENT_METRICS = {
    "mean_iou": "mean IoU",
    "mean_dice": "mean Dice",
    "pixel_accuracy": "pixel accuracy",
    "mean_class_accuracy": "mean class accuracy",
    "frequency_weighted_iou": "IoU weighted by pixels",
    "boundary_f": "boundary F1",
    "loss": "loss (nats a pixel)",
}


def _row_facts(judged: JudgedSplit, headline: Headline, limits: Thresholds) -> RowFacts:
    own = judged.judgement
    return RowFacts(majority=commonest(own), classes=segment_classes(own), pixels=pixel_facts(own))


def _sections(scene: Scene) -> list[PageSection]:
    judged, facts = scene.content.judged, scene.facts
    found = []
    if judged is not None:
        confusion = section("confusion_section", confusion_of_pixels(judged, facts))
        found.append(PageSection("confusions", "Confusions", confusion))
        found.append(PageSection("classes", "Classes", section("classes_section", pixel_classes(judged, facts))))
    intro = "the image as the network gets it, what is true, what the model says"
    if (examples := example_values(scene, pixel_notes, intro)) is not None:
        legend = [*class_legend(scene.content), *ignored_legend()]
        found.append(PageSection("examples", "Pictures", section("examples_section", examples, legend, [])))
    return found


def _mistakes(facts: VerdictFacts) -> Table | None:
    if facts.pixels is None or not facts.pixels.taken:
        return None
    rows = [[t.target, t.predicted, percent(t.of_class), percent(t.of_wrong)] for t in facts.pixels.taken]
    return ["true class", "taken for", "of the class", "of all wrong pixels"], rows


PIXELS = Chapter(
    headline=MEAN_IOU,
    metric_names=SEGMENT_METRICS,
    row_facts=_row_facts,
    result=dense.result,
    rules=(
        course,
        dense.taken_pixels,
        data.labels,
        data.weak_classes,
        dense.scarce,
        dense.edges,
        data.test_size,
        data.untested,
        data.near_perfect,
    ),
    sections=_sections,
    class_table=lambda judged, facts, limits: pixel_classes(judged, facts).plain(),
    mistakes=_mistakes,
    limits=DENSE_LIMITS,
    lines=dense_lines,
    in_per_cent=lambda name: name != "loss",
    examples=True,
    batch_note=", with the true classes as tints",
    batch_legend=lambda content: [] if content.examples or not content.judged else class_legend(content),
)
