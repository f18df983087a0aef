"""Class scores → the most likely classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from .choosing import choose_label
from .decodings import Arrays, Decoding, Frames, Graph, Keep, softmax


class ClassScores(Decoding):
    """Graph "model": image → scores (b, k). Setting `top`: most classes that a prediction lists."""

    choose = staticmethod(choose_label)

    def run(self, graphs: Mapping[str, Graph], image: UInt8[np.ndarray, "b c h w"]) -> Arrays:
        return graphs["model"](image=image)

    def rows(self, outputs: Arrays, frames: Frames, classes: Sequence[str], keep: Keep) -> list[dict[str, Any]]:
        return [self._row(probability, classes) for probability in softmax(outputs["scores"])]

    def _row(self, probability: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
        best = np.argsort(-probability, kind="stable")[: self.settings["top"]]
        top = [[classes[i], float(probability[i])] for i in best]
        return {"label": top[0][0], "probability": top[0][1], "top": top}
