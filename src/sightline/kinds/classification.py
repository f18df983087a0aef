"""One class for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.data.formats.answers import as_classes
from sightline.drawing.predictions import paint_classes
from sightline.errors import UsageError
from sightline.evaluation.judgement import judge
from sightline.evaluation.label_errors.classes import find_in_classes
from sightline.evaluation.predictions import read_rows, write_rows
from sightline.exports.agreement import class_difference
from sightline.exports.plan import IMAGE, Arrays, Export, Graph, Shape
from sightline.losses.adversarial import EPS, STEPS, Adversary
from sightline.recipes.assembly import build_model, class_weight
from sightline.recipes.defaults import classifier_defaults
from sightline.recipes.recipe import Fraction, Recipe, TaskSection
from sightline.reports.parts.classes import CLASSES
from sightline.reports.split_evaluation import RowsFormat
from sightline.runtime.choosing import choose_label
from sightline.structures.batch import Batch
from sightline.structures.predictions import Classes, ClassRows, Prediction
from sightline.structures.targets import Labels, Target
from sightline.tasks.classification import Classification
from sightline.tasks.task import Task

from .diagnosed.image_scores import of_classes
from .kind import Answers, ClassWeight, Drawings, Keep, Kind, LabelCheck, Networks, Scoring, Sensitivity, Setting
from .questions.scores import ask_class

NAME = "classification"
OUTPUT = "class scores"  # of its networks, as `MODELS` files them
TOP = 5  # most classes that a prediction lists


class ClassificationSection(TaskSection):
    kind: Literal["classification"] = "classification"
    loss: Literal["cross_entropy", "hinge", "focal"] = "cross_entropy"
    label_smoothing: Fraction = 0.0
    class_weight: ClassWeight = "none"
    adversarial: Literal["pgd"] | None = Field(
        None, description="pgd: every step trains on images that were attacked first (Madry et al. 2017)"
    )
    eps: Annotated[float, Field(gt=0, le=255)] | None = Field(
        None, description="budget of task.adversarial in levels of 255 (8)"
    )
    steps: Annotated[int, Field(ge=1, le=1000)] | None = Field(None, description="its steps (7)")


def _check(recipe: Recipe) -> None:
    section = recipe.task
    assert isinstance(section, ClassificationSection)
    if section.loss != "cross_entropy" and section.label_smoothing:
        raise UsageError(
            f"task.label_smoothing has no effect with task.loss={section.loss}",
            "set task.label_smoothing=0, or task.loss=cross_entropy",
        )
    if section.loss != "cross_entropy" and (recipe.augment.mixup or recipe.augment.cutmix):
        raise UsageError(f"the {section.loss} loss takes no mixed labels", "leave augment.mixup and augment.cutmix out")
    for name in ("eps", "steps"):
        if getattr(section, name) is not None and section.adversarial is None:
            raise UsageError(f"task.{name} has no effect without task.adversarial", "set task.adversarial=pgd")


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    return {"model": build_model(recipe, classes, OUTPUT)}


def _task(networks: Networks, setting: Setting) -> Classification:
    section = setting.recipe.task
    assert isinstance(section, ClassificationSection)
    return Classification(
        setting.normalised(networks["model"]),
        loss=section.loss,
        label_smoothing=section.label_smoothing,
        class_weight=class_weight(section.class_weight, setting.amounts),
        adversary=_adversary(section, setting.recipe.seed),
    )


def _adversary(section: ClassificationSection, seed: int) -> Adversary | None:
    if section.adversarial is None:
        return None
    return Adversary(section.eps or EPS, section.steps or STEPS, seed)


def class_answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """The label with its probability, and the most likely classes."""
    assert isinstance(prediction, Classes)
    return [_answer(probability, classes) for probability in prediction.probability.cpu()]


def _answer(probability: Tensor, classes: Sequence[str]) -> dict[str, Any]:
    best, index = probability.topk(min(TOP, len(classes)))
    top = [[classes[i], p] for p, i in zip(best.tolist(), index.tolist(), strict=True)]
    return {"label": top[0][0], "probability": top[0][1], "top": top}


def class_cells(row: Mapping[str, Any]) -> tuple[str, str]:
    if row["label"] is None:
        return "", ""
    return row["label"], f"{row['probability']:.4f}{' uncertain' if row.get('uncertain') else ''}"


def _hardest(rows: ClassRows, classes: Sequence[str]) -> list[tuple[int, str]]:
    """By the cross-entropy of each image."""
    known = np.flatnonzero(rows.target >= 0)
    loss = -np.log(rows.probability[known, rows.target[known]].clip(1e-30))
    best = rows.probability[known].argmax(1)
    order = np.argsort(-loss, kind="stable")
    return [
        (int(rows.id[known[i]]), f"{classes[best[i]]} {rows.probability[known[i], best[i]]:.2f}, loss {loss[i]:.2f}")
        for i in order
    ]


def _label(target: Target, row: int, classes: Sequence[str]) -> str | None:
    assert isinstance(target, Labels)
    if not bool(target.known[row]) or not len(classes):
        return None
    if target.soft is None:
        return classes[int(target.index[row])]
    share, index = target.soft[row].topk(min(2, len(classes)))
    parts = [(classes[i], s) for s, i in zip(share.tolist(), index.tolist(), strict=True) if s > 0]
    return parts[0][0] if len(parts) == 1 else ", ".join(f"{name} {s:.2f}" for name, s in parts)


def _graphs(task: Task, shape: Shape) -> dict[str, Graph]:
    assert isinstance(task, Classification)
    return {"model": Graph(task.model, {IMAGE: "batch"}, {"scores": "batch"}, logits=("scores",))}


def _exported(outputs: Arrays) -> Classes:
    return Classes(torch.from_numpy(outputs["scores"]).softmax(-1))


CLASSIFICATION = Kind(
    name=NAME,
    section=ClassificationSection,
    accepts=lambda source: source.annotations is None,
    reads=as_classes,
    defaults=partial(classifier_defaults, output=OUTPUT),
    check=_check,
    networks=_networks,
    task=_task,
    output=OUTPUT,
    composites=("mixup", "cutmix"),
    solves=True,
    scoring=Scoring(
        rows=RowsFormat(write_rows, read_rows, judge),
        monitors=("accuracy", "balanced_accuracy", "macro_f1", "mcc"),
        headline="accuracy",
        batch=256,
        train_images=2_000,
        views=True,
        worst=lambda judgement: [mistake.id for mistake in judgement.mistakes],
        hardest=_hardest,
        per_image=of_classes,
        probabilities=lambda rows: (rows.target, rows.probability),
    ),
    answers=Answers(
        of=class_answers,
        columns=("label", "probability"),
        heads=("label", "probability"),
        cells=class_cells,
        batch=64,
        draw=paint_classes,
        averaged=True,
        choose=choose_label,
    ),
    drawings=Drawings(label=_label, columns=8),
    chapter=CLASSES,
    export=Export(
        decoding="class scores",
        graphs=_graphs,
        settings=lambda task, classes: {"top": min(TOP, classes)},
        prediction=_exported,
        difference=class_difference,
        figure="max_probability_difference",
    ),
    sensitivity=Sensitivity(ask_class),
    labels=LabelCheck(find_in_classes),
)
