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
from sightline.drawing.overlay import MISSED, RIGHT, WRONG, colour, framed, outlined
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

from .kind import Keep, Picture, plain

LIGHT = {"width": 128, "hidden": 256, "samples": [256, 128], "proposals": [500, 300]}  # small enough to train on a CPU
PIXELS_OF_INPUT, STEPS = 256 * 320, 400  # defaults for input size and training length
NAMED = 3  # objects per image in the table of `predict`


class RegionSection(TaskSection):
    score_threshold: Annotated[float, Field(ge=0, le=0.01)] = Field(
        0.01, description="boxes with lower scores are dropped"
    )
    nms_threshold: Fraction = Field(0.5, description="IoU above which the worse of two boxes of a class is dropped")
    limit: PositiveInt = Field(100, description="most objects per image")


def region_defaults(draft: Draft, traits: Traits, *, model: str) -> Filled:
    """By default a light network whose smallest anchors match the small objects of the data."""
    filled = dense_defaults(draft, traits, model=model, pixels=PIXELS_OF_INPUT, batch=4, steps=STEPS, adamw=3e-4)
    if draft.model.name is None:
        side = traits.small_object * math.sqrt(filled["input"]["size"] * filled["input"]["width"])
        first = 2 ** min(max(math.floor(math.log2(max(side, 1.0))), 2), 5)
        own = {"anchor_sizes": [first * 2**level for level in range(5)]}
        filled["model"]["options"] = {**LIGHT, **own, **draft.model.options}
    return filled


def region_networks(recipe: Recipe, classes: int, *, output: str) -> dict[str, nn.Module]:
    """The network. If it starts from `model.weights`, its batch norms are frozen: batches of a few images are too small for
    batch statistics."""
    network = build_model(recipe, classes, output)
    if recipe.model.weights is not None:
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


def draw_boxes(batch: Batch, row: int) -> Picture:
    picture, target = plain(batch, row), batch.target
    assert isinstance(target, Boxes)
    mine = target.take(target.sample == row)
    return framed(picture, mine.boxes.cpu().numpy(), [colour(c) for c in mine.label.tolist()], thick=_thick(picture))


def draw_outlines(batch: Batch, row: int) -> Picture:
    picture, target = plain(batch, row), batch.target
    assert isinstance(target, Outlines)
    height, width, _ = picture.shape
    own = target.take(target.boxes.sample == row)
    masks = own.mask[:, :height, :width].cpu().numpy()
    return outlined(picture, masks, [colour(c + i) for i, c in enumerate(own.boxes.label.tolist())])


def draw_answer(batch: Batch, row: int, prediction: Prediction, threshold: float) -> Picture:
    """Predictions with at least the score `threshold`: green if they match an object of their class (IoU 0.5), else red;
    missed objects are yellow."""
    assert isinstance(prediction, Detections | Instances)
    picture = plain(batch, row)
    detections = prediction.found if isinstance(prediction, Instances) else prediction
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
    hues = [RIGHT if one == HIT else WRONG for one in outcome[counted]]
    left = ~ignore
    left[met[met >= 0]] = False
    missed = true.boxes.cpu().numpy()[left]
    if isinstance(prediction, Instances):
        masks = paste_masks(prediction.mask[which], boxes, picture.shape[:2])
        picture = outlined(picture, masks.cpu().numpy(), hues)
    else:
        picture = framed(picture, boxes.cpu().numpy(), hues, thick=_thick(picture))
    return framed(picture, missed, [MISSED] * len(missed), thick=_thick(picture))


def _thick(picture: Picture) -> int:
    return max(1, min(picture.shape[:2]) // 128)


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


def _exported(outputs: Arrays) -> Detections | Instances:
    found = Detections(*(torch.from_numpy(outputs[name]) for name in ("boxes", "label", "score", "sample")))
    return Instances(found, torch.from_numpy(outputs["mask"])) if "mask" in outputs else found


REGION_EXPORT = Export(
    decoding="regions",
    graphs=_graphs,
    settings=_settings,
    prediction=_exported,
    difference=box_difference,
    figure="max_1_minus_iou",
    allowed=1.0,
)
