"""What the report says about detection only, with masks and without."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sightline.reports.chapter import Chapter, PageSection, RowFacts, Scene, Table
from sightline.reports.finding import VerdictFacts
from sightline.reports.headline import BOX_AP50, MASK_AP50, Headline
from sightline.reports.reading import as_number, as_text
from sightline.reports.rules import data, dense
from sightline.reports.rules.course import course
from sightline.reports.split_evaluation import SplitEvaluation
from sightline.reports.template import section
from sightline.reports.thresholds import DENSE_LIMITS, Thresholds, dense_threshold_rows
from sightline.reports.wording import plural

from .dense_facts import object_classes, object_facts
from .dense_tables import object_table
from .examples import class_legend, example_values, object_notes, prediction_legend
from .objects import object_values, points
from .picture import KILOBYTE, page_picture

_BOX_METRICS = {
    "ap50": "AP50",
    "ap75": "AP75",
    "ap": "AP, IoU 50 to 95 %",
    "ar100": "AR, 100 boxes per image",
    "ar10": "AR, 10 boxes per image",
    "ar1": "AR, 1 box per image",
    "ap_small": "AP, small",
    "ap_medium": "AP, medium",
    "ap_large": "AP, large",
    "ar_small": "AR, small",
    "ar_medium": "AR, medium",
    "ar_large": "AR, large",
}
_ABSENT = {"unjudged": "boxes of classes that do not occur"}
BOX_METRICS = _BOX_METRICS | _ABSENT
MASK_METRICS = {
    **{f"mask_{key}": f"mask {name}" for key, name in _BOX_METRICS.items()},
    **{key: f"box {name}" for key, name in _BOX_METRICS.items()},
    **_ABSENT,
}
WIDEST, LIMIT = 1400, 400 * KILOBYTE  # pixels and bytes of the picture of the assignment
MAIN = ("ap50", "ap75", "ap", "ar100")  # in the short table; the others are folded


def _row_facts(evaluation: SplitEvaluation, headline: Headline, limits: Thresholds) -> RowFacts:
    return RowFacts(classes=object_classes(evaluation, headline), objects=object_facts(evaluation))


def _sections(scene: Scene, *, masks: bool) -> list[PageSection]:
    evaluation, facts = scene.content.evaluation, scene.facts
    sections = []
    if evaluation is not None:
        if (objects := object_values(evaluation, facts)) is not None:
            sections.append(PageSection("objects", "Mistakes by kind", section("objects_section", objects)))
        sections.append(PageSection("classes", "Classes", section("classes_section", object_table(evaluation, facts))))
    threshold = scene.content.examples.threshold if scene.content.examples is not None else None
    cutoff = f" with a score of at least {threshold:.2f}" if threshold is not None else ""
    intro = (
        f"the network's input, the ground truth and the predictions{cutoff}, with class (if there are several) and score. "
        "Where two labels would overlap, one is left out, that of a mistake last"
    )
    if (examples := example_values(scene, object_notes, intro)) is not None:
        legend = [] if masks else class_legend(scene.content)  # outlines are coloured by object
        colours = prediction_legend("outline" if masks else "box")
        sections.append(PageSection("examples", "Examples", section("examples_section", examples, legend, colours)))
    if (drawn := scene.content.assignment) is not None:
        intro = f"Training images with the trained network: {drawn.meaning}."
        picture = page_picture(drawn.png, most=WIDEST, limit=LIMIT)
        sections.append(PageSection("assignment", "Assignment", section("assignment_section", intro, picture)))
    if sentence := speed_sentence(scene.content.speed):
        sections.append(PageSection("speed", "Speed", section("speed_section", sentence)))
    return sections


def speed_sentence(speed: Mapping[str, Any]) -> str:
    """Frames a second with their conditions, "" where they were not measured."""
    fps, ms, height, width = (as_number(speed.get(key)) for key in ("fps", "ms", "height", "width"))
    if fps is None or ms is None or height is None or width is None:
        return ""
    device, threads = as_text(speed.get("device")), as_number(speed.get("threads"))
    on = "" if device != "cpu" or threads is None else f", {plural(int(threads), 'thread')}"
    return (
        f"{fps:,.3g} frames a second ({ms:,.3g} ms each): single images of {height:.0f} x {width:.0f} pixels on the machine of "
        f"the training ({device}{on}), from pixels in memory to boxes, reading of files not counted; the median of calls."
    )


def _mistakes(facts: VerdictFacts) -> Table | None:
    if facts.objects is None:
        return None
    errors = sorted(facts.objects.errors.items(), key=lambda item: -item[1])
    gains = facts.objects.gains
    rows = [[dense.ERRORS[k][0], f"{count:,}", points(gains.get(k)), dense.ERRORS[k][1]] for k, count in errors]
    return ["mistake", "count", "AP50 to gain", "meaning"], rows


BOXES = Chapter(
    headline=BOX_AP50,
    metric_names=BOX_METRICS,
    row_facts=_row_facts,
    result=dense.result,
    rules=(
        course,
        dense.dominating,
        dense.small_objects,
        data.labels,
        data.weak_classes,
        dense.scarce,
        dense.absent_classes,
        data.test_size,
        data.untested,
        data.near_perfect,
    ),
    sections=partial(_sections, masks=False),
    class_table=lambda evaluation, facts, limits: object_table(evaluation, facts).plain(),
    mistakes=_mistakes,
    limits=DENSE_LIMITS,
    threshold_rows=dense_threshold_rows,
    in_per_cent=lambda name: name != "unjudged",
    in_short_table=lambda name: name.removeprefix("mask_") in MAIN,
    resamples=200,
    examples=True,
    batch_note=", with the ground truth",
    batch_legend=lambda content: [] if content.examples or not content.evaluation else class_legend(content),
)
MASKS = replace(
    BOXES,
    headline=MASK_AP50,
    metric_names=MASK_METRICS,
    sections=partial(_sections, masks=True),
    batch_legend=lambda content: [],
)
