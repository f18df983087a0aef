"""What an evaluation promises: intervals that cover, judgements that add up."""

from __future__ import annotations

import json
import math
import re
import time
from statistics import NormalDist

import numpy as np
import pytest
import torch

from sightline.cli.wording import evaluation_text, slice_lines
from sightline.evaluation import judgement
from sightline.evaluation.intervals import bootstrap, interval, resample_weights, wilson
from sightline.evaluation.judgement import judge
from sightline.metrics.classification import classification_metrics, measure, prepare
from sightline.metrics.counts import rate
from sightline.structures.predictions import ClassRows

Z = NormalDist().inv_cdf(0.975)


def rows(seed: int, n: int, k: int, skill: float = 1.5) -> ClassRows:
    rng = np.random.default_rng(seed)
    target = rng.integers(0, k, n)
    logits = rng.normal(size=(n, k))
    logits[np.arange(n), target] += skill
    probability = np.exp(logits)
    return ClassRows(np.arange(n) + 100, target, probability / probability.sum(1, keepdims=True))


def names(k: int) -> list[str]:
    return [f"class {c}" for c in range(k)]


# --- intervals


def test_a_resample_is_the_rows_drawn_again() -> None:
    """The interval from weights equals the one from really repeated rows."""
    r = rows(0, 40, 3)
    again = []
    for resample in range(50):
        times = resample_weights(40, 7, range(resample, resample + 1))[0].astype(int)
        assert times.sum() == 40
        drawn = np.repeat(np.arange(40), times)
        again.append(classification_metrics(r.target[drawn], r.probability[drawn]))
    got = bootstrap(prepare(r.target, r.probability), seed=7, resamples=50)
    for name in set(got.metrics) - {"ece", "accuracy", "balanced_accuracy"}:
        values = [m[name] for m in again]
        ends = tuple(np.quantile(values, [0.025, 0.975]))
        assert got.metrics[name].interval == pytest.approx(ends, rel=0, abs=1e-12)


def test_proportions_have_wilsons_interval() -> None:
    """Of the images, of a class's images, of the images predicted as it; F1 through the share of hits among both."""
    r = rows(0, 40, 3)
    got = bootstrap(prepare(r.target, r.probability))
    predicted = r.probability.argmax(1)
    right = r.target == predicted
    assert got.metrics["accuracy"].interval == pytest.approx(wilson(right.mean(), 40, Z))
    for c in range(3):
        for name, chosen in {"recall": r.target == c, "precision": predicted == c}.items():
            expected = wilson(right[chosen].mean(), int(chosen.sum()), Z)
            assert got.per_class[name][c].interval == pytest.approx(expected, rel=0, abs=1e-12)
        either = (r.target == c) | (predicted == c)
        low, high = wilson(right[either].mean(), int(either.sum()), Z)
        assert got.per_class["f1"][c].interval == pytest.approx((2 * low / (1 + low), 2 * high / (1 + high)))


def test_288_of_290_is_not_certain() -> None:
    """And of two classes the one with an error gets the lower interval, where the bootstrap gave it the higher lower end."""
    target = np.arange(290) % 10
    predicted = target.copy()
    predicted[[0, 10]] = 1
    got = bootstrap(prepare(target, np.eye(10)[predicted] * 0.9 + 0.01))
    low, high = got.metrics["accuracy"].interval or (0.0, 1.0)
    assert (low, high) == pytest.approx((0.9752, 0.9981), abs=1e-4)
    recalls = [got.per_class["recall"][c].interval or (0.0, 1.0) for c in (0, 2)]
    assert recalls[0][0] < recalls[1][0]
    assert recalls[0][1] < 1.0 == recalls[1][1]
    for name in ("balanced_accuracy", "macro_f1", "mcc"):
        value, ends = measure(prepare(target, np.eye(10)[predicted])).metrics[name], got.metrics[name].interval
        assert ends is not None and ends[0] < value < ends[1] < 1.0


def exact_coverage(n: int, p: float) -> float:
    """The probability that Wilson's interval of n images holds the true share."""
    total = 0.0
    for k in range(n + 1):
        low, high = wilson(k / n, n, Z)
        if low <= p <= high:
            total += math.exp(
                math.lgamma(n + 1)
                - math.lgamma(k + 1)
                - math.lgamma(n - k + 1)
                + k * math.log(p)
                + (n - k) * math.log1p(-p)
            )
    return total


