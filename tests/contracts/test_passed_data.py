"""Data from Python: arrays, a torch data set, paths, and splits of them. They train, are killed, go on, and are told apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset as TorchDataset

import sightline
from sightline.data.dataset import build_dataset
from sightline.data.formats.passed.pixels import content_of
from sightline.data.formats.passed.sources import _KNOWN, name_of_data
from sightline.data.formats.sniff import open_data
from sightline.errors import DataError, SightlineError, UsageError
from tests.tiny_data import noise, rows, write

KEYS = ["fit.threads=1", "fit.precision=fp32"]


def squares(n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Images (n, 8, 8, 3) uint8, dark and bright in turn, and their classes (n,)."""
    pixels = np.random.default_rng(0).integers(0, 100, (n, 8, 8, 3), dtype=np.uint8)
    label = np.arange(n) % 2
    pixels[label == 1] += 120
    return pixels, label


class Items(TorchDataset[Any]):
    classes = ["dark", "bright"]

    def __init__(self, form: str, n: int = 40, label: Any = None) -> None:
        self.pixels, self.label = squares(n)
        self.form, self.label = form, self.label if label is None else label

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        if self.form == "random":
            return torch.rand(3, 8, 8), 0
        image = self.pixels[i]
        tensor = torch.from_numpy(image).permute(2, 0, 1)
        return {"pil": Image.fromarray(image), "array": image, "tensor": tensor / 255}[self.form], self.label[i]


def pixels_of(name: str) -> np.ndarray:
    data = build_dataset(open_data(name))
    return np.stack([data.pixels(int(i)) for i in data.ids()])


@pytest.mark.parametrize("form", ["pil", "array", "tensor"])
def test_a_torch_data_set(form: str) -> None:
    data = Items(form)
    name = name_of_data(data)
    assert (pixels_of(name) == squares()[0]).all()
    source = open_data(name)
    assert source.classes == ("dark", "bright")
    assert rows(source)[:2] == [("000000", "dark", None), ("000001", "bright", None)]
    assert source.notes[0].startswith("found data passed from Python: 40 images, 2 classes")
    assert name == name_of_data(Items("array"))  # equal pixels and labels are equal data


def test_arrays_of_every_form_hold_the_same_pixels() -> None:
    pixels, label = squares()
    tensor = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    forms = [pixels, pixels / np.float32(255), pixels.astype(np.int64), tensor, tensor / 255, list(pixels)]
    assert len({name_of_data((form, label)) for form in forms}) == 1
    grey = name_of_data((pixels[..., 0], [str(x) for x in label]))
    assert (pixels_of(grey)[..., 0] == pixels[..., 0]).all()


def test_floats_are_rounded_and_others_refused() -> None:
    ramp = np.linspace(0, 1, 64).reshape(8, 8)
    assert (content_of(ramp, "it") == np.rint(255 * ramp)).all()
    for bad, says in (
        (ramp * 2, "floats from 0 to 2: what is black"),
        (ramp - 0.5, "floats from -0.5 to 0.5"),
        (np.full((2, 2), np.nan), "floats from nan"),
        (np.full((2, 2), 300), "int64 from 300 to 300, not 0 to 255"),
        (np.zeros((3, 8, 8)), r"8 channels: arrays are \(h, w, c\)"),
        (torch.zeros(8, 8, 3), r"8 channels: tensors are \(c, h, w\)"),
        (np.zeros(5), r"of shape \(5,\), no image"),
        ("x.png", "is a str"),
    ):
        with pytest.raises(DataError, match=says):
            content_of(bad, "it")
    for mode in ("RGBA", "P", "1", "LA", "I;16", "CMYK"):
        assert isinstance(content_of(Image.new(mode, (4, 4)), "it"), bytes)


def test_paths(tmp_path: Path) -> None:
    paths = [write(tmp_path / "in" / f"{'ab'[i % 2]}{i}.png", i) for i in range(12)]
    name = name_of_data((paths, ["ab"[i % 2] for i in range(12)]))
    source = open_data(name)
    assert rows(source)[3] == ("b3.png", "b", None)
    assert (build_dataset(source).pixels(3) == noise(3)).all()
    with pytest.raises(DataError, match="listed twice"):
        name_of_data(([paths[0], paths[0]], [0, 1]))


