"""Pipelines as runs: killed and resumed, evaluated, explained, attacked, exported; and settings that would have no effect."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sightline
from sightline.errors import UsageError

from . import tiny_gratings

ROOT = Path(__file__).parents[2]
KEYS = ("fit.epochs=4", "fit.batch=16", "input.size=24")


def digests(folder: Path) -> dict[str, str]:
    files = [
        *folder.glob("model/*"),
        *folder.glob("predictions/*"),
        *(max((folder / "checkpoints").glob("step-*"))).iterdir(),
    ]
    files += [folder / name for name in ("history.csv", "metrics.jsonl", "metrics.json", "recipe.yaml")]
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in files
        if p.name != "manifest.json"
    }


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_gratings.write(tmp_path_factory.mktemp("gratings") / "data")


@pytest.fixture(scope="module")
def run(data: Path) -> sightline.Run:
    return sightline.train(data, KEYS, model="hog_svm", out=data.parent / "whole")


def test_killed_between_chunks_and_resumed_is_bit_identical(data: Path, run: sightline.Run) -> None:
    folder = data.parent / "killed"
    command = [sys.executable, "-m", "tests.classical.dying", str(data), str(folder), "hog_svm", "3", *KEYS]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == -9, done.stderr[-2000:]
    assert not (folder / "model/model.safetensors").exists()
    sightline.train(resume=folder)
    assert digests(folder) == digests(run.folder)


def test_walks_through_the_verbs(data: Path, run: sightline.Run, tmp_path: Path) -> None:
    assert run.metrics["test"]["accuracy"] >= 0.8
    assert (run.folder / "report.html").exists()
    assert sightline.verify(run.folder)["ok"]
    image = next((data / "upright").iterdir())
    assert run.predict(image).label == "upright"
    pages = sightline.explain(run, method="templates", out=tmp_path / "explained")
    assert "templates" in pages.methods
    attacked = sightline.attack(run, eps=8, n=9, out=tmp_path / "attacked")
    accuracies = [point["accuracy"] for point in attacked.facts["curve"]]
    assert accuracies[1] < accuracies[0], "pixels get gradients through HOG"
    files = sightline.export(run, out=tmp_path / "exported")
    assert files["folder"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("optim.lr=0.1", "optim.lr=0.1 has no effect on hog_svm, which is solved"),
        ("augment.preset=light", "augment.preset=light has no effect"),
        ("schedule.name=cosine", "schedule.name=cosine has no effect"),
        ("fit.ema=0.9", "fit.ema=0.9 has no effect"),
        ("task.loss=focal", "task.loss=focal has no effect"),
        ("fit.epochs=1.5", "no whole number of passes"),
    ],
)
def test_settings_of_descent_are_refused(data: Path, key: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=words):
        sightline.train(data, [key], model="hog_svm", out=tmp_path / "run")


def test_a_kind_without_classes_is_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pictures, numbers = rng.integers(0, 255, (20, 24, 24, 3), np.uint8), rng.normal(size=20)
    with pytest.raises(UsageError, match="hog_svm is solved for one class an image"):
        sightline.train((pictures, numbers), ["task.kind=regression"], model="hog_svm", out=tmp_path / "run")


def test_its_recipe_trains_the_same_run(run: sightline.Run, tmp_path: Path) -> None:
    again = sightline.train(run.folder / "recipe.yaml", out=tmp_path / "again")
    same = ("model/model.safetensors", "predictions/test.parquet")
    assert all((again.folder / name).read_bytes() == (run.folder / name).read_bytes() for name in same)