@pytest.mark.parametrize("n", [10, 37, 100, 290])
def test_intervals_of_proportions_cover(n: int) -> None:
    """By enumeration, from p = 0.5 to 0.998; benchmarks/intervals.py has more sizes, and the bootstrap beside them."""
    shares = [*np.arange(0.5, 0.995, 0.005), 0.995, 0.998]
    assert np.mean([exact_coverage(n, float(p)) for p in shares]) >= 0.94
    for k in range(n + 1):
        low, high = wilson(k / n, n, Z)
        assert low <= k / n <= high
        assert (high < 1.0) == (k < n)
        assert (low > 0.0) == (k > 0)


@pytest.mark.parametrize("n", [7, 12, 30, 100])
def test_no_interval_misses_its_value_or_is_certain_after_an_error(n: int) -> None:
    draw = np.random.default_rng(np.random.randint(1 << 31))
    for _ in range(40):
        k = int(draw.integers(2, 5))
        target = draw.integers(0, k, n)
        predicted = np.where(draw.random(n) < draw.uniform(0.3, 1.0), target, draw.integers(0, k, n))
        prepared = prepare(target, np.eye(k)[predicted] * 0.9 + 0.1 / k)
        value, got = measure(prepared), bootstrap(prepared, resamples=200)
        points = {name: [x] for name, x in value.metrics.items()}
        points |= {name: list(rate({"f1": "f_beta"}.get(name, name), value.counts)) for name in got.per_class}
        for name, estimates in {**{m: [e] for m, e in got.metrics.items()}, **got.per_class}.items():
            for point, each in zip(points[name], estimates, strict=True):
                if each.interval is None:
                    assert each.reason
                    continue
                low, high = each.interval
                assert low <= point <= high, name
                assert low < high, name
                if name not in ("loss", "ece"):
                    assert (high < 1.0) == (point < 1.0), name


def test_a_missing_interval_has_a_reason() -> None:
    """Seven test images: balanced accuracy has an interval; what has none says why, and so does a figure that is undefined."""
    target = np.array([0, 0, 0, 0, 1, 1, 2])
    probability = np.eye(3)[[0, 0, 0, 1, 1, 1, 1]] * 0.7 + 0.1
    j = judge(ClassRows(np.arange(7), target, probability), names(3))
    low, high = j.intervals["balanced_accuracy"] or (1.0, 0.0)
    assert low < (j.metrics["balanced_accuracy"] or 0.0) < high < 1.0
    assert j.intervals.keys() == j.metrics.keys()
    assert j.reasons.keys() == {name for name, ends in j.intervals.items() if ends is None}
    assert re.fullmatch(r"too few images: in \d+% of the resamples a class is missing", j.reasons["macro_f1"])
    eel = j.per_class[2]
    assert eel["precision"] is None
    assert eel["reasons"]["precision"] == "never predicted"
    assert eel["intervals"]["recall"] is not None
    text = evaluation_text({"run": "r", "split": "test", **j.to_json()})
    assert "none: too few images" in text
    assert "precision undefined for class 2: never predicted" in text
    alone = judge(ClassRows(np.arange(7), np.zeros(7, np.int64), probability), names(3))
    assert alone.reasons["mcc"] == alone.reasons["auc"] == "only one class occurs"


def test_a_share_of_all_is_not_certain() -> None:
    """Eight of eight: every resample says 1, and Wilson at least 0.68 (Wilson 1927; n / (n + z²))."""
    probability = np.eye(2)[[0, 1] * 4] * 0.8 + 0.1
    for target, ends in (
        (np.array([0, 1] * 4), (8 / (8 + 1.96**2), 1.0)),
        (np.array([1, 0] * 4), (0.0, 1 - 8 / (8 + 1.96**2))),
    ):
        got = bootstrap(prepare(target, probability))
        assert got.metrics["accuracy"].interval == pytest.approx(ends, abs=1e-4)
        assert got.per_class["recall"][0].interval == pytest.approx(wilson(float(target[0] == 0), 4, 1.96), abs=1e-4)
        for name in ("macro_f1", "mcc", "auc"):  # no [1, 1] beside an accuracy from 0.68 on
            assert got.metrics[name].interval is None, name
            assert got.metrics[name].reason.endswith("so resampling shows no spread")
        balanced = got.metrics["balanced_accuracy"].interval
        assert balanced is not None and balanced[0] == (
            0.0 if ends[0] == 0 else pytest.approx(1 - 0.49 / 2**0.5, abs=0.01)
        )


