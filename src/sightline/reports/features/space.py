"""Topics of the last hidden layer: nearest neighbours, and a map of the images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image as Pillow
from PIL import ImageDraw

from sightline.drawing.overlay import CLASS_COLOURS, RIGHT, coloured
from sightline.drawing.png import Picture, fitted
from sightline.explanation.features.methods import FEATURES
from sightline.explanation.features.space import Neighbours, Plane

from .tiles import edged, image_tile, words
from .topic import Figure, Topic

OTHER = (224, 120, 20)  # the edge of a neighbour of another class
UNKNOWN = (150, 150, 150)
SIDE, THUMB, CANVAS, MARGIN = 64, 26, 520, 20
NAMED = 10  # classes that have a colour of their own
Pixels = UInt8[np.ndarray, "n c h w"]


def neighbours_topic(
    found: Neighbours,
    queries: Pixels,
    query_label: Sequence[str],
    images: Pixels,
    label: Sequence[str],
    notes: Sequence[str],
) -> Topic:
    """A row a query."""
    about = FEATURES["neighbours"]
    rows = []
    for number, index in enumerate(found.index):
        own = query_label[number]
        cells = [_tile(queries[number], None)]
        for image in index:
            same = None if not own or not label[image] else label[image] == own
            cells.append(_tile(images[image], same))
        line = _row(cells)
        rows.append(np.concatenate([words(own, line.shape[1]), line, np.full((6, line.shape[1], 3), 255, np.uint8)]))
    half = -(-len(rows) // 2)
    columns = [np.concatenate(part) for part in (rows[:half], rows[half:]) if part]
    figures = [
        Figure(f"{len(found.index)} images and their {found.index.shape[1]} neighbours", _columns(columns), wide=True)
    ]
    return Topic("neighbours", about.title, about.paper, about.reading, figures, notes)


def _tile(pixels: UInt8[np.ndarray, "c h w"], same: bool | None) -> Picture:
    colour = UNKNOWN if same is None else RIGHT if same else OTHER
    tile = fitted(image_tile(pixels), least=SIDE, most=2 * SIDE - 1)
    return edged(tile, (255, 255, 255) if same is None else colour, 3)


def _row(cells: Sequence[Picture]) -> Picture:
    high = max(cell.shape[0] for cell in cells)
    parts = []
    for number, cell in enumerate(cells):
        canvas = np.full((high, cell.shape[1] + (16 if number == 0 else 3), 3), 255, np.uint8)
        canvas[: cell.shape[0], : cell.shape[1]] = cell
        parts.append(canvas)
    return np.concatenate(parts, 1)


def _columns(columns: Sequence[Picture], gap: int = 36) -> Picture:
    high, parts = max(column.shape[0] for column in columns), []
    for column in columns:
        canvas = np.full((high, column.shape[1] + gap, 3), 255, np.uint8)
        canvas[: column.shape[0], : column.shape[1]] = column
        parts.append(canvas)
    return np.concatenate(parts, 1)[:, :-gap]


def map_topic(
    planes: Sequence[Plane], images: Pixels, label: Int[np.ndarray, "n"], classes: Sequence[str], notes: Sequence[str]
) -> Topic:
    """Each plane twice: as points, and with as many thumbnails as have room."""
    about = FEATURES["map"]
    order = [int(c) for c in np.argsort(-np.bincount(label[label >= 0], minlength=1), kind="stable")]
    colours = {c: CLASS_COLOURS[rank] for rank, c in enumerate(sorted(order[:NAMED]))}
    figures = []
    for plane in planes:
        share = [f"both axes hold {plane.explained:.0%} of the variance"] if plane.explained else []
        figures.append(Figure(plane.title, _points(plane.points, label, colours, classes), share))
    figures.append(Figure(f"{planes[-1].title}, as images", _thumbnails(planes[-1].points, images, label, colours)))
    return Topic("map", about.title, about.paper, about.reading, figures, notes)


def _placed(points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
    """Coordinates on the canvas, from its top left corner: both axes at one scale, the first as wide as the canvas. A plane
    that is higher than wide is turned by a right angle, which changes no distance."""
    low, high = points.min(0), points.max(0)
    if (high - low)[1] > (high - low)[0]:
        points, low, high = points[:, ::-1], low[::-1], high[::-1]
    span = float((high - low).max()) or 1.0
    return (points - low) / span * (CANVAS - 2 * MARGIN) + MARGIN


def _height(places: Float[np.ndarray, "n 2"]) -> int:
    return int(places[:, 1].max()) + MARGIN


def _points(
    points: Float[np.ndarray, "n 2"],
    label: Int[np.ndarray, "n"],
    colours: dict[int, tuple[int, int, int]],
    classes: Sequence[str],
) -> Picture:
    scale = 2  # drawn larger and shrunk, so that discs are smooth
    places = _placed(points)
    high = _height(places)
    canvas = Pillow.new("RGB", (CANVAS * scale, high * scale), (255, 255, 255))
    draw = ImageDraw.Draw(canvas)
    radius = scale * (4 if len(points) < 800 else 3)
    for (x, y), index in zip(places * scale, label, strict=True):
        colour = colours.get(int(index), UNKNOWN)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour, outline=(90, 90, 90))
    small = np.asarray(canvas.resize((CANVAS, high), Pillow.Resampling.LANCZOS))
    return np.concatenate([small, _legend(label, colours, classes)])


def _legend(label: Int[np.ndarray, "n"], colours: dict[int, tuple[int, int, int]], classes: Sequence[str]) -> Picture:
    """A square of each colour with the name of its class, five a row."""
    present = set(label.tolist())
    names = [(colour, classes[index]) for index, colour in colours.items() if index in present]
    if present - set(colours):
        names.append((UNKNOWN, "another, or unknown"))
    wide, cells = CANVAS // 5, []
    for colour, name in names:
        line = words(name, wide - 22)
        cell = np.full((max(18, line.shape[0]), wide, 3), 255, np.uint8)
        cell[2:14, 2:14] = colour
        cell[: line.shape[0], 18 : 18 + line.shape[1]] = line
        cells.append(cell)
    rows = []
    for start in range(0, len(cells), 5):
        part = cells[start : start + 5]
        high = max(cell.shape[0] for cell in part)
        row = np.full((high + 4, CANVAS, 3), 255, np.uint8)
        for place, cell in enumerate(part):
            row[: cell.shape[0], place * wide : (place + 1) * wide] = cell
        rows.append(row)
    return np.concatenate(rows) if rows else np.full((0, CANVAS, 3), 255, np.uint8)


def _thumbnails(
    points: Float[np.ndarray, "n 2"],
    images: Pixels,
    label: Int[np.ndarray, "n"],
    colours: dict[int, tuple[int, int, int]],
) -> Picture:
    """Images where their points are, edged with the colour of their class; one that would cover another is left out."""
    places = _placed(points)
    high_of_all = max(_height(places), THUMB + 4)
    canvas = np.full((high_of_all, CANVAS, 3), 255, np.uint8)
    taken: list[tuple[int, int]] = []
    for number, (x, y) in enumerate(places):
        tile = coloured(fitted(image_tile(images[number]), least=1, most=THUMB))
        tile = edged(tile, colours.get(int(label[number]), UNKNOWN), 2)
        high, wide = tile.shape[:2]
        top = int(np.clip(y - high / 2, 0, high_of_all - high))
        left = int(np.clip(x - wide / 2, 0, CANVAS - wide))
        if all(abs(top - t) >= THUMB + 4 or abs(left - s) >= THUMB + 4 for t, s in taken):
            canvas[top : top + high, left : left + wide] = tile
            taken.append((top, left))
    return canvas
