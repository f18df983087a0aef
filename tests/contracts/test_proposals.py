"""Selective search against a slow grouping, against OpenCV's, and on images where the objects are known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sightline.errors import UsageError
from sightline.proposals.colours import SPACES, colour_space
from sightline.proposals.grouping import MEASURES, gradients_of, grouped, segments_of
from sightline.proposals.selective_search import MODES, SAME, selective_search


def overlap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clip(min=0).prod(2)
    size_a, size_b = ((x[:, 2:] - x[:, :2]).prod(1) for x in (a, b))
    return shared / (size_a[:, None] + size_b[None] - shared)


def scene(seed: int, height: int = 96, width: int = 128) -> tuple[np.ndarray, np.ndarray]:
    """Discs and rectangles of several colours on a background with a shade and noise, and the boxes around them."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    image = np.stack([120 + 40 * x / width, 110 + 30 * y / height, np.full((height, width), 100.0)], 2)
    boxes = []
    for column, row in itertools.product(range(3), range(2)):
        h, w = draw.integers(14, 34, 2)
        top = row * height // 2 + draw.integers(1, height // 2 - h - 1)
        left = column * width // 3 + draw.integers(1, width // 3 - w - 1)
        inside = (y >= top) & (y < top + h) & (x >= left) & (x < left + w)
        if (column + row) % 2:
            inside &= ((y + 0.5 - top - h / 2) / (h / 2)) ** 2 + ((x + 0.5 - left - w / 2) / (w / 2)) ** 2 <= 1
        image[inside] = draw.integers(0, 255, 3)
        boxes.append([left, top, left + w, top + h])
    return (image + draw.normal(0, 4, image.shape)).clip(0, 255).astype(np.uint8), np.array(boxes, float)


def slowly(image: np.ndarray, gradients: np.ndarray, label: np.ndarray, measures: tuple[str, ...]) -> list[list[int]]:
    """The definition: all pairs of touching regions compared by their pixels, the most similar merged, again and again."""

    def histogram(mask: np.ndarray, planes: list[np.ndarray], bins: int) -> np.ndarray:
        counts = [np.histogram(p[mask], bins=bins, range=(0, 1))[0] for p in planes]
        return np.concatenate(counts) / (mask.sum() * len(planes))

    def box(mask: np.ndarray) -> list[int]:
        rows, columns = np.nonzero(mask)
        return [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]

    def similarity(a: np.ndarray, b: np.ndarray) -> float:
        left, top, right, bottom = box(a | b)
        both = a.sum() + b.sum()
        colours = [histogram(m, list(np.moveaxis(image, 2, 0)), 25) for m in (a, b)]
        textures = [histogram(m, list(gradients), 10) for m in (a, b)]
        parts = {
            "colour": np.minimum(*colours).sum(),
            "texture": np.minimum(*textures).sum(),
            "size": 1 - both / label.size,
            "fill": 1 - ((right - left) * (bottom - top) - both) / label.size,
        }
        return sum(parts[name] for name in measures)

    def touching(a: np.ndarray, b: np.ndarray) -> bool:
        return bool((a[:, 1:] & b[:, :-1]).any() or (a[:, :-1] & b[:, 1:]).any()
                    or (a[1:] & b[:-1]).any() or (a[:-1] & b[1:]).any())  # fmt: skip

    regions = {i: label == i for i in range(label.max() + 1)}
    boxes = [box(mask) for mask in regions.values()]
    while len(regions) > 1:
        pairs = [(i, j) for i, j in itertools.combinations(regions, 2) if touching(regions[i], regions[j])]
        one, other = max(pairs, key=lambda p: similarity(regions[p[0]], regions[p[1]]))
        merged = regions.pop(one) | regions.pop(other)
        regions[len(boxes)] = merged
        boxes.append(box(merged))
    return boxes


@pytest.mark.parametrize("measures", [MEASURES, ("texture", "size", "fill"), ("fill",), ("colour",)])
def test_grouping_is_that_of_the_definition(measures: tuple[str, ...]) -> None:
    draw = np.random.default_rng(3)
    label = np.kron(np.arange(12).reshape(3, 4), np.ones((4, 4), int))
    image = draw.random((12, 3))[label] * 0.8 + 0.19 * draw.random((*label.shape, 3))
    gradients = gradients_of(image)
    got = grouped(segments_of(image, gradients, label), measures)
    assert got.tolist() == slowly(image, gradients, label, measures)
    assert got[-1].tolist() == [0, 0, label.shape[1], label.shape[0]]


def test_objects_are_found_early() -> None:
    for seed in range(3):
        image, boxes = scene(seed)
        assert (overlap(boxes, selective_search(image)[:100]).max(1) >= 0.7).all()


def test_boxes_differ_lie_inside_and_come_in_one_order() -> None:
    image, _ = scene(4)
    boxes = selective_search(image, smallest=6)
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= (128, 96)).all()
    assert ((boxes[:, 2:] - boxes[:, :2]) >= 6).all()
    assert overlap(boxes, boxes)[~np.eye(len(boxes), dtype=bool)].max() <= SAME + 1e-6
    assert (boxes == selective_search(image, smallest=6)).all()
    assert (boxes[:7] == selective_search(image, limit=7, smallest=6)).all()


def test_quality_has_ten_times_the_groupings_and_more_boxes() -> None:
    count = {name: len(m.spaces) * len(m.scales) * len(m.similarities) for name, m in MODES.items()}
    assert count == {"fast": 8, "quality": 80}
    image, _ = scene(5)
    assert len(selective_search(image, mode="quality")) > len(selective_search(image))


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (40, 3)])
@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_without_objects_is_one_box(size: tuple[int, int], channels: int) -> None:
    boxes = selective_search(np.full((*size, channels), 90, np.uint8), smallest=1)
    assert boxes.tolist() == [[0, 0, size[1], size[0]]]


@pytest.mark.parametrize("name", SPACES)
def test_colours_are_scaled_to_one(name: str) -> None:
    corners = np.array(list(itertools.product((0, 255), repeat=3)), np.uint8)[None]
    got = colour_space(corners, name)
    assert got.min() >= 0 and got.max() <= 1 + 1e-9 and np.isfinite(got).all()
    grey = colour_space(np.array([[[7]]], np.uint8), name)
    assert np.allclose(grey, colour_space(np.array([[[7, 7, 7]]], np.uint8), name))


def test_shadow_leaves_normalised_colours_alone() -> None:
    bright = np.array([[[200, 100, 50]]], np.uint8)
    assert np.allclose(colour_space(bright, "rgI")[..., :2], colour_space(bright // 2, "rgI")[..., :2])


def test_an_unknown_mode_is_named() -> None:
    with pytest.raises(UsageError, match="unknown mode 'fats'"):
        selective_search(np.zeros((4, 4, 3), np.uint8), mode="fats")


def test_opencv_finds_no_more_with_as_many_boxes() -> None:
    cv2 = pytest.importorskip("cv2")
    if not hasattr(cv2, "ximgproc"):
        pytest.skip("OpenCV without its contributed modules")
    ours, theirs = [], []
    for seed in range(6):
        image, boxes = scene(seed)
        search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
        search.setBaseImage(image[..., ::-1].copy())
        search.switchToSelectiveSearchFast()
        found = search.process().astype(float)
        found[:, 2:] += found[:, :2]
        ours.append(overlap(boxes, selective_search(image, limit=len(found))).max(1))
        theirs.append(overlap(boxes, found).max(1))
    assert (np.concatenate(ours) >= 0.5).mean() >= (np.concatenate(theirs) >= 0.5).mean()
