"""A run as an object: predictions to read, draw and save, its network, vectors, sheets of pictures; and the page about it."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import sightline
from benchmarks.reference import PAGE, reference
from sightline.errors import DataError, UsageError
from sightline.inference.embedding import head_of, inputs_of
from sightline.models.published import installed, published
from sightline.verbs.run import Run
from tests.earlier_runs import lay_out

DOCS = Path(__file__).parents[2] / "docs"
HOMES = {"classification": "photos", "detection": "cells", "segmentation": "streets"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """runs/photos, runs/cells and runs/streets, the data of the first, and two photographs."""
    folder = tmp_path_factory.mktemp("python")
    for kind, name in HOMES.items():
        lay_out(kind, folder / kind)
        (folder / "runs").mkdir(exist_ok=True)
        (folder / kind / "finished").rename(folder / "runs" / name)
    (folder / "classification" / "data").rename(folder / "data")
    (folder / "photos").mkdir()
    for number, name in enumerate(("cat", "dog")):
        pixels = np.random.default_rng(number).integers(0, 255, (60, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "photos" / f"{name}.png")
    (folder / "runs" / "photos" / "samples").mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / "runs" / "photos" / "samples" / "batch.png")
    return folder


@pytest.fixture
def run(place: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(place)
    return sightline.open_run("runs/photos")


def test_every_example_of_the_page_runs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "python.md").read_text(encoding="utf-8"), re.S)
    assert len(blocks) >= 7
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/python.md", "exec"), names)
    assert (place / "cat-drawn.png").is_file()
    assert (place / "worst.png").is_file()
    cells, street = names["cells"], names["street"]
    assert cells.boxes.shape == (len(cells.labels), 4)  # type: ignore[attr-defined]
    assert street.mask.shape == (60, 90)  # type: ignore[attr-defined]


def test_the_page_of_names_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: make reference"


def test_an_image_is_the_same_however_it_is_given(run: Run) -> None:
    path = Path("photos/cat.png")
    with Image.open(path) as opened:
        picture = opened.copy()
    found = [run.predict(one) for one in (path, str(path), picture, np.asarray(picture))]
    found += [*run.predict([path]), run.predict("photos/")[0], next(run.predict_each(["photos/*.png"]))]
    assert len({(p.label, p.probability) for p in found}) == 1
    (row, _) = sightline.predict(run, "photos").rows
    assert found[0].row == row | {"path": str(path)}
    assert found[0].top[0] == (found[0].label, found[0].probability)
    for name in ("boxes", "masks", "mask", "scores", "values"):
        assert not hasattr(found[0], name)


def test_what_is_no_image_is_refused(run: Run) -> None:
    for wrong in (np.zeros((4, 4, 3)), np.zeros((4, 4, 2), np.uint8), 7, [object()]):
        with pytest.raises(UsageError, match=r"is no image|is an array of"):
            run.predict(wrong)
    Path("bad.png").write_bytes(b"no image")
    bad = run.predict("bad.png")
    assert "not-an-image" in bad.error
    assert bad._repr_png_() is None
    with pytest.raises(AttributeError, match="it could not be read"):
        bad.boxes  # noqa: B018
    with pytest.raises(DataError, match="could not be read"):
        bad.save("x.png")


def test_objects_become_coco(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    cells = sightline.open_run("runs/cells").predict("photos/cat.png", conf=0.0)
    assert len(cells.boxes) > 0
    first = cells.to_coco(image_id=7)[0]
    x0, y0, x1, y1 = cells.boxes[0]
    assert first["bbox"] == pytest.approx([x0, y0, x1 - x0, y1 - y0])
    assert (first["image_id"], first["score"]) == (7, cells.scores[0])
    assert cells.classes[first["category_id"] - 1] == cells.labels[0]
    street = sightline.open_run("runs/streets").predict("photos/cat.png")
    regions = street.to_coco()
    assert [r["category_id"] - 1 for r in regions] == np.unique(street.mask).tolist()
    assert sum(street.row["shares"].values()) == pytest.approx(1)
    with Image.open(io.BytesIO(street._repr_png_())) as shown:
        assert shown.width == 4 * 90  # enlarged to at least 320 pixels


def test_the_network_takes_prepared_images(run: Run) -> None:
    model = run.model()
    assert isinstance(model, nn.Module)
    assert not model.training
    images = run.prepare("photos")
    assert images.dtype == torch.uint8
    with torch.no_grad():
        scores = model(images)
    assert scores.softmax(1).max(1).values.tolist() == pytest.approx([p.probability for p in run.predict("photos")])
    with pytest.raises(UsageError, match="no network 'critic'"):
        run.model("critic")


def test_vectors_are_what_goes_into_the_last_layer(run: Run, place: Path) -> None:
    vectors = run.embed(["photos/cat.png", "photos/dog.png"])
    model = run.model()
    last = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][-1]
    with torch.no_grad():
        again = last(torch.from_numpy(vectors))
        assert torch.allclose(again, model(run.prepare("photos")), atol=1e-5)
    with pytest.raises(UsageError, match="one vector an image"):
        sightline.open_run(place / "runs" / "streets").embed("photos")


def test_the_last_layer_of_any_network() -> None:
    """Linear or a convolution that is averaged; one that is not executed does not count, and none is an error."""
    images = torch.zeros(1, 3, 8, 8)

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(5, 2)
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(192, 5))
            self.unused = nn.Linear(9, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.body(x))

    own = Own()
    assert head_of(own, images, 2) is own.head
    averaged = nn.Sequential(nn.Conv2d(3, 6, 3), nn.Conv2d(6, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    assert head_of(averaged, images, 2) is averaged[1]
    with inputs_of(averaged[1]) as taken:
        averaged(images)
        assert taken().shape == (1, 6)
    with pytest.raises(UsageError, match="no linear layer that outputs its scores"):
        head_of(nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.LogSoftmax(1)), images, 2)
    with pytest.raises(UsageError, match="one vector an image"):
        head_of(nn.Conv2d(3, 2, 1), images, 2)


def test_the_worst_image_is_first(run: Run) -> None:
    """By the stored predictions: the image whose class got the least probability."""
    from sightline.kinds.classification import CLASSIFICATION

    assert CLASSIFICATION.scoring is not None
    rows, _, classes = CLASSIFICATION.scoring.rows.read(Path("runs/photos/predictions/test.parquet"))
    hardest = CLASSIFICATION.scoring.hardest(rows, classes)  # type: ignore[misc]
    place = {int(i): k for k, i in enumerate(rows.id)}
    given = [rows.probability[place[i], rows.target[place[i]]] for i, _ in hardest]
    assert given == sorted(given)
    with pytest.raises(UsageError, match="no predictions of the split 'exam'"):
        run.top_losses(split="exam")


def test_a_published_network_is_a_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not any(installed(row) for row in published().get("efficientnet_lite0", {}).values() if row.package):
        pytest.skip("its weights are not installed")
    run = sightline.open_run("efficientnet_lite0")
    found = run.predict(np.zeros((64, 64, 3), np.uint8))
    assert found.label in run.classes
    assert run.embed([np.zeros((64, 64, 3), np.uint8)]).shape == (1, 1280)
