"""Metrics of labels and of numbers equal scikit-learn's and torchmetrics' on random rows, with ties and missing entries."""

from __future__ import annotations

import numpy as np
import pytest
import sklearn.metrics as sk
import torch
import torchmetrics.classification as tm
import torchmetrics.regression as tr

from sightline.evaluation.labels import judge_labels
from sightline.evaluation.numbers import judge_numbers
from sightline.metrics.multilabel import average_precisions_of_labels, best_threshold, label_counts, label_metrics
from sightline.metrics.regression import errors_of_numbers, number_metrics
from sightline.structures.rows.labels import LabelRows, NumberRows


def rows_of(seed: int, n: int = 80, k: int = 6, missing: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    target = (rng.uniform(size=(n, k)) < rng.uniform(0.1, 0.6, k)).astype(np.float64)
    probability = np.round(np.clip(0.35 * target + rng.uniform(0, 0.65, (n, k)), 0, 1), 2)  # two digits: many ties
    target[rng.uniform(size=(n, k)) < missing] = np.nan
    return target, probability


@pytest.mark.parametrize("seed", range(12))
def test_labels_equal_both_libraries(seed: int) -> None:
    target, probability = rows_of(seed)
    found = label_metrics(target, probability, 0.5)
    assert found["map"] == pytest.approx(sk.average_precision_score(target, probability, average="macro"), abs=1e-12)
    said = probability >= 0.5
    for name in ("micro", "macro"):
        assert found[f"{name}_f1"] == pytest.approx(sk.f1_score(target, said, average=name), abs=1e-12)
    clipped = np.clip(probability, 1.2e-7, 1 - 1.2e-7)
    losses = [sk.log_loss(target[:, c], clipped[:, c], labels=[0, 1]) for c in range(6)]
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-6)
    scores, truth = torch.from_numpy(probability), torch.from_numpy(target).long()
    assert found["map"] == pytest.approx(float(tm.MultilabelAveragePrecision(6)(scores, truth)), abs=1e-6)
    counts = label_counts(target, probability, 0.5)
    matrix = sk.multilabel_confusion_matrix(target, said)  # (k, 2, 2): tn fp / fn tp
    assert [x[0].tolist() for x in counts] == [matrix[:, i, j].tolist() for i, j in ((1, 1), (0, 1), (1, 0), (0, 0))]


@pytest.mark.parametrize("seed", range(6))
def test_missing_entries_count_nowhere(seed: int) -> None:
    target, probability = rows_of(seed, missing=0.3)
    found = average_precisions_of_labels(target, probability)[0]
    for c in range(6):
        known = ~np.isnan(target[:, c])
        own = sk.average_precision_score(target[known, c], probability[known, c])
        assert found[c] == pytest.approx(own, abs=1e-12)
    known = ~np.isnan(target)
    flat = sk.f1_score(target[known], probability[known] >= 0.5)
    assert label_metrics(target, probability, 0.5)["micro_f1"] == pytest.approx(flat, abs=1e-12)


def test_weights_are_repetitions() -> None:
    target, probability = rows_of(3, missing=0.1)
    weight = np.random.default_rng(0).integers(0, 4, len(target))
    again = np.repeat(np.arange(len(target)), weight)
    weighted = average_precisions_of_labels(target, probability, weight[None].astype(float))
    assert weighted[0] == pytest.approx(average_precisions_of_labels(target[again], probability[again])[0], abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_no_threshold_is_better_than_the_best(seed: int) -> None:
    target, probability = rows_of(seed, missing=0.1 * (seed % 2))
    known = ~np.isnan(target)

    def f1(threshold: float) -> float:
        return float(sk.f1_score(target[known], probability[known] >= threshold))

    best = best_threshold(target, probability)
    assert f1(best) >= max(f1(t) for t in np.unique(probability)) - 1e-12


@pytest.mark.parametrize("seed", range(6))
def test_numbers_equal_both_libraries(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.normal(1e4, [5.0, 300.0], (60, 2))
    prediction = target + rng.normal(0, [3.0, 200.0], (60, 2))
    constant = target.mean(0) + 1
    found = number_metrics(target, prediction, constant, np.array([5.0, 300.0]))
    assert found["mae"] == pytest.approx(sk.mean_absolute_error(target, prediction), rel=1e-12)
    assert found["rmse"] == pytest.approx(sk.root_mean_squared_error(target, prediction), rel=1e-12)
    assert found["r2"] == pytest.approx(sk.r2_score(target, prediction), rel=1e-9)
    assert found["mae_of_mean"] == pytest.approx(
        sk.mean_absolute_error(target, np.broadcast_to(constant, target.shape))
    )
    as_tensors = torch.from_numpy(prediction), torch.from_numpy(target)
    assert found["r2"] == pytest.approx(float(tr.R2Score(multioutput="uniform_average")(*as_tensors)), rel=1e-6)
    target[rng.uniform(size=target.shape) < 0.2] = np.nan
    own = errors_of_numbers(target, prediction)
    for t in range(2):
        known = ~np.isnan(target[:, t])
        assert own["r2"][0, t] == pytest.approx(sk.r2_score(target[known, t], prediction[known, t]), rel=1e-9)


def test_judgements_have_intervals_around_their_values() -> None:
    target, probability = rows_of(1, n=120, missing=0.05)
    own = judge_labels(LabelRows(np.arange(120), target, probability, 0.4), [f"l{i}" for i in range(6)])
    assert own.threshold == own.to_json()["threshold"] == 0.4
    for name in ("map", "micro_f1", "macro_f1", "loss"):
        bounds, value = own.intervals[name], own.metrics[name]
        assert bounds is not None and value is not None and bounds[0] < value < bounds[1]
    assert all(row["intervals"]["ap"] is not None for row in own.per_class)

    rng = np.random.default_rng(2)
    true = rng.normal(30, 20, (150, 1))
    rows = NumberRows(np.arange(150), true, true + rng.normal(0, 8, (150, 1)), np.array([30.0]), np.array([20.0]))
    found = judge_numbers(rows, ["age"])
    for name in ("mae", "rmse", "r2", "mae_of_mean", "loss"):
        bounds, value = found.intervals[name], found.metrics[name]
        assert bounds is not None and value is not None and bounds[0] < value < bounds[1]
    assert found.worst[0] == int(np.abs(rows.prediction - true)[:, 0].argmax())


def test_nothing_known_has_reasons_and_no_metrics() -> None:
    empty = LabelRows(np.arange(3), np.full((3, 2), np.nan), np.full((3, 2), 0.5))
    own = judge_labels(empty, ["a", "b"])
    assert own.n == 0 and own.unlabelled == 3
    assert set(own.metrics.values()) == {None} and set(own.reasons) == set(own.metrics)
    none = judge_numbers(
        NumberRows(np.arange(2), np.full((2, 1), np.nan), np.zeros((2, 1)), np.zeros(1), np.ones(1)), ["x"]
    )
    assert none.n == 0 and none.metrics["r2"] is None
