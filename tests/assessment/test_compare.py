"""Runs on the same images: who is better by more than chance, what is refused, and the mean of several."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from safetensors.numpy import load_file, save_file

import sightline
from sightline.data.loaders import in_order
from sightline.evaluation.comparing.ensembles import error_correlation, mean_rows
from sightline.evaluation.comparing.paired import ALPHA, difference, holm, mcnemar
from sightline.evaluation.predictions import read_rows, write_rows
from sightline.evaluation.splits import rows_of
from sightline.kinds.networks import load_task
from sightline.kinds.opening import open_dataset
from sightline.recipes.loading import load
from sightline.runs.console import Console
from sightline.structures.predictions import Classes, ClassRows, Detections, Numbers, Segments
from sightline.tasks.ensemble import mean_prediction
from tests.asking import called, refused

PAIRS = [("a", "b"), ("a", "c"), ("b", "c")]


def test_mcnemar_is_the_exact_test_without_half_of_the_observed_mass() -> None:
    from scipy.stats import binom, binomtest

    for b, c in ((3, 10), (0, 7), (40, 22), (300, 241), (5, 5)):
        low = min(b, c)
        exact = binomtest(b, b + c, 0.5).pvalue
        expected = 1.0 if b == c else exact - binom.pmf(low, b + c, 0.5)
        assert mcnemar(b, c) == pytest.approx(expected, rel=1e-9)


def test_holm_against_a_worked_example() -> None:
    """0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1, and no smaller than one before."""
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.9, 0.6]) == [1.0, 1.0]


def simulated(rng: np.random.Generator, n: int, one: float, two: float, common: float) -> tuple[np.ndarray, np.ndarray]:
    """Two networks' right answers on n images: an image is hard for both alike to the degree `common`."""
    hard = rng.random(n)
    return tuple(np.where(rng.random(n) < common, hard, rng.random(n)) < accuracy for accuracy in (one, two))  # type: ignore[return-value]


def test_equal_networks_are_called_equal_and_a_gap_is_found() -> None:
    """A small version of benchmarks/compare.py: pairs of equal networks, and pairs 2 points apart, on 2,000 images."""
    rng = np.random.default_rng(1)
    alike, found = 0, 0
    for _ in range(200):
        one, two = simulated(rng, 2000, 0.9, 0.9, 0.8)
        alike += mcnemar(int((one & ~two).sum()), int((two & ~one).sum())) >= ALPHA
        better, worse = simulated(rng, 2000, 0.92, 0.90, 0.8)
        found += mcnemar(int((better & ~worse).sum()), int((worse & ~better).sum())) < ALPHA
    assert alike >= 184
    assert found >= 160


def test_intervals_are_paired() -> None:
    """The same images are drawn for both: scores that differ by the same amount on every image leave no spread."""
    rng = np.random.default_rng(0)
    score = rng.random(300)
    same = difference(score + 0.01, score, share=False)
    assert same.interval == pytest.approx((0.01, 0.01))
    assert same.different and same.only_first == 300
    twin = difference(score, score, share=False)
    assert (twin.p, twin.interval, twin.different) == (1.0, None, False)
    unknown = difference(np.array([np.nan, 1.0, 0.0]), np.array([1.0, 1.0, 1.0]), share=True)
    assert (unknown.n, unknown.only_first, unknown.only_second) == (2, 0, 1)


def test_means_of_predictions() -> None:
    one, two = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.3, 0.7]])
    mean = mean_prediction([Classes(one), Classes(two)])
    assert isinstance(mean, Classes)
    torch.testing.assert_close(mean.probability, torch.tensor([[0.6, 0.4]]))
    numbers = mean_prediction(
        [Numbers(torch.tensor([[1.0]])), Numbers(torch.tensor([[2.0]])), Numbers(torch.tensor([[6.0]]))]
    )
    assert isinstance(numbers, Numbers) and numbers.value.item() == 3.0
    scores = [torch.randn(1, 3, 2, 2) for _ in range(2)]
    pixels = mean_prediction([Segments(score) for score in scores])
    assert isinstance(pixels, Segments)
    torch.testing.assert_close(pixels.score.softmax(1), (scores[0].softmax(1) + scores[1].softmax(1)) / 2)
    boxes = Detections(
        torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0), torch.zeros(0, dtype=torch.long)
    )
    with pytest.raises(TypeError):
        mean_prediction([boxes, boxes])


