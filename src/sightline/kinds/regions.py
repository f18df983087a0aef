"""What the two kinds of task that find objects share: keys, rules, targets, answers, pictures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, PositiveInt
from torch import nn

from sightline.decoding.detections import MIN_SIDE, paste_masks
from sightline.drawing.labels import Label, labelled, name_or_number
from sightline.drawing.overlay import (
    DASHED,
    DOTTED,
    MISSED,
    RIGHT,
    SOLID,
    WRONG,
    colour,
    coloured,
    framed,
    object_colour,
    outlined,
)
from sightline.drawing.png import enlarged
from sightline.errors import UsageError
from sightline.exports.agreement import box_difference
from sightline.exports.plan import IMAGE, Arrays, Export, Graph, Shape
from sightline.layers.normalisation import freeze_batchnorm
from sightline.metrics.matching import HIT, IGNORED, box_overlap, match
from sightline.models.boxes.faster_rcnn import RegionNetwork
from sightline.models.boxes.sampling import SMALLEST, SUPPRESSION
from sightline.models.boxes.stages import Classify, Mask, Propose
from sightline.preprocessing.normalise import Normalised
from sightline.recipes.assembly import build_model
from sightline.recipes.defaults import Filled, Traits, dense_defaults
from sightline.recipes.recipe import Draft, Fraction, Recipe, TaskSection
from sightline.structures.batch import Batch
from sightline.structures.predictions import Detections, Instances, Prediction
from sightline.structures.regions import SelectionRule
from sightline.structures.targets import Boxes, Outlines, Target
from sightline.tasks.detection import Detection
from sightline.tasks.instances import InstanceSegmentation
from sightline.tasks.task import Task

from .detectors.anchors import KMEANS, sides_from_boxes
from .kind import Keep, Picture, plain

LIGHT = {"width": 128, "hidden": 256, "samples": [256, 128], "proposals": [500, 300]}  # small enough to train on a CPU
PIXELS_OF_INPUT, STEPS = 256 * 320, 400  # defaults for input size and training length
LEVELS = 5  # of a pyramid, each with anchors of one size
NAMED = 3  # objects per image in the table of `predict`
LONGEST = 18  # letters of a class name on a picture


class RegionSection(TaskSection):
    score_threshold: Annotated[float, Field(ge=0, le=0.01)] = Field(
        0.01, description="boxes with lower scores are dropped"
    )
    nms_threshold: Fraction = Field(0.5, description="IoU above which the worse of two boxes of a class is dropped")
    limit: PositiveInt = Field(100, description="most objects per image")


def selection(recipe: Recipe) -> dict[str, Any]:
    """Which detections a task keeps, as its keywords."""
    section = recipe.task
    assert isinstance(section, RegionSection)
    return {
        "score_threshold": section.score_threshold,
        "nms_threshold": section.nms_threshold,
        "limit": section.limit,
    }


def region_defaults(draft: Draft, traits: Traits, *, model: str) -> Filled:
    """By default a light network whose smallest anchors match the small objects of the data; with anchor_sizes=kmeans, anchors
    of the sizes of the training boxes: the square root of each cluster's area, one for each level."""
    filled = dense_defaults(draft, traits, model=model, pixels=PIXELS_OF_INPUT, batch=4, steps=STEPS, adamw=3e-4)
    options = dict(draft.model.options)
    if options.get("anchor_sizes") == KMEANS:
        filled["model"]["options"] = options = {**options, "anchor_sizes": sides_from_boxes(traits, filled, LEVELS)}
    if draft.model.name is None:
        side = traits.small_object * math.sqrt(filled["input"]["size"] * filled["input"]["width"])
        first = 2 ** min(max(math.floor(math.log2(max(side, 1.0))), 2), 5)
        own = {"anchor_sizes": [first * 2**level for level in range(LEVELS)]}
        filled["model"]["options"] = {**LIGHT, **own, **options}
    return filled


def region_networks(recipe: Recipe, classes: int, *, output: str) -> dict[str, nn.Module]:
    """The network. If it starts from `model.weights`, its batch norms are frozen: batches of a few images are too small for
    batch statistics."""
    network = build_model(recipe, classes, output)
    if recipe.model.start is not None:
        freeze_batchnorm(network)
    return {"model": network}


def check_regions(recipe: Recipe) -> None:
    if recipe.input.fit == "crop":
        raise UsageError("input.fit=crop would cut off objects", "use letterbox or stretch")


def no_boxes(height: int, width: int) -> Boxes:
    """The target of an image without annotations."""
    return Boxes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))


def no_outlines(height: int, width: int) -> Outlines:
    return Outlines(no_boxes(height, width), torch.zeros(0, height, width, dtype=torch.bool))


