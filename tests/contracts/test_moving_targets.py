"""Image, mask, boxes, outlines and points go one way: through every fit of the geometry and every augmentation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sightline.augmentation.affine import Affine
from sightline.augmentation.moves import Flip, Shift
from sightline.augmentation.operation import VISIBLE, Operation
from sightline.augmentation.pipeline import Pipeline
from sightline.data.records.annotations import Objects
from sightline.data.targets import target_of
from sightline.preprocessing.geometry import FITS, Geometry
from sightline.structures.batch import Batch
from sightline.structures.frames import inverse, move_boxes
from sightline.structures.masks import extents
from sightline.structures.targets import IGNORE, Boxes, Masks, Outlines, Several

CASES = 10_000


def test_geometry_moves_everything_alike() -> None:
    """10,000 random images with a rectangle, five fits: what is known at a pixel's centre in the original is known there."""
    draw = np.random.default_rng(5)
    strict = 0
    for case in range(CASES):
        height, width = draw.integers(6, 41, 2).tolist()
        fit = FITS[case % len(FITS)]
        share = float(draw.uniform(0.5, 1)) if fit == "crop" else 1.0
        geometry = Geometry(*draw.integers(6, 41, 2).tolist(), fit=fit, share=share, multiple=int(draw.integers(1, 9)))
        x0, y0 = int(draw.integers(0, width - 1)), int(draw.integers(0, height - 1))
        x1, y1 = int(draw.integers(x0 + 1, width + 1)), int(draw.integers(y0 + 1, height + 1))
        mask = np.zeros((height, width), np.uint8)
        mask[y0:y1, x0:x1] = 1
        pixels, frame = geometry.apply(np.repeat(mask[..., None] * 200, 3, 2))
        small = geometry.apply_mask(mask, IGNORE)
        assert small.shape == pixels.shape[:2]
        assert set(np.unique(small).tolist()) <= {0, 1, IGNORE}

        rows, columns = np.mgrid[: small.shape[0], : small.shape[1]] + 0.5
        back = inverse(frame) @ np.stack([columns.ravel(), rows.ravel(), np.ones(rows.size)])  # (3, pixels)
        x, y = (back[axis].reshape(small.shape) for axis in (0, 1))  # (pixels,) → (h, w)
        sure = 1e-3 * (1 + np.abs(x)), 1e-3 * (1 + np.abs(y))
        inside = (x > sure[0]) & (x < width - sure[0]) & (y > sure[1]) & (y < height - sure[1])
        beyond = (x < -1) | (x > width + 1) | (y < -1) | (y > height + 1)
        if fit in ("stretch", "crop"):
            assert (small != IGNORE).all()
        else:
            assert (small[beyond] == IGNORE).all()
        object_, edge = (x >= x0) & (x < x1) & (y >= y0) & (y < y1), np.zeros(small.shape, bool)
        for value, sides in ((x, (x0, x1)), (y, (y0, y1))):
            for side in sides:
                edge |= np.abs(value - side) < 0.51  # a rounded size moves a sample by less than half a pixel
        known = inside & ~edge
        strict += int(known.sum())
        assert (small[known] == object_[known]).all(), (case, geometry)

        box = move_boxes(np.array([[x0, y0, x1, y1]], np.float64), frame)[0]
        corners = frame @ np.array([[x0, x1], [y0, y1], [1, 1]], np.float64)
        np.testing.assert_allclose(box, corners[:2].T.ravel(), atol=1e-9)
    assert strict > 100 * CASES


