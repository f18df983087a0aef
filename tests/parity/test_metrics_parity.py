"""The metrics against scikit-learn, torchmetrics and exact fractions, on 1,000 drawn cases, many of them degenerate.

Where an oracle gives a number for what is undefined (or refuses), the mapping stands beside the comparison.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import numpy as np
import pytest
import sklearn
import sklearn.calibration
import sklearn.metrics as oracle
import torch
from torchmetrics.functional import classification as torch_oracle

from sightline.metrics import calibration, counts, ranking
from sightline.metrics.classification import classification_metrics

CASES = 1000
TOLERANCE = 1e-9
Case = tuple[np.ndarray, np.ndarray]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The oracles warn about every undefined value, and check every argument, a thousand times."""
    torch.set_num_threads(1)
    with warnings.catch_warnings(), sklearn.config_context(skip_parameter_validation=True, assume_finite=True):
        warnings.simplefilter("ignore")
        yield


def case(seed: int) -> Case:
    """Target (n,) and probability (n, k): one in ten of each kind below, one in two plain."""
    rng = np.random.default_rng(seed)
    n, k, kind = int(rng.integers(2, 60)), int(rng.integers(2, 9)), seed % 10
    if kind == 0:
        n = seed % 20 // 10  # nothing, or one sample
    probability = rng.dirichlet(np.full(k, 0.5), n)
    target = rng.integers(0, k, n)
    if kind == 1:  # classes that never occur, classes that are never predicted
        target[target == k - 1] = 0
        probability[:, 0] = 0.0
        probability /= probability.sum(1, keepdims=True)
    elif kind == 2:  # ties
        probability = np.floor(rng.dirichlet(np.full(k, 2.0), n) * 4 + 0.5) + 0.25
        probability /= probability.sum(1, keepdims=True)
    elif kind == 3:  # one class is all there is
        target[:] = rng.integers(k)
    elif kind == 4:  # certain, right or wrong
        probability = np.eye(k)[np.where(rng.random(n) < 0.5, target, rng.integers(0, k, n))]
    return target, probability


def traits(target: np.ndarray, probability: np.ndarray) -> set[str]:
    """What is degenerate about a case, read from the case itself."""
    k, present = probability.shape[1], len(set(target))
    found = {
        "empty": not len(target),
        "absent class": present < k,
        "one class": present == 1,
        "ties": any(len(set(column)) < len(target) for column in probability.T),
        "never predicted": len(set(probability.argmax(1)) if len(target) else ()) < k,
    }
    return {name for name, holds in found.items() if holds}


def same(ours: object, theirs: object) -> None:
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=TOLERANCE, equal_nan=True)


def test_enough_cases_are_degenerate() -> None:
    seen: Counter[str] = Counter()
    for seed in range(CASES):
        found = traits(*case(seed))
        seen.update(found)
        seen["any"] += bool(found)
    assert seen["any"] >= 200
    assert seen["empty"] >= 30
    assert min(seen["absent class"], seen["one class"], seen["ties"], seen["never predicted"]) >= 100
    assert CASES - seen["any"] >= 100


