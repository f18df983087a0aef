"""What a run folder claims is what it holds: its weights, its checkpoints, its data, its rehearsals, its epochs."""

from __future__ import annotations

import csv
import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from sightline.cli.main import app
from sightline.drawing.png import png_bytes
from sightline.engine.state import State
from sightline.kinds.opening import draft
from sightline.kinds.reporting import content_of
from sightline.storage.locks import locked
from sightline.tasks.classification import Classification
from sightline.training.progress import Training
from tests.asking import called, folder, image, refused


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder(tmp_path_factory.mktemp("data") / "photos", {"cat": 20, "dog": 20})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, photos: str) -> Path:
    """Three epochs, which are no whole number of steps."""
    place = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("SIGHTLINE_CACHE", str(place / "cache"))
        done = CliRunner().invoke(app, ["train", photos, "-m", "linear", "--epochs", "3", "--out", str(place / "run")])
    assert done.exit_code == 0, done.output
    return place / "run"


def copied(run: Path, to: Path) -> Path:
    shutil.copytree(run, to)
    return to


def test_trainings_among_the_data_are_not_data(tmp_path: Path) -> None:
    data = Path(folder(tmp_path / "data", {"cat": 20, "dog": 20}))
    first = called("train", str(data), "-m", "linear", "--smoke", "--out", str(data / "runs" / "first"))[1]
    assert "error" not in first
    code, found, stderr = called("data", str(data))
    assert (code, found["classes"], found["used"]) == (0, ["cat", "dog"], 40)
    assert "run folders among the data, skipped: 1" in stderr
    (data / "runs" / "first" / "manifest.json").unlink()
    assert called("train", "--resume", str(data / "runs" / "first"))[0] == 0
    assert called("evaluate", str(data / "runs" / "first"))[0] == 0


def test_a_disk_that_is_full_from_the_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    assert "no space left" in refused(6, "train", "digits", "--smoke", "--out", str(tmp_path / "run"))
    monkeypatch.undo()
    with locked(tmp_path / "run"):
        pass


def test_a_validation_without_a_value_keeps_nothing() -> None:
    """The MCC of a network that says one class only is undefined: it is worse than any."""
    task = Classification(nn.Linear(1, 1))
    training: Any = SimpleNamespace(
        recipe=SimpleNamespace(fit=SimpleNamespace(monitor="mcc", patience=2)),
        task=task,
        ema=None,
        enough=lambda row: False,
        kind=SimpleNamespace(scoring=None),
    )
    training._score = lambda row: Training._score(training, row)
    state, kept = State(), []
    for number, value in enumerate((None, None, None, 0.2, 0.6, None, None)):
        with torch.no_grad():
            task.model.weight.fill_(number)
        state.history.append({"val_mcc": value, "val_loss": 1.0})
        Training._keep_best(training, state, None, averaged=False)
        kept.append(state.best_weights["model.weight"].item())
    assert kept == [0, 1, 2, 3, 4, 4, 4]
    assert state.ended == "early"


def test_a_flipped_bit_in_the_kept_weights(finished: Path, tmp_path: Path, photos: str) -> None:
    run = copied(finished, tmp_path / "run")
    weights = run / "model" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 0x40
    weights.write_bytes(data)
    for verb in (["evaluate", str(run)], ["predict", str(run), f"{photos}/cat/0.png"]):
        assert "model.safetensors has been modified since it was written" in refused(3, *verb)


@pytest.mark.parametrize("name", ["recipe.yaml", "preprocessing.json", "data.json"])
def test_whatever_an_answer_depends_on_is_sealed(name: str, finished: Path, tmp_path: Path, photos: str) -> None:
    run = copied(finished, tmp_path / "run")
    (run / name).write_bytes((run / name).read_bytes() + b"\n")
    assert f"{name} has been modified since it was written" in refused(3, "predict", str(run), f"{photos}/cat/0.png")


@pytest.mark.parametrize("seal", ["{}", '{"files": []}', '{"files": {}}', "[", '"x"'])
def test_a_seal_that_says_nothing(seal: str, finished: Path, tmp_path: Path) -> None:
    run = copied(finished, tmp_path / "run")
    (run / "manifest.json").write_text(seal)
    said = refused(3, "evaluate", str(run))
    assert "manifest.json" in said or "has been modified since it was written" in said


def test_checkpoints_of_another_run(finished: Path, tmp_path: Path, photos: str) -> None:
    other = tmp_path / "other"
    assert called("train", photos, "-m", "linear", "--epochs", "2", "--out", str(other))[0] == 0
    (other / "manifest.json").unlink()
    shutil.rmtree(other / "checkpoints")
    shutil.copytree(finished / "checkpoints", other / "checkpoints")
    assert "belongs to a run of another recipe" in refused(3, "train", "--resume", str(other))


def test_a_rehearsal_and_the_training_itself(tmp_path: Path, photos: str) -> None:
    run = str(tmp_path / "run")
    assert called("train", photos, "-m", "linear", "--smoke", "--out", run)[0] == 0
    (tmp_path / "run" / "manifest.json").unlink()
    assert "rehearsal" in refused(2, "train", photos, "-m", "linear", "--out", run)
    assert called("train", photos, "-m", "linear", "--smoke", "--out", run)[0] == 0


def test_epochs_are_passes_over_the_training_images(finished: Path) -> None:
    """28 training images in batches of 32: a step is more than one epoch."""
    rows = list(csv.DictReader((finished / "history.csv").open()))
    n = json.loads((finished / "data.json").read_text())["splits"]["train"]
    batch = 32
    assert n < batch
    assert [float(row["epoch"]) for row in rows] == pytest.approx([int(r["step"]) * batch / n for r in rows], abs=1e-5)
    assert float(rows[-1]["epoch"]) == pytest.approx(3, abs=batch / n)


