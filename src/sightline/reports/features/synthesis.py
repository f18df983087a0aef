"""Topics of images that were made: class images and dreams."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from sightline.drawing.png import enlarged, fitted
from sightline.explanation.features.class_images import ClassImage
from sightline.explanation.features.dream import Dream
from sightline.explanation.features.methods import FEATURES

from .tiles import beside, image_tile
from .topic import Figure, Topic

SIDE = 160  # pixels of a class image
Image = UInt8[np.ndarray, "c h w"]


def class_images_topic(
    found: Sequence[ClassImage],
    best: Sequence[Image],
    classes: Sequence[str],
    sample: str,
    notes: Sequence[str],
    probable: bool,
) -> Topic:
    """`best` the real image with the largest score of each; `sample` the real images in words; `probable` whether confidences
    are probabilities."""
    about = FEATURES["class_images"]
    figures, short = [], []
    for one, real in zip(found, best, strict=True):
        pair = [enlarged(image_tile(image), least=SIDE - 32, most=SIDE) for image in (one.image.numpy(), real)]
        words = [f"score {one.score:.3g}; the best real image {one.best:.3g}"]
        if probable:
            words.append(f"probability {one.confidence:.1%}")
        name = classes[one.target] if one.target < len(classes) else f"class {one.target}"
        figures.append(Figure(name, beside([fitted(tile, least=1, most=SIDE) for tile in pair]), words))
        if not one.reached:
            short.append(name)
    lines = [
        f"Real images: {sample}. The images are of the network's own size, and each score is that of the rounded pixels.",
        *notes,
    ]
    warnings = [f"A real image has a larger score than the optimised image for {', '.join(short)}."] if short else []
    return Topic("class_images", about.title, about.paper, about.reading, figures, lines, warnings)


def dream_topic(dream: Dream, before: Image, name: str) -> Topic:
    about = FEATURES["dream"]
    after = dream.image.numpy()
    first = enlarged(image_tile(before), least=SIDE, most=SIDE + 64)
    large = enlarged(image_tile(after), least=320, most=480)
    words = f"after {len(dream.octaves)} octaves: {after.shape[1]} × {after.shape[2]} pixels"
    figures = [
        Figure(name, fitted(first, least=1, most=420), ["before"]),
        Figure(f"{dream.layer.name} ({dream.layer.kind})", fitted(large, least=1, most=640), [words]),
    ]
    rows = [
        f"Octave {number}, {octave.size[0]} × {octave.size[1]} pixels: the layer's norm rises from {octave.before:.4g} "
        f"to {octave.after:.4g}."
        for number, octave in enumerate(dream.octaves, 1)
        if octave.after > octave.before
    ]
    flat = [number for number, octave in enumerate(dream.octaves, 1) if octave.after <= octave.before]
    warnings = [f"In octave {', '.join(map(str, flat))} the layer's norm does not rise."] if flat else []
    return Topic("dream", about.title, about.paper, about.reading, figures, rows, warnings)
