"""The verbs on real runs: every file of the contract, every key of --json, equal runs equal, other data judged by name."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import sightline
from sightline.cli.main import app
from sightline.data.loaders import in_order
from sightline.evaluation.comparing.ensembles import mean_rows
from sightline.evaluation.splits import rows_of
from sightline.kinds.catalogue import kind_of
from sightline.kinds.networks import load_task
from sightline.kinds.opening import open_dataset
from sightline.recipes.loading import load
from sightline.runs.console import Console
from sightline.runs.run import open_run
from sightline.verbs.doctor import available_memory
from tests.tiny_data import write_folder

SUMMARY = {"run", "task", "model", "steps", "seconds", "images_per_second", "stopped", "smoke", "val", "test"}
FILES = [
    "run.json",
    "recipe.yaml",
    "environment.json",
    "data.json",
    "preprocessing.json",
    "metrics.json",
    "history.csv",
    "metrics.jsonl",
    "timing.jsonl",
    "log.txt",
    "model/model.safetensors",
    "model/config.json",
    "predictions/train.parquet",
    "predictions/val.parquet",
    "predictions/test.parquet",
    "samples/batch.png",
    "samples/batch.json",
    "report.html",
    "README.md",
    "manifest.json",
]


def called(*arguments: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verbs")
    os.environ["SIGHTLINE_CACHE"] = str(folder / "cache")
    return folder


@pytest.fixture(scope="module")
def digits(place: Path) -> Path:
    found = called("train", "digits", "--epochs", "3", "--out", str(place / "digits"), "fit.ema=0.5")
    assert found.keys() == SUMMARY
    assert (found["task"], found["model"], found["stopped"], found["smoke"]) == (
        "classification",
        "lenet5",
        "finished",
        False,
    )
    return place / "digits"


def test_the_folder_has_every_file_and_clocks_only_where_they_may_be(digits: Path) -> None:
    assert [name for name in FILES if not (digits / name).is_file()] == []
    year = time.strftime("%Y-")
    for path in digits.rglob("*"):
        if (
            path.is_file()
            and path.suffix in (".json", ".yaml", ".csv", ".md", ".jsonl")
            and path.name != "timing.jsonl"
        ):
            text = path.read_text()
            assert str(digits.parent) not in text, f"{path.name} holds a path"
            assert year not in text, f"{path.name} holds a date"


def test_the_report_shows_what_its_mistakes_depend_on(digits: Path) -> None:
    judgement = sightline.evaluate(digits).judgement
    about = json.loads((digits / "diagnosis/maps.json").read_text())
    mistakes = {mistake.id: mistake.predicted for mistake in judgement.mistakes[:24]}
    maps = {item["id"]: item for item in about["items"]}
    assert about["split"] == "test" and maps.keys() >= mistakes.keys()
    for id, predicted in mistakes.items():
        assert (maps[id]["method"], maps[id]["score"]) == ("grad_cam", f"the score of '{predicted}'")
        assert np.ptp(np.asarray(Image.open(digits / maps[id]["file"]))) > 0
    assert (digits / "report.html").read_text().count("heat map of the score of") >= 2 * len(mistakes)


def test_the_same_seed_twice_gives_the_same_bytes(digits: Path, place: Path) -> None:
    called("train", "digits", "--epochs", "3", "--out", str(place / "again"), "fit.ema=0.5", "data.workers=0")
    for name in ("metrics.json", "history.csv", "metrics.jsonl", "model/model.safetensors", "predictions/test.parquet"):
        assert (digits / name).read_bytes() == (place / "again" / name).read_bytes(), name
    called("train", "digits", "--epochs", "3", "--out", str(place / "other"), "fit.ema=0.5", "--seed", "1")
    assert (digits / "history.csv").read_bytes() != (place / "other" / "history.csv").read_bytes()


def test_a_run_can_be_run_again_from_itself(digits: Path, place: Path) -> None:
    called("train", str(digits / "recipe.yaml"), "--out", str(place / "from_itself"))
    assert (digits / "metrics.json").read_bytes() == (place / "from_itself" / "metrics.json").read_bytes()


def test_evaluate_says_what_training_measured(digits: Path) -> None:
    found = called("evaluate", str(digits))
    assert found.keys() >= {"run", "split", "n", "metrics", "intervals", "per_class"}
    assert found["split"] == "test"
    assert found["metrics"] == json.loads((digits / "metrics.json").read_text())["test"]
    low, high = found["intervals"]["accuracy"]
    assert low <= found["metrics"]["accuracy"] <= high
    assert set(found["per_class"]) == set("0123456789")
    assert sum(row["support"] for row in found["per_class"].values()) == found["n"]
    assert (
        called("evaluate", str(digits), "--split", "val")["metrics"]
        == json.loads((digits / "metrics.json").read_text())["val"]
    )
    assert called("evaluate", str(digits), "--tta")["metrics"] != found["metrics"]


def test_tta_is_the_mean_of_the_image_and_its_mirror(digits: Path) -> None:
    run = open_run(digits)
    task, scoring = load_task(run), kind_of(run).scoring
    assert scoring is not None
    assert scoring.views
    data = open_dataset(run.recipe, Console(-1))
    images = load(data, data.ids("test"), run.preprocessing, run.recipe, judging=True)
    plain = rows_of(task, in_order(images, scoring.batch), "cpu")
    flips = (batch.with_pixels(image=batch.image.flip(3)) for batch in in_order(images, scoring.batch))
    judged = mean_rows([plain, rows_of(task, flips, "cpu")])
    with torch.inference_mode():
        batch = images(torch.arange(len(images)), torch.arange(len(images)))
        flipped = batch.with_pixels(image=batch.image.flip(3))
        each = [task.predict(b).probability.double().numpy() for b in (batch, flipped)]
    assert np.abs(each[0] - each[1]).max() > 0.1
    np.testing.assert_allclose(judged.probability, (each[0] + each[1]) / 2, rtol=0, atol=1e-6)
    expected = scoring.rows.judge(judged, run.classes).metrics
    assert sightline.evaluate(run, tta=True).judgement.metrics == pytest.approx(expected)


def test_other_data_is_judged_by_class_name(digits: Path, place: Path) -> None:
    """Two of the ten classes, in a folder whose order is not the run's."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    for label in (7, 3):
        for i, image in enumerate(images[labels == label][:20]):
            path = place / "threes_and_sevens" / str(label) / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray((image.reshape(8, 8) * 255 / 16 + 0.5).astype(np.uint8)).save(path)
    found = called("evaluate", str(digits), str(place / "threes_and_sevens"))
    assert found["n"] == 40
    assert {c: row["support"] for c, row in found["per_class"].items() if row["support"]} == {"3": 20, "7": 20}
    assert found["metrics"]["accuracy"] > 0.4
    predicted = called("predict", str(digits), str(place / "threes_and_sevens"))
    right = sum(Path(row["path"]).parent.name == row["label"] for row in predicted["predictions"])
    assert right / 40 == pytest.approx(found["metrics"]["accuracy"])


