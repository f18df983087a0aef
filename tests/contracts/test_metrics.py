"""What the metrics promise: names, undefined values, ties, unknown labels, weights, speed."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import DivergedError
from sightline.metrics.calibration import confidence_bin, log_loss, reliability
from sightline.metrics.classification import classification_metrics, measure, measure_weighted, prepare
from sightline.metrics.counts import RATES, Counts, averaged, confusion_matrix, one_vs_rest, rate
from sightline.metrics.ranking import area_under, at_ranks, auc, top_k_accuracy

NAMES = {"loss", "accuracy", "balanced_accuracy", "macro_f1", "mcc", "auc", "ece"}


def drawn(seed: int, n: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, k, n), rng.dirichlet(np.full(k, 0.7), n)


def test_names() -> None:
    assert set(classification_metrics(*drawn(0, 30, 5))) == NAMES
    assert set(classification_metrics(*drawn(0, 30, 6))) == NAMES | {"top5_accuracy"}


@pytest.mark.parametrize("k", [1, 2, 3, 10])
def test_without_a_known_label_everything_is_undefined(k: int) -> None:
    for n in (0, 3):
        metrics = classification_metrics(np.full(n, -1), np.full((n, k), 1 / k))
        assert set(metrics.values()) == {None}


def test_unknown_labels_count_nowhere() -> None:
    target, probability = drawn(1, 60, 7)
    known = np.random.default_rng(2).random(60) < 0.5
    assert classification_metrics(np.where(known, target, -1), probability) == classification_metrics(
        target[known], probability[known]
    )
    masked = confusion_matrix(np.where(known, target, -1), probability.argmax(1), 7)
    assert (masked == confusion_matrix(target[known], probability[known].argmax(1), 7)).all()


def test_one_class_leaves_only_what_is_defined() -> None:
    metrics = classification_metrics(np.zeros(4, dtype=int), np.tile([0.75, 0.25], (4, 1)))
    assert metrics == {
        "loss": pytest.approx(-np.log(0.75)),
        "accuracy": 1.0,
        "balanced_accuracy": 1.0,
        "macro_f1": 1.0,
        "mcc": None,
        "auc": None,
        "ece": 0.25,
    }


def test_not_finite_is_refused_by_name() -> None:
    target, probability = drawn(3, 10, 4)
    probability[2, 1], probability[5, 0] = np.nan, np.inf
    with pytest.raises(DivergedError, match="2 of 10 images"):
        classification_metrics(target, probability)


def test_a_class_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="class 4 among 4"):
        classification_metrics(np.array([4]), np.full((1, 4), 0.25))
    with pytest.raises(ValueError, match=r"0\.\.3"):
        confusion_matrix(np.array([1]), np.array([4]), 4)
    with pytest.raises(ValueError, match=r"0\.\.3"):
        confusion_matrix(np.array([4]), np.array([1]), 4)
    with pytest.raises((ValueError, TypeError), match="median"):
        averaged("recall", one_vs_rest(np.eye(2)), "median")  # type: ignore[arg-type]


def test_tied_classes_go_to_the_lowest_index() -> None:
    probability = np.full((4, 4), 0.25)
    target = np.arange(4)
    assert [top_k_accuracy(target, probability, k) for k in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]
    assert classification_metrics(target, probability)["accuracy"] == 0.25


def test_tied_scores_count_half() -> None:
    assert auc(np.array([True, False]), np.array([0.5, 0.5])) == 0.5
    assert auc(np.array([True, False, True]), np.array([0.5, 0.5, 0.9])) == 0.75


def test_a_zero_denominator_is_undefined_and_never_infinite() -> None:
    counts = one_vs_rest(confusion_matrix(np.array([0, 1, 1]), np.array([0, 1, 1]), 3))
    assert np.isnan(rate("precision", counts)).tolist() == [False, False, True]
    assert rate("precision", counts, zero_division=0.0)[2] == 0.0
    for name in ("lr_plus", "dor"):  # no false positive: the denominator is zero, the numerator is not
        assert np.isnan(rate(name, counts)).all()
    with np.errstate(all="raise"):
        for name in RATES:
            assert not np.isinf(rate(name, counts)).any()
    assert averaged("f_beta", counts, "macro") == 1.0
    assert averaged("f_beta", counts, "macro", zero_division=0.0) == pytest.approx(2 / 3)


def test_counts_of_a_million_do_not_overflow() -> None:
    counts = Counts(*(np.array([x]) for x in (4e6, 1e6, 2e6, 5e6)))
    expected = (4 * 5 - 1 * 2) / np.sqrt(5 * 6 * 6 * 7)
    assert rate("mcc", counts)[0] == pytest.approx(expected, abs=1e-12)
    confusion = np.array([[5_000_000, 1_000_000], [2_000_000, 4_000_000]])
    assert rate("mcc", one_vs_rest(confusion)) == pytest.approx([expected, expected], abs=1e-12)


def test_edges_of_bins_belong_below() -> None:
    """A bin is (lower, upper]; 1 lies in the last, and the smallest confidence in the first."""
    assert confidence_bin(np.array([1e-9, 1 / 15, np.nextafter(1 / 15, 1), 14 / 15, 1.0])).tolist() == [0, 0, 1, 13, 14]
    table = reliability(np.array([0.5, 0.7, 0.7]), np.array([True, True, False]), bins=2)
    assert table.samples.tolist() == [1, 2]
    assert table.confidence.tolist() == [0.5, 0.7]
    assert table.accuracy.tolist() == [1.0, 0.5]
    assert table.upper.tolist() == [0.5, 1.0]
    assert np.isnan(reliability(np.array([0.7]), np.array([True]), bins=2).accuracy[0])


def test_a_certain_mistake_costs_a_finite_loss() -> None:
    assert log_loss(np.array([1]), np.array([[1.0, 0.0]])) == pytest.approx(36.0436534, abs=1e-6)


def test_average_precision_of_ranks() -> None:
    for name in ("at_tp", "all_point", "eleven_point", "coco_101"):
        missed = at_ranks(np.array([1, 1]), 4)  # two of four are never found
        assert area_under(missed.precision, missed.recall, name) == pytest.approx(
            {"eleven_point": 6 / 11, "coco_101": 51 / 101}.get(name, 0.5)
        )
        assert area_under(np.zeros(0), np.zeros(0), name) == 0.0
        nothing = at_ranks(np.array([0, 0]), 0)
        assert np.isnan(area_under(nothing.precision, nothing.recall, name))
    with pytest.raises(ValueError, match="2 correct detections for 1 object"):
        at_ranks(np.array([1, 1]), 1)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 40), k=st.integers(1, 8), coarse=st.booleans())
def test_a_weight_is_a_repetition(seed: int, n: int, k: int, coarse: bool) -> None:
    """Metrics under weights equal those of the rows repeated as often: what the bootstrap rests on."""
    target, probability = drawn(seed, n, k)
    probability = np.round(probability, 1) if coarse else probability
    times = np.random.default_rng(seed + 1).integers(0, 4, n)
    weighted = measure_weighted(prepare(target, probability), np.stack([np.ones(n), times]))
    repeated = measure(prepare(np.repeat(target, times), np.repeat(probability, times, axis=0)))
    assert {name: x[1] for name, x in weighted.metrics.items()} == pytest.approx(
        repeated.metrics, rel=0, abs=1e-12, nan_ok=True
    )
    assert all((a[1] == b).all() for a, b in zip(weighted.counts, repeated.counts, strict=True))
    assert classification_metrics(target, probability) == {
        name: None if np.isnan(x[0]) else x[0] for name, x in weighted.metrics.items()
    }


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32), n=st.integers(1, 40), k=st.integers(2, 8))
def test_neither_the_order_of_samples_nor_of_classes_matters(seed: int, n: int, k: int) -> None:
    target, probability = drawn(seed, n, k)
    rng = np.random.default_rng(seed + 1)
    rows, columns = rng.permutation(n), rng.permutation(k)
    moved = measure(prepare(np.argsort(columns)[target][rows], probability[rows][:, columns]))
    here = measure(prepare(target, probability))
    assert moved.metrics == pytest.approx(here.metrics, rel=0, abs=1e-12, nan_ok=True)


def test_validation_costs_less_than_50_ms() -> None:
    target, probability = drawn(4, 10_000, 10)
    seconds = []
    for _ in range(5):
        start = time.process_time()
        classification_metrics(target, probability)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05
