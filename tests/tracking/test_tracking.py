"""Tracked figures are those of the run, one a step whatever happens, and tracking changes nothing and stops nothing."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from importlib import util
from pathlib import Path
from typing import Any

import pytest

from sightline.errors import ResourceError, UsageError
from sightline.recipes.reading import make_draft
from sightline.runs.console import Console
from sightline.runs.folder import recipe_hash
from sightline.runs.run import Run
from sightline.tasks.classification import Classification
from sightline.tracking.opening import require_trackers
from sightline.tracking.tracker import Tracker, lines_of
from sightline.training import loop
from sightline.verbs.train import train
from tests.asking import folder
from tests.complete_recipes import recipe_of

KEYS: dict[str, Any] = {"fit.batch": 8, "fit.epochs": 3, "fit.threads": 1, "fit.ema": 0.9}
HERE = "track.tensorboard"
needs_tensorboard = pytest.mark.skipif(util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
needs_mlflow = pytest.mark.skipif(util.find_spec("mlflow") is None, reason="mlflow is not installed")


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module", autouse=True)
def dense() -> Iterator[None]:
    """More lines than validations, in trainings of a few steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_EVERY", 3)
        yield


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder(tmp_path_factory.mktemp("data") / "photos", {"cat": 30, "dog": 30})


