"""Bad input gets one line that names the thing, the nearest right answer, and the right exit code; never a traceback."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from sightline.cli.main import app
from sightline.errors import ResourceError
from sightline.recipes.reading import make_draft, parse_yaml, recipe_yaml
from sightline.storage.locks import locked
from tests.asking import called, folder, image, refused


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder and with a cache of its own."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "digitz"], ["digitz", "did you mean 'digits'?"]),
        (["train", "digits", "task.loss=hinge", "task.label_smoothing=0.1"], ["hinge", "label_smoothing"]),
        (["train", "digits", "augment.preset=none", "augment.flip=true"], ["augment.preset=none", "augment.flip"]),
        (["train", "digits", "schedule.name=constant", "schedule.floor=0.1"], ["schedule.floor", "constant", "cosine"]),
        (["describe", "lenet5", "--input", "²x32x32"], ["²x32x32", "CxHxW"]),
        (["train", "digits", "-m", "resnet5O"], ["resnet5O", "resnet50"]),
        (["train", "digits", "fit.epoch=3"], ["fit.epoch", "fit.epochs"]),
        (["train", "digits", "epochs=3"], ["epochs", "fit.epochs"]),
        (["train", "digits", "optim.lr=-1"], ["optim.lr=-1", "greater than 0"]),
        (["train", "digits", "fit.epochs=many"], ["fit.epochs='many'", "number"]),
        (["train", "digits", "task.kind=detect"], ["task.kind", "detection"]),
        (["train", "digits", "fit.batch=30", "fit.accumulate=4"], ["30", "4"]),
        (["train", "digits", "--lr", "0.1", "optim.lr=0.2"], ["optim.lr", "0.1", "0.2"]),
        (["train", "digits", "fit.epochs=1", "fit.epochs=2"], ["fit.epochs", "twice"]),
        (["train", "digits", "epochs"], ["epochs", "key=value"]),
        (["train", "digits", "model.options.hiden=3", "-m", "mlp"], ["hiden", "hidden"]),
        (["train", "digits", "input.size=28"], ["lenet5", "32"]),
        (["train", "digits", "optim.name=adam", "optim.nesterov=true"], ["optim.nesterov", "sgd"]),
        (["train", "digits", "fit.precision=fp16"], ["fit.precision='fp16'", "bf16"]),
        (["train", "digits", "--device", "tpu"], ["fit.device='tpu'", "cuda"]),
        (["train", "missing.yaml"], ["missing.yaml"]),
        (["train", "..", "data.path=elsewhere"], ["data.path='elsewhere'", "contradicts '..'"]),
        (["train", "digits", "fit.batch=4", "fit={batch: 8, epochs: 2}"], ["fit.batch", "twice"]),
        (["train", "digits", "fit.batch=100000000000000000000000"], ["fit.batch", "less than or equal"]),
        (["train"], ["no data to train on"]),
        (["evaluate", "nowhere"], ["nowhere", "not a run"]),
        (["describe", "lenet6"], ["lenet6", "lenet5"]),
        (["describe", "lenet5", "--input", "28x28"], ["28x28", "CxHxW"]),
    ],
)  # fmt: skip
def test_usage(arguments: list[str], words: list[str]) -> None:
    said = refused(2, *arguments)
    for word in words:
        assert word in said, said
    assert not Path("runs").exists()  # nothing was begun


def test_a_device_that_is_not_there() -> None:
    assert "'mps' is not available" in refused(6, "train", "digits", "--device", "mps")


def test_compiling_without_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert "needs a C++ compiler" in refused(6, "train", "digits", "fit.compile=true")


def test_data_without_images_classes_or_files(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "image" in refused(3, "train", str(empty))
    assert "only" in refused(3, "train", folder(tmp_path / "one_class", {"cat": 4}))
    refused(3, "train", folder(tmp_path / "one_image", {"cat": 1}))
    assert "does not exist" in refused(3, "train", str(tmp_path / "nowhere" / "data"))
    table = tmp_path / "labels.csv"
    table.write_text("path,label\na.png,cat\nb.png,dog\n")
    said = refused(3, "train", str(table))
    assert "a.png" in said


def test_shares_for_data_that_give_their_splits(tmp_path: Path) -> None:
    root = tmp_path / "data"
    folder(root / "train", {"cat": 4, "dog": 4})
    folder(root / "test", {"cat": 2, "dog": 2}, first=100)
    assert "data.val" in refused(2, "train", str(root), "data.val=0.2")


def test_a_split_with_a_class_that_training_lacks(tmp_path: Path) -> None:
    root = tmp_path / "data"
    folder(root / "train", {"cat": 4, "dog": 4})
    folder(root / "test", {"cat": 2, "fox": 2}, first=100)
    said = refused(3, "train", str(root))
    for name in ("fox", "cat", "dog"):
        assert name in said


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished smoke run."""
    place = tmp_path_factory.mktemp("finished")
    os.environ["SIGHTLINE_CACHE"] = str(place / "cache")
    done = CliRunner().invoke(app, ["train", "digits", "--smoke", "--out", str(place / "run")])
    assert done.exit_code == 0, done.output
    return place / "run"


