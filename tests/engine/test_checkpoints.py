"""What damage does to a run: flipped bits, a full disk, a foreign state. Nothing is lost, and what is wrong is named."""

from __future__ import annotations

import errno
import json
import math
import os
import random
import resource
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import nn

from sightline.engine.checkpoints import Checkpoints, read_best
from sightline.engine.ema import Ema
from sightline.engine.state import Meter, State
from sightline.errors import DamagedError, ResourceError
from sightline.storage.files import TEMPORARY, replace_file
from sightline.storage.folders import commit_folder, newest_good, retain, sweep, verify_folder
from sightline.storage.locks import locked
from sightline.storage.logs import Log
from sightline.storage.tensors import pack, unpack
from sightline.storage.text import json_text
from sightline.tasks.classification import Classification
from tests import walls


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished toy run with its two newest checkpoints, average and optimiser moments included."""
    folder = tmp_path_factory.mktemp("trained")
    walls.train("gan", folder)
    return folder


def test_200_flipped_bits_are_each_found_and_named(trained: Path, tmp_path: Path) -> None:
    draw = random.Random(0)
    newest, older = sorted(trained.glob("step-*"), reverse=True)
    names = sorted(p.name for p in newest.iterdir())
    assert {"manifest.json", "networks.safetensors", "ema.safetensors", "optimizers.safetensors", "state.json"} <= set(
        names
    )
    work = tmp_path / "work"
    shutil.copytree(trained, work)
    hit = set()
    for number in range(200):
        path = work / newest.name / names[number % len(names)]
        good = path.read_bytes()
        bad = bytearray(good)
        place = draw.randrange(len(bad))
        bad[place] ^= 1 << draw.randrange(8)
        path.write_bytes(bytes(bad))
        found = newest_good(work)
        if path.name == "manifest.json" and found.folder is not None and found.folder.name == newest.name:
            assert json.loads(bytes(bad)) == json.loads(good)  # a bit of white space
        else:
            assert found.folder is not None, f"bit {place} of {path.name}"
            assert found.folder.name == older.name, f"bit {place} of {path.name}"
            assert newest.name in found.skipped[0]
            hit.add(path.name)
        path.write_bytes(good)
    assert hit == set(names)


def test_a_damaged_newest_checkpoint_costs_only_the_steps_since_the_one_before(trained: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(trained, work)
    newest = max(work.glob("step-*"))
    before = {p.name: p.read_bytes() for p in newest.iterdir()}
    (newest / "ema.safetensors").write_bytes(b"gone")
    walls.train("gan", work)  # resumes from the older one and replaces the damaged one
    assert {p.name: p.read_bytes() for p in newest.iterdir()} == before


def test_when_no_checkpoint_verifies_it_stops_instead_of_starting_from_zero(trained: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(trained, work)
    for folder in work.glob("step-*"):
        (folder / "state.json").unlink()
    with pytest.raises(DamagedError, match="no checkpoint"):
        walls.train("gan", work)
    with pytest.raises(DamagedError, match=r"state\.json is missing"):
        read_best(work)


def test_a_newer_format_is_refused(trained: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    shutil.copytree(max(trained.glob("step-*")), work)
    manifest = json.loads((work / "manifest.json").read_text())
    (work / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(DamagedError, match="format 99"):
        verify_folder(work)


def test_every_field_of_the_state_is_saved() -> None:
    state = State(
        step=7,
        ended="early",
        history=[{"step": 5, "val_loss": 0.1}],
        skipped=[{"step": 3, "turn": "model", "samples": [1, 2]}],
        in_a_row=2,
        logged=Meter({"loss": (0.1, 3.0)}),
        epoch=Meter({"loss": (0.3, 9.0)}),
        owed=True,
        best_weights={"w": torch.ones(2)},
    )
    default = State()
    changed = [f.name for f in fields(State) if _plain(getattr(state, f.name)) != _plain(getattr(default, f.name))]
    assert changed == [f.name for f in fields(State)], "give the new field a value here that differs from its default"
    back = State.from_json(json.loads(json.dumps(state.to_json())), state.best_weights)
    assert {f.name: _plain(getattr(back, f.name)) for f in fields(State)} == {
        f.name: _plain(getattr(state, f.name)) for f in fields(State)
    }


def _plain(value: object) -> object:
    if isinstance(value, Meter):
        return value.sums()
    if isinstance(value, dict):
        return {k: v.tolist() if isinstance(v, torch.Tensor) else v for k, v in value.items()}
    return value


def test_layout_and_ties_survive_packing() -> None:
    image = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    tied = torch.randn(3)
    data, layout = pack({"image": image, "one": tied, "two": tied, "empty": torch.zeros(0)})
    back = unpack(data, json.loads(json.dumps(layout)))
    assert back["image"].stride() == image.stride()
    assert back["image"].equal(image)
    assert back["one"] is back["two"]
    assert back["one"].equal(tied)


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 64, (9 << 20).to_bytes(8, "little") + b"{}", b"\x02" + bytes(7) + b"{}x"]
)
def test_hostile_tensor_files_are_refused(data: bytes) -> None:
    with pytest.raises(DamagedError):
        unpack(data, {})


def test_a_commit_that_is_there_already_is_kept_and_a_damaged_one_replaced(tmp_path: Path) -> None:
    folder = commit_folder(tmp_path / "step-1", {"a": b"first"}, {})
    commit_folder(tmp_path / "step-1", {"a": b"second"}, {})
    assert (folder / "a").read_bytes() == b"first"
    (folder / "a").write_bytes(b"damaged")
    commit_folder(tmp_path / "step-1", {"a": b"third"}, {})
    assert (folder / "a").read_bytes() == b"third"
    assert [p.name for p in tmp_path.iterdir()] == ["step-1"]


def test_retention_counts_folders_that_verify_not_names(tmp_path: Path) -> None:
    for step in range(1, 6):
        commit_folder(tmp_path / f"step-{step}", {"a": bytes([step])}, {})
    (tmp_path / "step-5" / "a").write_bytes(b"?")
    retain(tmp_path, keep=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-3", "step-4", "step-5"]


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / f"{TEMPORARY}abc").mkdir()
    (tmp_path / f"{TEMPORARY}def").write_bytes(b"half")
    assert sweep(tmp_path, older=60) == 0  # another process may be writing them
    assert sweep(tmp_path) == 2
    assert not list(tmp_path.iterdir())


def test_a_live_lock_names_its_process_and_a_dead_one_is_taken_over(tmp_path: Path) -> None:
    hold = f"""
