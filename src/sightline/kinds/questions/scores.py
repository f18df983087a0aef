"""The score that `explain` explains, for each kind of task that has one.

a class     its un-normalised score
a region    the sum of a class's scores over the pixels where it is predicted (Vinogradova, Dibrov & Myers 2020,
            arXiv:2002.11434)
an object   the score of the detection that matches the chosen box, 0 if there is none any more
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import DataError, UsageError
from sightline.explanation.question import Choice, Question
from sightline.explanation.subject import Subject
from sightline.structures.batch import Batch
from sightline.structures.boxes import iou
from sightline.structures.predictions import Detections, Instances
from sightline.structures.regions import GivenOutputs, RegionOutputs
from sightline.tasks.classification import Classification
from sightline.tasks.detection import Detection
from sightline.tasks.instances import InstanceSegmentation
from sightline.tasks.multilabel import Multilabel
from sightline.tasks.regression import Regression
from sightline.tasks.segmentation import Segmentation
from sightline.tasks.task import Task

MATCH = 0.5  # IoU from which a detection is the chosen object


def ask_class(task: Task, batch: Batch, choice: Choice, classes: Sequence[str]) -> Question:
    """Of the chosen class, or of the most probable one."""
    assert isinstance(task, Classification)
    _require_no_object(choice)
    with torch.no_grad():
        probability = task.predict(batch).probability[0]
    best = int(probability.argmax())
    target = best if choice.target is None else choice.target
    answer = f"{classes[best]} ({float(probability[best]):.1%})"
    if target != best:
        answer += f"; {classes[target]} {float(probability[target]):.1%}"
    return Question(Subject(task.model, task.model), target, f"the score of {classes[target]!r}", answer)


def ask_label(task: Task, batch: Batch, choice: Choice, classes: Sequence[str]) -> Question:
    """Of the chosen label, or of the most probable one."""
    assert isinstance(task, Multilabel)
    _require_no_object(choice)
    with torch.no_grad():
        probability = task.predict(batch).probability[0]
    target = int(probability.argmax()) if choice.target is None else choice.target
    answer = f"{classes[target]} ({float(probability[target]):.1%})"
    return Question(Subject(task.model, task.model, classes=False), target, f"the score of {classes[target]!r}", answer)


def ask_number(task: Task, batch: Batch, choice: Choice, classes: Sequence[str]) -> Question:
    """The predicted value of the chosen target, or of the first, in the data's own units."""
    assert isinstance(task, Regression)
    _require_no_object(choice)
    target = 0 if choice.target is None else choice.target
    with torch.no_grad():
        value = float(task.predict(batch).value[0, target])

    def scores(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        return task.model(pixels).float() * task.std + task.mean

    subject = Subject(task.model, scores, classes=False)
    return Question(subject, target, f"the value of {classes[target]!r}", f"{classes[target]} = {value:.6g}")


def ask_region(task: Task, batch: Batch, choice: Choice, classes: Sequence[str]) -> Question:
    """Of the chosen class, or of the one with the largest region."""
    assert isinstance(task, Segmentation)
    _require_no_object(choice)
    with torch.no_grad():
        index = task.predict(batch).score[0].argmax(0)  # (h, w)
    counts = torch.bincount(index.flatten(), minlength=len(classes))
    target = int(counts.argmax()) if choice.target is None else choice.target
    region = index == target
    if not bool(region.any()):
        there = ", ".join(classes[c] for c in counts.argsort(descending=True).tolist() if counts[c])
        raise DataError(f"no pixel is predicted as {classes[target]!r}", f"choose one of {there}")

    def scores(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        return (task.model(pixels) * region).sum((2, 3))

    share = float(counts[target]) / region.numel()
    return Question(
        Subject(task.model, scores, classes=False, dense=True, batch=4),
        target,
        f"the scores of {classes[target]!r} in its region, summed",
        f"{classes[target]} in {share:.1%} of the pixels",
        region=region.cpu().numpy(),
    )


def ask_object(task: Task, batch: Batch, choice: Choice, classes: Sequence[str]) -> Question:
    """Of the chosen detection (0 is the surest); of the surest of a class where only that is chosen."""
    assert isinstance(task, Detection | InstanceSegmentation)
    size = batch.size

    def answer(pixels: Float[Tensor, "b c h w"]) -> RegionOutputs:
        return task.model(pixels, size.expand(len(pixels), 2), None, task.selection_rule)

    return ask_detection(task, batch, choice, classes, answer)


def ask_detection(
    task: Task,
    batch: Batch,
    choice: Choice,
    classes: Sequence[str],
    answer: Callable[[Float[Tensor, "b c h w"]], RegionOutputs | GivenOutputs],
) -> Question:
    """See `ask_object`; `answer` is the network as a function of the pixels."""
    assert isinstance(task.model, nn.Module)
    with torch.no_grad():
        prediction = task.predict(batch)
    there = prediction.detections if isinstance(prediction, Instances) else prediction
    assert isinstance(there, Detections)
    row = row_of(there, choice, classes)
    box, label = there.boxes[row], int(there.label[row])

    def scores(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b 1"]:
        outputs = answer(pixels)
        assert outputs.detections is not None
        kept = outputs.detections
        overlap = iou(kept.boxes.detach(), box[None])[:, 0].where(kept.label == label, 0.0)  # (d,)
        nothing = outputs.class_logits.sum() * 0  # a score of 0 that gradients can be asked for
        rows = []
        for image in range(len(pixels)):
            here = overlap.where(kept.sample == image, 0.0)
            found = len(here) > 0 and float(here.max()) >= MATCH
            rows.append(kept.score[here.argmax()] + nothing if found else nothing)
        return torch.stack(rows)[:, None]

    name, sure = classes[label], float(there.score[row])
    return Question(
        Subject(task.model, scores, classes=False, dense=True, batch=2),
        0,
        f"the score of object {row}, {name!r}",
        f"object {row} of {len(there.score)}: {name} ({sure:.1%})",
        box=tuple(box.tolist()),
    )


def row_of(there: Detections, choice: Choice, classes: Sequence[str]) -> int:
    """The chosen detection's row. DataError where nothing is detected, UsageError for an object that is not there."""
    if not len(there.score):
        raise DataError("no object is detected in this image", "choose another image")
    order = there.score.argsort(descending=True, stable=True).tolist()
    if choice.number is not None:
        if not 0 <= choice.number < len(order):
            raise UsageError(f"there is no object {choice.number}", f"choose 0 to {len(order) - 1}; 0 is the surest")
        if choice.target is not None and int(there.label[order[choice.number]]) != choice.target:
            raise UsageError(
                f"object {choice.number} is {classes[int(there.label[order[choice.number]])]!r}", "leave out --target"
            )
        return int(order[choice.number])
    of_class = [row for row in order if choice.target is None or int(there.label[row]) == choice.target]
    if not of_class:
        assert choice.target is not None
        raise DataError(f"no {classes[choice.target]!r} is detected in this image", "choose another class or image")
    return int(of_class[0])


def _require_no_object(choice: Choice) -> None:
    if choice.number is not None:
        raise UsageError("--object needs a run that detects objects", "use --target with the name of a class")
