"""Topics that need no image: the filters of the first layer, and position embeddings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.drawing.png import Picture, grid
from sightline.explanation.features.filters import Filters
from sightline.explanation.features.methods import FEATURES
from sightline.explanation.features.positions import Positions
from sightline.structures.learned import Gallery

from .tiles import PALE, edged, map_tile, sheet_of, signed_tile
from .topic import Figure, Topic

MOST = 96  # filters in a grid


def filters_topic(filters: Filters) -> Topic:
    about = FEATURES["filters"]
    weights = filters.weights
    shown = np.sort(np.argsort(-np.abs(weights).sum((1, 2, 3)), kind="stable")[:MOST])
    tiles = [signed_tile(weights[i]) for i in shown]
    large = max(weights.shape[2:]) > 16
    columns = 8 if large or len(tiles) <= 32 else 12
    sheet = sheet_of(tiles, columns=columns, side=96 if large else 64)
    size = f"{weights.shape[2]} × {weights.shape[3]} pixels"
    words = [f"{len(weights)} filters of {size}" + (f"; the {MOST} largest" if len(weights) > MOST else "")]
    notes = []
    if filters.shares:
        words = [f"{len(weights)} principal components, the strongest first"]
        notes.append(
            f"The first layer embeds patches of {size}: shown are the principal components of its filters, which explain "
            f"{sum(filters.shares):.0%} of their variance."
        )
    if weights.shape[1] == 3:
        colour = filters.colour[shown]
        notes.append(f"Colour selectivity (0 grey, 1 pure colour): {_spread(colour)}.")
    noise = np.median(filters.orientation_of_noise[shown])
    notes.append(
        f"Orientation selectivity (0 a blob, 0.6 and more an edge): {_spread(filters.orientation[shown])}; median "
        f"{noise:.2f} if "
        f"the weights of each filter are shuffled."
    )
    return Topic("filters", about.title, about.paper, about.reading, [Figure(filters.layer, sheet, words)], notes)


ENTRIES, SIDE = 30, 96  # of a gallery, and pixels of a tile


def gallery_picture(gallery: Gallery, classes: Sequence[str], most: int = ENTRIES) -> Picture:
    """The first entries of a gallery as one picture: an entry's views side by side, its name below. All of a view share one
    scale."""
    names = list(gallery.entries or classes)
    tiles: list[Picture] = []
    captions: list[str] = []
    shown = gallery.tiles[:most]
    scales = np.abs(shown).max((0, 2, 3, 4)) if len(shown) else np.zeros(0)
    for number, views in enumerate(shown):
        for view, scale in zip(views, scales, strict=True):
            tiles.append(signed_tile(view, scale) if gallery.signed else signed_tile(view * 2 - scale, scale))
            captions.append("")
        captions[-len(views)] = names[number] if number < len(names) else ""
    wide = gallery.tiles.shape[1]
    columns = max(wide * max(10 // wide, 1), 1)
    return grid(
        tiles, columns=columns, gap=3, least=SIDE, most=2 * SIDE - 1, captions=captions if any(captions) else ()
    )


def templates_topic(galleries: Sequence[Gallery], classes: Sequence[str]) -> Topic:
    about = FEATURES["templates"]
    figures = []
    for gallery in galleries:
        words = [gallery.words]
        if gallery.views:
            words.append(f"Of each, from left to right: {', '.join(gallery.views)}.")
        if len(gallery.tiles) > ENTRIES:
            words.append(f"{ENTRIES} of {len(gallery.tiles):,} are shown.")
        figures.append(Figure(gallery.title, gallery_picture(gallery, classes), words, wide=True))
    return Topic("templates", about.title, about.paper, about.reading, figures)


def _spread(values: np.ndarray) -> str:
    return f"median {np.median(values):.2f}, above 0.5 for {np.mean(values > 0.5):.0%} of the filters"


def positions_topic(positions: Positions) -> Topic:
    about = FEATURES["positions"]
    similarity = positions.similarity.numpy()
    rows, columns = similarity.shape[:2]
    side = max(columns, rows, min(64, 640 // max(rows, columns)))
    tiles = [
        edged(map_tile(similarity[y, x].astype(float), 1.0, least=side), PALE, 1)
        for y in range(rows)
        for x in range(columns)
    ]
    sheet = grid(tiles, columns=columns, gap=3, least=1, most=4096)
    near, far = _near_and_far(similarity)
    ahead = {0: "", 1: " One token ahead of the patches has no place."}.get(
        positions.ahead, f" {positions.ahead} tokens ahead of the patches have no place."
    )
    notes = [
        f"Patches side by side have a cosine of {near:.2f} on average, patches at least half the image apart {far:.2f}.{ahead}"
    ]
    if near - far < 0.05:
        notes.append("The embeddings hardly encode which patches are neighbours.")
    figure = Figure(positions.name, sheet, [f"{rows} × {columns} patches; red 1, white 0, blue -1"])
    return Topic("positions", about.title, about.paper, about.reading, [figure], notes)


def _near_and_far(similarity: np.ndarray) -> tuple[float, float]:
    """The mean cosine of direct neighbours, and of places half of the longer side or more apart."""
    rows, columns = similarity.shape[:2]
    y, x = np.mgrid[:rows, :columns]
    gap = np.hypot(y[:, :, None, None] - y, x[:, :, None, None] - x)
    near, far = similarity[gap == 1], similarity[gap >= max(rows, columns) / 2]
    return float(near.mean()) if near.size else 1.0, float(far.mean()) if far.size else 1.0
