"""A prediction → what `predict` says of each image, in its original frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.decoding.segments import restored
from sightline.structures.batch import Batch
from sightline.structures.predictions import Classes, Detections, Instances, Prediction, Segments
from sightline.structures.targets import Boxes, Outlines, Target
from sightline.tasks.task import Task

TOP = 5
Keep = Callable[[int, np.ndarray], str | None]  # (id, class of each pixel (H, W)) → where it was written


def answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """One mapping an image: a label with its probability; a mask; or boxes, with run lengths where masks were asked."""
    if isinstance(prediction, Classes):
        return [_classified(probability, classes) for probability in prediction.probability.cpu()]
    if isinstance(prediction, Segments):
        return [_segmented(batch, row, prediction.score[row], classes, keep) for row in range(len(batch))]
    assert isinstance(prediction, Detections | Instances)
    return _found(task, batch, prediction, classes)


def nothing_known(kind: str, height: int, width: int) -> Target | None:
    """The target of an image of which nothing is known but that a task of this kind looks at it."""
    none = Boxes(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64))
    if kind == "detection":
        return none
    if kind == "instances":
        return Outlines(none, torch.zeros(0, height, width, dtype=torch.bool))
    return None


def _classified(probability: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    best, index = probability.topk(min(TOP, len(classes)))
    top = [[classes[i], p] for p, i in zip(best.tolist(), index.tolist(), strict=True)]
    return {"label": top[0][0], "probability": top[0][1], "top": top}


def _segmented(batch: Batch, row: int, score: Tensor, classes: Sequence[str], keep: Keep) -> dict[str, Any]:
    height, width = batch.size[row].tolist()
    high, wide = batch.natural[row].tolist()
    index = restored(score[:, :height, :width], batch.frame[row], (high, wide)).cpu().numpy()
    shares = np.bincount(index.ravel(), minlength=len(classes)) / index.size
    seen = {classes[c]: float(shares[c]) for c in np.argsort(-shares, kind="stable").tolist() if shares[c]}
    return {"mask": keep(int(batch.id[row]), index.astype(np.uint8)), "shares": seen}


def _found(
    task: Task, batch: Batch, prediction: Detections | Instances, classes: Sequence[str]
) -> list[dict[str, Any]]:
    kind = "instances" if isinstance(prediction, Instances) else "detection"
    target = nothing_known(kind, *batch.image.shape[2:])
    assert target is not None
    if isinstance(target, Outlines):
        empty = tuple(torch.zeros(0, *size, dtype=torch.bool) for size in batch.natural.tolist())
        target = replace(target, natural=empty)
    rows = task.rows(replace(batch, target=target), prediction)
    found: list[dict[str, Any]] = [{"boxes": []} for _ in range(len(batch))]
    for i, (image, label, score, xyxy) in enumerate(
        zip(rows.image.tolist(), rows.label.tolist(), rows.score.tolist(), rows.boxes.tolist(), strict=True)
    ):
        box = {"label": classes[label], "score": score, "xyxy": xyxy}
        if rows.found_rle:
            size = rows.size[image].tolist()
            box["rle"] = {"size": size, "counts": rows.found_rle[i].decode("ascii")}
        found[image]["boxes"].append(box)
    return found
