"""What decodings of detectors share: which boxes are kept, and the rows of those in the original frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from sightline.structures.frames import inverse, move_boxes

from .decodings import Arrays, Frames
from .suppression import suppress


def kept_detections(
    boxes: Float[np.ndarray, "r k 4"],
    score: Float[np.ndarray, "r k"],
    sample: Int[np.ndarray, "r"],
    settings: Mapping[str, Any],
) -> Arrays:
    """Those above the threshold, suppressed class by class; image by image, best first."""
    region, label = np.nonzero(score > np.float32(settings["score"]))
    boxes, score, sample = boxes[region, label], score[region, label], sample[region]
    wide = wide_boxes(boxes, settings["smallest_box"])
    boxes, score, sample, label = boxes[wide], score[wide], sample[wide], label[wide]
    kept = [np.zeros(0, np.int64)]
    for image in np.unique(sample):
        here = np.flatnonzero(sample == image)
        best = suppress(boxes[here], score[here], label[here], settings["overlap"])
        kept.append(here[best[: settings["limit"]]])
    index = np.concatenate(kept)
    return {"boxes": boxes[index], "label": label[index], "score": score[index], "sample": sample[index]}


def wide_boxes(boxes: Float[np.ndarray, "n 4"], smallest: float) -> Bool[np.ndarray, "n"]:
    """Which boxes are at least `smallest` pixels wide and high."""
    return ((boxes[:, 2:] - boxes[:, :2]) >= np.float32(smallest)).all(1)


def box_rows(outputs: Arrays, frames: Frames, classes: Sequence[str]) -> tuple[list[dict[str, Any]], list[Any]]:
    """The boxes of each image, and every box again in the order of the outputs with its image, for further keys."""
    boxes = original_boxes(outputs["boxes"], outputs["sample"], frames)
    rows: list[dict[str, Any]] = [{"boxes": []} for _ in frames.natural]
    each = []
    for i, image in enumerate(outputs["sample"].tolist()):
        label, score = int(outputs["label"][i]), float(outputs["score"][i])
        box: dict[str, Any] = {"label": classes[label], "score": score, "xyxy": boxes[i].tolist()}
        rows[image]["boxes"].append(box)
        each.append((image, box, boxes[i]))
    return rows, each


def original_boxes(
    boxes: Float[np.ndarray, "n 4"], sample: Int[np.ndarray, "n"], frames: Frames
) -> Float[np.ndarray, "n 4"]:
    """Boxes of the network's frame in the original images', cut at their edges; float64."""
    there = boxes.astype(np.float64)
    for image, (frame, (height, width)) in enumerate(zip(frames.frame, frames.natural, strict=True)):
        mine = sample == image
        back = move_boxes(there[mine], inverse(frame.astype(np.float64)))
        there[mine] = back.clip(0, (width, height, width, height))
    return there
