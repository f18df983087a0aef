"""Networks on given regions behind the kind `detection`: R-CNN, R-CNN minus R and Fast R-CNN. Where their regions come from,
their task, and how an answer depends on the pixels while the regions stay what they were."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.attacks.aim import Aim
from sightline.explanation.question import Choice, Question
from sightline.models.boxes.proposals.fast_rcnn import FastRCNN
from sightline.models.boxes.proposals.rcnn import RCNN
from sightline.models.create import outline
from sightline.preprocessing.normalise import Normalised
from sightline.proposals.proposer import FIXED, Proposer
from sightline.recipes.recipe import Recipe
from sightline.storage.caching import cache_folder
from sightline.structures.batch import Batch
from sightline.structures.boxes import iou
from sightline.structures.regions import GivenOutputs
from sightline.tasks.proposals.given import GivenRegions
from sightline.tasks.regions import boxes_of
from sightline.tasks.task import Task

from .. import regions
from ..kind import Setting
from ..questions.exposure import NEAR, Harm
from ..questions.scores import ask_detection


def proposer(network: FastRCNN | RCNN) -> Proposer:
    """Where the regions of this network come from."""
    return Proposer(network.regions, network.limit, cache_folder() / "proposals")


def propose(recipe: Recipe) -> Proposer | None:
    """What proposes the regions of the training images; None where they do not depend on the pixels."""
    network = outline(recipe.model.name, **recipe.model.options)
    assert isinstance(network, FastRCNN | RCNN)
    return None if network.regions == FIXED else proposer(network)


def task(model: Normalised, setting: Setting) -> GivenRegions:
    network = model.network
    assert isinstance(network, FastRCNN | RCNN)
    return GivenRegions(
        model,
        classes=len(setting.amounts),
        propose=proposer(network),
        fitted=network.fitted,
        **regions.selection(setting.recipe),
    )


def ask(task: Task, batch: Batch, choice: Choice, classes: Sequence[str]) -> Question:
    """Of the chosen detection; the regions stay those of the image as it is."""
    return ask_detection(task, batch, choice, classes, _held(task, batch))


def harm(task: Task, batch: Batch, aim: Aim) -> Harm:
    """The mean cross-entropy of the regions on each image's objects; with a target, minus that of the target."""
    true = boxes_of(batch)
    true = true.take(~true.ignore)
    answer = _held(task, batch)

    def of(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b"]:
        outputs = answer(pixels)
        rows = []
        for image in range(len(pixels)):
            mine, objects = (outputs.sample == image).nonzero()[:, 0], true.take(true.sample == image)
            row = outputs.class_logits.sum() * 0  # a value that gradients can be asked of, also without objects
            if len(objects.label) and len(mine):
                overlap, which = iou(outputs.regions[mine], objects.boxes).max(1)
                near, label = overlap >= NEAR, objects.label[which]
                wanted = label if aim.target is None else torch.full_like(label, aim.target)
                if bool(near.any()):
                    loss = F.cross_entropy(outputs.class_logits[mine[near]].float(), wanted[near] + 1)
                    row = row + (loss if aim.target is None else -loss)
            rows.append(row)
        return torch.stack(rows)

    return of


def _held(task: Task, batch: Batch) -> Callable[[Float[Tensor, "n c h w"]], GivenOutputs]:
    """The network as a function of the pixels, with the regions that these images have now. For more images than the batch
    has, these are changed copies of its only one."""
    assert isinstance(task, GivenRegions)
    boxes, sample = task.given(batch)

    def answer(pixels: Float[Tensor, "n c h w"]) -> Any:
        copies = len(pixels) // len(batch)
        every = sample.repeat(copies) + torch.arange(copies, device=sample.device).repeat_interleave(len(sample)) * len(
            batch
        )
        size = batch.size.repeat(copies, 1)
        return task.model(pixels, size, None, task.selection_rule, given=(boxes.repeat(copies, 1), every))

    return answer
