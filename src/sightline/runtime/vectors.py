"""Distances to the identities of a gallery → the nearest ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from .choosing import choose_nearest
from .decodings import Arrays, Decoding, Frames, Graph, Keep

TOP = 5  # most identities that a prediction lists


class NearestIdentities(Decoding):
    """Graph "model": image → vector (b, d) and distance (b, k) to the nearest gallery image of each identity. Settings:
    `threshold`, the largest distance at which two images are said to show the same, or null; `filled` (k,), whether an identity
    has images in the gallery."""

    choose = staticmethod(choose_nearest)

    def run(self, graphs: Mapping[str, Graph], image: UInt8[np.ndarray, "b c h w"]) -> Arrays:
        return graphs["model"](image=image)

    def rows(self, outputs: Arrays, frames: Frames, classes: Sequence[str], keep: Keep) -> list[dict[str, Any]]:
        threshold = self.settings["threshold"]
        distance = np.where(np.asarray(self.settings["filled"], bool), outputs["distance"], np.inf)
        return [
            nearest_row(own, vector, classes, np.nan if threshold is None else float(threshold))
            for own, vector in zip(distance, outputs["vector"].tolist(), strict=True)
        ]


def nearest_row(
    distance: Float[np.ndarray, "k"], vector: Sequence[float], classes: Sequence[str], threshold: float
) -> dict[str, Any]:
    """The nearest identity with its distance, or "unknown" if none lies within the threshold; the nearest few; the vector.
    `distance` is infinite for identities without an image in the gallery; a NaN threshold is not known, and nobody within."""
    order = [k for k in np.argsort(distance, kind="stable").tolist() if np.isfinite(distance[k])][:TOP]
    nearest = [[classes[k], float(distance[k])] for k in order]
    known = bool(nearest) and nearest[0][1] <= threshold
    return {
        "label": nearest[0][0] if known else "unknown",
        "distance": nearest[0][1] if nearest else None,
        "threshold": None if np.isnan(threshold) else threshold,
        "nearest": nearest,
        "vector": list(vector),
    }