def region_answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """The boxes of each image in its original frame, highest score first, with the run lengths of masks if there are any."""
    target: Target = no_boxes(*batch.image.shape[2:])
    if isinstance(prediction, Instances):
        empty = tuple(torch.zeros(0, *size, dtype=torch.bool) for size in batch.natural.tolist())
        target = replace(no_outlines(*batch.image.shape[2:]), natural=empty)
    rows = task.rows(replace(batch, target=target), prediction)
    images: list[dict[str, Any]] = [{"boxes": []} for _ in range(len(batch))]
    columns = (rows.image, rows.label, rows.score, rows.boxes)
    for i, (image, label, score, xyxy) in enumerate(zip(*(c.tolist() for c in columns), strict=True)):
        box = {"label": classes[label], "score": score, "xyxy": xyxy}
        if rows.found_rle:
            box["rle"] = {"size": rows.size[image].tolist(), "counts": rows.found_rle[i].decode("ascii")}
        images[image]["boxes"].append(box)
    return images


def box_lines(row: dict[str, Any]) -> list[dict[str, Any]]:
    """One line per object; only the path for an image without objects."""
    if "error" in row:
        return [row]
    corners = ("x1", "y1", "x2", "y2")
    named = [{**box, **dict(zip(corners, box["xyxy"], strict=True))} for box in row["boxes"]]
    return [{"path": row["path"], **box} for box in named] or [{"path": row["path"]}]


def box_cells(row: Mapping[str, Any]) -> tuple[str, str]:
    best = row["boxes"][:NAMED]
    return str(len(row["boxes"])), ", ".join(f"{box['label']} {box['score']:.2f}" for box in best)


def count_objects(target: Target, row: int, classes: Sequence[str]) -> str | None:
    """The number of objects of each class, in words."""
    boxes = target.boxes if isinstance(target, Outlines) else target
    assert isinstance(boxes, Boxes)
    counted = Counter(classes[c] for c in boxes.label[boxes.sample == row].tolist())
    return ", ".join(f"{n} {name}" for name, n in counted.most_common()) or "nothing"


def draw_boxes(batch: Batch, row: int, classes: Sequence[str]) -> Picture:
    target = batch.target
    assert isinstance(target, Boxes)
    canvas, factor = enlarged_image(batch, row)
    mine = target.take(target.sample == row)
    boxes, label = mine.boxes.cpu().numpy() * factor, mine.label.tolist()
    picture = framed(canvas, boxes, [colour(c) for c in label], thick=line_width(canvas))
    return labelled(picture, _names(boxes, label, classes))


def draw_outlines(batch: Batch, row: int, classes: Sequence[str]) -> Picture:
    target = batch.target
    assert isinstance(target, Outlines)
    canvas, factor = enlarged_image(batch, row)
    own = target.take(target.boxes.sample == row)
    masks = _enlarged_masks(own.mask.cpu().numpy(), canvas, factor)
    label, hues = own.boxes.label.tolist(), [object_colour(i) for i in range(len(masks))]
    names = _names(own.boxes.boxes.cpu().numpy() * factor, label, classes)
    return labelled(outlined(canvas, masks, hues), [replace(n, hue=hue) for n, hue in zip(names, hues, strict=True)])


def draw_answer(batch: Batch, row: int, classes: Sequence[str], prediction: Prediction, threshold: float) -> Picture:
    """Predictions with at least the score `threshold`, with class and score: green if they match an object of their class (IoU
    0.5), else red and dashed; missed objects are yellow and dotted. Mistakes are labelled first."""
    assert isinstance(prediction, Detections | Instances)
    canvas, factor = enlarged_image(batch, row)
    detections = prediction.detections if isinstance(prediction, Instances) else prediction
    target = batch.target.boxes if isinstance(batch.target, Outlines) else batch.target
    assert isinstance(target, Boxes)
    which = (detections.sample == row) & (detections.score >= threshold)
    order = detections.score[which].argsort(descending=True, stable=True)  # the highest score is matched first
    which = which.nonzero()[:, 0][order]
    boxes, label = detections.boxes[which], detections.label[which]
    true = target.take(target.sample == row)
    ignore = true.ignore.cpu().numpy()
    overlap = box_overlap(boxes.cpu().numpy(), true.boxes.cpu().numpy(), ignore)
    overlap = overlap * (label[:, None] == true.label[None]).cpu().numpy()
    outcome, met = (one[0] for one in match(overlap, ignore, np.array([0.5])))
    counted = outcome != IGNORED  # boxes on ignored regions are neither right nor wrong
    which, boxes = which[torch.from_numpy(counted)], boxes[torch.from_numpy(counted)]
    right = outcome[counted] == HIT
    hues = [RIGHT if one else WRONG for one in right]
    left = ~ignore
    left[met[met >= 0]] = False
    missed = true.boxes.cpu().numpy()[left] * factor
    if isinstance(prediction, Instances):
        masks = paste_masks(prediction.mask[which], boxes, plain(batch, row).shape[:2]).cpu().numpy()
        picture = outlined(canvas, _enlarged_masks(masks, canvas, factor), hues)
    else:
        styles = [SOLID if one else DASHED for one in right]
        picture = framed(canvas, boxes.cpu().numpy() * factor, hues, thick=line_width(canvas), dashes=styles)
    yellow = [MISSED] * len(missed)
    picture = framed(picture, missed, yellow, thick=line_width(canvas), dashes=[DOTTED] * len(missed))
    found = _names(
        boxes.cpu().numpy() * factor, detections.label[which].tolist(), classes, detections.score[which].tolist()
    )
    found = [replace(n, hue=hue) for n, hue in zip(found, hues, strict=True)]
    absent = [replace(n, hue=MISSED) for n in _names(missed, true.label.cpu().numpy()[left].tolist(), classes)]
    wrong = [n for n, one in zip(found, right, strict=True) if not one]
    return labelled(picture, [*wrong, *absent, *(n for n, one in zip(found, right, strict=True) if one)])


