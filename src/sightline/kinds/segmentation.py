"""A class for each pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from sightline.data.dataset import Dataset
from sightline.decoding.segments import class_map
from sightline.drawing.labels import named_regions
from sightline.drawing.overlay import tinted
from sightline.drawing.png import enlarged
from sightline.drawing.predictions import paint_pixels
from sightline.evaluation.label_errors.pixels import find_in_pixels, pixel_evidence
from sightline.evaluation.segments import judge_segments
from sightline.evaluation.stored_rows import read_segment_rows, write_segment_rows
from sightline.exports.agreement import pixel_difference
from sightline.exports.plan import IMAGE, Arrays, Export, Graph, Shape
from sightline.recipes.assembly import build_model, class_weight
from sightline.recipes.defaults import Filled, Traits, dense_defaults
from sightline.recipes.loading import Truths
from sightline.recipes.recipe import Draft, Recipe, TaskSection
from sightline.reports.parts.pixels import PIXELS
from sightline.reports.split_evaluation import RowsFormat
from sightline.runtime.choosing import choose_shares
from sightline.structures.batch import Batch
from sightline.structures.predictions import Prediction, Segments
from sightline.structures.rows.segments import SegmentRows
from sightline.structures.targets import Masks
from sightline.tasks.segmentation import Segmentation
from sightline.tasks.task import Task

from .annotated import annotated_target
from .diagnosed.image_scores import of_segments
from .kind import (
    Answers,
    ClassWeight,
    Drawings,
    Exposure,
    Keep,
    Kind,
    LabelCheck,
    Networks,
    Picture,
    Scoring,
    Sensitivity,
    Setting,
    plain,
)
from .questions.exposure import count_pixels, focus_pixels, harm_pixels
from .questions.scores import ask_region

NAME = "segmentation"
OUTPUT = "pixel scores"  # of its networks, as `MODELS` files them
MODEL, PIXELS_OF_INPUT, STEPS = "unet_resnet18", 192 * 256, 700  # defaults for model, input size and training length
PRETRAINED = "unet_efficientnet_lite0"  # for photographs, where its encoder's weights are installed
NAMED = 3  # classes per image in the table of `predict`


class SegmentationSection(TaskSection):
    kind: Literal["segmentation"] = "segmentation"
    loss: Literal["cross_entropy", "dice", "cross_entropy+dice", "focal"] = "cross_entropy+dice"
    class_weight: ClassWeight = "none"


def _defaults(draft: Draft, traits: Traits) -> Filled:
    return dense_defaults(
        draft, traits, model=MODEL, pretrained=PRETRAINED, pixels=PIXELS_OF_INPUT, batch=8, steps=STEPS, adamw=1e-3
    )


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    return {"model": build_model(recipe, classes, OUTPUT)}


def _task(networks: Networks, setting: Setting) -> Segmentation:
    section = setting.recipe.task
    assert isinstance(section, SegmentationSection)
    weight = class_weight(section.class_weight, setting.amounts)
    model = setting.normalised(networks["model"])
    return Segmentation(model, classes=len(setting.amounts), loss=section.loss, class_weight=weight)


def _memory(data: Dataset, ids: np.ndarray, pixels: np.ndarray, natural: np.ndarray) -> np.ndarray:
    return 8 * pixels + natural  # a class index of eight bytes in the frame, one byte in the original


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """The share of each class, and the file of the mask if masks are written."""
    assert isinstance(prediction, Segments)
    return [_answer(batch, row, prediction.score[row], classes, keep) for row in range(len(batch))]


def _answer(batch: Batch, row: int, score: Tensor, classes: Sequence[str], keep: Keep) -> dict[str, Any]:
    height, width = batch.size[row].tolist()
    high, wide = batch.natural[row].tolist()
    index = class_map(score[:, :height, :width], batch.frame[row], (high, wide)).cpu().numpy()
    shares = np.bincount(index.ravel(), minlength=len(classes)) / index.size
    present = {classes[c]: float(shares[c]) for c in np.argsort(-shares, kind="stable").tolist() if shares[c]}
    return {"mask": keep(int(batch.id[row]), index.astype(np.uint8)), "shares": present}


def _hardest(rows: SegmentRows, classes: Sequence[str]) -> list[tuple[int, str]]:
    """By the mean loss of each image's pixels."""
    loss = rows.loss_sum / np.maximum(rows.pixels, 1)
    return [(int(rows.id[i]), f"loss {loss[i]:.2f}") for i in np.argsort(-loss, kind="stable") if rows.pixels[i]]


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    largest = list(row["shares"].items())[:NAMED]
    return ", ".join(f"{name} {100 * share:.1f} %" for name, share in largest), row["mask"] or ""


def _truth(batch: Batch, row: int, classes: Sequence[str]) -> Picture:
    target = batch.target
    assert isinstance(target, Masks)
    return _drawn(plain(batch, row), target.index[row], classes)


def _draw_answer(batch: Batch, row: int, classes: Sequence[str], prediction: Prediction, threshold: float) -> Picture:
    assert isinstance(prediction, Segments)
    return _drawn(plain(batch, row), prediction.score[row].argmax(0), classes)


def _drawn(picture: Picture, index: Tensor, classes: Sequence[str]) -> Picture:
    """Tints and names of the classes; the index (h, w) may be padded."""
    height, width, _ = picture.shape
    large = enlarged(index[:height, :width, None].cpu().numpy())  # (h, w, 1) → (f·h, f·w, 1)
    return named_regions(tinted(enlarged(picture), large[..., 0]), large[..., 0], classes)


def _graphs(task: Task, shape: Shape) -> dict[str, Graph]:
    assert isinstance(task, Segmentation)
    return {"model": Graph(task.model, {IMAGE: "batch"}, {"scores": "batch"}, logits=("scores",))}


def _exported(outputs: Arrays) -> Segments:
    return Segments(torch.from_numpy(outputs["scores"]))


SEGMENTATION = Kind(
    name=NAME,
    section=SegmentationSection,
    accepts=lambda source: source.annotations is not None and source.annotations.knows == "masks",
    defaults=_defaults,
    networks=_networks,
    task=_task,
    output=OUTPUT,
    truths=Truths(annotated_target, _memory),
    composites=("mosaic",),
    scoring=Scoring(
        rows=RowsFormat(write_segment_rows, read_segment_rows, judge_segments),
        monitors=("mean_iou", "pixel_accuracy", "mean_dice"),
        headline="mean_iou",
        worst=lambda judgement: [w.id for w in judgement.worst],
        hardest=_hardest,
        per_image=of_segments,
    ),
    answers=Answers(
        of=_answers,
        columns=(),
        heads=("shares", "mask"),
        cells=_cells,
        folder=True,
        draw=paint_pixels,
        averaged=True,
        choose=choose_shares,
        confident=False,
    ),
    drawings=Drawings(truth=_truth, answer=_draw_answer),
    chapter=PIXELS,
    export=Export(
        decoding="pixel scores",
        graphs=_graphs,
        settings=lambda task, classes: {},
        prediction=_exported,
        difference=pixel_difference,
        figure="max_share_of_differing_pixels",
    ),
    sensitivity=Sensitivity(ask_region, Exposure(focus_pixels, harm_pixels, count_pixels, "pixels")),
    labels=LabelCheck(find_in_pixels, pixel_evidence),
)
