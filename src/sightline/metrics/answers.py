"""Metrics of answers to several questions: those of each question alone, and one figure in which all count alike.

skill   the share of a constant guess's errors that does not happen (a skill score, Murphy 1988): 1 is perfect, 0 as good as the
        guess. Errors are squared differences of numbers, wrong classes, and the share of wrong labels of an image; the guess is
        the mean, the most frequent class, or the labels that most have, of the training images. Over questions: the plain mean
loss    the mean over the questions of the loss that each is trained on, over the answers that are known
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from sightline.structures.heads import Head
from sightline.structures.predictions import ClassRows
from sightline.structures.rows.labels import AnswerRows, LabelRows, NumberRows

from .counts import mean_defined, or_none
from .multilabel import average_precisions_of_labels, log_losses_of_labels
from .regression import errors_of_numbers

_SMALLEST = 1e-12  # of a probability, so that the loss of a certain mistake is finite


def class_rows(rows: AnswerRows, head: Head) -> ClassRows:
    """The rows of a question with classes."""
    return ClassRows(rows.id, class_of(rows.target[:, head.place]), rows.answer[:, head.place])


def label_rows(rows: AnswerRows, head: Head) -> LabelRows:
    """The rows of a question with labels."""
    own = rows.threshold[head.place]
    return LabelRows(rows.id, rows.target[:, head.place], rows.answer[:, head.place], float(own[0]))


def number_rows(rows: AnswerRows, head: Head) -> NumberRows:
    """The rows of a number."""
    place = head.place
    return NumberRows(rows.id, rows.target[:, place], rows.answer[:, place], rows.constant[place], rows.scale[place])


def class_of(target: Float[np.ndarray, "n k"]) -> Int[np.ndarray, "n"]:
    """The class of each image from a 1 among zeros; -1 where unknown."""
    filled = np.nan_to_num(target)
    return np.where(filled.max(1, initial=0.0) > 0.5, filled.argmax(1), -1)


def errors(rows: AnswerRows, head: Head) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """The error of each image in this question and that of the constant guess; NaN where the answer is unknown."""
    target, answer, constant = rows.target[:, head.place], rows.answer[:, head.place], rows.constant[head.place]
    if head.kind == "number":
        return ((answer - target) ** 2)[:, 0], ((constant - target) ** 2)[:, 0]
    if head.kind == "class":
        index = class_of(target)
        known = index >= 0
        return _where(known, answer.argmax(1) != index), _where(known, constant.argmax() != index)
    known = ~np.isnan(target)
    own, guess = (
        (values >= limit) != (target == 1) for values, limit in ((answer, rows.threshold[head.place]), (constant, 0.5))
    )
    return mean_defined(_where(known, own)), mean_defined(_where(known, np.broadcast_to(guess, target.shape)))


def skills(rows: AnswerRows, weight: Float[np.ndarray, "r n"] | None = None) -> Float[np.ndarray, "r h"]:
    """The skill in each question under r sets of weights for the images; NaN where no answer is known, or where the guess
    makes no error."""
    weight = np.ones((1, len(rows))) if weight is None else weight
    found = []
    for head in rows.heads:
        own, guess = (weight @ np.nan_to_num(error) for error in errors(rows, head))  # (r,)
        found.append(np.where(guess > 0, 1 - own / np.where(guess > 0, guess, 1.0), np.nan))
    return np.stack(found, axis=1)


def losses(rows: AnswerRows, weight: Float[np.ndarray, "r n"] | None = None) -> Float[np.ndarray, "r h"]:
    """The loss of each question: nats, nats a label, or squared standard deviations."""
    weight = np.ones((1, len(rows))) if weight is None else weight
    found = []
    for head in rows.heads:
        total, count = (weight @ each for each in _loss_terms(rows, head))  # (r,) each
        found.append(np.where(count > 0, total / np.where(count > 0, count, 1.0), np.nan))
    return np.stack(found, axis=1)


def answer_metrics(rows: AnswerRows) -> dict[str, float | None]:
    """skill and loss over the questions; NAME.skill and NAME.loss of each, with NAME.accuracy of classes, NAME.map of labels,
    NAME.mae of a number. None: undefined."""
    own, loss = skills(rows)[0], losses(rows)[0]  # (h,)
    metrics = {"skill": _mean(own), "loss": _mean(loss)}
    for i, head in enumerate(rows.heads):
        name, value = _usual(rows, head)
        metrics[f"{head.name}.{name}"] = value
        metrics[f"{head.name}.skill"] = or_none(float(own[i]))
        metrics[f"{head.name}.loss"] = or_none(float(loss[i]))
    return metrics


def _usual(rows: AnswerRows, head: Head) -> tuple[str, float | None]:
    """The metric by which such answers are usually measured."""
    if head.kind == "class":
        wrong = errors(rows, head)[0]
        return "accuracy", or_none(float(1 - np.nanmean(wrong))) if not np.isnan(wrong).all() else None
    target, answer = rows.target[:, head.place], rows.answer[:, head.place]
    if head.kind == "number":
        return "mae", or_none(float(errors_of_numbers(target, answer)["mae"][0, 0]))
    return "map", or_none(float(mean_defined(average_precisions_of_labels(target, answer))[0]))


def _loss_terms(rows: AnswerRows, head: Head) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """The loss of each image, 0 where the answer is unknown, and how many answers it is about."""
    target, answer = rows.target[:, head.place], rows.answer[:, head.place]
    if head.kind == "number":
        squares = (((answer - target) / rows.scale[head.place]) ** 2)[:, 0]
        return np.nan_to_num(squares), (~np.isnan(squares)).astype(np.float64)
    if head.kind == "class":
        index = class_of(target)
        true = np.take_along_axis(answer, np.maximum(index, 0)[:, None], 1)[:, 0]
        return np.where(index >= 0, -np.log(np.maximum(true, _SMALLEST)), 0.0), (index >= 0).astype(np.float64)
    return log_losses_of_labels(target, answer).sum(1), (~np.isnan(target)).sum(1).astype(np.float64)


def _where(known: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    return np.where(known, np.asarray(wrong, np.float64), np.nan)


def _mean(values: Float[np.ndarray, "h"]) -> float | None:
    return or_none(float(np.nanmean(values))) if not np.isnan(values).all() else None