def enlarged_image(batch: Batch, row: int) -> tuple[Picture, int]:
    """The image in colour with room for names, and how many of its pixels are one of the batch's."""
    picture = plain(batch, row)
    canvas = coloured(enlarged(picture))
    return canvas, canvas.shape[0] // picture.shape[0]


def _enlarged_masks(masks: np.ndarray, canvas: Picture, factor: int) -> np.ndarray:
    large = masks.repeat(factor, axis=1).repeat(factor, axis=2)  # (n, h, w) → (n, f·h, f·w)
    return large[:, : canvas.shape[0], : canvas.shape[1]]


def _names(
    boxes: np.ndarray, label: Sequence[int], classes: Sequence[str], score: Sequence[float] | None = None
) -> list[Label]:
    """What is written on each box: class and score, only the score where there is no room for both. The name of the only
    class says nothing and would hide small objects."""
    labels = []
    for i, (box, c) in enumerate(zip(boxes.tolist(), label, strict=True)):
        name = name_or_number(classes, c, LONGEST)
        named = (name if score is None else f"{name} {score[i]:.2f}",) if len(classes) > 1 else ()
        texts = (*named, *(() if score is None else (f"{score[i]:.2f}",)))
        labels.append(Label(tuple(box), texts, colour(c)))
    return labels


def line_width(picture: Picture) -> int:
    return max(1, min(picture.shape[:2]) // 160)


def _network(task: Task) -> tuple[Normalised, RegionNetwork, SelectionRule]:
    """The normalised network, the network in it, and the rule of its detections."""
    assert isinstance(task, Detection | InstanceSegmentation) and isinstance(task.model, Normalised)
    assert isinstance(task.model.network, RegionNetwork)
    return task.model, task.model.network, task.selection_rule


def _graphs(task: Task, shape: Shape) -> dict[str, Graph]:
    model, network, _ = _network(task)
    size = shape[1:]
    table: dict[str, str | None] = {"table": "batch"}
    regions: dict[str, str | None] = {"proposals": "regions", "sample": "regions"}
    found: dict[str, str | None] = {"logit": "batch", "boxes": "batch", "level": None}
    graphs = {
        "propose": Graph(Propose(model, size), {IMAGE: "batch"}, {**table, **found}, logits=("logit",)),
        "classify": Graph(
            Classify(network, size), {**table, **regions}, {"logits": "regions", "boxes": "regions"}, logits=("logits",)
        ),
    }
    if isinstance(task, InstanceSegmentation):
        inputs = {**table, **regions, "label": "regions"}
        graphs["mask"] = Graph(Mask(network, size), inputs, {"mask": "regions"}, logits=("mask",))
    return graphs


def _settings(task: Task, classes: int) -> dict[str, Any]:
    _, network, rule = _network(task)
    proposals = {"proposals": network.proposals[1], "proposal_overlap": SUPPRESSION, "smallest_proposal": SMALLEST}
    detections = {"score": rule.score, "overlap": rule.overlap, "limit": rule.limit, "smallest_box": MIN_SIDE}
    return {**proposals, **detections}


def exported_detections(outputs: Arrays) -> Detections | Instances:
    """The outputs of a decoding → the prediction of the task."""
    found = Detections(*(torch.from_numpy(outputs[name]) for name in ("boxes", "label", "score", "sample")))
    return Instances(found, torch.from_numpy(outputs["mask"])) if "mask" in outputs else found


REGION_EXPORT = Export(
    decoding="regions",
    graphs=_graphs,
    settings=_settings,
    prediction=exported_detections,
    difference=box_difference,
    figure="max_1_minus_iou",
    allowed=1.0,
)
