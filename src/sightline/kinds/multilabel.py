"""Any number of labels for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn

from sightline.data.dataset import Dataset
from sightline.data.formats.answers import as_tags
from sightline.drawing.predictions import paint_tags
from sightline.evaluation.label_rows import read_label_rows, write_label_rows
from sightline.evaluation.labels import LabelJudgement, judge_labels
from sightline.exports.agreement import label_difference
from sightline.exports.plan import IMAGE, Arrays, Export, Graph, Shape
from sightline.metrics.multilabel import best_threshold
from sightline.recipes.assembly import build_model
from sightline.recipes.defaults import classifier_defaults
from sightline.recipes.loading import Truths
from sightline.recipes.recipe import Recipe, TaskSection
from sightline.reports.parts.answers.tags import TAGS
from sightline.reports.split_evaluation import RowsFormat
from sightline.runtime.choosing import choose_labels
from sightline.structures.batch import Batch
from sightline.structures.predictions import LabelScores, Prediction
from sightline.structures.rows.labels import LabelRows
from sightline.structures.targets import Target, Values
from sightline.tasks.multilabel import Multilabel
from sightline.tasks.task import Task

from .annotated import annotated_target
from .diagnosed.image_scores import of_labels
from .kind import Answers, Drawings, Facts, Keep, Kind, Networks, Scoring, Sensitivity, Setting
from .questions.scores import ask_label

NAME = "multilabel"
OUTPUT = "class scores"  # of its networks, as `MODELS` files them
TOP = 5  # most labels that a prediction lists besides those that it gives
THRESHOLD = 0.5  # until a validation split has chosen one
NAMED = 4  # labels of an image under its picture


class MultilabelSection(TaskSection):
    kind: Literal["multilabel"] = "multilabel"


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    return {"model": build_model(recipe, classes, OUTPUT)}


def _task(networks: Networks, setting: Setting) -> Multilabel:
    threshold = float(setting.facts.get("threshold", THRESHOLD))
    return Multilabel(setting.normalised(networks["model"]), threshold=threshold)


def _facts(data: Dataset, ids: Any, recipe: Recipe) -> dict[str, Any]:
    return {"threshold": THRESHOLD}


def _settle(rows: LabelRows) -> dict[str, Any]:
    return {"threshold": best_threshold(rows.target, rows.probability)}


def _under(rows: LabelRows, facts: Facts) -> LabelRows:
    return replace(rows, threshold=float(facts["threshold"]))


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """The labels from the run's threshold on, with their probabilities, and the most likely ones."""
    assert isinstance(prediction, LabelScores) and isinstance(task, Multilabel)
    return [_answer(probability, classes, task.threshold) for probability in prediction.probability.cpu()]


def _answer(probability: Tensor, classes: Sequence[str], threshold: float) -> dict[str, Any]:
    best, index = probability.sort(descending=True, stable=True)
    ranked = [[classes[i], p] for p, i in zip(best.tolist(), index.tolist(), strict=True)]
    own = {name: p for name, p in ranked if p >= threshold}
    return {"labels": own, "top": ranked[: min(TOP, len(ranked))], "threshold": threshold}


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    return ", ".join(row["labels"]) or "none", ", ".join(f"{p:.4f}" for p in row["labels"].values())


def _lines(row: dict[str, Any]) -> list[dict[str, Any]]:
    """One line an image; its labels and their probabilities stand between vertical bars."""
    if "error" in row:
        return [row]
    labels = row["labels"]
    return [row | {"labels": "|".join(labels), "probability": "|".join(f"{p:.6g}" for p in labels.values())}]


def _label(target: Target, row: int, classes: Sequence[str]) -> str | None:
    assert isinstance(target, Values)
    if not bool(target.known[row].any()):
        return None
    own = [classes[c] for c in torch.nonzero(target.value[row] == 1).flatten().tolist()]
    return ", ".join(own[:NAMED]) + (" …" if len(own) > NAMED else "") if own else "none"


def _worst(judgement: LabelJudgement) -> list[int]:
    return list(judgement.worst)


def _graphs(task: Task, shape: Shape) -> dict[str, Graph]:
    assert isinstance(task, Multilabel)
    return {"model": Graph(task.model, {IMAGE: "batch"}, {"scores": "batch"}, logits=("scores",))}


def _settings(task: Task, classes: int) -> dict[str, Any]:
    assert isinstance(task, Multilabel)
    return {"top": min(TOP, classes), "threshold": task.threshold}


def _exported(outputs: Arrays) -> LabelScores:
    return LabelScores(torch.from_numpy(outputs["scores"]).sigmoid())


MULTILABEL = Kind(
    name=NAME,
    section=MultilabelSection,
    accepts=lambda source: source.annotations is not None and source.annotations.knows == "tags",
    reads=as_tags,
    facts=_facts,
    defaults=partial(classifier_defaults, output=OUTPUT),
    networks=_networks,
    task=_task,
    output=OUTPUT,
    truths=Truths(annotated_target, lambda data, ids, pixels, natural: 8 * len(data.classes) + 0 * pixels),
    scoring=Scoring(
        rows=RowsFormat(write_label_rows, read_label_rows, judge_labels),
        monitors=("map", "micro_f1", "macro_f1"),
        headline="map",
        batch=256,
        train_images=2_000,
        views=True,
        worst=_worst,
        threshold=lambda judgement: judgement.threshold,
        settle=_settle,
        under=_under,
        per_image=of_labels,
    ),
    answers=Answers(
        of=_answers,
        columns=("labels", "probability"),
        heads=("labels", "probability"),
        cells=_cells,
        lines=_lines,
        batch=64,
        draw=paint_tags,
        averaged=True,
        choose=choose_labels,
    ),
    drawings=Drawings(label=_label, columns=8),
    chapter=TAGS,
    export=Export(
        decoding="label scores",
        graphs=_graphs,
        settings=_settings,
        prediction=_exported,
        difference=label_difference,
        figure="max_probability_difference",
        page=False,
    ),
    sensitivity=Sensitivity(ask_label),
)