def test_a_mean_over_classes_is_not_measured_where_one_is_missing() -> None:
    """26 of one class, one of the other and never found: 0.5, and never 1, the mean over the class that is left."""
    target = np.array([0] * 26 + [1])
    got = bootstrap(prepare(target, np.tile([0.9, 0.1], (27, 1))))
    assert got.metrics["macro_f1"].interval is None  # a third of the resamples miss the rare one
    assert "% of the resamples a class is missing" in got.metrics["macro_f1"].reason
    low, high = got.metrics["balanced_accuracy"].interval or (
        0.0,
        1.0,
    )  # from the recalls: one image says next to nothing
    assert low < 0.46 and 0.85 < high < 0.95
    assert got.metrics["accuracy"].interval is not None
    target = np.array([0] * 50 + [1] * 6)
    probability = np.tile([0.9, 0.1], (56, 1))
    probability[-1] = [0.1, 0.9]
    got = bootstrap(prepare(target, probability))
    for name in ("balanced_accuracy", "macro_f1"):
        ends = got.metrics[name].interval
        assert ends is not None and ends[1] < 0.9, name


def test_intervals_are_a_function_of_rows_and_seed() -> None:
    prepared = prepare(*(lambda r: (r.target, r.probability))(rows(1, 200, 6)))
    first = bootstrap(prepared, seed=3, resamples=100)
    torch.manual_seed(99)
    threads = torch.get_num_threads()
    torch.set_num_threads(2 if threads == 1 else 1)
    again = bootstrap(prepared, seed=3, resamples=100)
    torch.set_num_threads(threads)
    assert again == first
    assert bootstrap(prepared, seed=4, resamples=100) != first
    value = measure(prepared).metrics
    for name, (ends, _) in first.metrics.items():
        assert ends is not None
        assert ends[0] < value[name] < ends[1]


def test_the_accuracy_interval_covers() -> None:
    """95 % intervals of 300 simulated test sets hold the true accuracy about 95 times in 100."""
    p, n, sets = 0.8, 120, 300
    covered = 0
    for seed in range(sets):
        right = np.random.default_rng(seed).random(n) < p
        probability = np.tile([0.9, 0.1], (n, 1))
        prepared = prepare(np.where(right, 0, 1), probability, ranks=False)
        ends = bootstrap(prepared, seed=seed).metrics["accuracy"].interval
        assert ends is not None
        covered += ends[0] <= p <= ends[1]
    assert 0.90 * sets <= covered <= 0.99 * sets


def test_the_ece_interval_covers_where_the_plain_one_does_not() -> None:
    """A network that is too sure of itself by a known amount, 200 images."""

    def sample(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        logits = 2 * rng.normal(size=(n, 5))
        true, said = (np.exp(s * logits) / np.exp(s * logits).sum(1, keepdims=True) for s in (1.0, 1.5))
        target = (true.cumsum(1) > rng.random((n, 1))).argmax(1)
        return target, true, said

    target, true, said = sample(np.random.default_rng(0), 200_000)
    best = said.argmax(1)[:, None]
    gap = (np.take_along_axis(true, best, 1) - np.take_along_axis(said, best, 1))[:, 0]
    bins = np.ceil(said.max(1) * 15)
    ece = sum(abs(gap[bins == b].sum()) for b in range(1, 16)) / len(gap)
    covered = plain = 0
    sets = 200
    for seed in range(1, sets + 1):
        target, _, said = sample(np.random.default_rng(seed), 200)
        prepared = prepare(target, said, ranks=False)
        value = measure(prepared).metrics["ece"]
        ends = bootstrap(prepared, seed=seed, resamples=500).metrics["ece"].interval
        assert ends is not None
        covered += ends[0] <= ece <= ends[1]
        assert ends[0] <= value <= ends[1]
        plain += 2 * value - ends[1] <= ece <= 2 * value - ends[0]
    assert covered >= 0.85 * sets
    assert plain < 0.80 * sets


def test_the_ece_interval_stays_above_zero() -> None:
    target = (np.random.default_rng(0).random(300) < 0.2).astype(int)
    ends = bootstrap(prepare(target, np.tile([0.8, 0.2], (300, 1)))).metrics["ece"].interval
    assert ends is not None
    assert ends[0] == 0.0
    assert ends[1] > 0.0


def test_no_interval_where_too_many_resamples_are_undefined() -> None:
    assert interval(np.array([np.nan] * 11 + [1.0] * 89)) is None
    assert interval(np.array([np.nan] * 10 + [1.0] * 90)) == (1.0, 1.0)
    assert interval(np.zeros(0)) is None
    two = ClassRows(np.arange(2), np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))
    got = bootstrap(prepare(two.target, two.probability)).metrics
    assert got["accuracy"].interval == pytest.approx((0.3424, 1.0), abs=1e-4)  # Wilson's of two of two
    assert got["mcc"].interval is None  # half of the resamples hold one class
    assert got["auc"].interval is None


