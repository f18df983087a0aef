"""What the judgement of a detector promises: mistakes told apart, intervals that are definitions, nothing undefined as 0."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from sightline.errors import DamagedError
from sightline.evaluation.boxes.errors import box_errors
from sightline.evaluation.detections import judge_detections
from sightline.evaluation.intervals import resample_weights
from sightline.evaluation.predictions import write_rows
from sightline.evaluation.stored_rows import read_detection_rows, read_segment_rows, write_detection_rows
from sightline.metrics.average_precision import best_point
from sightline.metrics.detection import NAMES, detection_metrics
from sightline.metrics.matching import FALSE, HIT, IGNORED, THRESHOLDS, match, match_rows
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.predictions import ClassRows
from tests.found_objects import drawn, rows_of


def names(k: int) -> list[str]:
    return [f"class {c}" for c in range(k)]


A, B, C = [10, 10, 50, 50], [60, 60, 100, 100], [110, 110, 150, 150]
SCENE = rows_of(
    [
        (0, 0, 0.9, A),  # a hit
        (0, 0, 0.8, [10, 10, 50, 48]),  # the same object again
        (0, 1, 0.7, B),  # right place, wrong class
        (0, 1, 0.6, [110, 110, 130, 140]),  # right class, badly placed
        (0, 2, 0.5, [10, 60, 40, 90]),  # nothing there
        (0, 2, 0.5, [0, 10, 22, 50]),  # wrong class and badly placed
        (1, 0, 0.9, A),  # a hit
        (1, 0, 0.9, [115, 115, 140, 140]),  # inside a crowd
        (1, 0, 0.9, [120, 115, 150, 140]),  # and another
        (2, 0, 0.9, C),  # a hit, so that nothing else is worst
        (3, 2, 0.8, A),  # an image without objects
    ],
    [(0, 0, A), (0, 0, B), (0, 1, C), (1, 0, A), (1, 0, C), (1, 1, B), (2, 0, C)],
    n=5,
    ignore=(4,),
)


def test_each_kind_of_mistake_is_told_apart() -> None:
    """B and C of image 0 are not `missed`: a box is about each. B of image 1 is."""
    j = judge_detections(SCENE, names(3))
    assert j.score_threshold == 0.9
    assert j.errors.counts == dict.fromkeys(j.errors.counts, 0) | {"missed": 3}
    lowest = box_errors(SCENE, match_rows(SCENE, 3), None)
    want = {"class": 1, "localisation": 1, "both": 1, "duplicate": 1, "background": 2, "missed": 1}
    assert lowest.counts == want
    assert lowest.missed.tolist() == [2, 1, 0, 0, 0]
    assert lowest.false.tolist() == [5, 0, 0, 1, 0]


def test_the_worst_images_come_first() -> None:
    j = judge_detections(SCENE, names(3))
    assert [(w.id, w.missed, w.false) for w in j.worst] == [(100, 2, 0), (101, 1, 0)]


def test_an_overlap_of_a_third_is_a_false_alarm_and_one_of_two_thirds_a_hit() -> None:
    for overlap, outcome in ((0.3, FALSE), (0.7, HIT), (0.5, HIT), (np.nextafter(0.5, 0), FALSE)):
        assert match(np.array([[overlap]]), np.array([False]), np.array([0.5])).outcome == outcome


def test_a_true_object_is_taken_once_and_a_crowd_often() -> None:
    overlap, thresholds = np.array([[0.9], [0.95], [0.6]]), np.array([0.5, 0.7])
    once = match(overlap, np.array([False]), thresholds)
    assert once.outcome.tolist() == [[HIT, FALSE, FALSE], [HIT, FALSE, FALSE]]
    assert once.truth.tolist() == [[0, -1, -1], [0, -1, -1]]
    often = match(overlap, np.array([True]), thresholds)
    assert often.outcome.tolist() == [[IGNORED, IGNORED, IGNORED], [IGNORED, IGNORED, FALSE]]


def test_an_object_to_be_found_comes_before_a_crowd() -> None:
    """Even where the crowd is overlapped more; and the best of the free ones, of equals the last."""
    thresholds = np.array([0.5])
    assert match(np.array([[0.9, 0.6]]), np.array([True, False]), thresholds).truth == 1
    overlap = np.array([[0.6, 0.8, 0.8, 0.7], [0.6, 0.8, 0.8, 0.7], [0.6, 0.8, 0.8, 0.7]])
    assert match(overlap, np.zeros(4, dtype=bool), thresholds).truth.tolist() == [[2, 1, 3]]


def test_what_is_undefined_is_none_and_what_is_bad_is_zero() -> None:
    nothing = {name: None for name in NAMES}
    no_images = rows_of([], [], n=0)
    no_truth = rows_of([(0, 0, 0.5, A)], [], n=2)
    only_crowd = rows_of([(0, 0, 0.5, A)], [(0, 0, A)], n=2, ignore=(0,))
    for rows, unjudged in ((no_images, 0), (no_truth, 1), (only_crowd, 1)):
        assert detection_metrics(rows, 2) == nothing | {"unjudged": unjudged}
        j = judge_detections(rows, names(2))
        assert set(j.intervals.values()) == {None}
        assert j.score_threshold is None
        assert j.curves == ()
    nothing_found = detection_metrics(rows_of([], [(0, 0, A)], n=1), 2)
    assert nothing_found["ap"] == nothing_found["ar100"] == nothing_found["unjudged"] == 0
    assert nothing_found["ap_small"] is nothing_found["ap_large"] is None
    j = judge_detections(rows_of([], [(0, 0, A)], n=1), names(2))
    assert j.errors.counts["missed"] == 1
    assert [row["ap"] for row in j.per_class] == [0, None]
    assert j.per_class[0]["threshold"] is None


def test_a_perfect_detector_is_perfect() -> None:
    """The first object and the first image too: to COCO the id 0 means unmatched."""
    boxes = [(0, 0, A), (0, 1, B), (1, 0, C)]
    metrics = detection_metrics(rows_of([(i, c, 0.5, box) for i, c, box in boxes], boxes, n=2))
    assert metrics["ap"] == metrics["ap50"] == metrics["ar100"] == pytest.approx(1)
    j = judge_detections(rows_of([(i, c, 0.5, box) for i, c, box in boxes], boxes, n=2), names(2))
    assert j.errors.counts == dict.fromkeys(j.errors.counts, 0)
    assert j.worst == ()
    assert all(row["precision"] == row["recall"] == row["f1"] == 1 for row in j.per_class)


def test_what_was_found_of_classes_without_truth_is_counted() -> None:
    rows = rows_of([(0, 0, 0.5, A), (0, 1, 0.9, A), (0, 2, 0.9, A)], [(0, 0, A), (0, 2, C)], n=1, ignore=(1,))
    metrics = detection_metrics(rows, 3)
    assert metrics["unjudged"] == 2
    assert metrics["ap"] == pytest.approx(1)


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"a class outside 0\.\.1"):
        detection_metrics(rows_of([(0, 2, 0.5, A)], [], n=1), 2)
    with pytest.raises(ValueError, match="not finite"):
        detection_metrics(rows_of([(0, 0, np.nan, A)], [], n=1))
    rows, k = drawn(1003, masks=True)
    with pytest.raises(ValueError, match="some objects have masks"):
        detection_metrics(DetectionRows(**(vars(rows) | {"found_rle": rows.found_rle[1:]})), k)
    with pytest.raises(ValueError, match="1 different class names for 2"):
        judge_detections(SCENE, ["a", "a"])


def test_nothing_is_printed_or_logged(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        detection_metrics(SCENE, 3)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_a_judgement_adds_up() -> None:
    rows, k = drawn(1000, masks=True)
    j = judge_detections(rows, names(k))
    assert j.metrics == detection_metrics(rows, k)
    assert j.n == len(rows)
    for name in ("ap", "ap50", "mask_ap", "mask_ap50"):
        of_classes = [row[name] for row in j.per_class if row[name] is not None]
        assert np.mean(of_classes) == pytest.approx(j.metrics[name], rel=0, abs=1e-9)
    assert sum(row["support"] for row in j.per_class) == (~rows.true_ignore).sum()
    assert sum(row["found"] for row in j.per_class) == len(rows.label)
    for name, size in j.sizes.items():
        assert (size["ap"] is None) == (size["support"] == 0)
        assert (size["ap"], size["ar"]) == (j.metrics[f"ap_{name}"], j.metrics[f"ar_{name}"])
    shown = rows.score >= j.score_threshold
    wrong = sum(count for kind, count in j.errors.counts.items() if kind != "missed")
    m = match_rows(rows, k)
    outcome = np.concatenate([c.outcome[0][c.score >= j.score_threshold] for c in m.classes])
    assert wrong == (outcome == FALSE).sum() == sum(w.false for w in j.worst)
    assert shown.sum() == wrong + (outcome == HIT).sum() + (outcome == IGNORED).sum()
    assert sum(w.missed for w in j.worst) == (~rows.true_ignore).sum() - (outcome == HIT).sum()


def test_intervals_are_those_of_drawn_images() -> None:
    """Each resample is COCO's own number for images that were really drawn again."""
    rows, k = drawn(1005, masks=True, ties=False)
    j = judge_detections(rows, names(k), seed=5)
    times = resample_weights(len(rows), 5, range(200)).astype(int)
    different, which = np.unique(times, axis=0, return_inverse=True)
    again = [detection_metrics(rows.take(np.repeat(np.arange(len(rows)), w)), k) for w in different]
    assert len(again) >= 3
    for name in ("ap", "ap50", "ap75", "mask_ap", "mask_ap50", "mask_ap75"):
        values = [again[i][name] for i in which.ravel()]
        assert None not in values
        assert j.intervals[name] == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), rel=0, abs=1e-9)
    assert judge_detections(rows, names(k), seed=5).intervals == j.intervals
    assert judge_detections(rows, names(k), seed=6).intervals != j.intervals


