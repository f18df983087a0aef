"""Labels that are probably wrong: cleanlab's ranking, folds that are ordinary trainings, and planted errors that are found."""

from __future__ import annotations

import csv
import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sightline
from sightline.data.dataset import build_dataset
from sightline.data.folds import Fold
from sightline.evaluation.label_errors.classes import confident_joint, find_in_classes, label_quality
from sightline.structures.predictions import ClassRows
from tests.asking import called, refused

CLASSES = ("dark", "bright")
WRONG = {"dark/3.png": "bright", "bright/5.png": "dark"}  # planted: the file → its true class


def probabilities(seed: int, n: int = 400, k: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of a network that is often right."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, k - 1, n)  # the last class has no labels
    scores = rng.normal(size=(n, k)) + 2.5 * np.eye(k)[np.where(rng.random(n) < 0.2, rng.integers(0, k, n), target)]
    weights = np.exp(scores)
    return target, weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize("seed", range(4))
def test_confident_learning_is_that_of_cleanlab(seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from cleanlab.count import compute_confident_joint
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    target, probability = probabilities(seed)
    found = label_quality(target, probability)
    for name, values in (("self_confidence", found.confidence), ("normalized_margin", found.margin)):
        reference = get_label_quality_scores(target, probability, method=name)
        np.testing.assert_allclose(values, reference, atol=1e-12, rtol=0)
    issues = find_label_issues(
        target, probability, filter_by="confident_learning", return_indices_ranked_by="self_confidence", n_jobs=1
    )
    assert found.candidates().tolist() == issues.tolist()
    assert 20 < len(issues) < 200
    counts = compute_confident_joint(target, probability, calibrate=False)
    assert (confident_joint(target, probability) == counts).all()
    rounded = compute_confident_joint(target, probability)
    assert np.abs(found.joint - rounded).max() < 1, "cleanlab's is the same, rounded to whole images"
    np.testing.assert_allclose(found.joint.sum(1), np.bincount(target, minlength=5))


def test_what_training_images_cost() -> None:
    """A network that knows every label by heart is sure of the wrong ones too: not one is found. Out of sample most are."""
    from sklearn.datasets import load_digits
    from sklearn.neighbors import KNeighborsClassifier

    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    wrong = rng.choice(len(y), 90, replace=False)
    labels = y.copy()
    labels[wrong] = (y[wrong] + rng.integers(1, 10, 90)) % 10
    nearest = KNeighborsClassifier(5, weights="distance").fit(x, labels)
    inside = label_quality(labels, nearest.predict_proba(x))
    outside = label_quality(labels, np.vstack([_left_out(x, labels, i) for i in range(5)])[np.argsort(_order(len(y)))])
    assert not inside.candidate.any()
    assert np.isin(outside.ranking()[:90], wrong).mean() > 0.9


def _order(n: int) -> np.ndarray:
    return np.concatenate([np.arange(n)[i::5] for i in range(5)])


def _left_out(x: np.ndarray, labels: np.ndarray, i: int) -> np.ndarray:
    from sklearn.neighbors import KNeighborsClassifier

    train = np.arange(len(x)) % 5 != i
    return KNeighborsClassifier(5, weights="distance").fit(x[train], labels[train]).predict_proba(x[~train])


def test_a_label_has_words_for_people() -> None:
    rows = ClassRows(np.array([7, 9]), np.array([0, -1]), np.array([[0.1, 0.9], [0.5, 0.5]]))
    found = find_in_classes(rows, ("cat", "dog"))
    assert [s.id for s in found.ranked] == [7], "9 has no label"
    assert found.ranked[0].words == "labelled cat (10.0%), looks like dog (90.0%)"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """30 dark and 30 bright pictures, one of each in the folder of the other."""
    root = tmp_path_factory.mktemp("labels") / "photos"
    rng = np.random.default_rng(0)
    for name in CLASSES:
        for i in range(30):
            truth = WRONG.get(f"{name}/{i}.png", name)
            pixels = rng.integers(0, 100, (12, 12, 3)) + 130 * (truth == "bright")
            (root / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{i}.png")
    return root


def test_planted_labels_are_found_and_corrected(photos: Path) -> None:
    """Through the command line: both come first, with the true class. The same command again trains nothing."""
    out = photos.parent / "checked"
    words = ["label-errors", str(photos), "--folds", "2", "-m", "linear", "--epochs", "10", "--out", str(out)]
    code, found, stderr = called(*words)
    assert code == 0, stderr
    assert {it["path"]: it["suggested"] for it in found["candidates"]} == WRONG
    assert (found["n"], found["folds"], found["splits"]) == (60, 2, ["all"])
    with (out / "label-errors.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 60
    assert {line["path"] for line in lines[:2]} == set(WRONG)
    assert [line["candidate"] for line in lines[:3]] == ["1", "1", "0"]
    page = (out / "label-errors.html").read_text()
    assert "dark → bright" in page and "data:image/png" in page
    before = (out / "folds" / "2" / "manifest.json").stat().st_mtime_ns
    (out / "folds" / "1" / "manifest.json").unlink()  # as a kill on the way leaves it
    code, again, stderr = called(*words)
    assert again["candidates"] == found["candidates"]
    assert (out / "folds" / "1" / "manifest.json").is_file(), "the fold was finished"
    assert (out / "folds" / "2" / "manifest.json").stat().st_mtime_ns == before
    assert "a fold of another recipe" in refused(2, *words, "--seed", "1")
    run = sightline.open_run(out / "folds" / "2")
    checked = sightline.label_errors(run)
    assert (checked.facts["splits"], checked.facts["n"]) == (["test"], 30)
    first = run.folder / "label-errors" / "label-errors.csv"
    assert first.read_text().splitlines()[1].split(",")[0] in WRONG
    assert "recipe.yaml" in refused(2, "label-errors", str(run.folder), "--folds", "3")
    shutil.rmtree(run.folder / "predictions")
    assert "training images cannot be checked" in refused(2, "label-errors", str(run.folder))


def test_every_image_is_in_one_fold_and_copies_stay_together(photos: Path) -> None:
    root = photos.parent / "copies"
    shutil.copytree(photos, root)
    shutil.copy(root / "dark" / "1.png", root / "dark" / "copy.png")
    held = [build_dataset(str(root), rule=Fold(i, 3)) for i in (1, 2, 3)]
    tests = [set(data.ids("test").tolist()) for data in held]
    assert sum(map(len, tests)) == len(set.union(*tests)) == 61
    assert all(len(data.ids("train")) == 61 - len(test) for data, test in zip(held, tests, strict=True))
    pair = {r.id for r in held[0].records if r.name in ("dark/1.png", "dark/copy.png")}
    assert any(pair <= test for test in tests)
    counts = np.stack([data.counts()[:, 2] for data in held])  # (folds, k)
    assert np.ptp(counts, axis=0).max() <= 2


def test_what_cannot_be_checked_is_refused(tmp_path: Path, photos: Path) -> None:
    assert "there are only 3 folds" in refused(2, "train", str(photos), "data.fold=4/3", "--out", str(tmp_path / "run"))
    assert "no effect with data.fold" in refused(2, "train", str(photos), "data.fold=1/3", "data.val=0.1")
    assert "--folds is 1" in refused(2, "label-errors", str(photos), "--folds", "1")
    assert "data.fold=1/2 has no effect" in refused(2, "label-errors", str(photos), "data.fold=1/2")
