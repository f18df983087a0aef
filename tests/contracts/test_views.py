"""Evaluation over several views of each image: which views, their mean, the gain and its interval."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sightline import api
from sightline.augmentation.views import ten_crop
from sightline.errors import UsageError
from sightline.evaluation.predictions import read_rows
from sightline.runs.console import Console
from sightline.verbs.assessment import views

KEYS = ["fit.epochs=1", "fit.threads=1", "fit.precision=fp32", "model.name=linear", "fit.ema=0"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("views") / "run"
    api.train("digits", KEYS, out=folder, console=Console(-1))
    return folder


@pytest.mark.parametrize(("tta", "n"), [(True, 2), ("ten-crop", 10)])
def test_the_mean_of_views_is_judged_and_compared_with_one(run: Path, tta: bool | str, n: int) -> None:
    result = api.evaluate(run, tta=tta, console=Console(-1)).to_json()
    said = result["views"]
    assert said["n"] == n and said["cost"] > 1
    assert said["all"] == pytest.approx(result["metrics"]["accuracy"])
    assert said["one"] == pytest.approx(api.evaluate(run, console=Console(-1)).to_json()["metrics"]["accuracy"])
    assert said["gain"] == pytest.approx(said["all"] - said["one"])
    assert said["interval"][0] <= said["gain"] <= said["interval"][1]


def test_the_first_view_is_what_the_run_predicts(run: Path) -> None:
    """The view that is not mirrored, through the same reader, gives the stored probabilities."""
    seen = []

    def keep(parts: list) -> object:
        seen.extend(parts)
        return parts[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(views, "mean_rows", keep)
        api.evaluate(run, tta=True, console=Console(-1))
    stored = read_rows(run / "predictions" / "test.parquet")[0]
    assert np.abs(seen[0].probability - stored.probability).max() < 1e-5
    assert np.abs(seen[1].probability - stored.probability).max() > 0.01


def test_crops_may_be_wider_than_high() -> None:
    image = torch.arange(4 * 6).view(1, 1, 4, 6)
    crops = ten_crop(image, 2, 5)
    assert crops.shape == (1, 10, 1, 2, 5)
    assert crops[0, 3, 0].tolist() == image[0, 0, 2:, 1:].tolist()


def test_unknown_views_and_kinds_without_a_mean_are_refused(run: Path) -> None:
    with pytest.raises(UsageError, match="unknown views 'five'"):
        api.evaluate(run, tta="five", console=Console(-1))
