"""The contact sheet: one PNG, a row an image, a column a method; under each map its scale and the map of random weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.drawing.heat import bar
from sightline.drawing.png import Picture, caption, fitted, png_bytes
from sightline.explanation.attribution.methods import METHODS
from sightline.explanation.results import Explanation

from .content import CONTROL_TITLES, Entry, evidence_sentence, scale_words

CELL, SMALL, GAP = 224, 96, 8  # pixels of a map's side, of its control's, and between them


def contact_sheet(images: Sequence[Entry]) -> bytes:
    """PNG of all images and methods, in their order; a refused method has a cell with the reason."""
    rows = [_row(entry) for entry in images]
    wide = max(len(row) for row in rows)
    sheet = []
    for row in rows:
        high = max(cell.shape[0] for cell in row)
        cells = [_padded(cell, high, CELL + GAP) for cell in row]
        cells += [np.full((high, CELL + GAP, 3), 255, np.uint8)] * (wide - len(row))
        sheet.append(np.concatenate(cells, 1))
        sheet.append(np.full((2 * GAP, sheet[-1].shape[1], 3), 255, np.uint8))
    return png_bytes(np.concatenate(sheet))


def _row(entry: Entry) -> list[Picture]:
    first = _cell(entry.original(), entry.name, [entry.question.answer, f"explained: {entry.question.score}"])
    cells = [first, *(_method(entry, one) for one in entry.explanations)]
    if entry.controls is not None:
        cells += [
            _cell(entry.over(entry.controls.maps[key]).picture, title, ["a control"])
            for key, title in CONTROL_TITLES.items()
        ]
    return cells


def _method(entry: Entry, one: Explanation) -> Picture:
    title = METHODS[one.method].title
    if one.attribution is None:
        return _cell(np.full((CELL // 2, CELL, 3), 245, np.uint8), title, [f"refused: {one.refusal}"])
    found, signed = one.map, one.attribution.signed
    assert found is not None
    over = entry.over(found)
    words = [scale_words(over, signed=signed, unit=one.attribution.unit), *one.attribution.notes]
    if evidence := evidence_sentence(one, entry.question.score):
        words.append(evidence)
    parts = [_cell(over.picture, title, words, scale=bar(CELL, 8, signed=signed))]
    if one.randomised is not None:
        parts.append(_cell(fitted(entry.over(one.randomised).picture, least=1, most=SMALL), "", ["all weights random"]))
    wide = max(part.shape[1] for part in parts)
    return np.concatenate([_padded(part, part.shape[0], wide) for part in parts])


def _cell(picture: Picture, title: str, words: Sequence[str], scale: Picture | None = None) -> Picture:
    small = fitted(picture, least=1, most=CELL)
    parts = [caption(title, CELL), _padded(small, small.shape[0], CELL)]
    parts += [] if scale is None else [np.full((2, CELL, 3), 255, np.uint8), scale]
    parts += [caption(text, CELL) for text in words]
    return np.concatenate(parts)


def _padded(picture: Picture, high: int, wide: int) -> Picture:
    canvas = np.full((high, wide, 3), 255, np.uint8)
    canvas[: picture.shape[0], : picture.shape[1]] = picture
    return canvas
