"""COCO's numbers and our own fast path against pycocotools, the reference, on drawn rows full of edge cases."""

from __future__ import annotations

import contextlib
import functools
import io
from collections import Counter

import numpy as np
import pytest
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from sightline.metrics.average_precision import average_precisions, ranking_ap
from sightline.metrics.detection import NAMES, coco_results, coco_truth, detection_metrics
from sightline.metrics.matching import HIT, IGNORED, THRESHOLDS, Matches, box_overlap, mask_overlap, match_rows
from sightline.structures.detection_rows import DetectionRows
from tests.found_objects import drawn

TOLERANCE = 1e-9
BOXES, MASKS = range(80), range(1000, 1024)


def reference(rows: DetectionRows, k: int, *, masks: bool = False) -> dict[str, float | None]:
    """pycocotools' twelve numbers of what we export; -1 is undefined."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth, found = COCO(), COCO()
        truth.dataset = coco_truth(rows, k)
        truth.createIndex()
        results = coco_results(rows, masks=masks)
        if results:
            found = truth.loadRes(results)
        else:  # it refuses an empty list
            found.dataset = truth.dataset | {"annotations": []}
            found.createIndex()
        evaluation = COCOeval(truth, found, "segm" if masks else "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return {n: None if value < 0 else value for n, value in zip(NAMES, evaluation.stats, strict=True)}


def assert_equal(got: dict[str, float | None], want: dict[str, float | None], case: object) -> None:
    assert got.keys() == want.keys()
    for name, value in want.items():
        assert (got[name] is None) == (value is None), (case, name)
        assert value is None or got[name] == pytest.approx(value, rel=0, abs=TOLERANCE), (case, name)


@functools.cache
def ours(seed: int) -> dict[str, float | None]:
    rows, k = drawn(seed, masks=seed in MASKS)
    return detection_metrics(rows, k)


def without_unjudged(metrics: dict[str, float | None]) -> dict[str, float | None]:
    assert metrics.keys() >= {"unjudged", *NAMES}
    return {name: value for name, value in metrics.items() if name != "unjudged"}


def means(m: Matches, weights: np.ndarray | None = None) -> list[float | None]:
    """Our own ap, ap50, ap75 of the first resample."""
    ap = average_precisions(m, weights)[0]
    parts = [part[~np.isnan(part)] for part in (ap, ap[:, 0], ap[:, 5])]
    return [float(part.mean()) if len(part) else None for part in parts]


def test_the_cases_hold_what_they_should() -> None:
    """Crowds that swallow, duplicates, ties, exact thresholds, classes and images without anything, nothing at all."""
    seen: Counter[str] = Counter()
    for seed in BOXES:
        rows, k = drawn(seed)
        real = ~rows.true_ignore
        m = match_rows(rows, k)
        seen["swallowed"] += any((c.outcome == IGNORED).any() for c in m.classes)
        seen["hits"] += any((c.outcome == HIT).any() for c in m.classes)
        seen["ties"] += len(np.unique(rows.score)) < len(rows.score)
        seen["class without truth"] += bool(np.setdiff1d(rows.label, rows.true_label[real]).size)
        seen["class never found"] += bool(np.setdiff1d(rows.true_label[real], rows.label).size)
        seen["empty image"] += len(np.unique(np.r_[rows.image, rows.true_image])) < len(rows)
        seen["no truth"] += not real.any()
        seen["nothing found"] += not len(rows.label)
        overlap = box_overlap(rows.boxes, rows.true_boxes)
        seen["exact"] += bool(np.isin(overlap, [0.5, 0.75]).any())
    rare = {"no truth": 1, "nothing found": 1}
    assert all(count >= rare.get(name, 5) for name, count in seen.items()), seen
    assert len(seen) == 9


def test_boxes_equal_pycocotools() -> None:
    for seed in BOXES:
        rows, k = drawn(seed)
        assert_equal(without_unjudged(ours(seed)), reference(rows, k), seed)


def test_masks_equal_pycocotools() -> None:
    for seed in MASKS:
        rows, k = drawn(seed, masks=True)
        got = without_unjudged(ours(seed))
        if not rows.true_rle and not rows.found_rle:
            assert got.keys() == set(NAMES)
            continue
        want = reference(rows, k) | {f"mask_{n}": v for n, v in reference(rows, k, masks=True).items()}
        assert_equal(got, want, seed)


def test_our_own_average_precision_is_the_same() -> None:
    for seed in (*BOXES, *MASKS):
        rows, k = drawn(seed, masks=seed in MASKS)
        metrics = ours(seed)
        for prefix in ("", "mask_") if rows.true_rle else ("",):
            got = dict(zip(("ap", "ap50", "ap75"), means(match_rows(rows, k, masks=bool(prefix))), strict=True))
            assert_equal(got, {name: metrics[prefix + name] for name in got}, (seed, prefix))


def test_a_weighted_average_precision_is_that_of_repeated_images() -> None:
    """Weights 0, 1, 2, ... against rows in which the image really occurs that often."""
    for seed in range(30):
        rows, k = drawn(seed, ties=False)
        times = np.random.default_rng(seed).integers(0, 4, len(rows))
        again = rows.take(np.repeat(np.arange(len(rows)), times))
        metrics = detection_metrics(again, k)
        got = dict(zip(("ap", "ap50", "ap75"), means(match_rows(rows, k), times[None]), strict=True))
        assert_equal(got, {name: metrics[name] for name in got}, seed)


def test_resamples_are_independent_of_one_another() -> None:
    rows, k = drawn(3)
    m, weights = match_rows(rows, k), np.random.default_rng(0).integers(0, 3, (7, len(rows)))
    together = average_precisions(m, weights)
    for r in range(7):
        np.testing.assert_array_equal(together[r], average_precisions(m, weights[r : r + 1])[0])


def test_more_than_a_hundred_boxes_in_an_image() -> None:
    """Only the hundred surest of an image and class are looked at, whichever way they are stored."""
    rng = np.random.default_rng(0)
    corner = rng.integers(0, 60, (260, 2)).astype(float)
    boxes = np.concatenate([corner, corner + 20], axis=1)
    found = np.r_[np.arange(260), np.arange(40)]
    rows = DetectionRows(
        id=np.arange(2),
        size=np.full((2, 2), 160),
        boxes=boxes[found],
        label=(np.arange(300) % 11 == 0).astype(int),
        score=rng.random(300),
        image=np.zeros(300, dtype=int),
        true_boxes=boxes[:60],
        true_label=np.zeros(60, dtype=int),
        true_image=np.zeros(60, dtype=int),
        true_ignore=np.arange(60) % 9 == 0,
    )
    got = without_unjudged(detection_metrics(rows, 2))
    assert_equal(got, reference(rows, 2), "many")
    assert means(match_rows(rows, 2))[0] == pytest.approx(got["ap"], rel=0, abs=TOLERANCE)
    assert len(match_rows(rows, 2).classes[0].index) == 100


def test_overlaps_equal_pycocotools_to_the_bit() -> None:
    rng = np.random.default_rng(0)
    a, b = (np.concatenate([c, c + rng.random((60, 2)) * 50], axis=1) for c in rng.random((2, 60, 2)) * 40)
    ignore = rng.random(60) < 0.3
    sides = [np.concatenate([x[:, :2], x[:, 2:] - x[:, :2]], axis=1) for x in (a, b)]
    np.testing.assert_array_equal(box_overlap(a, b, ignore), coco_mask.iou(*sides, ignore.astype(np.uint8)))
    rows, _ = drawn(1001, masks=True)
    image = int(np.bincount(rows.image).argmax())
    found, true = np.flatnonzero(rows.image == image), np.flatnonzero(rows.true_image == image)
    rles = [
        [{"size": [160, 160], "counts": counts[i]} for i in places]
        for counts, places in ((rows.found_rle, found), (rows.true_rle, true))
    ]
    want = coco_mask.iou(*rles, rows.true_ignore[true].astype(np.uint8))
    assert want.any()
    np.testing.assert_array_equal(mask_overlap(rows, found, true), want)


def test_thresholds_are_cocos() -> None:
    np.testing.assert_array_equal(THRESHOLDS, COCOeval(iouType="bbox").params.iouThrs)


def test_a_ranking_by_each_interpolation() -> None:
    """The lecture's ten answers to five things; one class in one image is the same ranking to COCO."""
    correct = np.array([1, 1, 0, 0, 0, 1, 1, 0, 0, 1])
    want = {"at_tp": 0.7142857, "all_point": 0.7285714, "eleven_point": 0.7532468, "coco_101": 0.7312588}
    for name, value in want.items():
        assert ranking_ap(correct, 5, name) == pytest.approx(value, abs=1e-7)
    place = np.where(correct == 1, np.cumsum(correct) - 1, 5 + np.arange(10)) * 10.0
    boxes = np.stack([place, place * 0, place + 8, place * 0 + 8], axis=1)
    rows = DetectionRows(
        id=np.arange(1), size=np.full((1, 2), 200), boxes=boxes, label=np.zeros(10, dtype=int),
        score=np.linspace(1, 0.1, 10), image=np.zeros(10, dtype=int), true_boxes=boxes[correct == 1],
        true_label=np.zeros(5, dtype=int), true_image=np.zeros(5, dtype=int), true_ignore=np.zeros(5, dtype=bool),
    )  # fmt: skip
    assert detection_metrics(rows)["ap50"] == pytest.approx(want["coco_101"], abs=1e-7)
