"""`explain` without an image: page, sheets, arrays with their facts, refusals, and errors that name the fix."""

from __future__ import annotations

import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.errors import UsageError
from sightline.explanation.features.methods import DEFAULT, FEATURES
from sightline.kinds.networks import load_task
from sightline.runs.run import Run
from sightline.verbs.explain import explain
from tests.exports.tiny_runs import QUIET, tiny_run

PARTS = "filters,activations,patches,class_images,dream,neighbours,positions,attention"  # all but the slow map


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tiny_run(tmp_path_factory.mktemp("featured"))


@pytest.fixture(scope="module")
def result(run: Run, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("features")
    return explain(run, method=PARTS, split="train", n=30, out=out, console=QUIET).to_json()


def test_everything_is_written(run: Run, result: dict[str, Any]) -> None:
    folder = Path(result["folder"])
    page = (folder / "features.html").read_text(encoding="utf-8")
    assert "<script" not in page and " style=" not in page and "style-src 'sha256-" in html.unescape(page)
    assert "http" not in re.sub(r"http-equiv|data:image", "", page)
    assert "Position embeddings: this network has no position embeddings." in page
    assert json.loads((folder / "features.json").read_text()) == result
    for name, facts in result["methods"].items():
        if name in ("positions", "attention", "templates"):
            assert "this network has no" in facts["refused"]
            continue
        with Image.open(facts["sheet"]) as sheet:
            assert sheet.width > 100
        assert f'id="{name}"' in page and facts["arrays"]
        for path in map(Path, facts["arrays"].values()):
            about = json.loads(path.with_suffix(".json").read_text())
            assert about["array_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
            assert about["shape"] == list(np.load(path).shape) and about["unit"] and len(about["weights_sha256"]) == 64


def test_patches_on_the_run_are_exact(run: Run, result: dict[str, Any]) -> None:
    """From the JSON alone: the value is that of the image in the network, also with every pixel outside of the box changed."""
    facts, task = result["methods"]["patches"], load_task(run)
    data = run.folder.parent / "data"
    assert len(facts["units"]) >= 6
    for unit in facts["units"]:
        module = task.model.network.get_submodule(unit["layer"])
        for patch in unit["patches"][:2]:
            pixels = run.preprocessing.prepare(data / patch["image"])[0]
            left, top, right, bottom = patch["box"]
            changed = 255 - pixels
            changed[top:bottom, left:right] = pixels[top:bottom, left:right]
            kept: list[torch.Tensor] = []
            handle = module.register_forward_hook(lambda m, i, o, kept=kept: kept.append(o.clone()))
            with torch.no_grad():
                for image in (pixels, changed):
                    task.model(torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float())
            handle.remove()
            at = (0, unit["unit"], *patch["place"])
            assert torch.equal(kept[0][at], kept[1][at])
            assert float(kept[0][at]) == pytest.approx(patch["value"], rel=1e-4)


def test_made_images_do_what_they_say(run: Run, result: dict[str, Any]) -> None:
    made, task = result["methods"]["class_images"], load_task(run)
    images = np.load(made["arrays"]["class_images"])
    with torch.no_grad():
        scores = task.model(torch.from_numpy(images).float())
    for row, (facts, own) in enumerate(zip(made["classes"], scores, strict=True)):
        assert facts["reached"] and float(own[run.classes.index(facts["class"])]) == pytest.approx(
            facts["score"], rel=1e-4
        )
        assert facts["score"] >= facts["best_real_score"] and images[row].dtype == np.uint8
    dreamed = result["methods"]["dream"]
    assert dreamed["rising"] and all(octave["after"] > octave["before"] for octave in dreamed["octaves"])


def test_neighbours_come_from_the_training_images(run: Run, tmp_path: Path) -> None:
    facts = explain(run, method="neighbours,map", n=12, out=tmp_path, console=QUIET).methods
    nearest = facts["neighbours"]
    assert nearest["neighbours_from"] == "train" and nearest["split"] in ("test", "val")
    index = np.load(nearest["arrays"]["neighbours"])
    assert index.shape[0] == len(nearest["queries"]) and index.max() < len(nearest["names"]) == 12
    if len(nearest["queries"]) < 10:
        assert "at least 10 images" in facts["map"]["refused"]


def test_a_layer_is_shown_by_its_name(run: Run, tmp_path: Path) -> None:
    facts = explain(run, method="activations", layer="layer2.0.conv1", out=tmp_path, console=QUIET).methods[
        "activations"
    ]
    assert list(facts["layers"]) == ["layer2.0.conv1"] and facts["layers"]["layer2.0.conv1"]["receptive_field"] == [
        9,
        9,
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "filter"}, "did you mean 'filters'"),
        ({"method": "patches", "layer": "layer4"}, "no layer 'layer4'"),
        ({"method": "positions"}, "no position embeddings"),
        ({"object": 0}, "--object needs an image"),
        ({"n": 1}, "--n is 1"),
        ({"split": "tests"}, "unknown split"),
        ({"target": "cow"}, "not a class"),
        ({"images": "cat.jpg", "layer": "conv1"}, "--layer is for explain without an image"),
    ],
)
def test_wrong_choices_are_named(run: Run, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        explain(run, out=tmp_path, console=QUIET, **options)


def test_methods_without_images_need_no_data(run: Run, tmp_path: Path) -> None:
    """A run whose data are gone still shows its filters, and says why not the rest."""
    recipe = run.recipe
    moved = Run(run.folder, run.written)
    data = Path(recipe.data.path)
    hidden = data.with_name("hidden")
    data.rename(hidden)
    try:
        facts = explain(moved, method="filters,patches", out=tmp_path, console=QUIET).methods
    finally:
        hidden.rename(data)
    assert facts["filters"]["filters"] == 16 and "refused" in facts["patches"]


def test_the_quick_ones_are_the_default() -> None:
    assert set(FEATURES) - set(DEFAULT) == {"dream"}