def test_members_that_fail_together_are_worth_one() -> None:
    right = np.array([1.0, 1.0, 0.0, 0.0])
    assert error_correlation([right, right]) == pytest.approx(1)
    assert error_correlation([right, right[::-1]]) == pytest.approx(-1)
    assert error_correlation([right, np.ones(4)]) is None
    rows = [ClassRows(np.arange(2), np.array([0, 1]), np.array(p)) for p in ([[0.8, 0.2]] * 2, [[0.4, 0.6]] * 2)]
    mean = mean_rows(rows)
    assert mean is not None
    np.testing.assert_allclose(mean.probability, [[0.6, 0.4]] * 2)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training on the digits as `a`; `b` as another seed would have it, weights and predictions a little different;
    `c` as a rate that is too low leaves it: guessing."""
    folder = tmp_path_factory.mktemp("compared")
    given = {"fit.epochs": 3, "fit.threads": 1, "optim.lr": 0.02}
    sightline.train("digits", given, model="linear", out=folder / "a")
    rng = np.random.default_rng(0)
    for name, key, noise in (("b", "seed", 0.001), ("c", "optim.lr", 10.0)):
        shutil.copytree(folder / "a", folder / name)
        (folder / name / "manifest.json").unlink()  # files are changed here
        recipe = yaml.safe_load((folder / name / "recipe.yaml").read_text())
        if key == "seed":
            recipe["seed"] = 1
        else:
            recipe["optim"]["lr"] = 1e-5
        (folder / name / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        weights = load_file(folder / name / "model" / "model.safetensors")
        changed = {k: (v + noise * rng.normal(size=v.shape)).astype(v.dtype) for k, v in weights.items()}
        save_file(changed, folder / name / "model" / "model.safetensors")
        task = load_task(sightline.open_run(folder / name))
        path = folder / name / "predictions" / "test.parquet"
        data = open_dataset(sightline.open_run(folder / name).recipe, Console(-1))
        found = sightline.open_run(folder / name)
        images = load(data, data.ids("test"), found.preprocessing, found.recipe, judging=True)
        rows = rows_of(task, in_order(images), "cpu")
        names = [data.records[i].name for i in rows.id.tolist()]
        write_rows(path, rows, names=names, classes=data.classes)
    return folder


def test_three_runs_beside_each_other(runs: Path) -> None:
    page = runs / "compare.html"
    code, found, stderr = called("compare", *(str(runs / name) for name in "abc"), "--ensemble", "--out", str(page))
    assert code == 0, stderr
    assert [(pair["first"], pair["second"]) for pair in found["pairs"]] == PAIRS
    assert [pair["different"] for pair in found["pairs"]] == [False, True, True]
    rows = {name: read_rows(runs / name / "predictions" / "test.parquet")[0] for name in "abc"}
    right = {name: one.probability.argmax(1) == one.target for name, one in rows.items()}
    pair = found["pairs"][1]
    assert pair["only_first"] == int((right["a"] & ~right["c"]).sum())
    assert pair["gain"] == pytest.approx(right["a"].mean() - right["c"].mean())
    assert pair["adjusted_p"] == pytest.approx(min(1, 3 * pair["p"])) or pair["adjusted_p"] >= pair["p"]
    assert found["differences"]["recipe"] == {"seed": [0, 1, 0], "optim.lr": [0.02, 0.02, 1e-5]}
    assert found["verdict"].startswith(("a is better than 1 of the other 2", "b is better than 1 of the other 2"))
    cost = found["runs"][0]["cost"]
    assert cost["parameters"] == 650 and cost["multiply_adds"] == 640
    assert cost["ms_batch_1"] > 0 and cost["images_per_second"] > 0
    together = np.mean([one.probability for one in rows.values()], axis=0)
    accuracy = (together.argmax(1) == rows["a"].target).mean()
    assert found["ensemble"]["metrics"]["accuracy"] == pytest.approx(accuracy)
    assert 0 < found["ensemble"]["error_correlation"] < 1
    text = page.read_text()
    assert "Different recipe" in text and "Holm" in text and "Together" in text


def test_two_seeds_of_one_recipe(runs: Path) -> None:
    found = sightline.compare([runs / "a", runs / "b"], "digits", split="test").facts
    assert found["only_the_seed"]
    assert "No significant difference" in found["verdict"]
    stored = sightline.compare([runs / "a", runs / "b"]).facts
    assert found["pairs"] == stored["pairs"], "predicted again, the same"


def test_the_mean_predicts_images(runs: Path) -> None:
    from sklearn.datasets import load_digits

    pixels = (load_digits().images[:4] * 15.9).astype(np.uint8)
    alone = [sightline.open_run(runs / name).predict(list(pixels)) for name in "ab"]
    from PIL import Image

    for i, image in enumerate(pixels):
        Image.fromarray(image).save(runs / f"{i}.png")
    code, found, stderr = called(
        "predict", str(runs / "a"), str(runs / "b"), *(str(runs / f"{i}.png") for i in range(4))
    )
    assert code == 0, stderr
    assert found["n"] == 4
    for row, one, two in zip(found["predictions"], *alone, strict=True):
        shares = [dict(prediction.to_json()["top"]) for prediction in (one, two)]
        mean = np.mean([share.get(row["label"], 0.0) for share in shares])
        assert row["probability"] == pytest.approx(mean, abs=1e-6)


def test_other_images_are_refused_by_name(runs: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs / "b", other)
    status = json.loads((other / "run.json").read_text())
    (other / "run.json").write_text(json.dumps(status | {"data": "0" * 64}))
    message = refused(3, "compare", str(runs / "a"), str(other))
    assert "have changed since training" in message and "--data" in message
    sightline.train("digits", {"fit.epochs": 1, "data.test": 0.3}, model="linear", out=tmp_path / "more")
    message = refused(3, "compare", str(runs / "a"), str(tmp_path / "more"))
    assert "not the same images" in message and "digits/" in message
    assert "named twice" in refused(2, "compare", str(runs / "a"), str(runs / "a"))
    assert "2 to 20 runs" in refused(2, "compare", str(runs / "a"))
    assert "not an .html file" in refused(
        2, "compare", str(runs / "a"), str(runs / "b"), "--out", str(tmp_path / "x.png")
    )