OPERATIONS = [Flip(1.0), Shift(5), Affine(rotate=25.0, scale=0.3, shear=10.0, translate=0.1)]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda op: op.name)
def test_augmentation_moves_everything_alike(operation: Operation) -> None:
    """2,000 images at once: an outline moves as its mask, its box is drawn around it, and hidden objects are dropped."""
    n, side, draw = 2_000, 32, np.random.default_rng(6)
    mask = torch.zeros(n, side, side, dtype=torch.bool)
    size = torch.from_numpy(draw.integers(20, side + 1, (n, 2)))
    boxes = []
    for i, (height, width) in enumerate(size.tolist()):
        x0, y0 = int(draw.integers(0, width - 4)), int(draw.integers(0, height - 4))
        x1, y1 = int(draw.integers(x0 + 4, width + 1)), int(draw.integers(y0 + 4, height + 1))
        mask[i, y0:y1, x0:x1] = True
        boxes.append([x0, y0, x1, y1])
    packed = Boxes(torch.tensor(boxes).float(), torch.arange(n) % 7, torch.arange(n), torch.arange(n) % 5 == 0)
    index = torch.full((n, side, side), IGNORE)
    for i, (height, width) in enumerate(size.tolist()):
        index[i, :height, :width] = mask[i, :height, :width].long()
    target = Several({"outline": Outlines(packed, mask), "box": packed, "mask": Masks(index)})
    pixels = (mask * 200).to(torch.uint8)[:, None].expand(-1, 3, -1, -1).contiguous(memory_format=torch.channels_last)
    batch = Batch.of_images(pixels, size, torch.eye(3).repeat(n, 1, 1), size, torch.arange(n), torch.arange(n), target)
    out = Pipeline((operation,))(batch, 3)
    outline, box, seen = (out.target.by_name[name] for name in ("outline", "box", "mask"))  # type: ignore[attr-defined]
    moved = seen.index == 1  # (n, h, w)
    kept = outline.boxes.sample
    assert torch.equal(outline.mask, moved[kept])
    assert torch.equal(outline.boxes.boxes, extents(outline.mask).float())
    assert torch.equal(outline.boxes.label, kept % 7)
    assert torch.equal(outline.boxes.ignore, kept % 5 == 0)
    assert torch.equal(box.ignore, box.sample % 5 == 0)
    share = moved.sum((1, 2)) / mask.sum((1, 2))
    dropped = torch.ones(n, dtype=torch.bool)
    dropped[kept] = False
    assert (share[dropped] < VISIBLE * 2.2).all()  # an affine map may also shrink what it moves
    both = torch.isin(box.sample, kept)
    around = outline.boxes.boxes[torch.searchsorted(kept, box.sample[both])]
    loose = box.boxes[both]
    assert (loose[:, :2] <= around[:, :2] + 1).all()  # the box of the corners contains the object
    assert (loose[:, 2:] >= around[:, 2:] - 1).all()
    twice = Pipeline((operation,))(out, 3) if isinstance(operation, Flip) else None
    if twice is not None:
        assert torch.equal(twice.image, batch.image)
        assert torch.equal(twice.target.by_name["box"].boxes, packed.boxes)  # type: ignore[attr-defined]


def test_a_target_of_what_an_annotation_says() -> None:
    objects = Objects(
        boxes=np.array([[2.0, 2, 12, 10], [0, 0, 0.5, 20], [5, 5, 15, 19]]),
        label=np.array([1, 0, 2]),
        ignore=np.array([False, False, True]),
        where=(("a.json", 1), ("a.json", 2), ("a.json", 3)),
    )
    geometry = Geometry(10, 20, fit="stretch")
    _, frame = geometry.apply(np.zeros((20, 40, 3), np.uint8))
    learned = target_of(objects, geometry, (20, 40), frame, outlines=False, judging=False)
    assert isinstance(learned, Boxes)
    assert learned.boxes.tolist() == [
        [1, 1, 6, 5],
        [2.5, 2.5, 7.5, 9.5],
    ]  # half the size; the sliver is not learned from
    assert learned.label.tolist() == [1, 2]
    assert learned.ignore.tolist() == [False, True]
    judged = target_of(objects, geometry, (20, 40), frame, outlines=False, judging=True)
    assert isinstance(judged, Boxes)
    assert judged.label.tolist() == [1, 0, 2]