def test_a_strangers_folder_needs_no_options(place: Path) -> None:
    root = write_folder(place / "bugs", {"ant": 30, "bee": 24, "wasp": 20})
    found = called("train", str(root), "--epochs", "1", "--out", str(place / "bugs_run"))
    assert found["model"] == "resnet20"
    data = json.loads((place / "bugs_run" / "data.json").read_text())
    assert data["classes"] == ["ant", "bee", "wasp"]
    assert data["used"] == 74


def test_stopped_by_a_signal_it_says_how_to_go_on_and_ends_the_same(digits: Path, place: Path) -> None:
    out = place / "stopped"
    command = [sys.executable, "-m", "sightline", "train", "digits", "--epochs", "3", "--out", str(out), "fit.ema=0.5"]
    child = subprocess.Popen([*command, "data.workers=1"], stderr=subprocess.PIPE, text=True)
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("epoch 1 "):
            child.send_signal(signal.SIGTERM)
            break
    rest = child.stderr.read()
    assert child.wait() == 143
    assert f"sightline train --resume {out}" in rest
    assert open_run(out).status["status"] == "stopped"
    called("evaluate", str(out))  # the best so far can be judged
    found = called("train", "--resume", str(out))
    assert found.keys() == SUMMARY
    for name in ("metrics.json", "history.csv", "metrics.jsonl", "model/model.safetensors"):
        assert (digits / name).read_bytes() == (out / name).read_bytes(), name


@pytest.mark.parametrize(
    ("network", "side", "ends"), [("lenet_1989", 16, (-1.0, 1.0)), ("lenet5_original", 32, (-0.1, 1.175))]
)
def test_the_first_networks_see_what_they_were_published_for(
    network: str, side: int, ends: tuple[float, float], place: Path
) -> None:
    out = place / network
    assert called("train", "digits", "-m", network, "--smoke", "--out", str(out))["model"] == network
    said = json.loads((out / "preprocessing.json").read_text())
    assert (said["geometry"]["height"], said["geometry"]["width"]) == (side, side)
    assert [(pixel - said["mean"][0]) / said["std"][0] for pixel in (0, 255)] == pytest.approx(ends)