def test_counts_and_their_rates() -> None:
    for seed in range(CASES):
        target, probability = case(seed)
        if not len(target):  # scikit-learn refuses to count nothing
            continue
        k, predicted = probability.shape[1], probability.argmax(1)
        labels = list(range(k))
        confusion = counts.confusion_matrix(target, predicted, k)
        same(confusion, oracle.confusion_matrix(target, predicted, labels=labels))
        c = counts.one_vs_rest(confusion)
        theirs = oracle.multilabel_confusion_matrix(target, predicted, labels=labels)  # (k, 2, 2): tn fp / fn tp
        same(np.stack([c.tn, c.fp, c.fn, c.tp], 1), theirs.reshape(k, 4))

        beta, zero = (0.5, 1.0, 2.0)[seed % 3], (0.0, 1.0, np.nan)[seed // 10 % 3]
        options = {"labels": labels, "beta": beta, "zero_division": zero}
        names = ("precision", "recall", "f_beta")
        each = oracle.precision_recall_fscore_support(target, predicted, **options)
        for name, theirs in zip(names, each, strict=False):
            same(counts.rate(name, c, beta=beta, zero_division=zero), theirs)
        same(c.tp + c.fn, each[3])
        rule = ("macro", "weighted", "micro")[seed // 30 % 3]
        mean = oracle.precision_recall_fscore_support(target, predicted, average=rule, **options)
        for name, theirs in zip(names, mean, strict=False):
            ours = counts.averaged(name, c, rule, beta=beta, zero_division=zero)
            weight = (c.tp + c.fn)[~np.isnan(counts.rate(name, c, beta=beta, zero_division=zero))]
            if rule == "weighted" and not weight.any():
                # All weight lies on undefined classes: scikit-learn falls back to the plain mean, ours is undefined.
                assert np.isnan(ours)
            else:
                same(ours, theirs)
        same(counts.accuracy(c), oracle.accuracy_score(target, predicted))
        same(counts.balanced_accuracy(c), oracle.balanced_accuracy_score(target, predicted))
        # Undefined with one true or one predicted class; scikit-learn says 0.
        same(counts.matthews(c, zero_division=0.0), oracle.matthews_corrcoef(target, predicted))
        undefined = len(set(target)) == 1 or len(set(predicted)) == 1
        assert bool(np.isnan(counts.matthews(c))) == undefined


def test_binary_rates() -> None:
    """MCC and likelihood ratios of one class against the rest, and the rates that are others' complements."""
    undefined = 0
    for seed in range(CASES):
        target, probability = case(seed)
        if not len(target):
            continue
        positive, said = target == 0, probability.argmax(1) == 0
        c = counts.one_vs_rest(counts.confusion_matrix(positive.astype(int), said.astype(int), 2))
        value = {name: counts.rate(name, c)[1] for name in counts.RATES}
        theirs = oracle.matthews_corrcoef(positive, said)  # 0 where undefined
        same(np.nan_to_num(value["mcc"]), theirs)
        same(value["mcc"], counts.matthews(c))
        plus, minus = oracle.class_likelihood_ratios(positive, said, labels=[False, True])
        same([value["lr_plus"], value["lr_minus"]], [plus, minus])
        same(value["dor"], _quotient(c.tp[1] * c.tn[1], c.fp[1] * c.fn[1]))
        same([1 - value["precision"], 1 - value["npv"]], [value["fdr"], value["for"]])
        same([1 - value["recall"], 1 - value["specificity"]], [value["fnr"], value["fpr"]])
        same([value["npv"], value["specificity"]], [counts.rate("precision", c)[0], counts.rate("recall", c)[0]])
        same(value["balanced_accuracy"], (value["recall"] + value["specificity"]) / 2)
        same([value["prevalence"], value["accuracy"]], [positive.mean(), (positive == said).mean()])
        undefined += any(np.isnan(x) for x in value.values())
    assert undefined >= 200


def test_metrics_of_a_classifier() -> None:
    """All names at once, as validation calls them."""
    for seed in range(CASES):
        target, probability = case(seed)
        ours = classification_metrics(target, probability)
        if not len(target):
            assert set(ours.values()) == {None}
            continue
        k, predicted = probability.shape[1], probability.argmax(1)
        labels, present = list(range(k)), sorted(set(target))
        same(ours["loss"], oracle.log_loss(target, probability, labels=labels))
        same(ours["accuracy"], oracle.accuracy_score(target, predicted))
        same(ours["macro_f1"], oracle.f1_score(target, predicted, average="macro"))
        assert ("top5_accuracy" in ours) == (k > 5)
        if k > 2:  # of two classes scikit-learn wants one score and a threshold
            # It takes tied classes from the highest index, ours (like arg-max) from the lowest: count backwards.
            top = min(5, k - 1)
            theirs = oracle.top_k_accuracy_score(k - 1 - target, probability[:, ::-1], k=top, labels=labels)
            same(ranking.top_k_accuracy(target, probability, top), theirs)
            same(ours.get("top5_accuracy", theirs), theirs)
        # Its mean over classes demands that all occur; ours is the mean over those that do.
        areas = [oracle.roc_auc_score(target == c, probability[:, c]) for c in present if len(present) > 1]
        if k == 2:
            areas = [oracle.roc_auc_score(target, probability[:, 1])] if len(present) > 1 else []
        assert (ours["auc"] is None) == (not areas)
        if areas:
            same(ours["auc"], np.mean(areas))
        if len(present) == k > 2:
            same(ours["auc"], oracle.roc_auc_score(target, probability, multi_class="ovr"))
        same(ours["ece"], _ece(probability.max(1), predicted == target))
        theirs = oracle.brier_score_loss(target, probability, labels=labels, scale_by_half=False)
        same(calibration.brier_score(target, probability), theirs)


def test_average_precision_and_its_curve() -> None:
    for seed in range(CASES):
        target, probability = case(seed)
        positive, score = target == 0, probability[:, 0]
        ours = {name: ranking.average_precision(positive, score, name) for name in _AREAS}
        if not positive.any():  # scikit-learn says 0
            assert all(np.isnan(x) for x in ours.values())
            assert ranking.precision_recall_curve(positive, score) is None
            continue
        same(ours["at_tp"], oracle.average_precision_score(positive, score))
        points = _exact_points(positive, score)
        curve = ranking.precision_recall_curve(positive, score)
        assert curve is not None
        same(curve.precision, [float(p) for p, _ in points])
        same(curve.recall, [float(r) for _, r in points])
        for name, area in _AREAS.items():
            same(ours[name], float(area(points)))


def test_roc_curve() -> None:
    for seed in range(0, CASES, 3):
        target, probability = case(seed)
        positive, score = target == 0, probability[:, 0]
        curve = ranking.roc_curve(positive, score)
        if positive.all() or not positive.any():
            assert curve is None
            continue
        assert curve is not None
        for fpr, tpr, threshold in zip(*curve, strict=True):
            said = score >= threshold
            assert (fpr, tpr) == (
                (said & ~positive).sum() / (~positive).sum(),
                (said & positive).sum() / positive.sum(),
            )
        assert len(curve.threshold) == len(set(score)) + 1
        same(ranking.auc(positive, score), np.trapezoid(curve.tpr, curve.fpr))


def test_torchmetrics() -> None:
    """A second opinion on plain cases, in torch; all but its AUC are computed in float32."""
    compared = 0
    for seed in range(0, 300):
        target, probability = case(seed)
        k = probability.shape[1]
        if k < 6 or len(set(target)) < k or seed % 10 < 5:
            continue
        ours = classification_metrics(target, probability)
        t, p = torch.from_numpy(target), torch.from_numpy(probability)
        theirs = {
            "auc": torch_oracle.multiclass_auroc(p, t, k),
            "mcc": torch_oracle.multiclass_matthews_corrcoef(p, t, k),
            "ece": torch_oracle.multiclass_calibration_error(p, t, k, n_bins=15),
            "macro_f1": torch_oracle.multiclass_f1_score(p, t, k, average="macro"),
            "top5_accuracy": torch_oracle.multiclass_accuracy(p, t, k, average="micro", top_k=5),
        }
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(float(value), rel=0, abs=1e-6), name
        compared += 1
    assert compared >= 30


def _quotient(top: float, bottom: float) -> float:
    return top / bottom if bottom else np.nan


def _ece(confidence: np.ndarray, correct: np.ndarray) -> float:
    """From scikit-learn's reliability curve, which has the same bins and leaves out the empty ones."""
    accuracy, mean = sklearn.calibration.calibration_curve(correct, confidence, n_bins=15, pos_label=True)
    where = np.searchsorted(np.linspace(0, 1, 16)[1:-1], confidence)
    return float((np.unique(where, return_counts=True)[1] / len(correct) * np.abs(accuracy - mean)).sum())


Points = list[tuple[Fraction, Fraction]]


def _exact_points(positive: np.ndarray, score: np.ndarray) -> Points:
    """Precision and recall at each distinct threshold, falling, as fractions."""
    points = []
    for threshold in sorted(set(score), reverse=True):
        said = score >= threshold
        right = int((said & positive).sum())
        points.append((Fraction(right, int(said.sum())), Fraction(right, int(positive.sum()))))
    return points


def _best(points: Points, recall: Fraction) -> Fraction:
    return max((p for p, r in points if r >= recall), default=Fraction(0))


def _steps(points: Points, height: bool) -> Fraction:
    area, before = Fraction(0), Fraction(0)
    for p, r in points:
        area += (r - before) * (_best(points, r) if height else p)
        before = r
    return area


_AREAS = {
    "at_tp": lambda points: _steps(points, False),
    "all_point": lambda points: _steps(points, True),
    "eleven_point": lambda points: sum(_best(points, Fraction(i, 10)) for i in range(11)) / 11,
    "coco_101": lambda points: sum(_best(points, Fraction(i, 100)) for i in range(101)) / 101,
}
