"""Slices: planted ones are found and named by their cause, permuted scores name none; the measurements behind them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.ndimage import convolve
from scipy.optimize import minimize_scalar

from sightline.errors import DamagedError
from sightline.evaluation.diagnosis.conditions import Condition
from sightline.evaluation.diagnosis.false_discovery import benjamini_hochberg, benjamini_yekutieli
from sightline.evaluation.diagnosis.images import MEASURES, ImageTable, measured
from sightline.evaluation.diagnosis.shift import shifts
from sightline.evaluation.diagnosis.slices import ImageScores, Slices, find_slices, halves
from sightline.evaluation.diagnosis.stored import read_table, write_table
from sightline.evaluation.diagnosis.temperature import fit_temperature, scale, softened
from sightline.structures.inputs import Pixels


def world(n: int = 2000, seed: int = 0, *, planted: bool = True) -> tuple[ImageScores, ImageTable]:
    """Scores of n images and what is known of them. Of the planted 8 %, dark and blurred, almost all are wrong."""
    rng = np.random.default_rng(seed)
    ids = rng.permutation(3 * n)[:n]
    kind = rng.integers(0, 10, n)
    brightness, sharpness = rng.normal(130, 25, n).clip(40, 255), rng.normal(1.0, 0.15, n).clip(0.5)
    right = rng.random(n) < 0.9
    ill = rng.random(n) < 0.08 if planted else np.zeros(n, bool)
    brightness[ill] *= 0.25
    sharpness[ill] *= 0.3
    right[ill] = rng.random(ill.sum()) < 0.1
    numbers = {"brightness": brightness, "sharpness": sharpness, "size": np.full(n, 32.0), "age": rng.normal(40, 9, n)}
    words = {"camera": [None if i % 7 == 0 else "AB"[i % 2] for i in range(n)]}
    own = ImageTable(ids, {}, {"class": [f"c{k}" for k in kind]})
    return ImageScores(ids, right.astype(float), "accuracy", share=True, table=own), ImageTable(ids, numbers, words)


def searched(scores: ImageScores, table: ImageTable) -> Slices:
    return find_slices(scores, table)


def test_a_planted_slice_comes_first_and_is_named_by_its_cause() -> None:
    scores, table = world()
    first = searched(scores, table).found[0]
    assert "dark" in first.words or "blurred" in first.words
    ill = table.numbers["brightness"] < 130 * 0.5
    ids = set(table.id[ill].tolist())
    assert len(set(first.ids) & ids) > 0.8 * max(first.n, len(ids))
    assert first.interval[0] < first.value < first.interval[1] < 0.4 < 0.85 < first.rest


def test_figures_are_those_of_the_half_that_had_no_part_in_the_choice() -> None:
    scores, table = world()
    first = searched(scores, table).found[0]
    inside = np.logical_and.reduce([c.holds(table) for c in first.conditions])
    second = ~halves(scores.id)
    assert first.confirmed == (inside & second).sum()
    assert first.value == pytest.approx(scores.value[inside & second].mean())
    assert first.rest == pytest.approx(scores.value[~inside & second].mean())
    table_2x2 = [[(half & second & (scores.value == v)).sum() for v in (1, 0)] for half in (inside, ~inside)]
    assert first.p == pytest.approx(stats.fisher_exact(table_2x2, alternative="less").pvalue, rel=1e-6)


def test_permuted_scores_have_no_slices() -> None:
    """Bar: at most one of twenty. The rate of a report without a cause is far below 5 %, because both halves must agree."""
    reports = 0
    for seed in range(20):
        scores, table = world(seed=seed)
        values = np.random.default_rng(100 + seed).permutation(scores.value)
        reports += bool(searched(replace(scores, value=values), table).found)
    assert reports <= 1


def test_columns_of_words_and_classes_name_slices_too() -> None:
    scores, table = world(planted=False)
    camera = np.array([w == "B" for w in table.words["camera"]])
    worse = np.where(camera & (np.arange(len(camera)) % 3 == 0), 0.0, scores.value)
    assert searched(replace(scores, value=worse), table).found[0].words == "camera “B”"
    kind = np.array([w == "c3" for w in scores.table.words["class"]])
    assert searched(replace(scores, value=np.where(kind, 0.0, scores.value)), table).found[0].words == "class “c3”"


def test_scores_that_are_no_shares_are_compared_by_ranks() -> None:
    scores, table = world()
    rng = np.random.default_rng(5)
    values = scores.value + rng.normal(0, 0.1, len(scores.value))
    first = searched(replace(scores, value=values, share=False, name="F1"), table).found[0]
    assert "dark" in first.words or "blurred" in first.words


def test_too_few_images_and_equal_scores_have_a_reason() -> None:
    scores, table = world(100)
    assert "fewer than" in searched(scores, table).reason
    scores, table = world(400)
    assert "same score" in searched(replace(scores, value=np.ones(400)), table).reason


def test_a_slice_does_not_depend_on_the_order_of_rows() -> None:
    scores, table = world()
    order = np.random.default_rng(1).permutation(len(scores.id))
    own = scores.table.of(scores.id[order])
    other = ImageScores(scores.id[order], scores.value[order], "accuracy", share=True, table=own)
    one, two = searched(scores, table).found[0], searched(other, table).found[0]
    assert (one.words, one.n, one.value) == (two.words, two.n, two.value)


def test_false_discovery_control_equals_scipys() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        p = np.concatenate([rng.random(30), rng.random(5) * 1e-3])
        assert np.array_equal(benjamini_hochberg(p, 0.05), stats.false_discovery_control(p, method="bh") <= 0.05)
        assert np.array_equal(benjamini_yekutieli(p, 0.05), stats.false_discovery_control(p, method="by") <= 0.05)
    assert not benjamini_hochberg(np.zeros(0), 0.05).size


def pixels(image: np.ndarray, size: tuple[int, int] | None = None, frame: np.ndarray | None = None) -> Pixels:
    """One image (h, w, c) as a batch of one."""
    height, width = size or image.shape[:2]
    return Pixels(
        torch.from_numpy(image).permute(2, 0, 1)[None],
        torch.tensor([[height, width]]),
        torch.from_numpy(np.eye(3) if frame is None else frame).float()[None],
        torch.tensor([[height, width]]),
    )


def test_measurements_follow_their_formulas() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)
    luma = image.astype(float) @ np.array([0.299, 0.587, 0.114])
    kernel = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], float)
    edges = convolve(luma, kernel)[1:-1, 1:-1]
    expected = [luma.mean(), luma.std(), edges.std() / luma.std(), 7, 7 / 9]
    assert np.allclose(measured(pixels(image))[0].numpy(), expected, rtol=1e-4)


def test_padding_is_not_measured() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (8, 6, 3), dtype=np.uint8)
    padded = np.zeros((12, 12, 3), np.uint8)
    padded[:8, :6] = image
    assert torch.allclose(measured(pixels(padded, (8, 6))), measured(pixels(image)), rtol=1e-4)
    lettered = np.full((12, 12, 3), 114, np.uint8)  # a letterbox: its margins are no part of the image
    lettered[2:10, 3:9] = image
    inside = replace(
        pixels(lettered, frame=np.array([[1, 0, 3], [0, 1, 2], [0, 0, 1.0]])), natural=torch.tensor([[8, 6]])
    )
    assert torch.allclose(measured(inside), measured(pixels(image)), rtol=1e-4)


def test_a_flat_image_has_no_sharpness() -> None:
    flat = np.full((8, 8, 1), 77, np.uint8)
    assert measured(pixels(flat))[0].tolist()[:3] == [77.0, 0.0, 0.0]


def test_tables_are_stored_and_read_back(tmp_path: Path) -> None:
    _, table = world(50)
    write_table(tmp_path / "t.parquet", table)
    again = read_table(tmp_path / "t.parquet")
    assert np.array_equal(again.id, table.id) and list(again.words["camera"]) == list(table.words["camera"])
    assert all(np.array_equal(again.numbers[name], table.numbers[name]) for name in table.numbers)
    (tmp_path / "t.parquet").write_bytes(b"no table")
    with pytest.raises(DamagedError, match="measurements"):
        read_table(tmp_path / "t.parquet")


def test_conditions_read_as_words() -> None:
    assert Condition("brightness", "<", 41.0).words == "dark images"
    assert Condition("age", "≥", 40.0).words == "age ≥ 40"
    assert Condition("camera", "is", "B").words == "camera “B”"
    assert set(MEASURES) == {"brightness", "contrast", "sharpness", "size", "aspect"}


def overconfident(n: int, seed: int, sharpen: float) -> tuple[np.ndarray, np.ndarray]:
    """Classes drawn from the probabilities, which are then sharpened by a known temperature."""
    rng = np.random.default_rng(seed)
    honest = rng.dirichlet(np.full(5, 0.6), n)
    target = (honest.cumsum(1) > rng.random((n, 1))).argmax(1)
    return target, softened(honest, 1 / sharpen)


def test_the_temperature_undoes_what_was_done() -> None:
    target, probability = overconfident(8000, 0, 2.5)
    found = fit_temperature(target, probability)

    def loss(t: float) -> float:
        return float(-np.log(softened(probability, t)[np.arange(len(target)), target]).mean())

    assert found == pytest.approx(minimize_scalar(loss, bounds=(0.05, 20), method="bounded").x, rel=1e-3)
    assert found == pytest.approx(2.5, rel=0.05)


def test_scaling_reports_the_gain_on_other_images_with_its_interval() -> None:
    scaled = scale(overconfident(4000, 0, 2.5), overconfident(2000, 1, 2.5))
    assert scaled is not None
    assert scaled.nll[1] < scaled.nll[0] and scaled.nll_change[1] < 0 and scaled.ece_change[1] < 0
    assert scaled.nll_change[0] < scaled.nll[1] - scaled.nll[0] < scaled.nll_change[1]
    calm = scale(overconfident(4000, 0, 1.0), overconfident(2000, 1, 1.0))
    assert calm is not None and calm.nll_change[0] < 0 < calm.nll_change[1]


def test_shifts_between_splits_are_named_and_chance_is_not() -> None:
    rng = np.random.default_rng(0)

    def table(dark: float) -> ImageTable:
        return ImageTable(np.arange(400), {"brightness": rng.normal(120, 30, 400) * dark, "size": np.full(400, 32.0)})

    assert not shifts(table(1.0), table(1.0))
    (found,) = shifts(table(1.0), table(0.5))
    assert found.column == "brightness" and found.value < 0.6 * found.train
