"""`sightline attack` on a small run: its files, what they say, and what it refuses."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.errors import DataError, UsageError
from sightline.kinds.opening import open_dataset
from sightline.kinds.reporting import build_report
from sightline.preprocessing.decoder import decode
from sightline.recipes.loading import Reader
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.verbs.attack import attack
from sightline.verbs.train import train
from tests.tiny_data import write_folder

QUIET = Console(level=-2)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("attack")
    data = write_folder(folder / "data", {"cat": 30, "dog": 30})
    return train(
        data, ["input.size=16", "input.channels=3", "fit.batch=8", "fit.epochs=2"], model="resnet8", out=folder / "run",
        console=QUIET,
    )  # fmt: skip


def test_it_writes_facts_a_page_a_sheet_and_the_images(run: Run) -> None:
    result = attack(run, method="pgd", eps=(4, 32), steps=5, n=8, console=QUIET)
    facts = json.loads((run.folder / "attacks" / "pgd.json").read_text())
    assert facts == json.loads(json.dumps(result.facts))
    assert [point["eps"] for point in facts["curve"]] == [0, 4, 32]
    assert facts["forwards"] > facts["backwards"] > 0 and facts["diagnosis"]["n"] > 0
    html = result.page.read_text()
    assert facts["verdict"].split(".")[0][:20] in html and "data:image/png" in html and "<script" not in html
    assert (run.folder / "attacks" / "pgd.png").is_file()
    images = sorted((run.folder / "attacks" / "pgd").glob("*.png"))
    assert len(images) == facts["success"]["n"]


def test_saved_images_keep_the_budget_and_only_broken_ones_fool_the_network(run: Run) -> None:
    """Read back by the reader of all images, beside the image that the network sees without an attack."""
    attack(run, method="fgsm", eps=12, n=9, console=QUIET)
    read = Reader(open_dataset(run.recipe, QUIET), run.preprocessing, None, False)
    files = sorted((run.folder / "attacks" / "fgsm").glob("*.png"))
    assert files
    for file in files:
        clean, saved = read(int(file.stem)).pixels.astype(int), decode(file).pixels.astype(int)
        assert np.abs(clean - saved).max() == 12


def test_the_report_of_the_run_shows_the_curve(run: Run) -> None:
    attack(run, method="square", eps=16, steps=20, n=6, console=QUIET)
    html = build_report(run.folder, load_image=lambda name: None)
    assert 'id="robustness"' in html and "SQUARE" in html
    (run.folder / "attacks" / "square.json").write_text(
        '{"format": "sightline-attack", "curve": [{"eps": "x"}, 3], "norm": 4}'
    )
    assert "Under attack" in build_report(run.folder, load_image=lambda name: None)
    (run.folder / "attacks" / "square.json").unlink()


def test_images_without_labels_count_as_what_the_network_says(run: Run, tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (20, 20, 3), np.uint8)).save(tmp_path / f"{i}.png")
    result = attack(run, tmp_path, method="fgsm", eps=2, out=tmp_path / "out", console=QUIET)
    assert result.facts["labels"] == "the network's own predictions"
    assert result.facts["curve"][0]["accuracy"] == 1.0 and (tmp_path / "out" / "fgsm.html").is_file()


@pytest.mark.parametrize(
    ("method", "options", "key"),
    [
        ("patch", {"target": "cat", "eps": 0.4, "steps": 3}, "patches"),
        ("fooling", {"steps": 4}, "pictures"),
        ("corruptions", {}, "corruptions"),
        ("changes", {}, "changes"),
    ],
)
def test_the_other_families_write_theirs(run: Run, tmp_path: Path, method: str, options: dict, key: str) -> None:
    result = attack(run, method=method, n=9, out=tmp_path, console=QUIET, **options)
    facts = json.loads((tmp_path / f"{method}.json").read_text())
    assert facts["method"] == method and len(facts[key]) >= 1 and facts["verdict"]
    assert "<script" not in result.page.read_text() and "data:image/png" in result.page.read_text()
    assert (tmp_path / f"{method}.png").is_file()
    assert result.to_json()["page"] == str(tmp_path / f"{method}.html")


def test_two_attacks_with_one_seed_are_the_same(run: Run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        attack(run, method="square", eps=16, steps=10, n=5, seed=3, out=tmp_path / name, console=QUIET)
    files = [file for file in (tmp_path / "one").rglob("*") if file.suffix in (".png", ".json")]
    assert len(files) > 2
    for file in files:
        assert file.read_bytes() == (tmp_path / "two" / file.relative_to(tmp_path / "one")).read_bytes()


@pytest.mark.parametrize(
    ("options", "message", "fix"),
    [
        ({"method": "pdg"}, "unknown attack 'pdg'", "pgd"),
        ({"eps": 0.03}, "no whole number of levels", "--eps 8"),
        ({"eps": 300}, "beyond the 255 levels", "--eps 8"),
        ({"eps": -1}, "not above 0", "--eps 8"),
        ({"eps": math.nan}, "--eps nan is not finite", "--eps 8"),
        ({"eps": (2, math.inf)}, "--eps inf is not finite", "--eps 8"),
        ({"method": "patch", "target": "cat", "eps": math.nan}, "--eps nan is not finite", "--eps 8"),
        ({"method": "one-pixel", "eps": 3}, "no effect on one-pixel", "leave it out"),
        ({"method": "square", "norm": "l2"}, "has no norm 'l2'", "linf"),
        ({"target": "cow"}, "no class 'cow'", "cat"),
        ({"steps": 0}, "--steps is 0", "at least 1"),
        ({"method": "patch"}, "needs a class to reach", "--target"),
        ({"method": "patch", "target": "cat", "norm": "l2"}, "--norm has no effect", "leave it out"),
        ({"method": "corruptions", "eps": 2}, "--eps has no effect", "leave it out"),
        ({"n": 0}, "--n is 0", "at least 1"),
        ({"split": "tests"}, "unknown split", "test"),
    ],
)
def test_what_it_refuses(run: Run, options: dict, message: str, fix: str) -> None:
    with pytest.raises(UsageError) as caught:
        attack(run, console=QUIET, **options)
    assert message in caught.value.message and fix in caught.value.hint


def test_a_patch_needs_images_of_other_classes(run: Run, tmp_path: Path) -> None:
    """Those of its own target prove nothing."""
    data = write_folder(tmp_path / "data", {"cat": 8, "dog": 1})
    with pytest.raises(DataError) as caught:
        attack(run, data, method="patch", target="cat", n=4, steps=1, out=tmp_path / "out", console=QUIET)
    assert "of its target cat" in caught.value.message and "--target" in caught.value.hint