import sys, pathlib
from sightline.storage.locks import locked
from sightline.storage.logs import Log
with locked(pathlib.Path({str(tmp_path)!r})):
    print("held", flush=True)
    sys.stdin.read()
"""
    child = subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    assert child.stdout is not None
    assert child.stdout.readline() == b"held\n"
    with pytest.raises(ResourceError, match=f"in use by process {child.pid}"), locked(tmp_path):
        pass
    child.kill()
    child.wait()
    with locked(tmp_path):
        pass


def test_a_file_system_without_locks_is_no_other_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    with locked(tmp_path):
        pass  # leaves the file, and a process's number in it
    monkeypatch.setattr("fcntl.flock", refuses)
    with pytest.raises(ResourceError, match="cannot be locked: no locks available"), locked(tmp_path):
        pass
    with pytest.raises(ResourceError, match=r"cannot write into .*gone"), locked(tmp_path / "gone"):
        pass


def test_whatever_a_file_system_refuses_is_said(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=r"cannot write a\.csv: no such file .*gone exists"):
        replace_file(tmp_path / "gone" / "a.csv", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ResourceError, match="cannot write folder: is a directory"):
        replace_file(tmp_path / "folder", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_what_is_not_a_number_is_saved_and_read() -> None:
    """JSON has none: a loss that was not finite once must not lock the run."""
    state = State(logged=Meter({"loss": (math.nan, 3.0), "accuracy": (1.0, 3.0)}))
    again = State.from_json(json.loads(json_text(state.to_json())), {})
    assert math.isnan(again.logged.sums()["loss"][0])
    assert again.logged.sums()["accuracy"] == (1.0, 3.0)


@pytest.mark.parametrize("size", [0, 1, 100, 5_000])
def test_a_file_that_does_not_fit_leaves_the_old_one(tmp_path: Path, size: int) -> None:
    path = tmp_path / "metrics.json"
    path.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(ResourceError, match="10,000 bytes are needed"):
            replace_file(path, bytes(10_000))
        with pytest.raises(ResourceError, match="bytes are needed"):
            commit_folder(tmp_path / "step-1", {"a": bytes(10_000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.json"]


def test_half_a_line_is_no_line(tmp_path: Path) -> None:
    """What a full disk took of an append is taken back, or the next line would be joined to it."""
    log = Log(tmp_path / "metrics.jsonl")
    log.append("first\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(ResourceError, match="100,001 bytes are needed"):
            log.append("x" * 100_000 + "\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    log.append("third\n")
    assert log.path.read_bytes() == b"first\nthird\n"
    mark = log.mark()
    assert Log(log.path).mark() == mark
    assert log.cut(mark) is None


def test_one_failure_a_step(tmp_path: Path) -> None:
    """Two actions that commit at the same step are one attempt: three steps, not two, end the run."""
    said: list[str] = []
    task = Classification(nn.Linear(1, 2))
    keeper = Checkpoints(tmp_path / "gone", task, {}, ema=None, logs={}, about={}, say=said.append)
    for step in (8, 8, 16, 16):
        keeper.commit(State(step=step))
    assert len(said) == 2
    with pytest.raises(ResourceError, match="3 checkpoints in a row"):
        keeper.commit(State(step=24))


def keeper_in(folder: Path, said: list[str], **about: object) -> Checkpoints:
    folder.mkdir(exist_ok=True)
    task = Classification(nn.Linear(1, 2))
    optimizer = torch.optim.SGD(task.parameters(), lr=0.1, momentum=0.9)
    task.model(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    ema = Ema(task, 0.9)
    return Checkpoints(folder, task, {"model": optimizer}, ema=ema, logs={}, about=about, say=said.append)


@pytest.mark.parametrize("where", ["networks", "optimizers", "ema", "best"])
def test_what_is_not_finite_is_never_committed(tmp_path: Path, where: str) -> None:
    said: list[str] = []
    keeper, state = keeper_in(tmp_path / "run", said), State(step=8, best_weights={"weight": torch.zeros(2)})
    tensors = {"best": state.best_weights, "networks": keeper.task.state_dict()}
    assert keeper.ema is not None
    tensors["ema"] = keeper.ema.tensors()
    tensors["optimizers"] = next(iter(keeper.optimizers["model"].state_dict()["state"].values()))
    name, poisoned = next((n, t) for n, t in tensors[where].items() if isinstance(t, torch.Tensor))
    poisoned.view(-1)[0] = math.nan
    keeper.commit(state)
    assert "checkpoint at step 8 not written" in said[0]
    assert f"{where}/" in said[0]
    assert f"{name} is not finite" in said[0]
    assert not list((tmp_path / "run").iterdir())


def test_a_checkpoint_is_not_begun_without_room_for_two_and_a_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    keeper = keeper_in(tmp_path / "run", said)
    keeper.commit(State(step=8))
    size = sum(p.stat().st_size for p in (tmp_path / "run" / "step-00000008").iterdir() if p.name != "manifest.json")
    real = shutil.disk_usage(tmp_path)
    for step, free, kept in ((16, int(2.4 * size), 1), (24, int(2.6 * size), 2)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: real._replace(free=free))
        keeper.commit(State(step=step))
        assert len(list((tmp_path / "run").glob("step-*"))) == kept
    assert len(said) == 1
    assert "2.5 times its size" in said[0]


def test_a_slow_checkpoint_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    keeper = keeper_in(tmp_path / "run", said)
    keeper.commit(State(step=8))
    assert not said
    monkeypatch.setattr("sightline.engine.checkpoints.GRACE", 0.0)
    for step in (16, 24):
        keeper.commit(State(step=step))
    assert len(said) == 1
    assert "a checkpoint takes 0 s" in said[0]


def test_going_on_elsewhere_is_said_and_with_another_recipe_or_data_refused(tmp_path: Path) -> None:
    about = {"recipe": "r", "data": "d", "fingerprint": {"torch": "1", "threads": 2}}
    said: list[str] = []
    keeper_in(tmp_path / "run", said, **about).commit(State(step=8))
    assert keeper_in(tmp_path / "run", said, **about).resume() is not None
    assert not said
    moved = about | {"fingerprint": {"torch": "2", "threads": 2}}
    assert keeper_in(tmp_path / "run", said, **moved).resume() is not None
    assert said == ["the result may no longer be bit-identical to an uninterrupted run: torch was 1, is 2"]
    for what in ("recipe", "data"):
        with pytest.raises(DamagedError, match=f"belongs to a run of another {what}"):
            keeper_in(tmp_path / "run", said, **(about | {what: "other"})).resume()
