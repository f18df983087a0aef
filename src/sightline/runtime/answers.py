"""Scores of labels → those from the threshold on; outputs of a regression → values in the units of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from .choosing import choose_labels, choose_values
from .decodings import Arrays, Decoding, Frames, Graph, Keep, sigmoid


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
