"""The score that `explain` explains where an image is asked several questions."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.errors import UsageError
from sightline.explanation.question import Choice, Question
from sightline.explanation.subject import Subject
from sightline.structures.batch import Batch
from sightline.tasks.multitask import Multitask
from sightline.tasks.task import Task


def ask_answer(task: Task, batch: Batch, choice: Choice, classes: Sequence[str]) -> Question:
    """Of the chosen entry of a question: a number in the data's own units, or the un-normalised score of a class or a label;
    without a choice, of the answer to the first question."""
    assert isinstance(task, Multitask)
    if choice.number is not None:
        raise UsageError("--object needs a run that detects objects", "use --target with the name of an answer")
    with torch.no_grad():
        answers = task.predict(batch).value[0]
    first = task.heads[0]
    target = first.start + int(answers[first.place].argmax()) if choice.target is None else choice.target
    head = next(head for head in task.heads if head.start <= target < head.stop)

    def scores(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        return task.model(pixels).float() * task.std + task.mean

    value = float(answers[target])
    answer = f"{head.name} = {value:.6g}" if head.kind == "number" else f"{classes[target]} ({value:.1%})"
    what = "value" if head.kind == "number" else "score"
    subject = Subject(task.model, scores, classes=False)
    return Question(subject, target, f"the {what} of {classes[target]!r}", answer)
