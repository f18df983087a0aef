"""What the report says of detectors only, with masks and without."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sightline.reports.chapter import Chapter, PageSection, RowFacts, Scene, Table
from sightline.reports.finding import VerdictFacts
from sightline.reports.headline import BOX_AP50, MASK_AP50, Headline
from sightline.reports.judged import JudgedSplit
from sightline.reports.rules import data, dense
from sightline.reports.rules.course import course
from sightline.reports.template import section
from sightline.reports.thresholds import DENSE_LIMITS, Thresholds, dense_lines

from .dense_facts import object_classes, object_facts
from .dense_tables import object_table
from .examples import answer_legend, class_legend, example_values, object_notes
from .objects import object_values

_BOX_METRICS = {
    "ap50": "AP50",
    "ap75": "AP75",
    "ap": "AP, IoU 50 to 95 %",
    "ar100": "AR, 100 an image",
    "ar10": "AR, 10 an image",
    "ar1": "AR, 1 an image",
    "ap_small": "AP, small",
    "ap_medium": "AP, medium",
    "ap_large": "AP, large",
    "ar_small": "AR, small",
    "ar_medium": "AR, medium",
    "ar_large": "AR, large",
}
_UNJUDGED = {"unjudged": "boxes that nothing judges"}
BOX_METRICS = _BOX_METRICS | _UNJUDGED
MASK_METRICS = {
    **{f"mask_{key}": f"mask {name}" for key, name in _BOX_METRICS.items()},
    **{key: f"box {name}" for key, name in _BOX_METRICS.items()},
    **_UNJUDGED,
}
MAIN = ("ap50", "ap75", "ap", "ar100")  # of a detector's metrics those that stand first; the others are folded away


def _row_facts(judged: JudgedSplit, headline: Headline, limits: Thresholds) -> RowFacts:
    return RowFacts(classes=object_classes(judged, headline), objects=object_facts(judged))


def _sections(scene: Scene, *, masks: bool) -> list[PageSection]:
    judged, facts = scene.content.judged, scene.facts
    found = []
    if judged is not None:
        if (objects := object_values(judged, facts)) is not None:
            found.append(PageSection("objects", "Mistakes by kind", section("objects_section", objects)))
        found.append(PageSection("classes", "Classes", section("classes_section", object_table(judged, facts))))
    threshold = scene.content.examples.threshold if scene.content.examples is not None else None
    sure = f" with a score of at least {threshold:.2f}" if threshold is not None else ""
    intro = f"the image as the network gets it, the objects that are there, what the model finds{sure}"
    if (examples := example_values(scene, object_notes, intro)) is not None:
        legend = [] if masks else class_legend(scene.content)  # outlines have a colour an object
        answers = answer_legend("outline" if masks else "box")
        found.append(PageSection("examples", "Pictures", section("examples_section", examples, legend, answers)))
    return found


def _mistakes(facts: VerdictFacts) -> Table | None:
    if facts.objects is None:
        return None
    errors = sorted(facts.objects.errors.items(), key=lambda item: -item[1])
    rows = [[dense.ERRORS[kind][0], f"{count:,}", dense.ERRORS[kind][1]] for kind, count in errors]
    return ["mistake", "number", "what it is"], rows


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
        dense.unjudged,
        data.test_size,
        data.untested,
        data.near_perfect,
    ),
    sections=partial(_sections, masks=False),
    class_table=lambda judged, facts, limits: object_table(judged, facts).plain(),
    mistakes=_mistakes,
    limits=DENSE_LIMITS,
    lines=dense_lines,
    in_per_cent=lambda name: name != "unjudged",
    stands_first=lambda name: name.removeprefix("mask_") in MAIN,
    resamples=200,
    examples=True,
    batch_note=", with the true objects",
    batch_legend=lambda content: [] if content.examples or not content.judged else class_legend(content),
)
MASKS = replace(
    BOXES,
    headline=MASK_AP50,
    metric_names=MASK_METRICS,
    sections=partial(_sections, masks=True),
    batch_legend=lambda content: [],
)
