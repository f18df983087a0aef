"""Contact sheets of a data set: some images of each split with what is known of them."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int, UInt8

from sightline.data.dataset import Dataset
from sightline.drawing.png import caption, grid
from sightline.recipes.loading import choose
from sightline.storage.text import printable

from .truth import WORDS, paint_truth, truth_words

Sheet = UInt8[np.ndarray, "h w 3"]
WIDE, NARROW = 640, 192  # pixels of an image with annotations, so that names on it are read, and of one without
ANNOTATED, LABELLED = 9, 30  # images of a split
SPLITS = ("train", "val", "test")


def contact_sheets(data: Dataset) -> dict[str, Sheet]:
    """A sheet for each split that has images. Where images have one class, as many classes as there is room for are shown."""
    sheets = {}
    for split in SPLITS:
        ids = data.ids(split)
        if len(ids):
            sheets[split] = _sheet(data, split, ids)
    return sheets or {"images": _sheet(data, "images", data.ids())}


def stacked(sheets: dict[str, Sheet]) -> Sheet:
    """All sheets below each other."""
    width = max(sheet.shape[1] for sheet in sheets.values())
    rows = [np.pad(s, ((0, 24), (0, width - s.shape[1]), (0, 0)), constant_values=255) for s in sheets.values()]
    return np.concatenate(rows)


def _sheet(data: Dataset, split: str, ids: Int[np.ndarray, "n"]) -> Sheet:
    labelled = data.knows in WORDS
    some = choose(ids, LABELLED if labelled else ANNOTATED).tolist()
    chosen = _spread(data, ids, LABELLED) if data.knows == "labels" else some
    pictures = [paint_truth(data, i) for i in chosen]
    words = [truth_words(data, i) for i in chosen]
    columns, side = (10, NARROW) if labelled else (3, WIDE)
    body = grid(pictures, columns=columns, least=NARROW // 2, most=side, captions=words, gap=8)
    title = f"{split}: {len(chosen):,} of {len(ids):,} images of {printable(data.name)}"
    return np.concatenate([_title(title, body.shape[1]), body])


def _title(text: str, width: int) -> Sheet:
    line = caption(text, width)
    return np.pad(line, ((8, 8), (0, 0), (0, 0)), constant_values=255)


def _spread(data: Dataset, ids: Int[np.ndarray, "n"], most: int) -> list[int]:
    """At most so many images, the classes in turn; class by class."""
    index = data.index[ids]
    rank = np.zeros(len(ids), np.int64)  # of an image among those of its class
    for c in np.unique(index):
        mine = np.flatnonzero(index == c)
        rank[mine] = np.arange(len(mine))
    classes = np.unique(index)
    shown = set(classes[np.linspace(0, len(classes) - 1, min(most, len(classes))).round().astype(int)].tolist())
    order = [i for i in np.lexsort((index, rank)) if int(index[i]) in shown][:most]
    return [int(ids[i]) for i in sorted(order, key=lambda i: (int(index[i]), int(rank[i])))]
