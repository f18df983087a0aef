"""Answers in the batch's pixels → in the original image's."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor

from sightline.structures.batch import Batch
from sightline.structures.frames import inverse, move_boxes


def original_boxes(boxes: Float[Tensor, "n 4"], sample: Int[Tensor, "n"], batch: Batch) -> Float[np.ndarray, "n 4"]:
    """Boxes of the batch's frame in the original images', cut at their edges; float64."""
    there = boxes.cpu().double().numpy().copy()
    of = sample.cpu().numpy()
    for image, (frame, (height, width)) in enumerate(zip(batch.frame, batch.natural.tolist(), strict=True)):
        mine = of == image
        back = move_boxes(there[mine], inverse(frame.cpu().double().numpy()))
        there[mine] = back.clip(0, (width, height, width, height))
    return there
