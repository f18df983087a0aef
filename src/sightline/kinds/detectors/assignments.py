"""Which places of a single-shot network learn which object, as a picture."""

from __future__ import annotations

import numpy as np
import torch

from sightline.drawing.overlay import framed, object_colour
from sightline.structures.batch import Batch
from sightline.tasks.regions import boxes_of
from sightline.tasks.single_shot import SingleShot, assigned
from sightline.tasks.task import Task

from .. import regions
from ..kind import Learned

MARK = 0.4  # of the distance between places: the side of a place's mark
WHITE = (255, 255, 255)
MEANING = (
    "frames are the true objects; each filled square is a place of the network that learns the object of its colour, and is as "
    "large as the grid that it belongs to is coarse: 8, 16 or 32 pixels"
)


def draw_assignment(task: Task, batch: Batch) -> Learned:
    """Every image with its objects and the places that the network as it is now would learn each of them at."""
    assert isinstance(task, SingleShot)
    with torch.no_grad():
        outputs = task.model(batch.image, batch.size)
        true = boxes_of(batch)
        learned = assigned(outputs, true, task.assign)
    image, place, truth = (x.cpu().numpy() for x in (learned.image, learned.place, learned.truth))
    centre, stride = outputs.centre.cpu().numpy(), outputs.stride.cpu().numpy()
    of, boxes = true.sample.cpu().numpy(), true.boxes.cpu().numpy()
    pictures = []
    for row in range(len(batch)):
        canvas, factor = regions.enlarged_image(batch, row)
        mine = np.flatnonzero(of == row)
        hue = {int(t): object_colour(i) for i, t in enumerate(mine)}
        canvas = framed(canvas, boxes[mine] * factor, [hue[int(t)] for t in mine], thick=regions.line_width(canvas))
        chosen = np.flatnonzero(image == row)
        chosen = chosen[np.argsort(-stride[place[chosen]], kind="stable")]  # fine marks on coarse ones
        here = place[chosen]
        half = (MARK / 2 * stride[here])[:, None] * factor
        marks = np.concatenate((centre[here] * factor - half, centre[here] * factor + half), 1)
        hues = [hue[int(t)] for t in truth[chosen]]
        canvas = framed(canvas, marks, hues, thick=max(canvas.shape[:2]))
        pictures.append(framed(canvas, marks, [WHITE] * len(marks)))
    return Learned(pictures, MEANING)
