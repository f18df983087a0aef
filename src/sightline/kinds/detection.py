"""Objects as boxes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from sightline.data.dataset import Dataset
from sightline.drawing.predictions import paint_objects
from sightline.evaluation.detections import best_score, judge_detections, worst_images
from sightline.evaluation.label_errors.boxes import find_in_boxes
from sightline.evaluation.stored_rows import read_detection_rows, write_detection_rows
from sightline.recipes.loading import Truths
from sightline.reports.parts.boxes import BOXES
from sightline.reports.split_evaluation import RowsFormat
from sightline.runtime.choosing import choose_boxes
from sightline.structures.detection_rows import DetectionRows
from sightline.tasks.detection import Detection
from sightline.tasks.regions import boxes_of

from . import regions
from .annotated import annotated_target
from .diagnosed.image_scores import of_objects
from .kind import Answers, Drawings, Exposure, Kind, LabelCheck, Networks, Scoring, Sensitivity, Setting
from .questions.exposure import count_objects, focus_objects, harm_objects
from .questions.scores import ask_object

NAME = "detection"
OUTPUT = "boxes"  # of its networks, as `MODELS` files them
MODEL = "faster_rcnn_resnet18_fpn"
COLUMNS = ("label", "score", "x1", "y1", "x2", "y2")


class DetectionSection(regions.RegionSection):
    kind: Literal["detection"] = "detection"


def _task(networks: Networks, setting: Setting) -> Detection:
    section = setting.recipe.task
    assert isinstance(section, DetectionSection)
    return Detection(
        setting.normalised(networks["model"]),
        classes=len(setting.amounts),
        score_threshold=section.score_threshold,
        nms_threshold=section.nms_threshold,
        limit=section.limit,
    )


def _settle(rows: DetectionRows) -> dict[str, Any]:
    """The score from which objects are reported; nothing where no prediction is right."""
    score = best_score(rows)
    return {} if score is None else {"score": score}


def _hardest(rows: DetectionRows, classes: Sequence[str]) -> list[tuple[int, str]]:
    """By the number of mistakes in each image."""
    return [(w.id, f"{w.missed} missed, {w.false} wrong") for w in worst_images(rows, classes)]


def _memory(data: Dataset, ids: np.ndarray, pixels: np.ndarray, natural: np.ndarray) -> np.ndarray:
    return np.zeros_like(pixels)  # boxes are small beside images


DETECTION = Kind(
    name=NAME,
    section=DetectionSection,
    accepts=lambda source: source.annotations is not None and source.annotations.knows in ("boxes", "outlines"),
    defaults=partial(regions.region_defaults, model=MODEL),
    check=regions.check_regions,
    networks=partial(regions.region_networks, output=OUTPUT),
    task=_task,
    output=OUTPUT,
    truths=Truths(annotated_target, _memory),
    scoring=Scoring(
        rows=RowsFormat(write_detection_rows, read_detection_rows, judge_detections),
        monitors=("ap", "ap50"),
        headline="ap50",
        validation_loss=False,
        worst=lambda judgement: [w.id for w in judgement.worst],
        threshold=lambda judgement: 0.5 if judgement.score_threshold is None else judgement.score_threshold,
        hardest=_hardest,
        settle=_settle,
        per_image=of_objects,
    ),
    answers=Answers(
        of=regions.region_answers,
        columns=COLUMNS,
        heads=("objects", "surest"),
        cells=regions.box_cells,
        lines=regions.box_lines,
        unknown=regions.no_boxes,
        draw=paint_objects,
        choose=choose_boxes,
        scored=True,
    ),
    drawings=Drawings(truth=regions.draw_boxes, answer=regions.draw_answer, label=regions.count_objects),
    chapter=BOXES,
    export=regions.REGION_EXPORT,
    labels=LabelCheck(find_in_boxes),
    sensitivity=Sensitivity(
        ask_object, Exposure(focus_objects, harm_objects, count_objects, "objects", hides=boxes_of)
    ),
)