def test_all_intervals_take_less_than_five_seconds() -> None:
    r = rows(2, 10_000, 10)
    prepared = prepare(r.target, r.probability)
    start = time.process_time()  # of this process alone, whoever shares the machine
    got = bootstrap(prepared)
    assert time.process_time() - start < 5
    low, high = got.metrics["accuracy"].interval or (0.0, 1.0)
    assert 0.015 < high - low < 0.025  # 2 · 1.96 · sqrt(p (1 - p) / n) = 0.0196 at p = 0.5


# --- judgement

SMALL = ClassRows(
    id=np.array([10, 11, 12, 13, 14, 15]),
    target=np.array([0, 0, 1, 1, 2, -1]),
    probability=np.array(
        [[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.0, 1.0, 0.0], [0.05, 0.9, 0.05], [0.2, 0.5, 0.3], [1.0, 0.0, 0.0]]
    ),
)


def test_a_judgement_by_hand() -> None:
    j = judge(SMALL, ["cat", "dog", "eel"])
    assert (j.n, j.unlabelled) == (5, 1)
    assert j.confusion.tolist() == [[1, 1, 0], [0, 2, 0], [0, 1, 0]]
    assert j.metrics["accuracy"] == 0.6
    assert j.metrics["balanced_accuracy"] == pytest.approx((0.5 + 1 + 0) / 3)
    assert j.metrics["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert [(m.id, m.target, m.predicted) for m in j.mistakes] == [(11, 0, 1), (14, 2, 1)]
    assert [m.margin for m in j.mistakes] == pytest.approx([0.6, 0.2])
    assert [(c.target, c.predicted, c.count) for c in j.confused] == [(0, 1, 1), (2, 1, 1)]
    eel = j.per_class[2]
    assert (eel["class"], eel["support"], eel["predicted"]) == ("eel", 1, 0)
    assert (eel["precision"], eel["recall"], eel["f1"], eel["auc"]) == (None, 0.0, 0.0, 1.0)
    assert j.per_class[1]["ap"] == pytest.approx(1.0)
    assert j.reliability.samples.sum() == 5
    assert [c.index for c in j.curves] == [0, 1, 2]


def test_json_is_the_contract_of_evaluate() -> None:
    said = judge(rows(3, 100, 7), names(7)).to_json()
    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert list(said) == ["n", "metrics", "intervals", "reasons", "per_class"]
    assert said["n"] == 100
    assert set(said["metrics"]) == set(said["intervals"]) == {
        "loss", "accuracy", "balanced_accuracy", "top5_accuracy", "macro_f1", "mcc", "auc", "ece",
    }  # fmt: skip
    for name, (low, high) in said["intervals"].items():
        assert low <= said["metrics"][name] <= high
    assert list(said["per_class"]) == names(7)
    for row in said["per_class"].values():
        assert set(row) == {"support", "predicted", "precision", "recall", "f1", "auc", "ap", "intervals", "reasons"}
        assert row["intervals"]["recall"][0] <= row["recall"] <= row["intervals"]["recall"][1]


def test_nothing_known_is_a_judgement_of_nulls() -> None:
    j = judge(ClassRows(np.arange(3), np.full(3, -1), np.full((3, 4), 0.25)), names(4))
    assert (j.n, j.unlabelled) == (0, 3)
    assert set(j.metrics.values()) == set(j.intervals.values()) == {None}
    assert j.confusion.sum() == 0
    assert (j.curves, j.mistakes, j.confused, j.brier) == ((), (), (), None)
    assert all(row["recall"] is None and row["support"] == 0 for row in j.per_class)
    json.dumps(j.to_json(), allow_nan=False)


@pytest.mark.parametrize(("n", "k"), [(1, 2), (1, 1), (5, 1), (3, 12)])
def test_tiny_sets_are_judged(n: int, k: int) -> None:
    j = judge(rows(4, n, k), names(k))
    assert j.n == n
    json.dumps(j.to_json(), allow_nan=False)


def test_curves_are_thin_and_keep_their_ends() -> None:
    r = rows(5, 3000, 3)
    for c in judge(r, names(3)).curves:
        for curve in (c.roc, c.precision_recall):
            assert 150 < len(curve.threshold) <= 200
            assert (np.diff(curve.threshold) < 0).all()
        assert (c.roc.fpr[[0, -1]].tolist(), c.roc.tpr[[0, -1]].tolist()) == ([0, 1], [0, 1])
        assert c.precision_recall.recall[-1] == 1
        steps = np.abs(np.diff(c.roc.fpr)) + np.abs(np.diff(c.roc.tpr))  # 2 in all
        assert steps.max() < 2 / 199 + 0.002  # even, up to one sample
        area = np.trapezoid(c.roc.tpr, c.roc.fpr)
        assert area == pytest.approx(
            measure(prepare((r.target == c.index).astype(int), _binary(r, c.index))).metrics["auc"], abs=0.005
        )


def _binary(r: ClassRows, c: int) -> np.ndarray:
    return np.stack([1 - r.probability[:, c], r.probability[:, c]], 1)


def test_of_many_classes_the_weakest_have_curves() -> None:
    j = judge(rows(6, 400, 25), names(25))
    shown = {c.index for c in j.curves}
    assert len(shown) == judgement.CURVES
    hidden = set(range(25)) - shown
    assert max(j.per_class[c]["f1"] for c in shown) <= min(j.per_class[c]["f1"] for c in hidden)


def test_a_class_that_does_not_occur_takes_no_curve_from_one_that_does() -> None:
    r = rows(13, 400, 30)
    some = r.take(r.target < 22)
    shown = [c.index for c in judge(some, names(30)).curves]
    assert len(shown) == judgement.CURVES
    assert max(shown) < 22


def test_mistakes_and_pairs_are_cut_and_ordered() -> None:
    j = judge(rows(7, 500, 8, skill=0.2), names(8))
    assert len(j.mistakes) == judgement.MISTAKES
    margins = [m.margin for m in j.mistakes]
    assert margins == sorted(margins, reverse=True)
    assert len(j.confused) == judgement.CONFUSED
    off = j.confusion - np.diag(np.diag(j.confusion))
    assert [c.count for c in j.confused] == sorted(off.ravel(), reverse=True)[: judgement.CONFUSED]


def test_auc_gets_no_interval_where_it_would_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judgement, "LARGEST_RANKED", 299)
    r = rows(8, 100, 3)
    j = judge(r, names(3))
    assert j.metrics["auc"] is not None
    assert j.intervals["auc"] is None
    assert j.reasons == {"auc": "it is not resampled beyond 299 probabilities (images times classes)"}
    assert j.intervals["accuracy"] is not None
    monkeypatch.setattr(judgement, "LARGEST_RANKED", 300)
    assert judge(r, names(3)).intervals["auc"] is not None


def test_class_names_are_one_each_and_different() -> None:
    for wrong in (["a", "b"], ["a", "b", "a"]):
        with pytest.raises(ValueError, match="different class names"):
            judge(SMALL, wrong)


@pytest.mark.parametrize(
    ("slices", "words"),
    [
        ({"found": [], "tried": 34, "reason": ""}, ["", "no slice is worse beyond chance (34 conditions tried)"]),
        ({"found": [], "tried": 0, "reason": "too few images"}, ["", "slices were not searched: too few images"]),
        ({}, []),
    ],
)
def test_an_evaluation_without_a_slice_says_so(slices: dict[str, object], words: list[str]) -> None:
    assert slice_lines(slices) == words
