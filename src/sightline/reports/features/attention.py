"""The topic of attention in one image: each layer's mean over heads, the heads of the last, and the rollout."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, UInt8

from sightline.drawing.heat import heat
from sightline.drawing.png import enlarged, fitted
from sightline.explanation.features.methods import FEATURES

from .tiles import image_tile, sheet_of
from .topic import Figure, Topic

SIDE = 128


def attention_topic(
    image: UInt8[np.ndarray, "c h w"],
    name: str,
    layers: Float[np.ndarray, "l h w"],
    heads: Float[np.ndarray, "k h w"],
    rollout: Float[np.ndarray, "h w"],
    notes: Sequence[str],
) -> Topic:
    """Maps of the image's size, as shares of attention."""
    about = FEATURES["attention"]
    tile = enlarged(image_tile(image), least=SIDE, most=2 * SIDE)

    def over(values: Float[np.ndarray, "h w"]) -> np.ndarray:
        """Red where more is read than on average, blue where less."""
        values = values - values.mean()
        factor = tile.shape[0] // image.shape[1]
        return fitted(
            heat(tile, values.astype(float).repeat(factor, 0).repeat(factor, 1)).picture, least=1, most=2 * SIDE
        )

    each = sheet_of([over(one) for one in layers], columns=6, side=SIDE)
    last = sheet_of([over(one) for one in heads], columns=6, side=SIDE)
    figures = [
        Figure(name, fitted(tile, least=1, most=2 * SIDE)),
        Figure("Rollout", over(rollout), ["through all layers"]),
        Figure("Layers", each, ["the mean over heads, from the first layer"]),
        Figure("Heads", last, ["of the last layer"]),
    ]
    return Topic("attention", about.title, about.paper, about.reading, figures, notes)
