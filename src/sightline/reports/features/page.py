"""The page: one HTML file without scripts or addresses, and a contact sheet for each method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from sightline.drawing.overlay import coloured
from sightline.drawing.png import Picture, caption, png_bytes
from sightline.reports.build import policy
from sightline.reports.parts.picture import KILOBYTE, page_picture
from sightline.reports.template import HERE, environment
from sightline.version import __version__

from .topic import Figure, Topic

WIDEST, LIMIT = 1400, 260 * KILOBYTE  # pixels and bytes of a picture on the page
SHEET, GAP = 1500, 16  # pixels of a contact sheet's width at most, and between its figures


def features_page(topics: Sequence[Topic], *, run: str, model: str, summary: Sequence[str], command: str) -> str:
    """The HTML of all topics; `summary` are sentences for its beginning."""
    css = "\n".join((HERE / name).read_text(encoding="utf-8") for name in ("style.css", "features/features.css"))
    shown = [topic for topic in topics if topic.figures]
    values: dict[str, Any] = {
        "css": Markup(css),
        "policy": policy(css),
        "version": __version__,
        "run": run,
        "model": model,
        "summary": summary,
        "topics": [_values(topic) for topic in shown],
        "refused": [topic for topic in topics if not topic.figures],
        "command": command,
    }
    return environment().get_template("features/page.html").render(values)


def _values(topic: Topic) -> dict[str, Any]:
    figures = []
    for figure in topic.figures:
        picture = page_picture(png_bytes(figure.picture), most=WIDEST, limit=LIMIT)
        figures.append({"title": figure.title, "picture": picture, "words": figure.words, "wide": figure.wide})
    return {
        "method": topic.method, "title": topic.title, "paper": topic.paper, "reading": topic.reading, "figures": figures,
        "notes": topic.notes, "warnings": topic.warnings,
    }  # fmt: skip


def contact_sheet(topic: Topic) -> bytes:
    """PNG of a topic's figures with their titles and sentences, in rows."""
    cells = [_cell(figure) for figure in topic.figures]
    rows: list[list[Picture]] = [[]]
    for cell in cells:
        if rows[-1] and sum(one.shape[1] + GAP for one in rows[-1]) + cell.shape[1] > SHEET:
            rows.append([])
        rows[-1].append(cell)
    wide = max(sum(cell.shape[1] + GAP for cell in row) for row in rows)
    sheet = []
    for row in rows:
        high = max(cell.shape[0] for cell in row)
        line = np.full((high + GAP, wide, 3), 255, np.uint8)
        left = 0
        for cell in row:
            line[: cell.shape[0], left : left + cell.shape[1]] = cell
            left += cell.shape[1] + GAP
        sheet.append(line)
    return png_bytes(np.concatenate(sheet))


def _cell(figure: Figure) -> Picture:
    wide = max(figure.picture.shape[1], 160)
    picture = np.full((figure.picture.shape[0], wide, 3), 255, np.uint8)
    picture[:, : figure.picture.shape[1]] = coloured(figure.picture)
    return np.concatenate([caption(figure.title, wide), picture, *(caption(text, wide) for text in figure.words)])
