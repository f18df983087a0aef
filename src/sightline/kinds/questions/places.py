"""What is explained and attacked where a network answers at every place at once: outputs with `boxes` (b, n, 4) and `score`
(b, n, k).

an object   the highest score of the chosen class among the places whose boxes match the chosen one, 0 if none does
harm        the mean cross-entropy of the scores at the places that answer for an object: it is gone when none of them is sure
            of its class any more (after Xie et al. 2017, arXiv:1703.08603)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.attacks.aim import Aim
from sightline.explanation.question import Choice, Question
from sightline.explanation.subject import Subject
from sightline.structures.batch import Batch
from sightline.structures.boxes import iou
from sightline.structures.predictions import Detections
from sightline.structures.targets import Boxes
from sightline.tasks.regions import boxes_of
from sightline.tasks.task import Task

from .exposure import FOUND, Harm
from .scores import MATCH, row_of

TINY = 1e-6  # a score below it counts as this: its logarithm is finite


def ask_place(task: Task, batch: Batch, choice: Choice, classes: Sequence[str]) -> Question:
    """Of the chosen detection (0 is the surest); of the surest of a class where only that is chosen."""
    with torch.no_grad():
        there = task.predict(batch)
    assert isinstance(there, Detections)
    network: Any = task.model
    row = row_of(there, choice, classes)
    box, label = there.boxes[row], int(there.label[row])

    def scores(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1"]:
        outputs = network(pixels, batch.size.expand(len(pixels), 2))
        of_class = outputs.score[..., label]  # (b, n)
        overlap = iou(outputs.boxes.detach().flatten(0, 1), box[None]).view_as(of_class)
        return of_class.where(overlap >= MATCH, 0.0).amax(1, keepdim=True)

    name, sure = classes[label], float(there.score[row])
    return Question(
        Subject(network, scores, classes=False, dense=True, batch=2),
        0,
        f"the score of object {row}, {name!r}",
        f"object {row} of {len(there.score)}: {name} ({sure:.1%})",
        box=tuple(box.tolist()),
    )


def harm_places(task: Task, batch: Batch, aim: Aim) -> Harm:
    """The mean over the places of an image's objects of minus the logarithm of the score of the object's class; with a target,
    of plus the logarithm of the target's score."""
    true = boxes_of(batch)
    true = true.take(~true.ignore)
    size = batch.size
    network: Any = task.model

    def harm(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b"]:
        outputs = network(pixels, size)
        rows = [_harm_of_image(outputs, image, true.take(true.sample == image), aim) for image in range(len(pixels))]
        return torch.stack(rows)

    return harm


def _harm_of_image(outputs: Any, image: int, true: Boxes, aim: Aim) -> Float[Tensor, ""]:
    score = outputs.score[image]  # (n, k)
    total = score.sum() * 0  # a value that gradients can be asked of, also without objects
    if not len(true.label):
        return total
    overlap, which = iou(outputs.boxes[image].detach(), true.boxes).max(1)  # (n,)
    on = overlap >= FOUND
    on[_nearest(outputs.boxes[image].detach(), true)] = (
        True  # where no box fits any more there is still something to lose
    )
    label = true.label[which[on]]
    wanted = label if aim.target is None else torch.full_like(label, aim.target)
    loss = -score[on].gather(1, wanted[:, None])[:, 0].clamp(min=TINY).log().mean()
    return total + (loss if aim.target is None else -loss)


def _nearest(boxes: Tensor, true: Boxes) -> Tensor:
    """For each object the place whose box is centred nearest to it."""
    centre, middle = ((b[:, :2] + b[:, 2:]) / 2 for b in (boxes, true.boxes))
    return torch.cdist(middle, centre).argmin(1)
