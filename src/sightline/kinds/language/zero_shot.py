"""Classes that nobody trained: each label becomes a sentence, and an image is of the label whose sentence it is nearest to.

    "a photo of a {}: cat, dog"                    two prompts
    "a photo of a {} | a drawing of a {}: cat, dog"   the mean of two prompts for each label
    "a dog on a beach, two cats"                   the labels are the prompts

Radford et al. 2021, arXiv:2103.00020, section 3.1.4
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch

from sightline.errors import UsageError
from sightline.structures.batch import Batch
from sightline.structures.predictions import Embeddings, Prediction
from sightline.tasks.language.contrastive import Contrastive
from sightline.tasks.task import Task

from ..kind import Answers, Keep

TOP = 5  # labels that an answer lists
PLACE = "{}"


class Labels(NamedTuple):
    """`names` of the labels, and the prompts of each."""

    names: tuple[str, ...]
    prompts: tuple[tuple[str, ...], ...]


def labels_of(text: str) -> Labels:
    """The labels that a text names. UsageError with fewer than two, or one twice."""
    head, colon, tail = text.partition(":")
    templates = [part.strip() for part in head.split("|")] if colon and PLACE in head else [PLACE]
    names = tuple(name.strip() for name in (tail if templates != [PLACE] else text).split(",") if name.strip())
    if missing := [template for template in templates if PLACE not in template]:
        raise UsageError(f"--labels: the prompt '{missing[0]}' has no place for a label", "write {} where it belongs")
    if len(set(names)) < max(len(names), 2):
        raise UsageError(
            f"--labels names {len(set(names))} different labels",
            'name at least two, each once, such as "a photo of a {}: cat, dog"',
        )
    return Labels(names, tuple(tuple(template.replace(PLACE, name) for template in templates) for name in names))


def label_answers(answers: Answers, task: Task, text: str) -> Answers:
    """The answers of a run that chooses among these labels; the prompts are in every row."""
    assert isinstance(task, Contrastive)
    labels = labels_of(text)
    with torch.inference_mode():
        vectors = task.eval().prototypes(labels.prompts)

    def of(
        task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
    ) -> list[dict[str, Any]]:
        assert isinstance(task, Contrastive) and isinstance(prediction, Embeddings)
        image = prediction.vector.unflatten(1, (2, -1))[:, 0]
        return [_answer(row, labels) for row in task.probabilities(image, vectors.to(image.device)).tolist()]

    return replace(answers, of=of, columns=("label", "probability"), heads=("label", "probability"), cells=_cells)


def _answer(probabilities: Sequence[float], labels: Labels) -> dict[str, Any]:
    order = sorted(range(len(labels.names)), key=lambda k: (-probabilities[k], k))
    best = order[0]
    return {
        "label": labels.names[best],
        "probability": probabilities[best],
        "top": [[labels.names[k], probabilities[k]] for k in order[:TOP]],
        "prompts": list(labels.prompts[best]),
    }


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    return row["label"], f"{row['probability']:.3f}"