def test_the_threshold_is_that_of_the_best_f1() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        score = -np.sort(-rng.integers(0, 8, 25) / 8)
        right = rng.random(25) < 0.5
        truth = int(right.sum()) + int(rng.integers(0, 9))
        best = max((2 * right[score >= s].sum() / ((score >= s).sum() + truth), s) for s in set(score.tolist()))
        got = best_point(score, right, truth)
        assert (got.f1, got.threshold) == pytest.approx(best, rel=0, abs=1e-12)
        assert got.precision == right[score >= got.threshold].mean()
        assert got.recall == right[score >= got.threshold].sum() / truth


def test_curves_are_short_and_true() -> None:
    rng = np.random.default_rng(0)
    n = 500
    corner = rng.integers(0, 100, (n, 2)).astype(float)
    boxes = np.concatenate([corner, corner + 30], axis=1)
    found = [(i, 0, float(s), boxes[i].tolist()) for i, s in enumerate(rng.permutation(n) / n)]
    rows = rows_of(found, [(i, 0, boxes[i if i % 3 else (i + 1) % n].tolist()) for i in range(n)], n=n)
    (curve,) = judge_detections(rows, names(1)).curves
    points = curve.precision_recall
    assert len(points.recall) == 200
    c = match_rows(rows, 1).classes[0]
    for precision, recall, threshold in zip(*points, strict=True):
        shown = c.outcome[0][c.score >= threshold] == HIT
        assert (precision, recall) == (shown.mean(), shown.sum() / n)
    assert points.recall[-1] == (c.outcome[0] == HIT).sum() / n


