"""Rows of found objects: taken with repeats and joined, each object follows its image."""

from __future__ import annotations

import numpy as np

from sightline.structures.detection_rows import DetectionRows


def rows_of(images: int) -> DetectionRows:
    """Image i of `images` has i found objects and one true one, with masks."""
    image = np.repeat(np.arange(images), np.arange(images))
    n = len(image)
    return DetectionRows(
        id=np.arange(images) + 10,
        size=np.full((images, 2), 5),
        boxes=np.arange(4.0 * n).reshape(n, 4),
        label=image % 2,
        score=np.arange(n) / n,
        image=image,
        true_boxes=np.arange(4.0 * images).reshape(images, 4),
        true_label=np.zeros(images, dtype=int),
        true_image=np.arange(images),
        true_ignore=np.zeros(images, dtype=bool),
        found_rle=tuple(str(i).encode() for i in range(n)),
        true_rle=tuple(str(i).encode() for i in range(images)),
    )


def test_rows_taken_and_joined() -> None:
    rows = rows_of(4)  # found objects of image 0: none; 1: 0; 2: 1, 2; 3: 3, 4, 5
    twice = rows.take(np.array([2, 2, 0]))
    assert (twice.id.tolist(), twice.image.tolist()) == ([12, 12, 10], [0, 0, 1, 1])
    assert twice.found_rle == (b"1", b"2", b"1", b"2")
    assert (twice.true_image.tolist(), twice.true_rle) == ([0, 1, 2], (b"2", b"2", b"0"))
    chosen = rows.take(np.array([False, True, False, True]))
    assert (len(chosen), chosen.image.tolist(), chosen.boxes[:, 0].tolist()) == (2, [0, 1, 1, 1], [0, 12, 16, 20])
    again = DetectionRows.join([rows.take(np.array([0, 1])), rows.take(np.array([2, 3]))])
    for name in ("id", "size", "boxes", "label", "score", "image", "true_boxes", "true_image"):
        assert np.array_equal(getattr(again, name), getattr(rows, name)), name
    assert (again.found_rle, again.true_rle) == (rows.found_rle, rows.true_rle)
