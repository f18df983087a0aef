"""Whatever a run folder holds, a verb answers or says in a line what is wrong: no traceback, nothing damaged is sealed."""

from __future__ import annotations

import json
import os
import random
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from typer.testing import CliRunner

from sightline.cli.main import app
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.ema import Ema
from sightline.engine.optimizers import make_optimizer
from sightline.engine.state import Meter, State
from sightline.errors import DamagedError
from sightline.storage.logs import Log
from sightline.tasks.classification import Classification
from tests.asking import folder, refused
from tests.hostile import attempt, changes, leaves, rehash, replaced, write_manifest

MUTANTS = 100  # of run files; `make hostile` takes a thousand
CHECKPOINTS = 200


@pytest.fixture(autouse=True)
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path.parent / "cache"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    return folder(tmp_path_factory.mktemp("data") / "photos", {"cat": 12, "dog": 12})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, photos: str) -> Path:
    place = tmp_path_factory.mktemp("finished") / "run"
    with pytest.MonkeyPatch.context() as elsewhere:
        elsewhere.setenv("SIGHTLINE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        done = CliRunner().invoke(app, ["train", photos, "-m", "linear", "--epochs", "2", "--out", str(place), "-q"])
    assert done.exit_code == 0, done.output
    return place


def test_mutants_of_run_files(finished: Path, photos: str, tmp_path: Path) -> None:
    found = [attempt(finished, Path(photos, "cat", "0.png"), tmp_path, number) for number in range(MUTANTS)]
    assert [row for row in found if row["problem"]] == []
    codes = [row["exit"] for row in found]
    assert codes.count(3) + codes.count(5) > MUTANTS // 4, "most of the mutants were not noticed"
    assert codes.count(0) > MUTANTS // 20, "none of the mutants was harmless"


def trained(place: Path) -> Checkpoints:
    """Three steps of a small network with everything that a checkpoint can hold."""
    torch.manual_seed(0)
    place.mkdir(exist_ok=True)
    layers = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last), torch.nn.Linear(2, 2)
    task = Classification(torch.nn.Sequential(*layers))
    optimizer = make_optimizer("adamw", [task.model], lr=0.01, decay_all=False)
    for _ in range(3):
        optimizer.zero_grad()
        task.model(torch.ones(1, 3, 4, 4)).sum().backward()
        optimizer.step()
    log = Log(place.parent / "metrics.jsonl")
    return Checkpoints(place, task, {"model": optimizer}, ema=Ema(task, 0.9), logs={"metrics.jsonl": log},
                       about={"recipe": "r", "data": "d", "fingerprint": {"torch": "2"}}, say=lambda text: None)  # fmt: skip


def committed(place: Path) -> Path:
    keeper = trained(place)
    keeper.logs["metrics.jsonl"].append("a line\n")
    state = State(
        step=3, history=[{"epoch": 1.0, "step": 2, "lr": 0.01, "val_loss": 0.5, "val_accuracy": None}],
        skipped=[{"step": 1, "turn": "model", "samples": [3, 4]}], in_a_row=1,
        logged=Meter({"loss": (0.5, 2.0)}), epoch=Meter({"loss": (0.7, 3.0)}), owed=True,
        best_weights={name: x.clone() for name, x in keeper.task.state_dict().items()},
    )  # fmt: skip
    keeper.commit(state)
    return place / "step-00000003"


def contents(keeper: Checkpoints, state: State | None) -> str:
    """All that resuming brought back."""
    assert state is not None and keeper.ema is not None
    tensors = [
        keeper.task.state_dict(),
        keeper.ema.tensors(),
        state.best_weights,
        keeper.optimizers["model"].state_dict(),
    ]
    return json.dumps([tensors, state.to_json()], default=lambda x: x.tolist())


def test_re_hashed_checkpoints_with_one_value_changed(tmp_path: Path) -> None:
    """Every value of state and manifest by type, sign, size and NaN. What is loaded is what was saved, or a value of the
    same type and range, or the error names the file."""
    folder = committed(tmp_path / "run")
    good = {path.name: path.read_bytes() for path in folder.iterdir()}
    state, manifest = json.loads(good["state.json"]), json.loads(good["manifest.json"])
    cases = [("state.json", data) for path in leaves(state) if path != ("sha256",) for data in changes(state, path)]
    cases += [
        ("manifest.json", data) for path in leaves(manifest) for data in changes(manifest, path) if path[0] != "sha256"
    ]
    random.Random(0).shuffle(cases)
    refused_, loaded = 0, 0
    for name, data in cases[:CHECKPOINTS]:
        shutil.rmtree(folder.parent)
        folder.mkdir(parents=True)
        for other, old in good.items():
            (folder / other).write_bytes(old)
        (folder / name).write_bytes(data)
        with suppress(ValueError, RecursionError):  # no JSON: it stays as it is
            rehash(folder, state=True) if name == "state.json" else write_manifest(folder, json.loads(data))
        (tmp_path / "metrics.jsonl").write_text("a line\n")
        message = loading_error(folder.parent)
        assert "\n" not in message
        assert len(message) < 1_000
        loaded += not message
        refused_ += bool(message)
    assert refused_ > CHECKPOINTS * 0.6
    assert loaded > 0


