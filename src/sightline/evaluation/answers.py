"""The evaluation of answers to several questions, as a pure function of their rows.

Each question is judged as it would be alone (`judgement`, `labels`, `numbers`); the skill, in which all questions count
alike, is bootstrapped over images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from sightline.metrics.answers import (
    answer_metrics,
    class_rows,
    errors,
    label_rows,
    losses,
    number_rows,
    skills,
)
from sightline.metrics.counts import mean_defined, or_none
from sightline.structures.heads import Head
from sightline.structures.rows.labels import AnswerRows

from .intervals import Estimate, Interval, estimate, weights_in_blocks
from .json_form import intervals_of, judgement_json, reasons_of
from .judgement import judge
from .labels import judge_labels
from .numbers import judge_numbers

WORST = 50  # images
USUAL = {"class": "accuracy", "labels": "map", "number": "mae"}  # the metric by which such answers are usually measured
_LACKING = "the guess makes no error"


@dataclass(frozen=True)
class AnswerJudgement:
    """n               images with any known answer; `unlabelled` the others
    metrics, intervals  skill and loss over the questions, and those of each (`answer_metrics`); None where undefined; intervals
                    hold 95 %; `reasons` why one has none
    per_class       a dictionary a question, in order: class (its name), kind, support (images that know the answer), skill,
                    accuracy or map or mae, error and guess (mean errors of the answers and of the constant guess; of numbers
                    their roots), intervals, reasons
    heads           the questions; `alone` the judgement of each as if there were no other
    worst           ids of the 50 images with the largest errors, each in units of the guess's mean error, largest first
    """

    n: int
    unlabelled: int
    classes: tuple[str, ...]
    metrics: dict[str, float | None]
    intervals: dict[str, Interval]
    reasons: dict[str, str]
    per_class: tuple[dict[str, Any], ...]
    heads: tuple[Head, ...]
    alone: tuple[Any, ...]
    worst: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON of `evaluate --json`: n, metrics, intervals, per_class by question, and `questions`, each judged alone."""
        common = judgement_json(self.n, self.metrics, self.intervals, self.reasons, self.per_class)
        alone = {head.name: judged.to_json() for head, judged in zip(self.heads, self.alone, strict=True)}
        return common | {"questions": alone}


def judge_answers(rows: AnswerRows, classes: Sequence[str], *, seed: int = 0) -> AnswerJudgement:
    """Evaluate answers from their rows; the same rows and seed give the same judgement. `classes` are the names of the k
    entries; they must differ."""
    k = rows.target.shape[1]
    if len(classes) != k or len(set(classes)) != k:
        raise ValueError(f"{len(set(classes))} different names for {k} answers")
    known = rows.take(~np.isnan(rows.target).all(1))
    weights = list(weights_in_blocks(len(known), seed))
    drawn = np.concatenate([skills(known, weight) for weight in weights])  # (r, h)
    lost = np.concatenate([losses(known, weight) for weight in weights])  # (r, h)
    metrics, alone = answer_metrics(known), tuple(_alone(known, head, classes, seed) for head in known.heads)
    estimates = {
        "skill": _estimate(metrics["skill"], _mean(drawn, metrics, known.heads, "skill"), 1.0),
        "loss": _estimate(metrics["loss"], _mean(lost, metrics, known.heads, "loss"), np.inf),
    }
    for i, head in enumerate(known.heads):
        usual = f"{head.name}.{USUAL[head.kind]}"
        estimates[usual] = _of_alone(alone[i], USUAL[head.kind])
        estimates[f"{head.name}.skill"] = _estimate(metrics[f"{head.name}.skill"], drawn[:, i], 1.0)
        estimates[f"{head.name}.loss"] = _estimate(metrics[f"{head.name}.loss"], lost[:, i], np.inf)
    return AnswerJudgement(
        n=len(known),
        unlabelled=len(rows) - len(known),
        classes=tuple(classes),
        metrics=metrics,
        intervals=intervals_of(estimates),
        reasons=reasons_of(estimates),
        per_class=tuple(_of_question(known, head, metrics, estimates) for head in known.heads),
        heads=known.heads,
        alone=alone,
        worst=_worst(known),
    )


def relative_errors(rows: AnswerRows) -> Float[np.ndarray, "n h"]:
    """The error of each image in each question, in units of the mean error of the constant guess; NaN where unknown."""
    found = []
    for head in rows.heads:
        own, guess = errors(rows, head)
        mean = float(np.nanmean(guess)) if not np.isnan(guess).all() else 0.0
        found.append(own / (mean if mean > 0 else 1.0))
    return np.stack(found, axis=1)


def _alone(rows: AnswerRows, head: Head, classes: Sequence[str], seed: int) -> Any:
    if head.kind == "class":
        return judge(class_rows(rows, head), head.answers, seed=seed)
    if head.kind == "labels":
        return judge_labels(label_rows(rows, head), head.answers, seed=seed)
    return judge_numbers(number_rows(rows, head), head.answers, seed=seed)


def _mean(
    drawn: Float[np.ndarray, "r h"], metrics: dict[str, float | None], heads: Sequence[Head], name: str
) -> Float[np.ndarray, "r"]:
    """The mean over the questions that have a value; NaN in resamples that lack one of them."""
    defined = [i for i, head in enumerate(heads) if metrics[f"{head.name}.{name}"] is not None]
    return drawn[:, defined].mean(1) if defined else np.full(len(drawn), np.nan)


def _estimate(value: float | None, drawn: Float[np.ndarray, "r"], top: float) -> Estimate:
    if value is None:
        return Estimate(None, "undefined: no answer is known, or the constant guess is never wrong")
    return estimate(value, drawn, edges=(-np.inf, np.inf) if top == 1.0 else (0.0, np.inf), lacking=_LACKING)


def _of_alone(judged: Any, name: str) -> Estimate:
    return Estimate(judged.intervals.get(name), judged.reasons.get(name, ""))


def _of_question(
    rows: AnswerRows, head: Head, metrics: dict[str, float | None], estimates: dict[str, Estimate]
) -> dict[str, Any]:
    own, guess = (mean_defined(error[None])[0] for error in errors(rows, head))
    if head.kind == "number":
        own, guess = np.sqrt(own), np.sqrt(guess)
    names = ("skill", USUAL[head.kind])
    found = {name: estimates[f"{head.name}.{name}"] for name in names}
    row: dict[str, Any] = {
        "class": head.name,
        "kind": head.kind,
        "support": int((~np.isnan(errors(rows, head)[0])).sum()),
    }
    row |= {name: metrics[f"{head.name}.{name}"] for name in names}
    row |= {"error": or_none(float(own)), "guess": or_none(float(guess))}
    return row | {"intervals": intervals_of(found), "reasons": reasons_of(found)}


def _worst(rows: AnswerRows) -> tuple[int, ...]:
    largest = np.nan_to_num(mean_defined(relative_errors(rows)))
    order = np.lexsort((rows.id, -largest))[:WORST]  # largest first, then by id
    return tuple(int(i) for i in rows.id[order])