def test_the_history_says_the_rate_that_was_used(place: Path) -> None:
    """Of the last step before each validation, not of the step that follows."""
    out = place / "rates"
    keys = ["schedule.name=step", "schedule.every=1", "optim.lr=0.1", "optim.name=sgd", "fit.batch=128"]
    called("train", "digits", "-m", "linear", "--epochs", "3", "--out", str(out), *keys)
    history = np.genfromtxt(out / "history.csv", delimiter=",", names=True)
    assert np.allclose(history["lr"], [0.1, 0.01, 0.001])


def test_a_report_finds_pictures_by_name(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When what could not be read is taken away, as the report asks for, everything behind it moves up."""
    root = place / "moved"
    write_folder(root, {"a": 60, "b": 60})
    (root / "a" / "0.png").write_bytes(b"no image")
    out = place / "moved-run"
    called(
        "train",
        str(root),
        "-m",
        "linear",
        "--epochs",
        "1",
        "optim.lr=1e-9",
        "data.max_quarantined=1",
        "--out",
        str(out),
    )
    before = (out / "report.html").read_text()
    assert before.count("data:image/png") > 3
    (root / "a" / "0.png").unlink()
    called("report", str(out))
    pictures = [re.findall(r"data:image/png[^\"]+", page) for page in (before, (out / "report.html").read_text())]
    assert pictures[0] == pictures[1]


def test_early_stopping_ends_and_keeps_the_best(place: Path) -> None:
    out = place / "early"
    found = called(
        "train", "digits", "--epochs", "30", "fit.patience=1", "optim.lr=0.02", "--batch", "48", "--out", str(out)
    )
    assert found["stopped"] == "early"
    history = np.genfromtxt(out / "history.csv", delimiter=",", names=True)
    assert history["val_loss"][-1] > history["val_loss"].min()  # what is monitored
    assert json.loads((out / "metrics.json").read_text())["val"]["loss"] == history["val_loss"].min()
    logged = [json.loads(line)["step"] for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert logged[-1] == history["step"][-1]
    assert history["step"][-1] % 10  # it did not end on a step that is logged anyway


@pytest.mark.parametrize(
    "keys",
    [
        ["task.loss=hinge", "optim.name=rmsprop", "schedule.name=plateau"],
        ["task.class_weight=balanced", "optim.name=adagrad", "schedule.name=inverse_time", "schedule.warmup=0.2"],
        ["task.label_smoothing=0.1", "optim.name=adadelta", "schedule.name=exponential", "data.balance=sample"],
        ["optim.name=adam", "schedule.name=cosine", "fit.clip=1", "fit.accumulate=2", "augment.preset=standard"],
        ["-m", "mlp", "optim.name=sgd", "schedule.name=step", "fit.precision=bf16", "optim.decay_all=false"],
        ["-m", "linear", "schedule.name=constant", "data.cache=off", "input.fit=letterbox"],
        ["-m", "resnet20", "schedule.name=one_cycle", "input.channels=3"],
    ],
)
def test_every_choice_of_a_recipe_runs(keys: list[str], place: Path) -> None:
    found = called("train", "digits", "--smoke", "--out", str(place / "-".join(keys)[:80].replace("=", "_")), *keys)
    assert found["smoke"]
    assert found["steps"] == 2
    assert np.isfinite(found["val"]["loss"])


def test_python_is_the_same_words(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    run = sightline.train("digits", {"fit.epochs": 1}, model="linear", seed=2)
    assert run.folder == Path("runs/digits-linear")
    assert sightline.train("digits", ["fit.epochs=1"], model="linear").folder == Path("runs/digits-linear-2")
    assert sightline.evaluate(run).judgement.metrics == run.metrics["test"]
    assert sightline.report(run).is_file()
    assert sightline.verify(run)["ok"]
    assert sightline.predict(run, [run.folder / "samples" / "batch.png"]).failed == 0


def test_models_describe_data_doctor() -> None:
    names = {row["name"]: row for row in called("models", "resnet*")["models"]}
    assert set(names) >= {"resnet18", "resnet50", "resnet20", "resnet110"}
    assert (names["resnet50"]["parameters"], names["resnet50"]["input"]) == (25_557_032, [3, 224, 224])
    found = called("describe", "lenet5")
    assert found["parameters"] == sum(layer["parameters"] for layer in found["layers"]) == 61_706
    found = called("describe", "resnet18", "--input", "3x64x64", "--classes", "7")
    assert found["layers"][-1]["output"] == [7]
    found = called("data", "digits")
    assert (found["kind"], found["n"], found["used"], found["quarantined"]) == ("digits", 1797, 1797, 0)
    assert called("doctor")["ok"]


def test_cached_files_do_not_count_as_used_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = "MemTotal: 24000000 kB\nMemFree: 300000 kB\nMemAvailable: 20000000 kB\n"
    monkeypatch.setattr(Path, "read_text", lambda self, **_: meminfo)
    assert available_memory() == 20_000_000 * 1024