def test_splits() -> None:
    pixels, label = squares()
    name = name_of_data({"train": (pixels[:30], label[:30]), "validation": (pixels[30:], label[30:])})
    data = build_dataset(open_data(name))
    assert (len(data.ids("train")), len(data.ids("val"))) == (30, 10)
    assert data.records[0].name == "train/000000"
    with pytest.raises(UsageError, match="call them train, val and test"):
        name_of_data({"all": (pixels, label)})


@pytest.mark.parametrize(
    ("labels", "knows", "classes"),
    [
        ([float(i) * 1.5 for i in range(40)], "numbers", ("value",)),
        (np.random.default_rng(0).normal(size=(40, 2)), "numbers", ("value_0", "value_1")),
        (np.random.default_rng(0).integers(0, 2, (40, 3)), "tags", ("0", "1", "2")),
        ([["a", "b"][: 1 + i % 2] for i in range(40)], "tags", ("a", "b")),
        ([18 + 3 * i for i in range(40)], "numbers", ("value",)),
    ],
)
def test_labels_that_are_no_classes(labels: Any, knows: str, classes: tuple[str, ...]) -> None:
    source = open_data(name_of_data((squares()[0], labels)))
    assert source.annotations is not None
    assert (source.annotations.knows, source.classes) == (knows, classes)


def test_what_cannot_be_used_is_named() -> None:
    pixels, label = squares()
    for bad, says in (
        (Items("random"), "another image every time it is read"),
        ((pixels, label[:-1]), "40 images and 39 labels"),
        ((pixels, [{"boxes": 1}] * 40), "COCO's JSON"),
        (Items("array", label=np.full(40, 2)), "the label 2 is none of the 2 classes"),
        (7, "data are a int"),
    ):
        with pytest.raises(SightlineError, match=says):
            name_of_data(bad)


# --------------------------------------------------------------------------------------------------- runs
@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> sightline.Run:
    return train(tmp_path_factory.mktemp("passed") / "run", squares())


def train(out: Path, data: Any, **more: Any) -> sightline.Run:
    return sightline.train(data, KEYS, model="resnet8", epochs=3, batch=16, out=out, **more)


def test_a_run_on_arrays_is_one_like_others(run: sightline.Run) -> None:
    assert run.recipe.data.name is not None and run.recipe.data.name.startswith("python:")
    assert "accuracy" in run.metrics["test"]
    found = sightline.evaluate(run, squares())
    assert (found.split, found.judgement.metrics["accuracy"]) == ("test", run.metrics["test"]["accuracy"])
    assert sightline.audit(squares())["hash"] == run.status["data"]
    whole = sightline.evaluate(run, (squares(60)[0][40:], squares(60)[1][40:]))
    assert whole.judgement.n == 20


def test_it_goes_on_with_the_same_data_and_no_others(run: sightline.Run, tmp_path: Path) -> None:
    """In a process of its own, which is killed; the rest is trained here."""
    script = (
        "import os, signal, sys, sightline.training.progress as p\n"
        "from pathlib import Path\n"
        "from tests.contracts.test_passed_data import squares, train\n"
        "whole, calls = p.rows_of, []\n"
        "def die(*a, **k):\n"
        "    calls.append(1)\n"
        "    if len(calls) == 3: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return whole(*a, **k)\n"
        "p.rows_of = die\n"
        "train(Path(sys.argv[1]), squares())\n"
    )
    killed = tmp_path / "killed"
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script, str(killed)], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == -9, done.stderr
    known = _KNOWN.pop(str(run.recipe.data.name), None)
    with pytest.raises(DataError, match=r"passed from Python.*this process does not have them") as caught:
        sightline.train(resume=killed)
    assert "sightline.train(data, resume=RUN)" in caught.value.hint
    if known is not None:
        _KNOWN[str(run.recipe.data.name)] = known
    pixels, label = squares()
    with pytest.raises(DataError, match="was not trained on these data"):
        sightline.train((pixels[::-1].copy(), label), resume=killed)
    again = sightline.train((pixels, label), resume=killed)
    for name in ("model/model.safetensors", "history.csv", "metrics.json", "predictions/test.parquet"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes(), name
