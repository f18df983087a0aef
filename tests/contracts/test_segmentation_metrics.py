"""The metrics of pixels, against torchmetrics, scikit-learn and hand; absent classes; boundaries; weights."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score

from sightline.metrics import segmentation
from sightline.metrics.counts import Counts, one_vs_rest
from sightline.metrics.segmentation import (
    boundary,
    boundary_counts,
    boundary_f,
    dice,
    intersection_over_union,
    measure_weighted,
    pixel_confusion,
    segmentation_metrics,
)
from sightline.structures.rows.segments import SegmentRows
from sightline.structures.targets import IGNORE

CLASSES = 6


def maps(seed: int, classes: int = CLASSES, absent: tuple[int, ...] = (), shape: tuple[int, int] = (13, 17)):
    """(truth, predicted): noise in blocks, some pixels ignored, `absent` in neither."""
    rng = np.random.default_rng(seed)
    allowed = np.setdiff1d(np.arange(classes), absent)
    truth = np.kron(rng.choice(allowed, (4, 5)), np.ones((4, 4), np.int64))[: shape[0], : shape[1]]
    predicted = np.where(rng.random(truth.shape) < 0.3, rng.choice(allowed, truth.shape), truth)
    truth = truth.copy()
    truth[rng.random(truth.shape) < 0.1] = IGNORE
    return truth, predicted


def rows(*pairs: tuple[np.ndarray, np.ndarray], classes: int = CLASSES) -> SegmentRows:
    pixels = np.array([(truth != IGNORE).sum() for truth, _ in pairs])
    return SegmentRows(
        id=np.arange(len(pairs)),
        confusion=np.stack([pixel_confusion(*pair, classes) for pair in pairs]),
        boundary=np.stack([boundary_counts(*pair) for pair in pairs]),
        loss_sum=np.arange(len(pairs)) * 10.0,
        pixels=pixels,
    )


def flat(pairs) -> tuple[np.ndarray, np.ndarray]:
    truth, predicted = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
    return truth[truth != IGNORE], predicted[truth != IGNORE]


@pytest.mark.parametrize("absent", [(), (2,), (0, 5)])
@pytest.mark.parametrize("seed", range(3))
def test_as_the_oracles_say(seed: int, absent: tuple[int, ...]) -> None:
    torchmetrics = pytest.importorskip("torchmetrics")
    import torch

    pairs = [maps(10 * seed + i, absent=absent) for i in range(4)]
    got = rows(*pairs)
    truth, predicted = flat(pairs)
    assert np.array_equal(got.confusion.sum(0), confusion_matrix(truth, predicted, labels=range(CLASSES)))
    present = [c for c in range(CLASSES) if c not in absent]
    iou = jaccard_score(truth, predicted, labels=present, average=None)
    f1 = f1_score(truth, predicted, labels=present, average=None)
    support = np.bincount(truth, minlength=CLASSES)[present]
    metrics = segmentation_metrics(got)
    assert metrics["mean_iou"] == pytest.approx(iou.mean())
    assert metrics["mean_dice"] == pytest.approx(f1.mean())
    assert metrics["frequency_weighted_iou"] == pytest.approx((iou * support).sum() / support.sum())
    assert metrics["pixel_accuracy"] == pytest.approx((truth == predicted).mean())
    recall = [(predicted[truth == c] == c).mean() for c in present]
    assert metrics["mean_class_accuracy"] == pytest.approx(np.mean(recall))
    counts = one_vs_rest(got.confusion.sum(0))
    assert np.allclose(intersection_over_union(counts)[present], iou)
    assert np.isnan(intersection_over_union(counts)[list(absent)]).all()
    assert np.isnan(dice(counts)[list(absent)]).all()
    theirs = torchmetrics.JaccardIndex(task="multiclass", num_classes=CLASSES, ignore_index=IGNORE, average="macro")
    for t, p in pairs:
        theirs.update(torch.from_numpy(p), torch.from_numpy(t))
    assert metrics["mean_iou"] == pytest.approx(theirs.compute().item(), abs=1e-6)


def test_one_rule_for_absent_classes() -> None:
    """Neither true nor predicted: left out. Only predicted: 0, not left out. Nothing at all: undefined."""
    truth = np.zeros((4, 4), np.int64)
    guess = truth.copy()
    guess[0] = 1
    alone = segmentation_metrics(rows((truth, truth), classes=3))
    assert alone["mean_iou"] == alone["mean_dice"] == 1
    assert alone["boundary_f"] is None
    predicted = segmentation_metrics(rows((truth, guess), classes=3))
    assert predicted["mean_iou"] == pytest.approx((12 / 16 + 0) / 2)
    assert predicted["mean_class_accuracy"] == pytest.approx(12 / 16)
    assert predicted["boundary_f"] == 0
    nothing = segmentation_metrics(rows((np.full((4, 4), IGNORE), guess), classes=3))
    assert set(nothing.values()) == {None}
    assert set(segmentation_metrics(rows((truth, guess), classes=3).take(np.zeros(0, np.int64))).values()) == {None}


def test_dice_is_a_function_of_iou() -> None:
    counts = Counts(*(np.random.default_rng(0).random((4, 9))))
    iou = intersection_over_union(counts)
    assert np.allclose(dice(counts), 2 * iou / (1 + iou))


def test_weights_are_repetitions() -> None:
    some = rows(*(maps(i) for i in range(4)))
    weights = np.array([[1.0, 1, 1, 1], [2, 0, 1, 3], [0, 0, 0, 0]])
    drawn = measure_weighted(some, weights)
    whole, repeated = segmentation_metrics(some), segmentation_metrics(some.take(np.array([0, 0, 2, 3, 3, 3])))
    for name, values in drawn.metrics.items():
        assert values[0] == pytest.approx(whole[name])
        assert values[1] == pytest.approx(repeated[name])
        assert np.isnan(values[2])
    assert whole["loss"] == pytest.approx(60 / some.pixels.sum())
    assert drawn.counts.tp.shape == (3, CLASSES)


def test_rows_are_taken_and_joined() -> None:
    some = rows(*(maps(i) for i in range(4)))
    again = SegmentRows.join([some.take(np.array([0])), some.take(np.array([False, True, True, True]))])
    assert len(again) == 4
    for name in ("id", "confusion", "boundary", "loss_sum", "pixels"):
        assert np.array_equal(getattr(again, name), getattr(some, name))


def test_strange_classes_are_refused() -> None:
    good = np.zeros((2, 2), np.int64)
    for truth, guess in ((good + 3, good), (good, good + 3), (good - 1, good), (good, good + IGNORE)):
        with pytest.raises(ValueError, match=r"outside 0\.\.2"):
            pixel_confusion(truth, guess, 3)
    assert pixel_confusion(good + IGNORE, good, 3).sum() == 0


# ----------------------------------------------------------------------------------------------------------- boundary
def slowly(truth: np.ndarray, guess: np.ndarray, share: float = 0.0075) -> list[int]:
    """By the definition, pixel by pixel."""
    known = truth != IGNORE
    height, width = truth.shape
    tolerance = max(1.0, share * math.hypot(height, width))

    def edge(index: np.ndarray) -> list[tuple[int, int, int]]:
        found = []
        for y, x in np.argwhere(known):
            around = ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
            inside = [(i, j) for i, j in around if 0 <= i < height and 0 <= j < width and known[i, j]]
            if any(index[i, j] != index[y, x] for i, j in inside):
                found.append((y, x, index[y, x]))
        return found

    true, predicted = edge(truth), edge(guess)

    def met(points, others) -> int:
        return sum(any(c == d and math.hypot(y - i, x - j) <= tolerance for i, j, d in others) for y, x, c in points)

    return [len(true), met(true, predicted), len(predicted), met(predicted, true)]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(13, 17), (16, 20)])
def test_boundary_by_definition(seed: int, shape: tuple[int, int]) -> None:
    truth, guess = maps(seed, shape=shape)
    assert boundary_counts(truth, guess).tolist() == slowly(truth, guess)


@pytest.mark.parametrize("tolerance", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("seed", range(4))
def test_boundary_in_large_pictures(seed: int, tolerance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose tolerance is more steps than are tried one by one: what is left asks a tree, to the same answer."""
    monkeypatch.setattr(segmentation, "TOLERANCE", tolerance)
    monkeypatch.setattr(segmentation, "_NEAR", 2)
    truth, guess = maps(seed, shape=(16, 20))
    assert boundary_counts(truth, guess).tolist() == slowly(truth, guess, tolerance)


