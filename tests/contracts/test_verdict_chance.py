"""The verdict blames nothing that chance explains, calls nothing good that it cannot see, and does not contradict itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sightline.evaluation.detections import judge_detections
from sightline.evaluation.intervals import ece_by_chance
from sightline.evaluation.segments import judge_segments
from sightline.metrics.classification import classification_metrics
from sightline.reports.finding import PixelFacts, VerdictFacts, chance
from sightline.reports.wording import percent
from sightline.structures.rows.segments import SegmentRows
from tests.contracts.test_verdict import GOOD, course, metrics, titles
from tests.found_objects import rows_of
from tests.verdicts import headline_of, verdict

GOOD_FIT, TOO_FEW = "It fits and generalises", "Too few images to see whether it overfits"


def measured(train: float, val: float, test: float, n_val: int, n_test: int) -> VerdictFacts:
    sizes = {"train": 2000, "val": n_val, "test": n_test}
    return replace(GOOD, n=n_test, sizes=sizes, metrics=metrics(train=train, val=val, test=test))


# ------------------------------------------------------------------------------------------------ chance
def test_chance_is_newcombes_interval() -> None:
    """His example (1998, table II): 56 of 70 against 48 of 80, difference 0.2, interval 0.0524 to 0.3339."""
    assert chance(56 / 70, 70, 48 / 80, 80, 1.959964) == pytest.approx(0.2 - 0.0524, abs=5e-5)
    assert chance(48 / 80, 80, 56 / 70, 70, 1.959964) == pytest.approx(0.2 - 0.0524, abs=5e-5)


@pytest.mark.parametrize(("val", "test", "n_val", "n_test"), [(1.0, 41 / 45, 45, 45), (1.0, 0.9, 4, 200)])
def test_all_right_on_a_few_is_luck_before_the_test_is_blamed(val: float, test: float, n_val: int, n_test: int) -> None:
    assert "The test images are harder" not in titles(measured(0.97, val, test, n_val, n_test))
    assert "The test images are harder" in titles(measured(0.97, val, test, 1000, 1000))


def test_few_images_do_not_say_that_it_carries_over() -> None:
    assert GOOD_FIT in titles(measured(0.97, 0.96, 0.96, 1000, 1000))
    few = measured(0.97, 0.9, 0.9, 10, 1000)
    assert GOOD_FIT not in titles(few)
    said = next(f for f in verdict(few).findings if f.title == TOO_FEW)
    assert (said.severity, "7.0 points apart" in said.sentence) == ("note", True)


def test_a_validation_that_is_easier_is_called_so() -> None:
    found = verdict(measured(0.90, 0.99, 0.95, 1000, 1000)).findings
    assert "Validation images are easier than training images" in [f.title for f in found]
    assert GOOD_FIT not in [f.title for f in found]


@pytest.mark.parametrize("share", [0.95, 0.996])
def test_what_guesses_has_not_learned_anything_that_carries_over(share: float) -> None:
    facts = replace(measured(share, share, share, 1000, 1000), majority=("cat", share))
    found = titles(facts)
    assert "No better than guessing" in found
    assert not {GOOD_FIT, "Nearly perfect: is the test as hard as real use?"} & set(found)
    worse = replace(facts, metrics=metrics(train=share, val=share, test=share - 0.3), ece_by_chance=0.03)
    worse = replace(worse, metrics=dict(worse.metrics) | {"test": {"accuracy": share - 0.3, "ece": 0.4}})
    assert not {"The test images are harder", "Probabilities are not calibrated"} & set(titles(worse))


def test_a_test_of_one_class_is_called_that() -> None:
    for value, n in ((1.0, 10_000), (0.9, 1000)):
        found = verdict(replace(measured(0.97, 0.96, value, 1000, n), majority=("cat", 1.0)))
        assert found.findings[0].title == "It was evaluated on one class only"
        assert "few" not in found.findings[0].sentence


# ------------------------------------------------------------------------------------------------ the course
def with_accuracy(losses: list[float], accuracy: list[float]) -> VerdictFacts:
    rows = zip(course(losses), accuracy, strict=True)
    return replace(GOOD, history=tuple(row | {"val_accuracy": value} for row, value in rows))


def test_a_loss_that_rises_while_accuracy_does_is_no_over_fitting() -> None:
    losses = [1, 0.6, 0.45, 0.36, 0.37, 0.39, 0.41, 0.43, 0.45, 0.46]
    rising = with_accuracy(losses, [0.6, 0.75, 0.83, 0.87, 0.89, 0.905, 0.92, 0.93, 0.935, 0.94])
    assert not {"It overfits with time", "It had reached a plateau"} & set(titles(rising))
    falling = with_accuracy(losses, [0.6, 0.75, 0.83, 0.87, 0.87, 0.86, 0.86, 0.85, 0.85, 0.84])
    assert "It overfits with time" in titles(falling)
    settled = with_accuracy(losses, [0.6, 0.8, 0.86, 0.92, 0.935, 0.94, 0.94, 0.94, 0.94, 0.94])
    assert "It overfits with time" not in titles(settled)


def test_a_loss_near_nothing_may_double() -> None:
    losses = [0.5, 0.01, 0.001, 8e-5, 9e-5, 1e-4, 1.1e-4, 1.2e-4, 1.4e-4, 1.6e-4]
    assert "It overfits with time" not in titles(with_accuracy(losses, [0.9, *[1.0] * 9]))


# ------------------------------------------------------------------------------------------------ probabilities
@pytest.mark.parametrize("n", [20, 100, 300])
@pytest.mark.parametrize("honest", [True, False])
def test_few_are_told_that_their_probabilities_are_off_by_bad_luck(n: int, honest: bool) -> None:
    """Right as often as it says: 5 of 100 are accused (9 at most in 97 of 100 such tests). Right half as often: nearly all."""
    rng, accused = np.random.default_rng(0), 0
    for _ in range(100):
        top = rng.uniform(0.6, 1.0, n)
        target = np.where(rng.uniform(size=n) < (top if honest else 0.5 * top), 0, 1)
        found = classification_metrics(target, np.stack([top, 1 - top], 1))
        told = replace(
            GOOD, n=n, majority=None, ece_by_chance=ece_by_chance(top), metrics=dict(GOOD.metrics) | {"test": found}
        )
        accused += "Probabilities are not calibrated" in titles(told)
    assert accused <= 9 if honest else accused >= 85


# ------------------------------------------------------------------------------------------------ pixels and boxes
def segments(confusions: list[list[list[int]]]) -> SegmentRows:
    n = len(confusions)
    pixels = np.array([np.sum(c) for c in confusions])
    return SegmentRows(np.arange(n), np.array(confusions), np.zeros((n, 4), np.int64), np.ones(n), pixels)


def test_one_image_or_many_alike_give_no_interval() -> None:
    for rows in (segments([[[8, 2], [1, 5]]]), segments([[[8, 2], [1, 5]]] * 9)):
        judged = judge_segments(rows, ("a", "b"))
        assert judged.metrics["mean_iou"] is not None
        assert judged.intervals["mean_iou"] is None
        assert {row["intervals"]["iou"] for row in judged.per_class} == {None}
    true = [(image, 0, [0.0, 0.0, 9.0, 9.0]) for image in range(3)]
    for place in ([0.0, 0.0, 9.0, 9.0], [50.0, 50.0, 60.0, 60.0]):
        boxes = judge_detections(rows_of([(image, 0, 1.0, place) for image in range(3)], true, n=3), ("a",))
        assert boxes.metrics["ap50"] in (0.0, 1.0)
        assert set(boxes.intervals.values()) == {None}
        assert boxes.per_class[0]["intervals"]["ap50"] is None


def test_a_mean_over_classes_is_not_resampled_without_one_of_them() -> None:
    """A class in one of twenty images: a third of the resamples lack it, and would be means of another kind."""
    common, rare = [[90, 10, 0], [5, 95, 0], [0, 0, 0]], [[90, 8, 2], [5, 95, 0], [10, 0, 0]]
    judged = judge_segments(
        segments([common] * 10 + [[[80, 20, 0], [9, 91, 0], [0, 0, 0]]] * 9 + [rare]), ("a", "b", "c")
    )
    assert judged.intervals["mean_iou"] is None
    assert judged.intervals["pixel_accuracy"] is not None
    often = judge_segments(segments([common] * 4 + [rare] * 16), ("a", "b", "c"))
    low, high = often.intervals["mean_iou"] or (1.0, 0.0)
    assert low < often.metrics["mean_iou"] < high  # type: ignore[operator]


@pytest.mark.parametrize(("images", "known"), [(1, False), (10, True)])
def test_an_average_precision_is_not_resampled_without_one_of_its_classes(images: int, known: bool) -> None:
    """The second class stands in so many of twenty images, and is found in each."""
    place, away = [0.0, 0.0, 9.0, 9.0], [50.0, 50.0, 60.0, 60.0]
    true = [(i, 0, place) for i in range(20)] + [(i, 1, away) for i in range(images)]
    found = [(i, 0, 1.0, place if i % 3 else away) for i in range(20)] + [(i, 1, 1.0, away) for i in range(images)]
    judged = judge_detections(rows_of(found, true, n=20), ("a", "b"))
    assert (judged.intervals["ap50"] is not None) == known
    assert judged.per_class[0]["intervals"]["ap50"] is not None


def test_what_has_no_interval_accuses_nobody_and_says_so() -> None:
    facts = replace(
        GOOD, headline=headline_of("segmentation"), interval=None, n=1, pixels=PixelFacts(), majority=None, classes=(),
        metrics={s: {"mean_iou": v} for s, v in (("train", 0.9), ("val", 0.7), ("test", 0.5))},
        sizes={"train": 200, "val": 1, "test": 1},
    )  # fmt: skip
    found = titles(facts)
    assert "This metric has no confidence interval" in found
    assert not {"Overfitting", "The test images are harder", "Some classes are hard"} & set(found)


# ------------------------------------------------------------------------------------------------ figures
def test_some_are_not_all_and_not_none() -> None:
    assert percent(4999 / 5000, 5000) == "99.98\u202f%"
    assert percent(1 / 5000, 5000) == "0.02\u202f%"
    assert percent(1 - 1 / 300, 300) == "99.7\u202f%"
    assert (percent(1.0, 5000), percent(0.0, 5000)) == ("100.0\u202f%", "0.0\u202f%")
