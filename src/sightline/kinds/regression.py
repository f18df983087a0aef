"""One or several numbers for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.data.dataset import Dataset
from sightline.data.formats.answers import as_numbers
from sightline.drawing.predictions import paint_values
from sightline.evaluation.label_rows import read_number_rows, write_number_rows
from sightline.evaluation.numbers import NumberJudgement, judge_numbers
from sightline.exports.agreement import number_difference
from sightline.exports.plan import IMAGE, Export, Graph, Shape
from sightline.recipes.assembly import build_model
from sightline.recipes.defaults import Filled, Traits, classifier_defaults
from sightline.recipes.loading import Truths
from sightline.recipes.recipe import Draft, Recipe, TaskSection
from sightline.reports.parts.answers.measurements import MEASUREMENTS
from sightline.reports.split_evaluation import RowsFormat
from sightline.runtime.choosing import choose_values
from sightline.structures.batch import Batch
from sightline.structures.predictions import Numbers, Prediction
from sightline.structures.targets import Target, Values
from sightline.tasks.regression import Regression
from sightline.tasks.task import Task

from .annotated import annotated_target
from .diagnosed.image_scores import of_numbers
from .kind import Answers, Drawings, Keep, Kind, Networks, Scoring, Sensitivity, Setting
from .questions.scores import ask_number

NAME = "regression"
OUTPUT = "class scores"  # of its networks, as `MODELS` files them: one output a target
CLIP = 1.0  # squared errors of values far from the mean have large gradients
SHOWN = 3  # targets of an image under its picture


class RegressionSection(TaskSection):
    kind: Literal["regression"] = "regression"
    loss: Literal["l2", "l1", "huber"] = Field(
        "l2",
        description="of standardised values: squared, absolute, or Huber's with a corner at one standard deviation",
    )


def _defaults(draft: Draft, traits: Traits) -> Filled:
    filled = classifier_defaults(draft, traits, output=OUTPUT)
    filled["fit"]["clip"] = CLIP if draft.fit.clip is None else draft.fit.clip
    return filled


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    return {"model": build_model(recipe, classes, OUTPUT)}


def _facts(data: Dataset, ids: np.ndarray, recipe: Recipe) -> dict[str, Any]:
    """Mean and standard deviation of each target over the training images that know it; 1 where all are equal."""
    values = np.stack([np.asarray(data.truth(int(i))) for i in ids])  # (n, t)
    known = [column[~np.isnan(column)] for column in values.T]
    spread = [float(column.std()) if len(column) else 0.0 for column in known]
    return {
        "mean": [float(column.mean()) if len(column) else 0.0 for column in known],
        "std": [std if std > 0 else 1.0 for std in spread],
    }


def _task(networks: Networks, setting: Setting) -> Regression:
    section = setting.recipe.task
    assert isinstance(section, RegressionSection)
    mean, std = (torch.tensor(setting.facts[name], dtype=torch.float32) for name in ("mean", "std"))
    return Regression(setting.normalised(networks["model"]), mean=mean, std=std, loss=section.loss)


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """The value of each target by its name, in the units of the data."""
    assert isinstance(prediction, Numbers)
    return [{"values": dict(zip(classes, row, strict=True))} for row in prediction.value.cpu().tolist()]


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    return ", ".join(row["values"]), ", ".join(f"{value:.6g}" for value in row["values"].values())


def _lines(row: dict[str, Any]) -> list[dict[str, Any]]:
    """One line for each target."""
    if "error" in row:
        return [row]
    return [row | {"target": name, "value": value} for name, value in row["values"].items()]


def _label(target: Target, row: int, classes: Sequence[str]) -> str | None:
    assert isinstance(target, Values)
    known = [
        f"{value:.4g}"
        for value, is_known in zip(target.value[row].tolist(), target.known[row].tolist(), strict=True)
        if is_known
    ]
    return ", ".join(known[:SHOWN]) or None


def _worst(judgement: NumberJudgement) -> list[int]:
    return list(judgement.worst)


class _Scaled(nn.Module):
    """Outputs in units of the deviation, beside values in those of the data."""

    def __init__(self, task: Regression) -> None:
        super().__init__()
        self.model = task.model
        self.register_buffer("mean", task.mean.clone())
        self.register_buffer("std", task.std.clone())

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.model(image)
        return scores, scores * self.std + self.mean


def _graphs(task: Task, shape: Shape) -> dict[str, Graph]:
    assert isinstance(task, Regression)
    outputs: dict[str, str | None] = {"scores": "batch", "values": "batch"}
    return {"model": Graph(_Scaled(task).eval(), {IMAGE: "batch"}, outputs, logits=("scores",))}


def _settings(task: Task, classes: int) -> dict[str, Any]:
    assert isinstance(task, Regression)
    return {"mean": task.mean.tolist(), "std": task.std.tolist()}


REGRESSION = Kind(
    name=NAME,
    section=RegressionSection,
    accepts=lambda source: source.annotations is not None and source.annotations.knows == "numbers",
    reads=as_numbers,
    facts=_facts,
    defaults=_defaults,
    networks=_networks,
    task=_task,
    output=OUTPUT,
    truths=Truths(annotated_target, lambda data, ids, pixels, natural: 8 * len(data.classes) + 0 * pixels),
    scoring=Scoring(
        rows=RowsFormat(write_number_rows, read_number_rows, judge_numbers),
        monitors=("r2",),
        headline="r2",
        batch=256,
        train_images=2_000,
        views=True,
        worst=_worst,
        per_image=of_numbers,
    ),
    answers=Answers(
        of=_answers,
        columns=("target", "value"),
        heads=("target", "value"),
        cells=_cells,
        lines=_lines,
        batch=64,
        draw=paint_values,
        averaged=True,
        choose=choose_values,
        confident=False,
    ),
    drawings=Drawings(label=_label, columns=8),
    chapter=MEASUREMENTS,
    export=Export(
        decoding="numbers",
        graphs=_graphs,
        settings=_settings,
        prediction=lambda outputs: Numbers(torch.from_numpy(outputs["values"])),
        difference=number_difference,
        figure="max_difference_in_deviations",
        page=False,
    ),
    sensitivity=Sensitivity(ask_number),
)