def test_boundary_of_a_moved_square() -> None:
    """1,000 pixels across the diagonal is 7.5 of tolerance: a square moved by 7 is met, by 8 only where its sides run on."""
    truth = np.zeros((600, 800), np.int64)
    truth[200:300, 300:500] = 1
    for shift, perfect in ((7, True), (8, False)):
        guess = np.roll(truth, shift, axis=0)
        counts = boundary_counts(truth, guess)
        assert counts[0] == counts[2] > 1000
        assert (boundary_f(counts.astype(float)) == 1) == perfect
    assert 0.2 < boundary_f(counts.astype(float)) < 0.9


def test_boundary_next_to_the_unknown_is_none() -> None:
    truth = np.zeros((6, 6), np.int64)
    truth[:, 3:] = 1
    truth[:, 3] = IGNORE
    assert not boundary(truth, truth != IGNORE).any()
    assert boundary(truth, np.ones_like(truth, bool)).sum() == 18


def test_boundaries_of_other_classes_do_not_meet() -> None:
    truth = np.zeros((10, 10), np.int64)
    truth[:, 5:] = 1
    assert boundary_counts(truth, truth).tolist() == [20, 20, 20, 20]
    assert boundary_counts(truth, truth * 2).tolist() == [20, 10, 20, 10]  # 0's side meets, 1 and 2 do not
    assert boundary_counts(truth, truth * 0).tolist() == [20, 0, 0, 0]
