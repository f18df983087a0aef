"""What the report and the verdict say of a diagnosis, and the forecast for more data."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sightline.evaluation.diagnosis.power_law import Point, forecast
from sightline.evaluation.skill import label_scatter
from sightline.recipes.loading import share_of
from sightline.reports.diagnosis.section import diagnosis_section
from sightline.reports.diagnosis.stored import Diagnosis, ShiftFact, SliceFact, read_diagnosis
from sightline.reports.finding import ClassFact, VerdictFacts
from sightline.reports.reading import RunFiles
from tests.verdicts import verdict

DARK = SliceFact("dark images (brightness < 41)", 160, 80, 0.54, 0.43, 0.64, 0.91, 1e-12, (1, 2), ("brightness",))


def facts(test: float = 0.9, **more: object) -> VerdictFacts:
    metrics = {s: {"accuracy": v} for s, v in (("train", 0.97), ("val", 0.95), ("test", test))}
    recipe = {"optim": {"lr": 0.01}, "fit": {"epochs": 10, "batch": 32}, "augment": {"preset": "none"}}
    plain = VerdictFacts(
        split="test", n=2000, metrics=metrics, sizes={"train": 2000, "val": 2000, "test": 2000}, recipe=recipe, steps=900,
        majority=("a", 0.1), train_counts=dict.fromkeys("abcde", 400),
    )  # fmt: skip
    return replace(plain, **more)  # type: ignore[arg-type]


def diagnosis(**more: object) -> Diagnosis:
    return replace(Diagnosis("test", "accuracy", True, 2000, 90), **more)  # type: ignore[arg-type]


def test_a_slice_of_the_images_limits_a_model() -> None:
    found = verdict(facts(0.94, diagnosis=diagnosis(slices=(DARK,))))
    assert found.limit == "Limited by images of one kind: dark images (brightness < 41)."
    assert "dark images" in found.advice and len(found.sentences) == 3
    assert any("54" in f.sentence and "91" in f.sentence and "160" in f.sentence for f in found.findings)
    classes = replace(DARK, columns=("class",), words="class “a”")
    assert "one kind" not in verdict(facts(0.94, diagnosis=diagnosis(slices=(classes,)))).limit
    slight = replace(DARK, value=0.9)
    assert "one kind" not in verdict(facts(0.94, diagnosis=diagnosis(slices=(slight,)))).limit


def test_a_shift_is_named_with_the_column_that_moved() -> None:
    moved = diagnosis(shifts=(ShiftFact("brightness", 40.0, 120.0, 0.9),), slices=(DARK,))
    found = verdict(facts(0.8, diagnosis=moved))
    assert found.limit == "Limited by a shift between training and test images in brightness."
    assert any("training 120, test 40" in f.evidence for f in found.findings)


def test_few_training_images_are_named_before_variance() -> None:
    found = verdict(facts(0.8, train_counts=dict.fromkeys("abcde", 8)))
    assert found.limit == "Limited by too few training images."
    assert (
        "variance"
        in verdict(facts(0.8, metrics={**facts().metrics, "val": {"accuracy": 0.8}, "test": {"accuracy": 0.8}})).limit
    )


def test_rare_classes_that_do_worse_are_named_in_a_balanced_test_split() -> None:
    counts = {"a": 1000, "b": 1000, "c": 20}
    classes = tuple(ClassFact(name, v, v - 0.05, v + 0.04, 600) for name, v in (("a", 0.96), ("b", 0.95), ("c", 0.5)))
    found = verdict(facts(0.94, train_counts=counts, classes=classes))
    assert found.limit.startswith("Limited by class imbalance: “c”")
    even = tuple(replace(c, value=0.95) for c in classes)
    assert "imbalance" not in verdict(facts(0.94, train_counts=counts, classes=even)).limit


def test_labels_that_stand_anywhere_are_noise_and_similar_classes_are_not() -> None:
    assert verdict(facts(0.94, mistakes=200, scatter=(0.48, 150))).limit == "Limited by label noise."
    assert "noise" not in verdict(facts(0.94, mistakes=200, scatter=(0.25, 150))).limit
    assert "noise" not in verdict(facts(0.94, mistakes=15, scatter=(0.48, 12))).limit


def test_the_place_of_labels_tells_random_from_similar() -> None:
    rng = np.random.default_rng(0)
    n, k = 3000, 10
    truth = rng.integers(0, k, n)
    scores = rng.normal(0, 1, (n, k))
    scores[np.arange(n), truth] += 6
    scores[np.arange(n), (truth + 1) % k] += 3  # the next class is similar
    power = np.exp(scores)
    probability = power / power.sum(1, keepdims=True)
    flipped = np.where(rng.random(n) < 0.2, rng.integers(0, k, n), truth)
    similar = np.where(rng.random(n) < 0.2, (truth + 1) % k, truth)
    (random, m), (near, _) = (label_scatter(t, probability) or (0, 0) for t in (flipped, similar))
    assert random > 0.4 and near < 0.1 and m > 100
    assert label_scatter(truth % 3, probability[:, :3]) is None


def test_the_forecast_is_that_of_a_power_law() -> None:
    points = [Point(n, 1 - 2.0 * n**-0.4, 10**9) for n in (500, 1000, 2000, 4000)]
    ahead = forecast(points, 8000)
    assert ahead.value == pytest.approx(1 - 2.0 * 8000**-0.4, abs=1e-6) and ahead.exponent == pytest.approx(0.4)
    assert ahead.low < ahead.value < ahead.high


def test_the_interval_of_the_forecast_covers() -> None:
    """Trainings whose errors scatter by 3 % and are measured on 2,000 images."""
    rng = np.random.default_rng(0)

    def measured(n: int) -> float:
        error = 2.0 * n**-0.4 * np.exp(rng.normal(0, 0.03))
        return 1 - rng.binomial(2000, error) / 2000

    inside = 0
    for _ in range(300):
        ahead = forecast([Point(n, measured(n), 2000) for n in (500, 1000, 2000, 4000)], 8000)
        inside += ahead.low <= 1 - 2.0 * 8000**-0.4 * np.exp(rng.normal(0, 0.03)) <= ahead.high
    assert inside >= 0.93 * 300


def test_more_data_never_harms_a_forecast() -> None:
    ahead = forecast([Point(100, 0.9, 500), Point(200, 0.88, 500)], 400)
    assert ahead.exponent == 0 and 0.87 < ahead.value < 0.91


def test_a_share_of_the_data_holds_every_class_and_smaller_shares() -> None:
    ids = np.arange(1000, 2000)
    index = np.repeat([0, 1, 2], [900, 90, 10])
    half, eighth = share_of(ids, index, 0.5), share_of(ids, index, 0.125)
    assert set(eighth) <= set(half) and np.bincount(index[half - 1000]).tolist() == [450, 45, 5]
    assert np.bincount(index[eighth - 1000]).min() == 1 and np.array_equal(share_of(ids, index, None), ids)


def test_a_stored_diagnosis_is_read_and_drawn_whatever_it_holds(tmp_path: Path) -> None:
    (tmp_path / "diagnosis").mkdir()
    found = {
        "words": "<script>dark",
        "n": 50,
        "confirmed": 25,
        "value": 0.5,
        "interval": [0.3, 0.7],
        "rest": 0.9,
        "p": 1e-5,
    }
    raw = {
        "slices": {"score": "accuracy", "share": True, "n": 900, "tried": 10, "found": [found, {"n": "x"}, 7]},
        "temperature": {"temperature": "hot"}, "shifts": [{"column": "size", "value": 3, "train": 5, "distance": 0.6}, []],
    }  # fmt: skip
    (tmp_path / "diagnosis" / "test.json").write_text(json.dumps(raw))
    curve = {
        "points": [{"n": 100, "value": 0.8}, {"n": 200, "value": 0.85}],
        "twice": {"n": 400, "value": 0.89, "interval": [0.87, 0.9]},
    }
    (tmp_path / "diagnosis" / "learning_curve.json").write_text(json.dumps(curve))
    stored = read_diagnosis(RunFiles(tmp_path))
    assert stored is not None and len(stored.slices) == len(stored.shifts) == 1 and stored.temperature is None
    part = diagnosis_section(stored, None, lambda name: None)
    assert part is not None
    assert "&lt;script&gt;dark" in part.html.lower() and "<script>" not in part.html and "400 would give" in part.html
