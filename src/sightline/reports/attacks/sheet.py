"""Images beside what an attack made of them: clean, changed, and the difference enlarged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from sightline.drawing.png import fitted, grid, png_bytes
from sightline.reports.parts.examples import ExampleView
from sightline.reports.parts.picture import KILOBYTE, page_picture

WIDEST, LIMIT = 1200, 150 * KILOBYTE  # pixels of three images side by side, bytes
GREY = 128  # no difference
GAP = 4  # pixels between the images
Picture = UInt8[np.ndarray, "h w c"]


@dataclass(frozen=True)
class Pair:
    """An image (h, w, c) before and after, what the network says of both, and the name of its file; where the answer has
    places, both images with the answer drawn on them."""

    clean: Picture
    changed: Picture
    before: str
    after: str
    name: str
    clean_answer: Picture | None = None
    changed_answer: Picture | None = None

    @property
    def shown(self) -> tuple[Picture, Picture]:
        clean, changed = self.clean_answer, self.changed_answer
        return self.clean if clean is None else clean, self.changed if changed is None else changed


def difference(pair: Pair) -> tuple[Picture, int]:
    """What was added, times the factor (whole, at least 1) that brings its largest value near the ends; grey is nothing."""
    change = pair.changed.astype(np.int64) - pair.clean.astype(np.int64)
    factor = max(1, 127 // max(1, int(np.abs(change).max())))
    return np.clip(GREY + factor * change, 0, 255).astype(np.uint8), factor


def triple(pair: Pair, least: int = 96, most: int = 380) -> Picture:
    """The three side by side: (h, 3·w + gaps, 3)."""
    shown, _ = difference(pair)
    return grid([*pair.shown, shown], columns=3, gap=GAP, least=least, most=most)


def views(pairs: list[Pair]) -> list[ExampleView]:
    """The triples as the page shows them."""
    found = []
    for pair in pairs:
        picture = page_picture(png_bytes(triple(pair)), most=WIDEST, limit=LIMIT)
        note = f"{pair.before} → {pair.after}; difference × {difference(pair)[1]}"
        found.append(ExampleView(picture.image, picture.width, picture.height, pair.name, note))
    return found


def sheet(pairs: list[Pair]) -> bytes:
    """One PNG for all: a row of three for each image, with captions."""
    pictures, captions = [], []
    for pair in pairs:
        shown, factor = difference(pair)
        pictures += [*pair.shown, shown]
        captions += [pair.before, pair.after, f"difference x {factor}"]
    return png_bytes(grid([fitted(p, least=144, most=256) for p in pictures], columns=6 if len(pairs) > 1 else 3,
                          gap=8, least=144, captions=captions))  # fmt: skip
