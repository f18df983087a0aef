"""One object in each image: its class and its box.

Chosen by name only (`task.kind=localisation`): boxes are answered by detection too, and that a sample of images happens to
show one object each says nothing about the next image. Images without an object are fine, with more than one refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from sightline.data.dataset import Dataset
from sightline.data.records.annotations import Objects
from sightline.decoding.detections import MIN_SIDE
from sightline.drawing.predictions import paint_objects
from sightline.errors import DataError, UsageError
from sightline.evaluation.diagnosis.images import ImageTable
from sightline.evaluation.diagnosis.slices import ImageScores
from sightline.evaluation.localisation import judge_localisation
from sightline.evaluation.stored_rows import read_detection_rows, write_detection_rows
from sightline.explanation.question import Choice, Question
from sightline.explanation.subject import Subject
from sightline.exports.agreement import box_difference
from sightline.exports.plan import IMAGE, Export, Graph, Shape
from sightline.metrics.localisation import one_object
from sightline.models.boxes.localiser import CORNERS, Localiser, OnePlace
from sightline.models.create import create_model
from sightline.models.own import is_own
from sightline.preprocessing.saved import Preprocessing
from sightline.randomness.keyed import torch_seeded
from sightline.recipes.arguments import model_arguments
from sightline.recipes.defaults import Filled, Traits, classifier_defaults
from sightline.recipes.loading import Truths
from sightline.recipes.recipe import Draft, Recipe, TaskSection
from sightline.reports.parts.localisation import ONE_OBJECT
from sightline.reports.split_evaluation import RowsFormat
from sightline.runtime.choosing import choose_boxes
from sightline.structures.batch import Batch
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.targets import Target
from sightline.tasks.localisation import Localisation
from sightline.tasks.task import Task

from . import regions
from .annotated import annotated_target
from .diagnosed.image_scores import CLASS, object_sizes
from .kind import Answers, Drawings, Kind, Networks, Scoring, Sensitivity, Setting

NAME = "localisation"
OUTPUT = "class scores"  # of its trunks, as `MODELS` files them
COLUMNS = ("label", "score", "x1", "y1", "x2", "y2")


class LocalisationSection(TaskSection):
    kind: Literal["localisation"] = "localisation"
    box_weight: PositiveFloat = Field(
        10.0, description="of the squared distance of the corners, in shares of the image, beside the cross-entropy"
    )


def _defaults(draft: Draft, traits: Traits) -> Filled:
    """Those of a classifier, without crops of the input."""
    filled = classifier_defaults(draft, traits, output=OUTPUT)
    filled["input"]["fit"] = draft.input.fit or ("stretch" if traits.one_aspect else "letterbox")
    filled["augment"]["preset"] = draft.augment.preset or "light"
    return filled


def _check(recipe: Recipe) -> None:
    if recipe.input.fit not in ("stretch", "letterbox"):
        raise UsageError(
            f"input.fit={recipe.input.fit} gives frames that differ in what they show of an image",
            "use letterbox or stretch",
        )
    if is_own(recipe.model.name):
        raise UsageError("localisation builds its heads on a registered classifier", "use -m resnet18, or register it")


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    arguments = model_arguments(recipe, classes, OUTPUT) | {"num_classes": 0}
    trunk = create_model(recipe.model.name, seed=recipe.seed, **arguments)
    with torch_seeded(recipe.seed, "heads"):
        return {"model": Localiser(trunk, recipe.model.name, classes)}


def _task(networks: Networks, setting: Setting) -> Localisation:
    section = setting.recipe.task
    assert isinstance(section, LocalisationSection)
    model = setting.normalised(networks["model"])
    return Localisation(model, classes=len(setting.amounts), box_weight=section.box_weight)


def _require_one(data: Dataset, id: int) -> None:
    truth = data.truth(id)
    assert isinstance(truth, Objects)
    count = int((~truth.ignore).sum())
    if count > 1:
        raise DataError(
            f"{data.records[id].name} shows {count} objects, and localisation finds one", "use task.kind=detection"
        )


def _facts(data: Dataset, ids: np.ndarray, recipe: Recipe) -> dict[str, Any]:
    """Nothing; but an image with several objects is named before the first step."""
    for id in ids.tolist():
        _require_one(data, id)
    return {}


def _target(
    data: Dataset,
    id: int,
    preprocessing: Preprocessing,
    natural: tuple[int, int],
    frame: Float[np.ndarray, "3 3"],
    judging: bool,
) -> Target:
    _require_one(data, id)
    return annotated_target(data, id, preprocessing, natural, frame, judging)


def _memory(data: Dataset, ids: np.ndarray, pixels: np.ndarray, natural: np.ndarray) -> np.ndarray:
    return np.zeros_like(pixels)  # a box is small beside an image


def _hardest(rows: DetectionRows, classes: Sequence[str]) -> list[tuple[int, str]]:
    """Wrong classes first, then by IoU; an image without an object that has none is right."""
    one = one_object(rows, len(classes))
    iou = np.where(one.right & (one.target == len(classes)), 1.0, one.iou)
    names = [*classes, "nothing"]
    order = [i for i in np.lexsort((iou, one.right)).tolist() if one.known[i]]
    return [(int(rows.id[i]), f"{names[one.predicted[i]]}, IoU {iou[i]:.2f}") for i in order]


def _per_image(rows: DetectionRows, judgement: Any) -> ImageScores:
    """1 where class and box are right, or where there is no object and none was found."""
    k = len(judgement.classes)
    one = one_object(rows, k)
    right = one.localised(k) | (one.right & (one.target == k))
    names = [judgement.classes[c] if c < k else None for c in one.target.tolist()]
    table = ImageTable(rows.id, {"object size": object_sizes(rows)}, {CLASS: names})
    return ImageScores(rows.id, np.where(one.known, right, np.nan), "share localised", share=True, table=table)


def _ask(task: Task, batch: Batch, choice: Choice, classes: Sequence[str]) -> Question:
    """The score of the chosen class, or of the most probable one."""
    assert isinstance(task, Localisation)
    if choice.number is not None:
        raise UsageError("--object needs a run that detects objects", "use --target with the name of a class")
    with torch.no_grad():
        probability = task.model(batch.image)[0, :-CORNERS].float().softmax(0)
    best = int(probability[:-1].argmax())
    target = best if choice.target is None else choice.target

    def scores(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        return task.model(pixels)[:, : len(classes)]

    answer = f"{classes[best]} ({float(probability[best]):.1%})"
    subject = Subject(task.model, scores, classes=False)
    return Question(subject, target, f"the score of {classes[target]!r}", answer)


def _graphs(task: Task, shape: Shape) -> dict[str, Graph]:
    assert isinstance(task, Localisation)
    outputs: dict[str, str | None] = {"boxes": "batch", "score": "batch"}
    return {"model": Graph(OnePlace(task.model).eval(), {IMAGE: "batch"}, outputs, logits=("score",))}


def _settings(task: Task, classes: int) -> dict[str, Any]:
    return {"score": 0.0, "overlap": 1.0, "limit": 1, "smallest_box": MIN_SIDE}


LOCALISATION = Kind(
    name=NAME,
    section=LocalisationSection,
    accepts=lambda source: source.annotations is not None and source.annotations.knows in ("boxes", "outlines"),
    automatic=False,
    facts=_facts,
    defaults=_defaults,
    check=_check,
    networks=_networks,
    task=_task,
    output=OUTPUT,
    truths=Truths(_target, _memory),
    scoring=Scoring(
        rows=RowsFormat(write_detection_rows, read_detection_rows, judge_localisation),
        monitors=("localised", "accuracy", "mean_iou"),
        headline="localised",
        validation_loss=False,
        batch=64,
        worst=lambda judgement: list(judgement.worst),
        threshold=lambda judgement: 0.0,
        hardest=_hardest,
        per_image=_per_image,
    ),
    answers=Answers(
        of=regions.region_answers,
        columns=COLUMNS,
        heads=("objects", "class"),
        cells=regions.box_cells,
        lines=regions.box_lines,
        unknown=regions.no_boxes,
        batch=16,
        draw=paint_objects,
        choose=choose_boxes,
    ),
    drawings=Drawings(truth=regions.draw_boxes, answer=regions.draw_answer, label=regions.count_objects),
    chapter=ONE_OBJECT,
    export=Export(
        decoding="places",
        graphs=_graphs,
        settings=_settings,
        prediction=regions.exported_detections,
        difference=box_difference,
        figure="max_1_minus_iou",
        allowed=1.0,
        page=False,
    ),
    sensitivity=Sensitivity(_ask),
)