def test_a_recipe_that_was_cut_short(finished: Path, tmp_path: Path, photos: str) -> None:
    run = copied(finished, tmp_path / "run")
    lines = (run / "recipe.yaml").read_text().splitlines(keepends=True)
    for kept in range(len(lines)):
        (run / "recipe.yaml").write_text("".join(lines[:kept]))
        assert "recipe.yaml" in refused(3, "predict", str(run), f"{photos}/cat/0.png")


def test_data_says_what_training_would_refuse(tmp_path: Path) -> None:
    one = folder(tmp_path / "one", {"cat": 3})
    lacks, leaks = tmp_path / "lacks", tmp_path / "leaks"
    folder(lacks / "train", {"cat": 4, "dog": 4})
    folder(lacks / "test", {"cat": 2, "fox": 2}, first=100)
    folder(leaks / "train", {"cat": 4, "dog": 4})
    folder(leaks / "test", {"cat": 4, "dog": 4})
    for data, words in ((one, "only one class"), (str(lacks), "not in train: fox"), (str(leaks), "in two splits: 8")):
        assert words in refused(3, "train", data)
        code, found, stderr = called("data", data)
        assert code == 0
        assert [note for note in found["notes"] if note.startswith("training would refuse this: ") and words in note]
        assert "training would refuse this" in stderr
    for policy in ("drop", "keep"):
        (tmp_path / "r.yaml").write_text(f"data: {{path: {leaks}, leaks: {policy}}}\n")
        assert not [note for note in called("data", str(tmp_path / "r.yaml"))[1]["notes"] if "refuse" in note]
    for number in range(7):
        image(tmp_path / "flat" / f"{number}.png", 500 + number)
    notes = [note for note in called("data", str(tmp_path / "flat"))[1]["notes"] if "refuse" in note]
    assert len(notes) == 1
    assert "the images have no labels" in notes[0]
    good = folder(tmp_path / "good", {"cat": 10, "dog": 10})
    assert not [note for note in called("data", good)[1]["notes"] if "refuse" in note]


def test_a_kept_leak_is_the_first_thing_that_the_report_says(tmp_path: Path) -> None:
    folder(tmp_path / "leak" / "train", {"cat": 10, "dog": 10})
    folder(tmp_path / "leak" / "test", {"cat": 10, "dog": 10})
    run = tmp_path / "run"
    assert called("train", str(tmp_path / "leak"), "-m", "linear", "data.leaks=keep", "--out", str(run))[0] == 0
    page = (run / "report.html").read_text()
    assert "It was evaluated on images that it was trained on" in page
    assert "20 images of one split" in page
    assert "Exact duplicates cannot be in two splits" not in page


def test_the_command_that_makes_a_run_again_starts_where_its_data_are(tmp_path: Path) -> None:
    folder(Path("photos"), {"cat": 10, "dog": 10})
    assert called("train", "photos", "-m", "linear", "--smoke", "--out", "exp/one")[0] == 0
    assert content_of(Path("exp/one")).run.place == "exp/one"
    assert "sightline train exp/one/recipe.yaml" in Path("exp/one/report.html").read_text()


def test_what_a_recipe_says_of_flips_is_no_contradiction(photos: str, tmp_path: Path) -> None:
    """Only the two words side by side are one; and a preset that comes back brings the flips back."""
    run = tmp_path / "run"
    assert called("train", photos, "-m", "linear", "--smoke", "augment.preset=none", "--out", str(run))[0] == 0
    again = str(run / "recipe.yaml")
    assert draft(again, ["augment.preset=light"], {}).augment.flip
    assert draft("cifar10_resnet20", ["augment.preset=none"], {}).augment.preset == "none"


def test_nothing_to_judge_on(tmp_path: Path) -> None:
    image(tmp_path / "two" / "cat" / "0.png", 1)
    image(tmp_path / "two" / "dog" / "0.png", 2)
    done = CliRunner().invoke(app, ["train", str(tmp_path / "two"), "-m", "linear", "--smoke"])
    assert done.exit_code == 0, done.output
    assert "not evaluated: there are no val or test images" in done.stdout


@pytest.mark.parametrize("wrong", [["train", "digits", "--batch", "abc"], ["train", "--colour"], ["paint"]])
def test_wrong_options_are_json_too(wrong: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sightline", *wrong, "--json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert json.loads(done.stdout.splitlines()[-1])["error"]["exit"] == 2
    assert done.stderr.startswith("error: ")


def test_classes_in_another_order_are_other_data(tmp_path: Path) -> None:
    """The labels of a table of the hub are numbers: the same pictures, exported again, may give them other names."""
    pixels = [np.random.default_rng(i).integers(0, 255, (10, 10, 3), dtype=np.uint8) for i in range(40)]

    def export(names: list[str]) -> None:
        labels = [names.index(("cat", "dog")[i % 2]) for i in range(40)]
        table = pa.table({"image": [png_bytes(p) for p in pixels], "label": labels})
        about = {"info": {"features": {"label": {"_type": "ClassLabel", "names": names}}}}
        pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(about)}), "pets.parquet")

    export(["cat", "dog"])
    assert called("train", "pets.parquet", "-m", "linear", "--epochs", "3", "--out", "run")[0] == 0
    assert called("evaluate", "run")[0] == 0
    for names in (["dog", "cat"], ["ape", "cat", "dog"]):
        export(names)
        assert "data have changed since training" in refused(3, "evaluate", "run")