def test_an_occupied_folder(finished: Path, tmp_path: Path) -> None:
    assert "finished" in refused(2, "train", "digits", "--smoke", "--out", str(finished))
    assert "finished" in refused(2, "train", "--resume", str(finished))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    assert "thesis.txt" in refused(2, "train", "digits", "--out", str(tmp_path / "mine"))
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def altered(finished: Path, tmp_path: Path, **values: Any) -> Path:
    """A copy of the run with other values in its run.json."""
    copy = tmp_path / "copy"
    shutil.copytree(finished, copy)
    status = json.loads((copy / "run.json").read_text())
    (copy / "run.json").write_text(json.dumps(status | values))
    return copy


def test_a_run_of_another_recipe_or_other_data(finished: Path, tmp_path: Path) -> None:
    unfinished = altered(finished, tmp_path, status="stopped")
    said = refused(2, "train", "digits", "--smoke", "--seed", "5", "--out", str(unfinished))
    assert "seed was 0, is now 5" in said


def test_a_newer_a_locked_and_a_damaged_run(finished: Path, tmp_path: Path) -> None:
    newer = altered(finished, tmp_path, format=99)
    assert "99" in refused(3, "evaluate", str(newer))
    shutil.rmtree(newer)
    unfinished = altered(finished, tmp_path, status="stopped")
    with locked(unfinished):
        said = refused(6, "train", "--resume", str(unfinished))
        assert f"process {os.getpid()}" in said
    weights = unfinished / "model" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "model.safetensors" in refused(3, "evaluate", str(unfinished))
    assert "model.safetensors" in refused(5, "verify", str(unfinished))
    (unfinished / "metrics.json").write_text("{")
    (unfinished / "preprocessing.json").write_text("[]")
    refused(3, "evaluate", str(unfinished))
    for folder_ in (unfinished / "checkpoints").iterdir():
        (folder_ / "state.json").write_text("{}")
    assert "no checkpoint" in refused(3, "train", "--resume", str(unfinished))


@pytest.mark.parametrize("left", [None, "{}", '{"files": []}', "{"])
def test_a_finished_run_vouches_for_itself_or_can_be_finished(finished: Path, tmp_path: Path, left: str | None) -> None:
    """Killed while it wrote its report, or robbed of its manifest."""
    run = altered(finished, tmp_path)
    (run / "manifest.json").unlink() if left is None else (run / "manifest.json").write_text(left)
    said = refused(5, "verify", str(run))
    assert "manifest.json" in said
    assert f"--resume {run}" in said
    if left is None:
        (run / "report.html").unlink()
        assert called("train", "--resume", str(run))[0] == 0
        assert called("verify", str(run))[0] == 0
        for name in ("metrics.json", "history.csv", "model/model.safetensors", "manifest.json"):
            assert (run / name).read_bytes() == (finished / name).read_bytes(), name
        assert (run / "report.html").exists()


@pytest.mark.parametrize(("name", "text"), [("recipe.yaml", "[1]"), ("recipe.yaml", ""), ("data.json", "{}")])
def test_a_run_whose_files_say_nothing(finished: Path, tmp_path: Path, name: str, text: str) -> None:
    run = altered(finished, tmp_path)
    (run / name).write_text(text)
    assert name in refused(3, "evaluate", str(run))


def test_what_watches_validations_needs_some(tmp_path: Path) -> None:
    data = folder(tmp_path / "data", {"cat": 20, "dog": 20})
    for key in ("fit.patience=2", "schedule.name=plateau"):
        said = refused(2, "train", data, "data.val=0", "-m", "linear", key)
        assert key.split("=")[0] in said
    assert not Path("runs").exists()


def test_images_without_any_label(finished: Path, tmp_path: Path) -> None:
    for number in range(3):
        image(tmp_path / "flat" / f"{number}.png", number)
    assert "has a label" in refused(3, "evaluate", str(finished), str(tmp_path / "flat"))


