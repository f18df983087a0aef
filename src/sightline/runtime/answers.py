"""Scores of labels → those from the threshold on; outputs of a regression → values in the units of the data; answers to several
questions → the answer to each by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from sightline.structures.heads import Head, heads_of

from .choosing import choose_answers, choose_labels, choose_values
from .decodings import Arrays, Decoding, Frames, Graph, Keep, sigmoid

TOP = 5  # most answers of a question that a prediction lists


class LabelScores(Decoding):
    """Graph "model": image → scores (b, k). Settings: `threshold`, from which an image has a label, and `top`, the most
    likely labels that a prediction lists besides."""

    choose = staticmethod(choose_labels)

    def run(self, graphs: Mapping[str, Graph], image: UInt8[np.ndarray, "b c h w"]) -> Arrays:
        return graphs["model"](image=image)

    def rows(self, outputs: Arrays, frames: Frames, classes: Sequence[str], keep: Keep) -> list[dict[str, Any]]:
        return [self._row(probability, classes) for probability in sigmoid(outputs["scores"])]

    def _row(self, probability: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
        threshold = float(self.settings["threshold"])
        order = np.argsort(-probability, kind="stable")
        ranked = [[classes[i], float(probability[i])] for i in order]
        labels = {name: p for name, p in ranked if p >= threshold}
        return {"labels": labels, "top": ranked[: self.settings["top"]], "threshold": threshold}


class NumberValues(Decoding):
    """Graph "model": image → scores (b, t) in units of the training images' deviation, and values (b, t) in those of the
    data."""

    choose = staticmethod(choose_values)

    def run(self, graphs: Mapping[str, Graph], image: UInt8[np.ndarray, "b c h w"]) -> Arrays:
        return graphs["model"](image=image)

    def rows(self, outputs: Arrays, frames: Frames, classes: Sequence[str], keep: Keep) -> list[dict[str, Any]]:
        return [{"values": dict(zip(classes, row, strict=True))} for row in outputs["values"].tolist()]


class AnswerValues(Decoding):
    """Graph "model": image → scores (b, k), and values (b, k): probabilities, and numbers in the units of the data. Settings:
    the `heads`, and `thresholds`, from which an image has a label, by question."""

    choose = staticmethod(choose_answers)

    def run(self, graphs: Mapping[str, Graph], image: UInt8[np.ndarray, "b c h w"]) -> Arrays:
        return graphs["model"](image=image)

    def rows(self, outputs: Arrays, frames: Frames, classes: Sequence[str], keep: Keep) -> list[dict[str, Any]]:
        heads = heads_of(self.settings["heads"])
        return [answers_of(values, heads, self.settings["thresholds"]) for values in outputs["values"]]


def answers_of(
    values: Float[np.ndarray, "k"], heads: Sequence[Head], thresholds: Mapping[str, float]
) -> dict[str, Any]:
    """The answer to each question: `value` of a number; `label`, `probability` and `top` of a class; `labels` with their
    probabilities, and `threshold`."""
    found: dict[str, Any] = {}
    for head in heads:
        own = [float(value) for value in values[head.place]]
        if head.kind == "number":
            found[head.name] = {"value": own[0]}
            continue
        order = sorted(range(len(own)), key=lambda i: -own[i])  # equal ones in their order
        ranked = [(head.answers[i], own[i]) for i in order]
        top = [[name, p] for name, p in ranked[:TOP]]
        if head.kind == "class":
            found[head.name] = {"label": ranked[0][0], "probability": ranked[0][1], "top": top}
        else:
            least = float(thresholds.get(head.name, 0.5))
            found[head.name] = {
                "labels": {n: p for n, p in ranked if p >= least},
                "top": top,
                "threshold": least,
            }
    return {"answers": found}