@pytest.fixture(scope="module")
def plain(photos: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("plain")
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("SIGHTLINE_CACHE", str(place / "cache"))
        return train(photos, KEYS, model="resnet8", out=place / "run")


@pytest.fixture(scope="module")
def tracked(photos: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    place = tmp_path_factory.mktemp("tracked")
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("SIGHTLINE_CACHE", str(place / "cache"))
        return train(photos, KEYS | {HERE: True, "track.mlflow": True}, model="resnet8", out=place / "run")


def results(run: Run) -> dict[str, bytes]:
    names = ("model/model.safetensors", "history.csv", "metrics.jsonl", "metrics.json", "predictions/test.parquet")
    return {name: (run.folder / name).read_bytes() for name in names}


def events(place: Path) -> list[tuple[str, int, float]]:
    """(tag, step, value) of every scalar in the files, in the order in which they were written."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util.tensor_util import make_ndarray

    return [
        (value.tag, event.step, float(make_ndarray(value.tensor)))
        for path in sorted(place.glob("events.*"))
        for event in EventFileLoader(str(path)).Load()
        for value in event.summary.value
        if value.metadata.plugin_data.plugin_name == "scalars"
    ]


def logged(run: Run) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run.folder / "metrics.jsonl").read_text().splitlines()]


@needs_tensorboard
def test_a_tracked_training_is_the_same_training(plain: Run, tracked: Run) -> None:
    assert results(tracked) == results(plain)
    assert tracked.status["recipe"] == plain.status["recipe"]


@needs_tensorboard
def test_event_files_hold_the_figures_of_the_run(tracked: Run) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    stream = EventAccumulator(str(tracked.folder / "tensorboard"), size_guidance={"scalars": 0, "images": 0}).Reload()
    found = {tag: [(e.step, e.value) for e in stream.Scalars(tag)] for tag in stream.Tags()["scalars"]}
    assert found["train/loss"] == [(row["step"], pytest.approx(row["loss"])) for row in logged(tracked)]
    with open(tracked.folder / "history.csv") as file:
        history = list(csv.DictReader(file))
    for tag, name in (("val/accuracy", "val_accuracy"), ("val/loss", "val_loss"), ("train_epoch/loss", "train_loss")):
        assert found[tag] == [(int(row["step"]), pytest.approx(float(row[name]))) for row in history], tag
    rates = dict(found["learning_rate/new"])
    assert {int(row["step"]): pytest.approx(float(row["lr"])) for row in history}.items() <= rates.items()
    assert len(rates) > len(history)  # also between validations
    assert [step for step, _ in found["throughput/images_per_second"]] == [int(row["step"]) for row in history]
    accuracy = tracked.metrics["test"]["accuracy"]
    assert found["final/test_accuracy"] == [(tracked.status["step"], pytest.approx(accuracy))]
    pictures = stream.Images("val/predictions")
    assert [picture.step for picture in pictures] == [int(row["step"]) for row in history]
    assert pictures[0].width > 100
    assert "_hparams_/session_start_info" in stream.summary_metadata


@needs_mlflow
def test_mlflow_holds_params_metrics_and_files(tracked: Run) -> None:
    from mlflow import MlflowClient

    note = json.loads((tracked.folder / "tracking.json").read_text())["mlflow"]
    client = MlflowClient(tracking_uri=note["uri"])
    found = client.get_run(note["run"])
    assert found.info.status == "FINISHED"
    assert found.data.params["model.name"] == "resnet8"
    assert found.data.params["fit.batch"] == "8"
    assert not [key for key in found.data.params if key.startswith("track")]
    points = client.get_metric_history(note["run"], "train/loss")
    assert [(p.step, p.value) for p in points] == [(row["step"], pytest.approx(row["loss"])) for row in logged(tracked)]
    files = {file.path for place in (None, "model") for file in client.list_artifacts(note["run"], place)}
    assert {"report.html", "metrics.json", "recipe.yaml", "model/model.safetensors"} <= files
    assert found.data.tags["sightline.run"] == "run"


class Killed(BaseException):
    """As a kill at that moment: nothing below catches it."""


@needs_tensorboard
@needs_mlflow
def test_a_resumed_run_goes_on_in_the_same_stream(
    photos: str, plain: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed after steps that no checkpoint has: they are computed again, and are in the stream once."""
    loss, calls = Classification.loss, 0
    keys = KEYS | {HERE: True, "track.mlflow": True}

    def dying(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 14:  # lines at 3, 6, 9 and 12, checkpoints at 5 and 10, of which the later one is damaged below
            raise Killed
        return loss(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Classification, "loss", dying)
        with pytest.raises(Killed):
            train(photos, keys, model="resnet8", out=tmp_path / "run")
    checkpoints = sorted((tmp_path / "run" / "checkpoints").glob("step-*"))
    before = events(tmp_path / "run" / "tensorboard")
    (checkpoints[-1] / "manifest.json").write_text("lost")
    run = train(resume=tmp_path / "run")
    assert results(run) == results(plain)
    found = events(run.folder / "tensorboard")
    assert found[: len(before)] == before
    places = [(tag, step) for tag, step, _ in found]
    assert len(set(places)) == len(places)
    for tag in {tag for tag, _ in places}:
        steps = [step for other, step in places if other == tag]
        assert steps == sorted(steps), tag
    assert [(s, v) for tag, s, v in found if tag == "train/loss"] == [
        (row["step"], pytest.approx(row["loss"])) for row in logged(run)
    ]
    from mlflow import MlflowClient

    note = json.loads((run.folder / "tracking.json").read_text())["mlflow"]
    client = MlflowClient(tracking_uri=note["uri"])
    points = [p.step for p in client.get_metric_history(note["run"], "train/loss")]
    assert points == [row["step"] for row in logged(run)]
    assert len(client.search_runs([client.get_run(note["run"]).info.experiment_id])) == 1


@needs_tensorboard
@needs_mlflow
def test_an_error_of_tracking_is_said_once_and_training_goes_on(
    photos: str, plain: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk that is full, and a store that cannot be opened."""
    from sightline.tracking.event_files import EventFiles

    def full(self: EventFiles, values: Any, step: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(EventFiles, "scalars", full)
    (tmp_path / "file").write_text("")
    run = train(
        photos, KEYS | {HERE: True, "track.mlflow": str(tmp_path / "file")}, model="resnet8", out=tmp_path / "run"
    )
    assert run.finished and results(run) == results(plain)
    said = capsys.readouterr().err
    assert said.count("TensorBoard: tracking stopped, training goes on: [Errno 28] No space left on device") == 1
    assert said.count("MLflow: ") == 1


@needs_tensorboard
def test_runs_of_one_name_do_not_share_a_folder_of_streams(tmp_path: Path) -> None:
    from sightline.tracking.opening import open_tracker

    track = make_draft({}, {HERE: str(tmp_path / "all")}).track
    for name in ("a", "b"):
        run = tmp_path / name / "run"
        run.mkdir(parents=True)
        for _ in range(2):  # a start, and one that goes on
            open_tracker(track, run, "x", Console(level=-2)).close("stopped")
    assert {path.name: len(list(path.iterdir())) for path in (tmp_path / "all").iterdir()} == {"run": 2, "run-2": 2}


def test_a_stream_that_begins_late_gets_what_was_before(plain: Run) -> None:
    class Memory:
        name = "memory"

        def __init__(self) -> None:
            self.last: dict[str, int] = {}
            self.figures: list[tuple[str, int]] = []

        def scalars(self, values: dict[str, float], step: int) -> None:
            self.figures += [(tag, step) for tag in values]

        def __getattr__(self, name: str) -> Any:
            return lambda *arguments: None

    sink, lines = Memory(), logged(plain)
    tracker = Tracker([sink])
    for _ in range(2):  # a second start has nothing to add
        tracker.begin({}, (), lines_of(plain.folder / "metrics.jsonl"), [{"step": 5, "epoch": 1.0, "val_loss": 0.5}])
        assert [step for tag, step in sink.figures if tag == "train/loss"] == [row["step"] for row in lines]
        assert [step for tag, step in sink.figures if tag == "val/loss"] == [5]


def test_tracking_is_no_part_of_what_a_run_is() -> None:
    one, other = recipe_of({}), recipe_of({"track": {"tensorboard": True, "mlflow": "elsewhere"}})
    assert other.track.mlflow == "elsewhere"
    assert recipe_hash(one) == recipe_hash(other)


def test_what_is_missing_or_not_allowed_is_said_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(keys: dict[str, Any], error: type[Exception], words: str) -> None:
        with pytest.raises(error, match=words):
            require_trackers(make_draft({}, keys).track)

    refused({"track.mlflow": "https://tracking.example"}, UsageError, "allow_network")
    refused({"track.mlflow": "https://me:secret@tracking.example", "track.allow_network": True}, UsageError, "password")
    require_trackers(make_draft({}, {"track.mlflow": "https://t.example", "track.allow_network": True}).track)
    with pytest.raises(UsageError, match="true, false or a place"):
        make_draft({}, {HERE: "off"})
    for name in ("tensorboard", "mlflow"):
        monkeypatch.setitem(sys.modules, name, None)
        refused({f"track.{name}": True}, ResourceError, rf"needs {name}.*sightline\[track\]")


def test_without_its_package_no_run_begins(photos: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(ResourceError, match="tensorboard"):
        train(photos, KEYS | {HERE: True}, model="resnet8", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
