"""R-CNN and Fast R-CNN through the verbs: trained, stopped and resumed, evaluated, used, and their proposals kept."""

from __future__ import annotations

import importlib
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import sightline
import sightline.proposals.proposer as proposing
import sightline.training.finish as finish
import sightline.training.progress as actions
from sightline.data.loaders import Decoding, Memory
from sightline.errors import Stopped, UsageError
from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.saved import Preprocessing
from sightline.proposals.fixed import fixed_boxes
from sightline.proposals.proposer import Proposer
from sightline.recipes.loading import Reader
from sightline.structures.batch import PLACES
from sightline.structures.inputs import Places
from tests.faults.runs import TASKS, write_coco


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("given") / "data"
    write_coco(folder, 16, outlines=False)
    return folder


def train(task: str, data: Path | None = None, **arguments: Any) -> Any:
    if data is None:
        return sightline.train(**arguments)
    _, network, keys = TASKS[task]
    keys = [key for key in keys if "epochs" not in key]
    keys += ["fit.threads=1", "fit.precision=fp32", "fit.epochs=1", "fit.commit_every=1"]
    return sightline.train(str(data), keys, model=network, **arguments)


def ended(run: Any) -> dict[str, bytes]:
    names = ("model/model.safetensors", "history.csv", "metrics.json", "predictions/test.parquet")
    return {name: (run.folder / name).read_bytes() for name in names}


@pytest.mark.parametrize("task", ["fitted", pytest.param("given regions", marks=pytest.mark.slow)])
def test_through_the_verbs(task: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was stopped in its validation ends as one that was not, with the proposals of the first from the cache."""
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    untouched = train(task, data, out=tmp_path / "untouched")
    kept = list((tmp_path / "cache" / "proposals").glob("*/*"))
    assert len(kept) == 16  # each image once, whatever the number of epochs and validations
    whole = actions.rows_of

    def interrupted(*arguments: Any, stop: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        return whole(*arguments, stop=stop)

    monkeypatch.setattr(
        proposing, "selective_search", None
    )  # whoever computes again fails, but for the speed of new images
    for module in (finish, importlib.import_module("sightline.verbs.evaluate")):
        monkeypatch.setattr(module, "frame_rate", lambda *_, **__: {"fps": 1.0, "ms": 1000.0})
    monkeypatch.setattr(actions, "rows_of", interrupted)
    with pytest.raises(Stopped):
        train(task, data, out=tmp_path / "stopped")
    monkeypatch.setattr(actions, "rows_of", whole)
    resumed = train(task, resume=tmp_path / "stopped")
    assert ended(resumed) == ended(untouched)
    assert (load_file(resumed.folder / "model/model.safetensors").get("ready", torch.zeros(())) == 1) == (
        task == "fitted"
    )
    again = sightline.evaluate(resumed, split="test").judgement.to_json()
    assert again["metrics"]["ap50"] == resumed.metrics["test"]["ap50"]
    monkeypatch.undo()
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    (row,) = sightline.predict(resumed, data / "images" / "0000.jpg").rows
    assert row["boxes"] and all(0 <= box["score"] <= 1 for box in row["boxes"])
    with pytest.raises(UsageError, match="cannot be exported"):
        sightline.export(resumed, out=tmp_path / "graph")


def test_samples_of_several_images_are_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="single images only"):
        sightline.train(str(data), ["augment.mosaic=0.5"], model="fast_rcnn_resnet18_fpn", out=tmp_path / "run")


def test_proposals_are_kept_by_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)
    boxes = Proposer("fast", 50, tmp_path)(image)
    (file,) = tmp_path.glob("*/*")
    answers = iter([np.zeros((1, 4), np.float32)])
    monkeypatch.setattr(proposing, "selective_search", lambda image, mode, limit: next(answers))
    assert np.array_equal(Proposer("fast", 50, tmp_path)(image), boxes)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    again = Proposer("fast", 50, tmp_path)
    assert again(image).tolist() == [[0, 0, 0, 0]]  # a damaged file is not believed
    assert again(image).tolist() == [[0, 0, 0, 0]]  # nor asked for twice
    assert Proposer("fast", 50, tmp_path)(image).tolist() == [[0, 0, 0, 0]]  # it was written anew
    with pytest.raises(StopIteration):
        Proposer("fast", 49, tmp_path)(image)  # another limit is another question


def test_a_fixed_set_covers_everything() -> None:
    boxes = fixed_boxes(96, 128, 2000)
    assert len(boxes) <= 2000 and (boxes >= 0).all() and (boxes[:, 2:] <= (128, 96)).all()
    assert len(np.unique(boxes, axis=0)) == len(boxes)
    draw = np.random.default_rng(0)
    corner = draw.uniform(0, 60, (200, 2))
    objects = np.concatenate([corner, corner + draw.uniform(20, 36, (200, 2))], 1)
    low, high = (
        np.maximum(objects[:, None, :2], boxes[None, :, :2]),
        np.minimum(objects[:, None, 2:], boxes[None, :, 2:]),
    )
    shared = (high - low).clip(min=0).prod(2)
    union = (objects[:, 2:] - objects[:, :2]).prod(1)[:, None] + (boxes[:, 2:] - boxes[:, :2]).prod(1) - shared
    assert (shared / union).max(1).min() > 0.4
    assert len(fixed_boxes(3, 500, 1)) == 1


@pytest.mark.parametrize("images", [Memory, Decoding])
def test_places_lie_in_the_original_frame(images: type) -> None:
    """Half the size with a border: boxes of the network's pixels come back twice as large, less the border."""

    class Pictures:
        def pixels(self, id: int, *, channels: int, depth: int | None) -> np.ndarray:
            return np.full((40, 80, 3), id, np.uint8)

    preprocessing = Preprocessing(Geometry(40, 40, "letterbox"), (0.0,) * 3, (1.0,) * 3, 3)

    def propose(pixels: np.ndarray) -> np.ndarray:
        return np.array([[0, 10, 20, 30], [10, 15, 30, 20]][: 1 + pixels[20, 20, 0] % 2], np.float32)

    read = Reader(Pictures(), preprocessing, None, False, propose)  # type: ignore[arg-type]
    ids, index = np.arange(3), np.zeros(3, np.int64)
    loaded = (
        Memory.fill(read, ids, index, 0) if images is Memory else Decoding(read, *map(torch.from_numpy, (ids, index)))
    )
    batch = loaded(torch.tensor([1, 0]), torch.tensor([7, 8]))
    places = batch.inputs[PLACES]
    assert isinstance(places, Places)
    assert places.count.tolist() == [2, 1]
    assert places.boxes.tolist() == [[0, 0, 40, 40], [20, 10, 60, 20], [0, 0, 40, 40]]


@pytest.mark.slow
def test_the_run_says_what_it_learned_with(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    run = sightline.train(
        str(data),
        [*TASKS["given regions"][2], "fit.threads=1"],
        model="rcnn_minus_r_resnet18_fpn",
        out=tmp_path / "run",
    )
    assert not (tmp_path / "cache" / "proposals").exists()  # the fixed set costs nothing
    assert json.loads((run.folder / "model/config.json").read_text())["name"] == "rcnn_minus_r_resnet18_fpn"
