"""What a person types into a notebook: paths as paths, one image as one image, a run as a run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from torch import nn
from typer.testing import CliRunner

import sightline
from sightline.cli.main import app
from sightline.errors import DataError, UsageError
from sightline.runs.console import Console
from sightline.runs.run import Run
from tests.asking import called, folder, image, refused

KEYS = {"fit.threads": 1, "fit.epochs": 2}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("notebook")


@pytest.fixture(scope="module")
def photos(place: Path) -> Path:
    return Path(folder(place / "photos", {"cat": 30, "dog": 30}))


@pytest.fixture(scope="module")
def run(place: Path, photos: Path) -> Run:
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("SIGHTLINE_CACHE", str(place / "cache"))
        return sightline.train(photos, KEYS, model="linear", out=place / "run")


@pytest.fixture(autouse=True)
def cache(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(place / "cache"))
    monkeypatch.chdir(place)


def test_one_path_is_one_image(run: Run, photos: Path) -> None:
    """A string is a sequence of strings: each of its letters would be looked for, "/" and "." with all below them."""
    one = photos / "cat" / "0.png"
    rows = [sightline.predict(run, given).rows for given in (str(one), one, [str(one)], [one])]
    assert len(rows[0]) == 1
    assert rows[0] == rows[1] == rows[2] == rows[3]


def test_paths_and_single_overrides_are_taken_as_they_are(photos: Path, tmp_path: Path) -> None:
    found = sightline.train(photos, "fit.threads=1", model="linear", smoke=True, out=tmp_path / "run")
    assert found.recipe.fit.threads == 1
    assert sightline.audit(photos)["used"] == 60


def test_a_run_can_be_handed_to_resume(run: Run) -> None:
    with pytest.raises(UsageError, match="is already finished"):
        sightline.train(resume=run)


def test_a_network_of_ones_own_is_described(photos: Path) -> None:
    found = sightline.describe(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), input=(3, 2, 2))
    assert found["parameters"] == 26
    assert sightline.describe("lenet5", input=(1, 32, 32)) == sightline.describe("lenet5", input="1x32x32")


def test_hidden_files_are_predicted_no_more_than_trained_on(run: Run, tmp_path: Path) -> None:
    for name in ("a.png", ".b.png", ".thumbs/c.png", "d/e.png"):
        image(tmp_path / "new" / name)
    assert [Path(row["path"]).name for row in sightline.predict(run, tmp_path / "new").rows] == ["a.png", "e.png"]


def test_what_a_folder_holds_beside_images_is_said(run: Run, tmp_path: Path, capsys) -> None:
    for name in ("new/a.png", "new/b", "none/c"):
        image(tmp_path / f"{name}.png")
    for name in ("new/b", "none/c"):
        (tmp_path / f"{name}.png").rename(tmp_path / name)
    (tmp_path / "new/note.txt").write_text("x")
    (tmp_path / "new/Thumbs.db").write_text("x")
    assert len(sightline.predict(run, tmp_path / "new", console=Console()).rows) == 1
    assert "files without an image suffix, skipped: no suffix ×1, .txt ×1" in capsys.readouterr().err
    with pytest.raises(DataError, match=r"no images in .*none") as caught:
        sightline.predict(run, tmp_path / "none")
    assert "there are only other files (no suffix ×1)" in caught.value.hint
    assert len(sightline.predict(run, tmp_path / "none" / "c").rows) == 1


def test_an_address_is_named_whole_and_not_taken_for_a_file(run: Run) -> None:
    with pytest.raises(UsageError, match=r"https://example\.org/a\.png is an address") as caught:
        sightline.predict(run, ["https://example.org/a.png"])
    assert "--allow-network" in caught.value.hint


def test_a_suffix_is_one_in_capitals_too(run: Run, photos: Path, tmp_path: Path) -> None:
    sightline.predict(run, photos / "cat", out=tmp_path / "X.CSV")
    assert (tmp_path / "X.CSV").read_text().startswith("path,label")


def test_data_that_grew_are_judged_on_what_was_not_learned(run: Run, photos: Path, place: Path) -> None:
    """The hint of a run whose data changed leads to `evaluate RUN DATA`; nobody may be graded on his exercises there."""
    test = sightline.evaluate(run).judgement.n
    grown = place / "grown"
    shutil.copytree(photos, grown)
    assert sightline.evaluate(run, grown).judgement.n == 60  # a folder that it cannot know
    image(photos / "cat" / "new.png", 999)
    try:
        assert "evaluate RUN DATA --split test" in refused(3, "evaluate", str(run.folder))
        code, found, said = called("evaluate", str(run.folder), str(photos))
        assert (code, found["split"]) == (0, "test")
        assert found["n"] in (test, test + 1)
        assert "the run was trained on" in said
        assert called("evaluate", str(run.folder), str(photos), "--split", "train")[1]["split"] == "train"
    finally:
        os.remove(photos / "cat" / "new.png")


def test_a_run_asked_from_elsewhere_says_where_its_data_should_be(place: Path, tmp_path: Path) -> None:
    folder(tmp_path / "pets", {"cat": 30, "dog": 30})
    os.chdir(tmp_path)
    found = sightline.train("pets", KEYS, model="linear", out=tmp_path / "run")
    os.chdir(place)
    with pytest.raises(DataError, match="start in the folder in which it was trained"):
        sightline.evaluate(found)


def test_a_run_without_checkpoints_can_be_verified(tmp_path: Path, photos: Path) -> None:
    code, _, _ = called("train", str(photos), "-m", "linear", "--smoke", "--out", str(tmp_path / "run"))
    assert code == 0
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    (tmp_path / "run" / "manifest.json").unlink()
    (tmp_path / "run" / "run.json").write_text(
        (tmp_path / "run" / "run.json").read_text().replace("finished", "failed")
    )
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "run")])
    assert (done.exit_code, done.stdout.strip()) == (0, "nothing has been written yet")


def test_a_data_set_by_name_is_its_own_too(tmp_path: Path) -> None:
    run = sightline.train("digits", KEYS, model="linear", out=tmp_path / "run")
    own = sightline.evaluate(run)
    named = sightline.evaluate(run, "digits")
    assert (named.split, named.judgement.n) == ("test", own.judgement.n)