def test_the_json_is_json() -> None:
    j = judge_detections(SCENE, names(3)).to_json()
    told = json.loads(json.dumps(j, allow_nan=False))
    assert told == j
    assert told.keys() == {
        *("n", "metrics", "intervals", "reasons", "per_class", "sizes", "crowding"),
        *("score_threshold", "errors", "ap50_gains"),
    }
    assert told["n"] == 5
    assert told["per_class"]["class 0"]["support"] == 4
    assert len(told["intervals"]["ap"]) == 2


# --- rows on disk


@pytest.mark.parametrize("masks", [False, True])
def test_rows_come_back_as_they_were(tmp_path: Path, masks: bool) -> None:
    for seed in (*range(1000, 1008), 24, 25):
        rows, k = drawn(seed, masks=masks)
        rows = rows.take(np.arange(len(rows)))  # image by image
        files = ["\udcff raw", "a\\b.png", "😀", "", "a,b", "nul\0", "x" * 255][: len(rows)]
        write_detection_rows(tmp_path / "x.parquet", rows, names=files, classes=names(k))
        back, found, classes = read_detection_rows(tmp_path / "x.parquet")
        assert (found, classes) == (files, names(k))
        for name, value in vars(rows).items():
            ours = getattr(back, name)
            if isinstance(value, tuple):
                assert ours == value
            else:
                assert (ours.dtype, ours.shape) == (value.dtype, value.shape), name
                np.testing.assert_array_equal(ours, value)


