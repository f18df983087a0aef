"""`explain` on a run: page, sheet, arrays with their facts, and errors that name the fix."""

from __future__ import annotations

import hashlib
import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.drawing.heat import heat, in_original
from sightline.errors import DataError, UsageError
from sightline.runs.run import Run
from sightline.verbs.explain import explain
from tests.exports.tiny_runs import QUIET, tiny_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tiny_run(tmp_path_factory.mktemp("explained"), "input.fit=crop")


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "wide one.png"
    Image.fromarray(np.random.default_rng(3).integers(0, 256, (20, 40, 3), dtype=np.uint8)).save(path)
    return path


def test_everything_is_written(run: Run, picture: Path, tmp_path: Path) -> None:
    result = explain(
        run, picture, method="gradient,grad_cam,attention,guided-backprop", out=tmp_path, controls="full", console=QUIET
    )
    (row,) = result.rows
    assert list(row["methods"]) == ["gradient", "grad_cam", "attention", "guided_backprop"]
    assert "no attention" in row["methods"]["attention"]["refused"]
    page = (tmp_path / "explanation.html").read_text(encoding="utf-8")
    assert "<script" not in page and "http" not in re.sub(r"http-equiv|data:image", "", page)
    assert "Attention is left out" in page and "Edges (Sobel)" in page and "rank correlation" in page
    assert "style-src 'sha256-" in html.unescape(page) and " style=" not in page
    with Image.open(tmp_path / "explanation.png") as sheet:
        assert sheet.width > 4 * 224
    for method in ("gradient", "grad_cam", "guided_backprop"):
        array = Path(row["methods"][method]["array"])
        facts = json.loads(array.with_suffix(".json").read_text())
        values = np.load(array)
        assert list(values.shape) == facts["shape"] and values.shape[1:] == (16, 16) and values.dtype == np.float32
        assert facts["array_sha256"] == hashlib.sha256(array.read_bytes()).hexdigest()
        assert facts["image_sha256"] == hashlib.sha256(picture.read_bytes()).hexdigest()
        assert len(facts["weights_sha256"]) == 64 and facts["unit"]
    stages = row["methods"]["gradient"]["randomisation"]
    assert stages[0]["stage"] == "the head" and stages[-1]["stage"] == "the whole network"
    assert set(row["controls"]) == {"edges", "centre", "random"} and set(row["controls"]["edges"]) == {"blur", "mean"}


def test_the_class_can_be_chosen(run: Run, picture: Path, tmp_path: Path) -> None:
    maps = {}
    for target in ("cat", "dog"):
        result = explain(
            run, picture, method="gradient", target=target, out=tmp_path / target, controls="none", console=QUIET
        )
        assert result.rows[0]["explained"] == f"the score of {target!r}"
        maps[target] = np.load(result.rows[0]["methods"]["gradient"]["array"])
    assert not np.allclose(maps["cat"], maps["dog"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "gradcam"}, "did you mean 'grad_cam'"),
        ({"target": "cow"}, "not a class"),
        ({"object": 0}, "detects objects"),
        ({"method": "rollout"}, "no attention"),
    ],
)
def test_wrong_choices_are_named(run: Run, picture: Path, tmp_path: Path, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        explain(run, picture, out=tmp_path, controls="none", console=QUIET, **options)


def test_broken_images_have_their_own_rows(run: Run, picture: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    both = explain(run, [broken, picture], method="gradient", out=tmp_path, controls="none", console=QUIET)
    assert "error" in both.rows[0] and "methods" in both.rows[1] and both.failed == 1
    with pytest.raises(DataError, match="none of 1 images"):
        explain(run, broken, method="gradient", out=tmp_path, console=QUIET)


def test_images_are_named_as_for_predict(run: Run, picture: Path, tmp_path: Path) -> None:
    result = explain(
        run, str(picture.parent / "*.png"), method="gradient", out=tmp_path, controls="none", console=QUIET
    )
    assert [row["path"] for row in result.rows] == [str(picture)]
    with pytest.raises(UsageError, match="there is no"):
        explain(run, tmp_path / "gone.png", console=QUIET)
    with pytest.raises(UsageError, match="not videos"):
        explain(run, "camera:0", console=QUIET)


def test_a_map_lies_on_the_original_image() -> None:
    """A crop of the middle of a wide image at half the size: the map's left column is the original's column 10."""
    frame = np.array([[0.5, 0, -5], [0, 0.5, 0], [0, 0, 1.0]])
    values = np.zeros((10, 10))
    values[4, 0] = 1.0
    placed = in_original(values, frame, (20, 40))
    assert np.isnan(placed[:, :10]).all() and np.isnan(placed[:, 30:]).all() and np.isfinite(placed[:, 10:30]).all()
    peak = np.unravel_index(np.nanargmax(placed), placed.shape)
    assert peak[0] in (8, 9) and peak[1] == 10


def test_colours_are_symmetric_about_zero() -> None:
    grey = np.full((1, 4, 1), 128, np.uint8)
    over = heat(grey, np.array([[-2.0, 0.0, 0.5, 1.0]]))
    red, blue = over.picture[0, 3].astype(int), over.picture[0, 0].astype(int)
    assert over.scale == pytest.approx(2.0, rel=0.02) and red[0] > red[2] and blue[2] > blue[0]
    assert over.picture[0, 1].max() - over.picture[0, 1].min() <= 1  # nothing to say: the grey of the picture
    assert heat(grey, np.zeros((1, 4))).scale == 0.0