def test_verify_finds_nothing_wrong_with_a_good_run(finished: Path) -> None:
    code, found, _ = called("verify", str(finished))
    assert code == 0
    assert {row["state"] for row in found["files"]} == {"good"}
    assert len(found["files"]) >= 12


def test_predict_names_what_it_cannot_read_and_goes_on(finished: Path, tmp_path: Path) -> None:
    image(tmp_path / "in" / "good.png")
    (tmp_path / "in" / "=cmd.png").write_bytes(b"<html>")
    code, found, _ = called("predict", str(finished), str(tmp_path / "in"), "--out", "p.csv")
    assert code == 0
    assert (found["n"], found["failed"]) == (2, 1)
    bad, good = found["predictions"]
    assert "not-an-image" in bad["error"]
    assert 0 < good["probability"] <= 1
    assert len(good["top"]) == 5
    lines = Path("p.csv").read_text().splitlines()
    assert len(lines) == 3
    assert "there is no" in refused(2, "predict", str(finished), str(tmp_path / "gone.png"))
    code, found, _ = called("predict", str(finished), str(tmp_path / "in" / "=cmd.png"))
    assert code == 3
    assert found["failed"] == 1
    (tmp_path / "none").mkdir()
    assert "no images" in refused(3, "predict", str(finished), str(tmp_path / "none"))
    refused(2, "predict", str(finished), str(tmp_path / "in"), "--out", "p.xlsx")
    assert "no folder nowhere" in refused(2, "predict", str(finished), str(tmp_path / "in"), "--out", "nowhere/p.csv")
    (tmp_path / "here" / "folder.csv").mkdir()
    assert "is a folder" in refused(2, "predict", str(finished), str(tmp_path / "in"), "--out", "folder.csv")
    assert "no folder nowhere" in refused(2, "data", "digits", "--show", "nowhere/p.png")


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried")]
)
def test_too_little_memory_is_no_bug(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("sightline.api.train", fails)
    assert "not enough memory" in refused(6, "train", "digits")


def test_what_was_not_kept_is_not_claimed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes no checkpoint, and a signal: what is said of it, then and on the way back."""

    def no_room(checkpoints: object, needed: int) -> None:
        raise ResourceError("no room")

    def third(seen: list[int]) -> bool:
        seen.append(1)
        return len(seen) == 3

    with monkeypatch.context() as full:
        full.setattr("sightline.engine.checkpoints.Checkpoints._room", no_room)
        full.setattr("sightline.training.loop.catch_signals", lambda: stopping(third))
        said = refused(143, "train", "digits", "--out", str(tmp_path / "run"))
    assert "stopped at step 3" in said
    assert "nothing is kept" in said
    code, _, stderr = called("train", "--resume", str(tmp_path / "run"), "--quiet")
    assert code == 0
    assert "has no checkpoint: training starts from the beginning" in stderr


@contextlib.contextmanager
def stopping(when: Callable[[list[int]], bool]) -> Iterator[Any]:
    """As a signal at that step."""
    seen: list[int] = []

    class StopRequest:
        signal = 0

        def __call__(self) -> bool:
            if when(seen):
                self.signal = 15
            return bool(self.signal)

    yield StopRequest()


def test_a_folder_with_a_numbers_name(tmp_path: Path) -> None:
    """What the recipe says comes back as it was said."""
    for path in ("1e3", "1_000", "off", "null", "0x1F", "2024-01-01", "plain", "a: b"):
        recipe = make_draft({"data": {"path": path}})
        assert make_draft(parse_yaml(recipe_yaml(recipe), "recipe")) == recipe


def test_a_recipe_whose_model_is_a_word(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("model: resnet18\ndata: {name: digits}\n")
    assert "model='resnet18'" in refused(2, "train", str(tmp_path / "r.yaml"))
    assert called("train", str(tmp_path / "r.yaml"), "-m", "linear", "--smoke")[1]["model"] == "linear"


def test_data_with_only_a_training_split(tmp_path: Path) -> None:
    root = tmp_path / "data"
    folder(root / "train", {"cat": 20, "dog": 20})
    code, found, _ = called(
        "train", str(root), "data.val=0.2", "--smoke", "-m", "linear", "--out", str(tmp_path / "run")
    )
    assert code == 0
    assert found["val"] is not None
    other = tmp_path / "other"
    folder(other / "test", {"cat": 2, "dog": 2}, first=100)
    assert "has no train split" in refused(2, "evaluate", str(tmp_path / "run"), str(other), "--split", "train")
    assert called("data", str(other), "--show", "p.png")[0] == 0