def test_rows_out_of_order_measure_the_same(tmp_path: Path) -> None:
    rows, k = drawn(1000, masks=True)
    assert (np.diff(rows.image) < 0).any()
    write_detection_rows(tmp_path / "x.parquet", rows, names=names(len(rows)), classes=names(k))
    assert detection_metrics(read_detection_rows(tmp_path / "x.parquet")[0], k) == detection_metrics(rows, k)


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    rows, k = drawn(1000, masks=True)
    write_detection_rows(path, rows, names=names(len(rows)), classes=names(k))
    table = pyarrow.parquet.read_table(path)
    about = json.loads(table.schema.metadata[b"sightline"])

    def rewritten(table: pyarrow.Table, about: dict[str, object]) -> None:
        pyarrow.parquet.write_table(table.replace_schema_metadata({b"sightline": json.dumps(about).encode()}), path)

    rewritten(table, about)
    read_detection_rows(path)
    lists = table["true_ignore"].to_pylist()
    lists[0] = [not x for x in lists[0]]
    place = table.schema.get_field_index("true_ignore")
    rewritten(table.set_column(place, table.schema.field(place), pyarrow.chunked_array([lists])), about)
    with pytest.raises(DamagedError, match="hash"):
        read_detection_rows(path)
    rewritten(table, about | {"classes": names(k)[::-1]})
    with pytest.raises(DamagedError, match="hash"):
        read_detection_rows(path)
    rewritten(table, about | {"version": 2})
    with pytest.raises(DamagedError, match="newer"):
        read_detection_rows(path)
    rewritten(table, about)
    with pytest.raises(DamagedError, match="it holds rows of detections"):
        read_segment_rows(path)
    write_rows(path, ClassRows(np.arange(2), np.arange(2), np.eye(2)), names=names(2), classes=names(2))
    with pytest.raises(DamagedError, match="does not hold rows of detections"):
        read_detection_rows(path)
    path.write_bytes(b"PAR1")
    with pytest.raises(DamagedError, match="does not hold rows of detections"):
        read_detection_rows(path)
    with pytest.raises(DamagedError, match="cannot read"):
        read_detection_rows(tmp_path / "absent.parquet")


def test_thresholds_start_where_mistakes_are_told() -> None:
    assert THRESHOLDS[0] == 0.5
    assert THRESHOLDS[5] == 0.75
