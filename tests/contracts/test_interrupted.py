"""A training that is interrupted at an awkward moment keeps what it has, and ends as if it had never been."""

from __future__ import annotations

import csv
import json
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import sightline.runs.folder as folders
import sightline.training.progress as actions
from sightline.errors import DataError, DivergedError, Stopped, UsageError
from sightline.runs.run import Run
from sightline.storage.folders import newest_good
from sightline.tasks.classification import Classification
from sightline.verbs.train import train
from tests.asking import folder

KEYS = {"fit.batch": 8, "fit.epochs": 3, "fit.threads": 1, "fit.ema": 0.9}


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder(tmp_path_factory.mktemp("data") / "photos", {"cat": 30, "dog": 30})


@pytest.fixture(scope="module")
def untouched(photos: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("untouched")
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("SIGHTLINE_CACHE", str(place / "cache"))
        return ended(train(photos, KEYS, model="resnet8", out=place / "run"))


def ended(run: Run) -> dict[str, Any]:
    """All by which two runs are compared."""
    names = ("model/model.safetensors", "history.csv", "metrics.jsonl", "metrics.json")
    return {name: (run.folder / name).read_bytes() for name in names}


def status(run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(run, "run.json").read_text())
    return found


def interrupting(call: int, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """SIGTERM when the validation with this number has judged its first batch; returns how to stop doing so."""
    whole, calls = actions.rows_of, []

    def judge(task: Any, batches: Any, device: str, *, stop: Callable[[], bool]) -> Any:
        calls.append(1)

        def asked() -> bool:
            if len(calls) == call and not stop():
                os.kill(os.getpid(), signal.SIGTERM)
            return stop()

        return whole(task, batches, device, stop=asked)

    monkeypatch.setattr(actions, "rows_of", judge)
    return lambda: monkeypatch.setattr(actions, "rows_of", whole)


@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_signal_is_heard_within_a_validation(
    call: int, photos: str, untouched: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two of its batches; the validation is owed then, and made first of all on the way back."""
    assert threading.current_thread() is threading.main_thread()
    undo = interrupting(call, monkeypatch)
    with pytest.raises(Stopped, match="everything so far is kept"):
        train(photos, KEYS, model="resnet8", out="run")
    assert status("run")["status"] == "stopped"
    if Path("run/history.csv").exists():
        assert len(list(csv.reader(Path("run/history.csv").read_text().splitlines()))) - 1 < call
    undo()
    assert ended(train(resume="run")) == untouched


def test_two_signals_in_the_same_validation(
    photos: str, untouched: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for attempt in ("train", "resume"):
        undo = interrupting(1, monkeypatch)
        with pytest.raises(Stopped):
            train(photos, KEYS, model="resnet8", out="run") if attempt == "train" else train(resume="run")
        undo()
    assert ended(train(resume="run")) == untouched


@pytest.mark.parametrize("workers", [0, 2])
def test_an_image_that_vanishes_costs_no_step(
    workers: int, tmp_path: Path, untouched: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was learned before is committed; put back, the image is trained on as if it had always been there."""
    data = Path(folder(tmp_path / "photos", {"cat": 30, "dog": 30}))
    keys = {**KEYS, "data.cache": "off", "data.workers": workers}
    hidden = tmp_path / "hidden"
    whole = actions.Training.log

    def log(training: Any, state: Any) -> None:
        whole(training, state)
        if state.step == 10:
            data.rename(hidden)

    with monkeypatch.context() as gone:
        gone.setattr(actions.Training, "log", log)
        with pytest.raises(DataError, match="no such file"):
            train(str(data), keys, model="resnet8", out="run")
    found = status("run")
    assert (found["status"], found["stopped"]) == ("failed", "data")
    assert "no such file" in Path("run/log.txt").read_text()
    assert str(tmp_path) not in Path("run/run.json").read_text()
    assert found["step"] >= 10
    assert sorted(Path("run/checkpoints").glob("step-*"))[-1].name == f"step-{found['step']:08d}"
    hidden.rename(data)
    again = ended(train(resume="run"))
    assert {name: again[name] for name in again if name != "metrics.json"} == {
        name: untouched[name] for name in again if name != "metrics.json"
    }


def test_a_run_that_ends_in_no_numbers_says_so(photos: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverged(*_: Any, **__: Any) -> None:
        raise DivergedError("not finite")

    monkeypatch.setattr("sightline.training.loop.finish", diverged)
    with pytest.raises(DivergedError):
        train(photos, KEYS, model="linear", out="run")
    assert (status("run")["status"], status("run")["stopped"]) == ("diverged", "not finite")


def test_the_same_command_goes_on_whatever_the_machine_would_choose(
    photos: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads and precision that nobody asked for are the machine's choice once, not each time."""
    keys = {name: value for name, value in KEYS.items() if name != "fit.threads"}
    before = torch.get_num_threads()
    monkeypatch.setattr("sightline.training.prepare.choose_threads", lambda threads, work: threads or 2)
    undo = interrupting(1, monkeypatch)
    with pytest.raises(Stopped):
        train(photos, keys, model="linear", out="run")
    undo()
    monkeypatch.setattr("sightline.training.prepare.choose_threads", lambda threads, work: threads or 1)
    monkeypatch.setattr(
        "sightline.training.prepare.choose_precision", lambda name, *_: "bf16" if name == "auto" else name
    )
    run = train(photos, keys, model="linear", out="run")
    assert (run.recipe.fit.threads, run.recipe.fit.precision) == (2, "fp32")
    assert torch.get_num_threads() == before


def test_a_loss_without_bounds_is_the_same_before_and_after_a_resume(
    photos: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """JSON has no infinity: what a checkpoint cannot hold, the history does not hold either, or schedules would differ."""
    whole = Classification.metrics
    monkeypatch.setattr(Classification, "metrics", lambda task, rows: {**whole(task, rows), "loss": float("inf")})
    keys = {**KEYS, "schedule.name": "plateau"}
    whole_run = ended(train(photos, keys, model="linear", out="whole"))
    rows = list(csv.DictReader(Path("whole/history.csv").read_text().splitlines()))
    assert {row["val_loss"] for row in rows} == {""}
    undo = interrupting(2, monkeypatch)
    with pytest.raises(Stopped):
        train(photos, keys, model="linear", out="run")
    undo()
    assert ended(train(resume="run")) == whole_run


def test_a_folder_that_another_took_meanwhile_is_not_gone_on_with(photos: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two recipes, one new folder: the second looks while it is still empty, and gets the lock when the first is gone."""
    looked = folders.place

    def overtaken(recipe: Any, data: Any, out: Any, *, smoke: bool) -> Run:
        run = looked(recipe, data, out, smoke=smoke)
        with monkeypatch.context() as other:
            other.setattr("sightline.verbs.train.place", looked)
            undo = interrupting(1, other)
            with pytest.raises(Stopped):
                train(photos, KEYS, model="linear", out="run")
            undo()
        return run

    monkeypatch.setattr("sightline.verbs.train.place", overtaken)
    with pytest.raises(UsageError, match="holds a run of another recipe"):
        train(photos, {**KEYS, "optim.lr": 0.5}, model="linear", out="run")


def test_what_ended_a_run_once_is_forgotten_when_it_goes_on(photos: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def diverged(*_: Any, **__: Any) -> None:
        raise DivergedError("not finite")

    with monkeypatch.context() as once:
        once.setattr("sightline.training.loop.fit", diverged)
        with pytest.raises(DivergedError):
            train(photos, KEYS, model="linear", out="run")
    assert status("run")["stopped"] == "not finite"
    undo = interrupting(1, monkeypatch)
    with pytest.raises(Stopped):
        train(resume="run")
    assert (status("run")["status"], status("run")["stopped"]) == ("stopped", None)
    undo()
    environment = Path("run/environment.json").read_bytes()
    run = train(resume="run")
    with pytest.raises(UsageError):
        folders.begin(run, run.recipe, None, "classification", smoke=False, console=None)  # type: ignore[arg-type]
    assert Path("run/environment.json").read_bytes() == environment


def test_an_error_within_a_step_leaves_the_step_before(photos: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory that runs out where gradients are cut: the batch statistics have moved by then, the weights not; once an
    optimiser moves there is no way back, and the checkpoint before is where to go on from."""
    whole_norm, whole_step, calls = torch.nn.utils.get_total_norm, torch.optim.SGD.step, []

    def at_step_nine(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        if len(calls) == 9:
            raise MemoryError
        return whole_norm(*arguments, **options)

    keys = {**KEYS, "optim.name": "sgd", "fit.commit_every": 4}
    untouched = ended(train(photos, keys, model="resnet8", out="untouched"))
    with monkeypatch.context() as full:
        full.setattr(torch.nn.utils, "get_total_norm", at_step_nine)
        with pytest.raises(MemoryError):
            train(photos, keys, model="resnet8", out="run")
    assert newest_good(Path("run/checkpoints")).manifest["step"] == 8
    assert (status("run")["status"], status("run")["stopped"]) == ("failed", "MemoryError")
    assert ended(train(resume="run")) == untouched

    def half(optimizer: Any, *arguments: Any, **options: Any) -> Any:
        whole_step(optimizer, *arguments, **options)
        calls.append(1)
        if len(calls) == 7:
            raise MemoryError

    calls.clear()
    with monkeypatch.context() as full:
        full.setattr(torch.optim.SGD, "step", half)
        with pytest.raises(MemoryError):
            train(photos, keys, model="resnet8", out="other")
    assert newest_good(Path("other/checkpoints")).manifest["step"] == 5  # an epoch; six had been made
    assert ended(train(resume="other")) == untouched
