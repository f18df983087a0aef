"""Objects as boxes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import Field

from sightline.attacks.aim import Aim
from sightline.data.dataset import Dataset
from sightline.data.loaders import Images
from sightline.drawing.predictions import paint_objects
from sightline.errors import UsageError
from sightline.evaluation.detections import best_score, judge_detections, worst_images
from sightline.evaluation.label_errors.boxes import find_in_boxes
from sightline.evaluation.stored_rows import read_detection_rows, write_detection_rows
from sightline.explanation.question import Choice, Question
from sightline.exports.plan import Export
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.loading import Truths, load
from sightline.recipes.recipe import Draft, Recipe
from sightline.reports.parts.boxes import BOXES
from sightline.reports.split_evaluation import RowsFormat
from sightline.runtime.choosing import choose_boxes
from sightline.structures.batch import Batch
from sightline.structures.detection_rows import DetectionRows
from sightline.tasks.regions import boxes_of
from sightline.tasks.task import Task

from . import regions
from .annotated import annotated_target
from .detectors.families import family_named, family_of, family_of_task
from .diagnosed.image_scores import of_objects
from .kind import Answers, Drawings, Exposure, Kind, LabelCheck, Learned, Networks, Scoring, Sensitivity, Setting
from .questions.exposure import Harm, count_objects, focus_objects

NAME = "detection"
OUTPUT = "boxes"  # of its networks, as `MODELS` files them
COLUMNS = ("label", "score", "x1", "y1", "x2", "y2")


class DetectionSection(regions.RegionSection):
    kind: Literal["detection"] = "detection"
    assignment: Literal["simota", "soft"] | None = Field(
        None, description="YOLOX: which places learn an object; simota as published, soft as RTMDet does"
    )


OPTIONS = {"assignment"}  # keys that only some families of networks know


def _task(networks: Networks, setting: Setting) -> Task:
    network = networks["model"]
    return family_of(network).task(setting.normalised(network), setting)


def _defaults(draft: Draft, traits: Traits) -> Filled:
    return family_named(draft.model.name).defaults(draft, traits)


def _check(recipe: Recipe) -> None:
    regions.check_regions(recipe)
    family = family_named(recipe.model.name)
    family.check(recipe)
    known = family.options
    for key in sorted(OPTIONS - known):
        if getattr(recipe.task, key) is not None:
            raise UsageError(f"task.{key} has no effect with {recipe.model.name}", "leave it out, or use yolox_nano")
    if not family.mixed and (recipe.augment.mosaic or recipe.augment.mixup):
        raise UsageError(
            f"{recipe.model.name} knows where to look in single images only",
            "leave augment.mosaic and augment.mixup out",
        )


def _load(
    data: Dataset,
    ids: np.ndarray,
    preprocessing: Preprocessing,
    recipe: Recipe,
    *,
    truths: Truths | None = None,
    judging: bool,
) -> Images:
    """The images; those to learn from with their proposals, where the network needs some."""
    learning = truths is not None and not judging
    propose = family_named(recipe.model.name).propose(recipe) if learning else None
    return load(data, ids, preprocessing, recipe, truths=truths, judging=judging, propose=propose)


def _export(task: Task) -> Export | None:
    return family_of_task(task).export


def _ask(task: Task, batch: Batch, choice: Choice, classes: Sequence[str]) -> Question:
    return family_of_task(task).ask(task, batch, choice, classes)


def _harm(task: Task, batch: Batch, aim: Aim) -> Harm:
    harm: Harm = family_of_task(task).harm(task, batch, aim)
    return harm


def _learned(task: Task, batch: Batch) -> Learned | None:
    learned = family_of_task(task).learned
    return None if learned is None else learned(task, batch)


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
    defaults=_defaults,
    check=_check,
    networks=partial(regions.region_networks, output=OUTPUT),
    task=_task,
    output=OUTPUT,
    load=_load,
    truths=Truths(annotated_target, _memory),
    composites=("mosaic", "mixup"),
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
        timed=True,
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
    drawings=Drawings(
        truth=regions.draw_boxes, answer=regions.draw_answer, label=regions.count_objects, learned=_learned
    ),
    chapter=BOXES,
    export=_export,
    labels=LabelCheck(find_in_boxes),
    sensitivity=Sensitivity(_ask, Exposure(focus_objects, _harm, count_objects, "objects", hides=boxes_of)),
)
