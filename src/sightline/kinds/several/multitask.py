"""Several questions about each image, answered side by side: a class, a number or labels for each of several columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.data.dataset import Dataset
from sightline.data.records.answers import AnswerTable
from sightline.drawing.predictions import paint_answers
from sightline.errors import UsageError
from sightline.evaluation.answers import AnswerJudgement, judge_answers
from sightline.evaluation.label_rows import read_answer_rows, write_answer_rows
from sightline.exports.agreement import answer_difference
from sightline.exports.plan import IMAGE, Export, Graph, Shape
from sightline.metrics.multilabel import best_threshold
from sightline.recipes.assembly import build_model, head_names
from sightline.recipes.defaults import Filled, Traits, classifier_defaults
from sightline.recipes.loading import Truths
from sightline.recipes.recipe import Draft, Rate, Recipe, TaskSection
from sightline.reports.parts.answers.questions import QUESTIONS
from sightline.reports.split_evaluation import RowsFormat
from sightline.runtime.answers import answers_of
from sightline.runtime.choosing import choose_answers
from sightline.structures.batch import Batch
from sightline.structures.heads import heads_of
from sightline.structures.predictions import Answers as Answered
from sightline.structures.predictions import Prediction
from sightline.structures.rows.labels import AnswerRows
from sightline.structures.targets import Target, Values
from sightline.tasks.multitask import BALANCE, MODEL, Multitask, Uncertainty
from sightline.tasks.task import Task

from ..annotated import annotated_target
from ..kind import Answers, Drawings, Facts, Keep, Kind, Networks, Scoring, Sensitivity, Setting
from .asking import ask_answer
from .images import of_answers

NAME = "multitask"
OUTPUT = "class scores"  # of its networks, as `MODELS` files them: one output an entry of a question
CLIP = 1.0  # squared errors of values far from the mean have large gradients
SHOWN = 4  # answers of an image under its picture


class MultitaskSection(TaskSection):
    kind: Literal["multitask"] = "multitask"
    balance: Literal["fixed", "uncertainty"] = Field(
        "fixed", description="how much each question weighs: fixed, or learned from its uncertainty"
    )
    weights: tuple[Rate, ...] | None = Field(None, description="fixed: one for each question, in their order (all 1)")
    loss: Literal["l2", "huber"] = Field(
        "l2", description="of standardised numbers: squared, or Huber's with a corner at one standard deviation"
    )
    conflict_every: int = Field(
        20, ge=0, le=1_000_000, description="batches between measurements of the gradients' conflict; 0 is off"
    )


def _section(recipe: Recipe) -> MultitaskSection:
    assert isinstance(recipe.task, MultitaskSection)
    return recipe.task


def _questions(recipe: Recipe) -> int:
    """How many columns `data.label` names."""
    return len([part for part in (recipe.data.label or "").split(",") if part.strip()])


def _check(recipe: Recipe) -> None:
    section, count = _section(recipe), _questions(recipe)
    if section.weights is not None and section.balance != "fixed":
        raise UsageError(f"task.weights has no effect with task.balance={section.balance}", "leave one of them out")
    if section.weights is not None and len(section.weights) != count:
        raise UsageError(
            f"task.weights has {len(section.weights)} numbers for {count} questions",
            "give one for each, in their order",
        )
    if recipe.fit.compile and section.conflict_every:
        raise UsageError(
            "fit.compile=true keeps no graph from which gradients could be compared", "set task.conflict_every=0"
        )


def _defaults(draft: Draft, traits: Traits) -> Filled:
    filled = classifier_defaults(draft, traits, output=OUTPUT)
    filled["fit"]["clip"] = CLIP if draft.fit.clip is None else draft.fit.clip
    return filled


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    networks = {MODEL: build_model(recipe, classes, OUTPUT)}
    if _section(recipe).balance == "uncertainty":
        networks[BALANCE] = Uncertainty(_questions(recipe))
    return networks


def _inputs(recipe: Recipe) -> dict[str, tuple[int, ...]]:
    return {MODEL: recipe.input.shape, BALANCE: (_questions(recipe),)}


def _facts(data: Dataset, ids: np.ndarray, recipe: Recipe) -> dict[str, Any]:
    """The questions; mean and standard deviation of each entry over the training images that know it (1 where all are equal,
    and of classes and labels), and the share of the images that know each answer."""
    table = data.audit.source.annotations
    assert isinstance(table, AnswerTable) and table.heads
    values = np.stack([np.asarray(data.truth(int(i))) for i in ids])  # (n, k)
    known = [column[~np.isnan(column)] for column in values.T]
    numbers = {head.start for head in table.heads if head.kind == "number"}
    spread = [float(column.std()) if place in numbers and len(column) else 1.0 for place, column in enumerate(known)]
    there = [(~np.isnan(values[:, head.place])).mean() for head in table.heads]
    if absent := [head.name for head, share in zip(table.heads, there, strict=True) if not share]:
        raise UsageError(f"no training image has an answer to {', '.join(absent)}", "leave it out of data.label")
    return {
        "heads": [head.to_json() for head in table.heads],
        "mean": [float(column.mean()) if len(column) else 0.0 for column in known],
        "std": [std if std > 0 else 1.0 for std in spread],
        "share": [float(share) for share in there],
    }


def _task(networks: Networks, setting: Setting) -> Multitask:
    section, facts, network = _section(setting.recipe), setting.facts, networks[MODEL]
    heads = heads_of(facts["heads"])
    own = head_names(setting.recipe, heads[-1].stop, OUTPUT)
    mean, std, share = (torch.tensor(facts[name], dtype=torch.float32) for name in ("mean", "std", "share"))
    return Multitask(
        setting.normalised(network),
        heads,
        mean=mean,
        std=std,
        share=share,
        weight=torch.tensor(section.weights or [1.0] * len(heads), dtype=torch.float32),
        balance=networks.get(BALANCE),
        robust=section.loss == "huber",
        shared=[parameter for name, parameter in network.named_parameters() if name not in own],
        conflict_every=section.conflict_every,
        threshold=facts.get("thresholds"),
    )


def _settle(rows: AnswerRows) -> dict[str, Any]:
    """The probability from which an image has a label, for each question with labels."""
    labels = [head for head in rows.heads if head.kind == "labels"]
    found = {h.name: best_threshold(rows.target[:, h.place], rows.answer[:, h.place]) for h in labels}
    return {"thresholds": found}


def _under(rows: AnswerRows, facts: Facts) -> AnswerRows:
    threshold = rows.threshold.copy()
    for head in rows.heads:
        threshold[head.place] = facts.get("thresholds", {}).get(head.name, 0.5)
    return replace(rows, threshold=threshold)


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    """The answer to each question by its name."""
    assert isinstance(prediction, Answered) and isinstance(task, Multitask)
    return [answers_of(row, task.heads, task.threshold) for row in prediction.value.cpu().numpy()]


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    return ", ".join(row["answers"]), ", ".join(_text(answer) for answer in row["answers"].values())


def _text(answer: Mapping[str, Any]) -> str:
    if "value" in answer:
        return f"{answer['value']:.6g}"
    return str(answer["label"]) if "label" in answer else " ".join(answer["labels"]) or "none"


def _lines(row: dict[str, Any]) -> list[dict[str, Any]]:
    """One line for each question; several labels and their probabilities stand between vertical bars."""
    if "error" in row:
        return [row]
    return [row | {"question": name, **_line(answer)} for name, answer in row["answers"].items()]


def _line(answer: Mapping[str, Any]) -> dict[str, Any]:
    if "value" in answer:
        return {"answer": answer["value"], "probability": ""}
    if "label" in answer:
        return {"answer": answer["label"], "probability": answer["probability"]}
    labels = answer["labels"]
    return {"answer": "|".join(labels), "probability": "|".join(f"{p:.6g}" for p in labels.values())}


def _label(target: Target, row: int, classes: Sequence[str]) -> str | None:
    assert isinstance(target, Values)
    found = []
    for name, value, known in zip(classes, target.value[row].tolist(), target.known[row].tolist(), strict=True):
        if known and ("=" not in name or value == 1):
            found.append(name if "=" in name else f"{name} {value:.4g}")
    return ", ".join(found[:SHOWN]) or None


def _worst(judgement: AnswerJudgement) -> list[int]:
    return list(judgement.worst)


class _Finished(nn.Module):
    """Outputs as the network gives them, beside probabilities and numbers in units of the data."""

    def __init__(self, task: Multitask) -> None:
        super().__init__()
        self.task = task

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        scores = self.task.model(image)
        return scores, self.task.answers(scores)


def _graphs(task: Task, shape: Shape) -> dict[str, Graph]:
    assert isinstance(task, Multitask)
    outputs: dict[str, str | None] = {"scores": "batch", "values": "batch"}
    return {"model": Graph(_Finished(task).eval(), {IMAGE: "batch"}, outputs, logits=("scores",))}


def _settings(task: Task, classes: int) -> dict[str, Any]:
    assert isinstance(task, Multitask)
    std = {head.name: float(task.std[head.start]) for head in task.heads}
    return {"heads": [head.to_json() for head in task.heads], "thresholds": task.threshold, "std": std}


MULTITASK = Kind(
    name=NAME,
    section=MultitaskSection,
    accepts=lambda source: source.annotations is not None and source.annotations.knows == "columns",
    check=_check,
    facts=_facts,
    defaults=_defaults,
    networks=_networks,
    inputs=_inputs,
    task=_task,
    output=OUTPUT,
    truths=Truths(annotated_target, lambda data, ids, pixels, natural: 8 * len(data.classes) + 0 * pixels),
    scoring=Scoring(
        rows=RowsFormat(write_answer_rows, read_answer_rows, judge_answers),
        monitors=("skill",),
        headline="skill",
        batch=256,
        train_images=2_000,
        views=True,
        worst=_worst,
        settle=_settle,
        under=_under,
        per_image=of_answers,
    ),
    answers=Answers(
        of=_answers,
        columns=("question", "answer", "probability"),
        heads=("question", "answer"),
        cells=_cells,
        lines=_lines,
        batch=64,
        draw=paint_answers,
        averaged=True,
        choose=choose_answers,
        confident=False,
    ),
    drawings=Drawings(label=_label, columns=8),
    chapter=QUESTIONS,
    export=Export(
        decoding="answers",
        graphs=_graphs,
        settings=_settings,
        prediction=lambda outputs: Answered(torch.from_numpy(outputs["values"])),
        difference=answer_difference,
        figure="max_difference",
        page=False,
    ),
    sensitivity=Sensitivity(ask_answer),
)
