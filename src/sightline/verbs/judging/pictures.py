"""The picture of a suspicion: the image, with the boxes or pixels concerned on it."""

from __future__ import annotations

from sightline.drawing.png import Picture
from sightline.evaluation.label_errors.finding import Suspicion


def picture_of(pixels: Picture, suspicion: Suspicion) -> Picture:
    """The image (h, w, c) as people look at it."""
    return pixels
