"""What the judgement of a segmentation promises: it adds up, its intervals are definitions, undefined is None."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sightline.errors import DamagedError
from sightline.evaluation.intervals import RESAMPLES, resample_weights
from sightline.evaluation.segments import judge_segments
from sightline.evaluation.stored_rows import read_detection_rows, read_segment_rows, write_segment_rows
from sightline.metrics.segmentation import segmentation_metrics
from sightline.structures.rows.segments import SegmentRows


def names(k: int) -> list[str]:
    return [f"class {c}" for c in range(k)]


def rows(seed: int, n: int, k: int) -> SegmentRows:
    rng = np.random.default_rng(seed)
    confusion = rng.integers(0, 20, (n, k, k)) * (rng.random((n, k, k)) < 0.6)
    confusion[:, np.arange(k), np.arange(k)] += rng.integers(0, 90, (n, k))
    true, predicted = rng.integers(5, 50, (2, n))
    boundary = np.stack([true, rng.integers(0, true + 1), predicted, rng.integers(0, predicted + 1)], 1)
    pixels = confusion.sum((1, 2)) + 3
    return SegmentRows(np.arange(n) + 100, confusion, boundary, rng.random(n) * pixels, pixels)


def test_a_judgement_adds_up() -> None:
    r = rows(0, 12, 4)
    j = judge_segments(r, names(4))
    assert j.metrics == segmentation_metrics(r)
    assert j.n == 12
    total = r.confusion.sum(0)
    np.testing.assert_array_equal(j.confusion, total)
    for c, row in enumerate(j.per_class):
        true, predicted, both = total[c].sum(), total[:, c].sum(), total[c, c]
        assert (row["class"], row["support"], row["predicted"]) == (f"class {c}", true, predicted)
        want = [both / (true + predicted - both), 2 * both / (true + predicted), both / predicted, both / true]
        assert [row[name] for name in ("iou", "dice", "precision", "recall")] == pytest.approx(want, rel=1e-12)
    assert np.mean([row["iou"] for row in j.per_class]) == pytest.approx(j.metrics["mean_iou"], rel=1e-12)


def test_intervals_are_those_of_drawn_images() -> None:
    r = rows(1, 9, 3)
    j = judge_segments(r, names(3), seed=4)
    times = resample_weights(9, 4, range(RESAMPLES)).astype(int)
    again = [r.take(np.repeat(np.arange(9), w)) for w in times]
    measured = [segmentation_metrics(a) for a in again]
    for name, value in j.intervals.items():
        want = np.quantile([m[name] for m in measured], [0.025, 0.975])
        assert value == pytest.approx(tuple(want), rel=1e-9)
    iou = [(t[2, 2] / (t[2].sum() + t[:, 2].sum() - t[2, 2])) for t in (a.confusion.sum(0) for a in again)]
    assert j.per_class[2]["intervals"]["iou"] == pytest.approx(tuple(np.quantile(iou, [0.025, 0.975])), rel=1e-9)
    assert judge_segments(r, names(3), seed=4).intervals == j.intervals
    assert judge_segments(r, names(3), seed=5).intervals != j.intervals


def test_the_worst_images_come_first() -> None:
    """An image's mean is over the classes that it has or was given; one without a known pixel is not judged."""
    r = rows(2, 5, 3)
    r.confusion[:] = 0
    r.confusion[0] = np.diag([10, 10, 0])  # right: 1
    r.confusion[1] = [[10, 0, 0], [10, 0, 0], [0, 0, 0]]  # (10 / 20 + 0) / 2
    r.confusion[2] = [[0, 0, 10], [0, 0, 0], [0, 0, 0]]  # 0
    r.confusion[3] = [[10, 0, 0], [10, 0, 0], [0, 0, 5]]  # (10 / 20 + 0 + 1) / 3
    j = judge_segments(r, names(3))
    assert [(w.id, w.mean_iou) for w in j.worst] == [(102, 0), (101, 0.25), (103, 0.5), (100, 1)]


def test_an_absent_class_has_no_number_and_a_missed_one_has_zero() -> None:
    r = rows(3, 6, 4)
    r.confusion[:, 3] = r.confusion[:, :, 3] = 0
    r.confusion[:, :, 2] = 0  # class 2 is there and never predicted
    j = judge_segments(r, names(4))
    absent, missed = j.per_class[3], j.per_class[2]
    assert [absent[name] for name in ("iou", "dice", "precision", "recall")] == [None] * 4
    assert set(absent["intervals"].values()) == {None}
    assert [missed[name] for name in ("iou", "dice", "precision", "recall")] == [0, 0, None, 0]
    assert missed["intervals"]["iou"] is None  # every resample misses it too: that tells nothing of other images


def test_no_images_have_no_numbers() -> None:
    j = judge_segments(rows(0, 0, 3), names(3))
    assert j.n == 0
    assert set(j.metrics.values()) == set(j.intervals.values()) == {None}
    assert j.worst == ()
    json.dumps(j.to_json(), allow_nan=False)


def test_names_must_fit() -> None:
    for classes in (names(2), names(4), ["a", "a", "b"]):
        with pytest.raises(ValueError, match="class names for 3"):
            judge_segments(rows(0, 2, 3), classes)


def test_the_json_is_json() -> None:
    j = judge_segments(rows(0, 12, 4), names(4)).to_json()
    assert json.loads(json.dumps(j, allow_nan=False)) == j
    assert j.keys() == {"n", "metrics", "intervals", "reasons", "per_class"}
    assert j["per_class"]["class 1"]["intervals"].keys() == {"iou", "dice", "precision", "recall"}


@pytest.mark.parametrize("n", [0, 1, 6])
def test_rows_come_back_as_they_were(tmp_path: Path, n: int) -> None:
    r = rows(4, n, 3)
    files = ["\udcff raw", "a\\b.png", "😀", "", "a,b", "x" * 255][:n]
    classes = ["\udc80", '"\n', "b"]
    write_segment_rows(tmp_path / "x.parquet", r, names=files, classes=classes)
    back, found, found_classes = read_segment_rows(tmp_path / "x.parquet")
    assert (found, found_classes) == (files, classes)
    for name, value in vars(r).items():
        ours = getattr(back, name)
        assert (ours.dtype, ours.shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(ours, value)
    with pytest.raises(DamagedError, match="it holds rows of segments"):
        read_detection_rows(tmp_path / "x.parquet")


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    r = rows(5, 4, 3)
    for name, stored in (("a", r), ("b", r), ("c", replace(r, loss_sum=r.loss_sum + 1))):
        write_segment_rows(tmp_path / name, stored, names=names(4), classes=names(3))
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b != c