def loading_error(place: Path) -> str:
    """The error of resuming; "" if it succeeds."""
    try:
        contents(keeper := trained(place), keeper.resume())
    except DamagedError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("file", ["networks", "optimizers", "ema", "best"])
def test_re_hashed_tensors_with_one_changed(file: str, tmp_path: Path) -> None:
    folder = committed(tmp_path / "run")
    path, good = folder / f"{file}.safetensors", (folder / f"{file}.safetensors").read_bytes()
    tensors = safetensors.torch.load(good)
    for name, x in tensors.items():
        wrong = [
            x.double(),
            x.reshape(-1).repeat(2),
            x * float("nan"),
            x * float("inf"),
            x.to(torch.int64),
            x[..., None],
        ]
        if file == "optimizers" and ("sq" in name or name.endswith("step")):
            wrong += [-x - 1]
        for changed in [{**tensors, name: y} for y in wrong] + [
            {n: y for n, y in tensors.items() if n != name}, {**tensors, "strange": x},
        ]:  # fmt: skip
            path.write_bytes(safetensors.torch.save({n: y.contiguous().clone() for n, y in changed.items()}))
            rehash(folder)
            (tmp_path / "metrics.jsonl").write_text("a line\n")
            with pytest.raises(DamagedError):
                trained(folder.parent).resume()


@pytest.mark.parametrize("name", ["data.json", "recipe.yaml"])
def test_what_a_killed_run_wrote_at_its_start_is_not_sealed_once_it_has_changed(
    name: str, finished: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "manifest.json").unlink()
    good = (run / name).read_bytes()
    for bad in (good + b"\n", good[:-20], good.replace(b"cat", b"cow") + b" ", None):
        (run / name).unlink(missing_ok=True)
        if bad is not None:
            (run / name).write_bytes(bad)
        assert name in refused(3, "train", "--resume", str(run))
        assert not (run / "manifest.json").exists()
    (run / name).write_bytes(good)
    assert CliRunner().invoke(app, ["train", "--resume", str(run), "-q"]).exit_code == 0
    assert CliRunner().invoke(app, ["verify", str(run)]).exit_code == 0


def test_a_damaged_log_is_set_aside(finished: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    (run / "manifest.json").unlink()
    log = Path(run, "metrics.jsonl")
    log.write_bytes(b"x" * max(len(log.read_bytes()), 10))
    done = CliRunner().invoke(app, ["train", "--resume", str(run)])
    assert done.exit_code == 0, done.output
    assert "metrics.jsonl has been modified since the checkpoint" in done.stderr
    assert not log.exists() or b"x" not in log.read_bytes()
    assert b"x" in Path(run, "metrics.jsonl.damaged").read_bytes()


def test_verify_reads_nothing_outside_the_run(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, secret = tmp_path / "run", tmp_path / "secret"
    shutil.copytree(finished, run)
    secret.write_text("secret")
    (run / "link").symlink_to(secret)
    seal = json.loads((run / "manifest.json").read_text())
    entry = {"bytes": 6, "sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"}
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *rest, **more: (opened.append(str(path)), real(path, *rest, **more))[1]
    )
    for name in (str(secret), "../secret", "link", "model/../../secret", "/dev/zero", "a\0b", ""):
        (run / "manifest.json").write_text(json.dumps(replaced(seal, ("files", name), entry)))
        assert "is not in the run" in refused(5, "verify", str(run))
    assert str(secret) not in {os.path.realpath(path) for path in opened if "\0" not in path}


@pytest.mark.parametrize("name", ["..", "../..", ".", "a/b", "/etc", "a\0b"])
def test_the_name_of_a_data_set_is_no_path(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_DATA", str(tmp_path))
    (tmp_path / "r.yaml").write_text(json.dumps({"data": {"name": name}}))
    said: Any = refused(2, "train", str(tmp_path / "r.yaml"))
    assert "data.name" in said
