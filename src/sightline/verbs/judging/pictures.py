"""The picture of a suspicion: the image, with the boxes concerned on it."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from sightline.drawing.overlay import MISSED, WRONG, coloured
from sightline.drawing.png import Picture
from sightline.evaluation.label_errors.finding import Suspicion

ROOM = 1.5  # sides of the box that are shown around it
LEAST = 96  # pixels


def picture_of(pixels: Picture, suspicion: Suspicion) -> Picture:
    """The image (h, w, c); with boxes, the part around them: the given box in the colour of a mistake, the suggested one
    in that of what was missed."""
    boxes = [box for box in suspicion.boxes if box]
    if not boxes:
        return pixels
    picture = Image.fromarray(coloured(pixels))
    draw = ImageDraw.Draw(picture)
    width = max(1, round(max(picture.size) / 200))
    for place, box in enumerate(suspicion.boxes):
        if box:
            draw.rectangle([round(v) for v in box], outline=(MISSED if place else WRONG), width=width)
    left, top = np.min([box[:2] for box in boxes], axis=0)
    right, bottom = np.max([box[2:] for box in boxes], axis=0)
    side = max(right - left, bottom - top, LEAST / 2) * ROOM
    x, y = (left + right) / 2, (top + bottom) / 2
    area = (max(0, x - side), max(0, y - side), min(picture.width, x + side), min(picture.height, y + side))
    return np.asarray(picture.crop(tuple(round(v) for v in area)))  # type: ignore[arg-type]
