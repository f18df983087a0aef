"""What is explained and attacked where a network answers at every place of its maps.

an object   the highest score of the chosen class among the places whose boxes match the chosen one, 0 if none does
harm        the mean cross-entropy of the scores at the places that answer for an object: it is gone when none of them is sure
            of its class any more (after Xie et al. 2017, arXiv:1703.08603)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.attacks.aim import Aim
from sightline.explanation.question import Choice, Question
from sightline.explanation.subject import Subject
from sightline.structures.batch import Batch
from sightline.structures.boxes import iou
from sightline.structures.place_outputs import PlaceOutputs
from sightline.structures.targets import Boxes
from sightline.tasks.regions import boxes_of
from sightline.tasks.single_shot import SingleShot
from sightline.tasks.task import Task

from .exposure import FOUND, Harm
from .scores import MATCH, row_of

TINY = 1e-6  # a score below it counts as this: its logarithm is finite


def ask_place(task: Task, batch: Batch, choice: Choice, classes: Sequence[str]) -> Question:
    """Of the chosen detection (0 is the surest); of the surest of a class where only that is chosen."""
    assert isinstance(task, SingleShot)
    with torch.no_grad():
        there = task.predict(batch)
    row = row_of(there, choice, classes)
    box, label = there.boxes[row], int(there.label[row])

    def scores(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1"]:
        outputs: PlaceOutputs = task.model(pixels, batch.size.expand(len(pixels), 2))
        of_class = outputs.score[..., label]  # (b, n)
        overlap = iou(outputs.boxes.detach().flatten(0, 1), box[None]).view_as(of_class)
        return of_class.where(overlap >= MATCH, 0.0).amax(1, keepdim=True)

    name, sure = classes[label], float(there.score[row])
    return Question(
        Subject(task.model, scores, classes=False, dense=True, batch=2),
        0,
        f"the score of object {row}, {name!r}",
        f"object {row} of {len(there.score)}: {name} ({sure:.1%})",
        box=tuple(box.tolist()),
    )


def harm_places(task: Task, batch: Batch, aim: Aim) -> Harm:
    """The mean over the places of an image's objects of minus the logarithm of the score of the object's class; with a target,
    of plus the logarithm of the target's score."""
    assert isinstance(task, SingleShot)
    true = boxes_of(batch)
    true = true.take(~true.ignore)
    size = batch.size

    def harm(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b"]:
        outputs: PlaceOutputs = task.model(pixels, size)
        rows = [_harm_of_image(outputs, image, true.take(true.sample == image), aim) for image in range(len(pixels))]
        return torch.stack(rows)

    return harm


def _harm_of_image(outputs: PlaceOutputs, image: int, true: Boxes, aim: Aim) -> Float[Tensor, ""]:
    score = outputs.score[image]  # (n, k)
    total = score.sum() * 0  # a value that gradients can be asked of, also without objects
    if not len(true.label):
        return total
    overlap, which = iou(outputs.boxes[image].detach(), true.boxes).max(1)  # (n,)
    on = overlap >= FOUND
    on[_nearest(outputs, true)] = True  # where no box fits any more there is still something to lose
    label = true.label[which[on]]
    wanted = label if aim.target is None else torch.full_like(label, aim.target)
    loss = -score[on].gather(1, wanted[:, None])[:, 0].clamp(min=TINY).log().mean()
    return total + (loss if aim.target is None else -loss)


def _nearest(outputs: PlaceOutputs, true: Boxes) -> Tensor:
    """The place nearest to the centre of each object."""
    middle = (true.boxes[:, :2] + true.boxes[:, 2:]) / 2
    return torch.cdist(middle, outputs.centre).argmin(1)
