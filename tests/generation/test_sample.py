"""`sample`: image i depends on (seed, i) and the conditions only, and every file says that it is artificial."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import sightline
from sightline.errors import UsageError
from sightline.randomness.keyed import normal
from sightline.sampling.plan import between

from . import tiny_gan


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> sightline.Run:
    return tiny_gan.train(tmp_path_factory.mktemp("gan"))


def test_an_image_is_the_same_alone_and_among_any_others(run: sightline.Run) -> None:
    whole = run.sample(40, seed=3)
    assert whole.shape == (40, 28, 28, 3) and whole.dtype == np.uint8
    assert len(np.unique(whole.reshape(40, -1), axis=0)) == 40
    for first, n in ((0, 1), (17, 1), (39, 1), (5, 20)):
        assert np.array_equal(run.sample(n, seed=3, first=first), whole[first : first + n])
    assert not np.array_equal(run.sample(1, seed=4)[0], whole[0])
    again = sightline.open_run(run.folder)
    assert np.array_equal(again.sample(40, seed=3), whole)


def test_the_class_of_an_image_is_its_number_or_what_is_asked(run: sightline.Run) -> None:
    turns, bars, dots = (run.sample(4, label=label) for label in (None, "bars", "dots"))
    assert np.array_equal(turns[0::2], bars[0::2]) and np.array_equal(turns[1::2], dots[1::2])
    assert not np.array_equal(bars, dots)


def test_files_their_marks_and_the_walk(run: sightline.Run, tmp_path: Path) -> None:
    made = sightline.sample(run, 3, seed=7, first=14, out=tmp_path / "made", walk=True)
    facts = json.loads((tmp_path / "made/samples.json").read_text())
    assert [row["file"] for row in facts["images"]] == ["00014.png", "00015.png", "00016.png"]
    assert [row["class"] for row in facts["images"]] == ["bars", "dots", "bars"]
    assert made.to_json()["artificial"] is True and facts["seed"] == 7
    arrays = run.sample(3, seed=7, first=14)
    for row, array in zip(facts["images"], arrays, strict=True):
        with Image.open(tmp_path / "made" / row["file"]) as image:
            assert np.array_equal(np.asarray(image), array)
            text = image.text  # type: ignore[attr-defined]
        assert "Artificial" in text["Description"] and "trainedAlgorithmicMedia" in text["DigitalSourceType"]
        assert (text["Seed"], text["Index"], text["Class"]) == ("7", str(row["index"]), row["class"])
        assert text["Run"].startswith("run ")
    with Image.open(tmp_path / "made/sheet.png") as sheet:
        assert "Artificial" in sheet.text["Description"]  # type: ignore[attr-defined]
    with Image.open(tmp_path / "made/walk.gif") as walk:
        assert walk.n_frames == 3 * 12  # type: ignore[attr-defined]
        assert b"Artificial" in walk.info["comment"]
        first = np.asarray(walk.convert("RGB"))[::6, ::6]
    assert np.abs(first.astype(int) - arrays[0].astype(int)).mean() < 12, "the walk starts at the first image"


def test_what_cannot_be_sampled_is_an_error(run: sightline.Run, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown class 'dts'"):
        run.sample(1, label="dts")
    with pytest.raises(UsageError, match="--steps has no effect"):
        run.sample(1, steps=4)
    with pytest.raises(UsageError, match="--text has no effect"):
        run.sample(1, text="a bar")
    with pytest.raises(UsageError, match="--n is 0"):
        run.sample(0)
    other = sightline.train(tiny_gan.data(tmp_path), ("fit.epochs=1", "fit.device=cpu"), out=tmp_path / "classes")
    with pytest.raises(UsageError, match="makes no images: its task is classification") as caught:
        other.sample(1)
    assert "task.kind=gan" in caught.value.hint


def test_normal_noise_is_normal_and_interpolated_on_a_sphere() -> None:
    x = normal(5, "noise", torch.arange(200_000))
    assert x.mean().abs() < 0.01 and (x.std() - 1).abs() < 0.01 and x.isfinite().all()
    assert ((x.abs() < 1).float().mean() - 0.6827).abs() < 0.005
    a, b = normal(5, "a", torch.arange(512))[None], normal(5, "b", torch.arange(512))[None]
    assert torch.equal(between(a, b, torch.zeros(1)), a)
    half = between(a, b, torch.tensor([0.5]))
    assert abs(half.norm() / a.norm() - 1) < 0.1 and ((a + b) / 2).norm() / a.norm() < 0.8
