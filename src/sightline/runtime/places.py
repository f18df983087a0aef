"""Single-shot networks: one graph answers a box and scores at every place, then suppression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import UInt8

from .boxes import box_rows, kept_detections
from .choosing import choose_boxes
from .decodings import Arrays, Decoding, Frames, Graph, Keep


class Places(Decoding):
    """The graph: image → boxes (b, n, 4) xyxy in the network's frame, clipped, and score (b, n, k).

    Settings: `score`, `overlap`, `limit`, `smallest_box` of detections.
    """

    choose = staticmethod(choose_boxes)
    scored = True

    def run(self, graphs: Mapping[str, Graph], image: UInt8[np.ndarray, "b c h w"]) -> Arrays:
        """`boxes` (d, 4) in the network's frame, `label`, `score` and `sample` (d,)."""
        found = graphs["model"](image=image)
        score = found["score"]  # (b, n, k)
        images, places, classes = score.shape
        boxes = np.broadcast_to(found["boxes"][:, :, None], (images, places, classes, 4))
        sample = np.repeat(np.arange(images), places)
        flat = boxes.reshape(-1, classes, 4), score.reshape(-1, classes)
        return kept_detections(*flat, sample, self.settings)

    def rows(self, outputs: Arrays, frames: Frames, classes: Sequence[str], keep: Keep) -> list[dict[str, Any]]:
        return box_rows(outputs, frames, classes)[0]
