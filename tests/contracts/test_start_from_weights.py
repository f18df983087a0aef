"""Runs that start from weights: what is recorded, how images are normalised, and that going on needs no file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import sightline
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.state import State
from sightline.errors import UsageError
from sightline.kinds.networks import load_task
from sightline.layers.normalisation import FrozenBatchNorm
from sightline.models import published
from sightline.models.create import create_model
from sightline.models.published import PublishedWeights
from sightline.recipes.recipe import completed, identity
from sightline.runs.folder import recipe_hash
from sightline.runs.run import Run
from tests.complete_recipes import recipe_of
from tests.distinct import fill_distinct
from tests.faults.runs import TASKS, outcome
from tests.tiny_data import write_folder

torch.set_num_threads(1)
KEYS = {"fit.threads": 1, "fit.precision": "fp32"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))


def written(path: Path, name: str, **options: Any) -> tuple[Path, Mapping[str, Tensor]]:
    """A file of weights that no seed draws."""
    network = create_model(name, **options)
    fill_distinct(network, seed=9)
    safetensors.torch.save_file(network.state_dict(), path)
    return path, network.state_dict()


def config(run: Run) -> dict[str, Any]:
    return json.loads((run.folder / "model" / "config.json").read_text())


def kept(run: Run) -> dict[str, Tensor]:
    return safetensors.torch.load_file(run.folder / "model" / "model.safetensors")


def test_training_starts_there_and_the_run_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, state = written(tmp_path / "w.safetensors", "resnet8", in_channels=1, num_classes=7)
    still = {**KEYS, "model.weights": str(file), "optim.lr": 1e-12, "optim.weight_decay": 0}
    run = sightline.train("digits", still, model="resnet8", smoke=True, out=tmp_path / "run")
    for name, x in kept(run).items():
        if name.startswith("fc"):
            assert x.shape[0] == 10
        elif "running" not in name and "num_batches" not in name:
            assert torch.allclose(x, state[name], atol=1e-6), name
    about = config(run)["weights"]
    assert about["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert about["name"] == "w.safetensors"
    assert about["head"] == ["fc.weight", "fc.bias"]
    assert about["licence"] == "not known"
    assert str(tmp_path) not in (run.folder / "model" / "config.json").read_text()
    said, log = capsys.readouterr().err, (run.folder / "log.txt").read_text()
    for line in ("weights: w.safetensors, SHA-256", "new head for other classes"):
        assert line in said
        assert line in log
    assert sightline.verify(run)["ok"]


def test_without_weights_nothing_is_recorded(tmp_path: Path) -> None:
    run = sightline.train("digits", KEYS, model="linear", smoke=True, out=tmp_path / "run")
    assert "weights" not in config(run)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("gone.pt", "there is no file gone.pt"),
        ("torchvision", "no published weights of resnet8"),
        ("other", "is not of resnet8"),
    ],
)
def test_a_run_that_cannot_start_leaves_no_folder(value: str, words: str, tmp_path: Path) -> None:
    if value == "other":
        value = str(written(tmp_path / "w.safetensors", "resnet14", in_channels=1)[0])
    with pytest.raises(UsageError, match=words):
        sightline.train("digits", {"model.weights": value}, model="resnet8", smoke=True, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


class Killed(Exception):
    """Where a process would have died."""


def interrupted(monkeypatch: pytest.MonkeyPatch, commits: int, **arguments: Any) -> None:
    """Train until so many checkpoints are committed, and die."""
    commit, count = Checkpoints.commit, [0]

    def dying(self: Checkpoints, state: State) -> None:
        commit(self, state)
        count[0] += 1
        if count[0] == commits:
            raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(Checkpoints, "commit", dying)
        with pytest.raises(Killed):
            sightline.train(**arguments)


def test_going_on_needs_no_file_and_ends_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, _ = written(tmp_path / "w.safetensors", "resnet8", in_channels=1)
    keys = {**KEYS, "model.weights": str(file), "fit.epochs": 2, "fit.batch": 512, "fit.ema": 0.9}
    arguments: dict[str, Any] = {"what": "digits", "overrides": keys, "model": "resnet8"}
    whole = sightline.train(**arguments, out=tmp_path / "whole")
    interrupted(monkeypatch, 1, **arguments, out=tmp_path / "part")
    before = config(Run(tmp_path / "part"))["weights"]
    file.unlink()
    with pytest.raises(UsageError, match="there is no file"):
        sightline.train(**arguments, out=tmp_path / "fresh")
    part = sightline.train(resume=tmp_path / "part")
    assert outcome(part.folder) == outcome(whole.folder)
    assert config(part)["weights"] == before == config(whole)["weights"]


def test_published_weights_keep_the_normalisation_that_they_learned_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, _ = written(tmp_path / "w.safetensors", "resnet8", in_channels=3)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    source = published.find("resnet18", "torchvision")._replace(model="resnet8", name="here/V1", sha256=sha256)
    monkeypatch.setattr(published, "published", lambda: {"resnet8": {"here/V1": source}})
    keys = {**KEYS, "model.weights": str(file), "fit.epochs": 2, "fit.batch": 512, "input.channels": 3}
    interrupted(monkeypatch, 1, what="digits", overrides=keys, model="resnet8", out=tmp_path / "run")
    run = Run(tmp_path / "run")
    expected = [255 * value for value in PublishedWeights(*source).mean]
    assert run.preprocessing.mean == pytest.approx(expected)
    file.unlink()
    monkeypatch.setattr(published, "published", dict)
    sightline.train(resume=run.folder)
    assert run.preprocessing.mean == pytest.approx(expected)
    assert config(run)["weights"]["source"] == "here/V1"


def test_whether_the_network_may_be_used_is_no_part_of_a_run() -> None:
    plain = recipe_of({"model": {"name": "resnet18"}})
    asked = [completed(plain, model={"weights": "torchvision", "allow_network": allowed}) for allowed in (False, True)]
    assert recipe_hash(asked[0]) == recipe_hash(asked[1])
    assert recipe_hash(asked[0]) != recipe_hash(plain)
    assert identity(asked[1])["model"]["weights"] == "torchvision"


def test_the_norms_of_a_detector_that_starts_from_weights_stay_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, name, own = TASKS["detection"]
    write(tmp_path / "data")
    options = {"width": "16", "hidden": "32", "norm": "batch"}
    file, state = written(tmp_path / "w.safetensors", name, num_classes=7, **options)
    overrides = [*own, "model.options.norm=batch", f"model.weights={file}", "fit.threads=1", "fit.precision=fp32"]
    arguments: dict[str, Any] = {"what": str(tmp_path / "data"), "overrides": overrides, "model": name, "smoke": True}
    whole = sightline.train(**arguments, out=tmp_path / "whole")
    norms = [m for m in load_task(whole).modules() if isinstance(m, nn.BatchNorm2d | FrozenBatchNorm)]
    assert {type(norm) for norm in norms} == {FrozenBatchNorm}
    assert len(norms) == 20
    after = kept(whole)
    assert all(torch.equal(after[key], state[key]) for key in state if ".bn" in key or ".downsample.1" in key)
    assert not torch.equal(after["rpn.head.conv.0.0.weight"], state["rpn.head.conv.0.0.weight"])
    interrupted(monkeypatch, 1, **{**arguments, "overrides": [*overrides, "fit.commit_every=1"]}, out=tmp_path / "part")
    file.unlink()
    part = sightline.train(resume=tmp_path / "part")
    assert all(torch.equal(x, after[key]) for key, x in kept(part).items())


def test_the_head_of_a_run_is_kept_for_its_own_classes_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two classes each: of the same names the head stays, of others it starts at zero, like one for another number."""
    write_folder(tmp_path / "pets", {"cat": 12, "dog": 12})
    write_folder(tmp_path / "bugs", {"ant": 12, "bee": 12}, start=100)
    still = {**KEYS, "optim.lr": 1e-12, "optim.weight_decay": 0, "model.freeze": "none"}
    first = sightline.train(tmp_path / "pets", KEYS, model="resnet8", smoke=True, out=tmp_path / "first")
    again = {**still, "model.weights": str(first.folder)}
    same = sightline.train(tmp_path / "pets", again, model="resnet8", smoke=True, out=tmp_path / "same")
    capsys.readouterr()
    other = sightline.train(tmp_path / "bugs", again, model="resnet8", smoke=True, out=tmp_path / "other")
    assert "new head for other classes: fc.weight, fc.bias" in capsys.readouterr().err
    head = "model.fc.weight" if "model.fc.weight" in kept(first) else "fc.weight"
    assert torch.allclose(kept(same)[head], kept(first)[head], atol=1e-6)
    assert kept(first)[head].abs().max() > 0.01 and kept(other)[head].abs().max() < 1e-6
