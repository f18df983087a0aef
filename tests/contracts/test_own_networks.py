"""Networks of the user's own: a class named on the command line, and an object passed in Python, through every verb."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

import sightline
from sightline.errors import Stopped, UsageError
from sightline.models.own import name_of

torch.set_num_threads(1)
KEYS = {"fit.threads": 1, "fit.precision": "fp32"}
CODE = """
import os, signal
from torch import nn

class Small(nn.Module):
    forwards = 0

    def __init__(self, num_classes=10, width=4):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, width, 3, 2, 1), nn.BatchNorm2d(width)
        self.drop, self.head = nn.Dropout(0.1), nn.Linear(width, num_classes)

    def forward(self, x):
        if self.training and x.device.type != "meta":
            Small.forwards += 1
            if Small.forwards == int(os.environ.get("KILL", 0)):
                os.kill(os.getpid(), signal.SIGKILL)
        return self.head(self.drop(self.norm(self.conv(x)).relu().mean((2, 3))))

def build(num_classes):
    return Small(num_classes)

seven = 7
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "nets.py").write_text(CODE)
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask(*words: str, code: int = 0, kill: int = 0) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "KILL": str(kill)}
    done = subprocess.run([sys.executable, "-m", "sightline", *words], capture_output=True, text=True, env=environment)
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


def test_a_class_by_name_is_killed_resumed_evaluated_and_used(folder: Path) -> None:
    train = ("train", "digits", "-m", "nets:Small", "--epochs", "1", "fit.threads=1", "fit.commit_every=5", "--out")
    ask(*train, "whole")
    ask(*train, "killed", kill=15, code=-9)
    assert "code outside sightline" in ask("train", "--resume", "killed", code=2)
    ask("train", "--resume", "killed", "-m", "nets:Small")
    whole, killed = (load_file(folder / name / "model" / "model.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == killed.keys()
    assert all(torch.equal(whole[key], killed[key]) for key in whole)
    assert "-m nets:Small" in ask("evaluate", "whole", code=2)
    assert "note:" not in ask("evaluate", "whole", "-m", "nets:Small")
    (folder / "nets.py").write_text(CODE + "\n# changed\n")
    assert "nets.py has changed" in ask("evaluate", "whole", "-m", "nets:Small")
    assert "the network of whole is nets:Small, not nets:build" in ask("evaluate", "whole", "-m", "nets:build", code=2)
    (folder / "nets.py").unlink()
    assert "cannot import nets:Small" in ask("evaluate", "whole", "-m", "nets:Small", code=2)


def test_a_network_of_ones_own_is_exported(folder: Path) -> None:
    """By its name, and without it refused; the export needs the code no more."""
    pytest.importorskip("onnxscript", reason="exports need the extra 'export'")
    ask("train", "digits", "-m", "nets:Small", "--epochs", "1", "fit.threads=1", "--out", "run")
    assert "code outside sightline" in ask("export", "run", code=2)
    ask("export", "run", "-m", "nets:Small")
    (folder / "nets.py").unlink()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "a.png")
    answer = json.loads(ask("predict", "run/exports/onnx-fp32", "a.png", "--json").splitlines()[0])
    assert answer["failed"] == 0


def test_an_object_of_torchvision_is_killed_resumed_evaluated_and_exported(folder: Path) -> None:
    torchvision = pytest.importorskip("torchvision", reason="its ResNet-18 is the network here")
    pytest.importorskip("onnxscript", reason="exports need the extra 'export'")
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3), dtype=np.uint8)
    data = (images, ["a", "b"] * 20)

    def network(stop: int = 0) -> nn.Module:
        """Stopped as by a user in forward pass number `stop` of the training."""
        torch.manual_seed(0)
        model: nn.Module = torchvision.models.resnet18(num_classes=2)
        passes: list[int] = []

        def count(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
            if module.training and inputs[0].device.type != "meta":
                passes.append(1)
                if len(passes) == stop:
                    os.kill(os.getpid(), signal.SIGTERM)

        model.register_forward_pre_hook(count)
        return model

    keys = {**KEYS, "fit.batch": 8, "input.size": 32, "augment.preset": "none"}
    whole = sightline.train(data, keys, model=network(), epochs=2, out="whole")
    with pytest.raises(Stopped):
        sightline.train(data, keys, model=network(stop=5), epochs=2, out="stopped")
    stopped = sightline.train(data, model=network(), resume="stopped")
    first, second = (load_file(run.folder / "model" / "model.safetensors") for run in (whole, stopped))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert 0 <= sightline.evaluate(whole, data, model=network()).judgement.metrics["accuracy"] <= 1
    assert sightline.export(whole, model=network())["parity"]["disagreements"] == 0


def test_a_run_imports_nothing_that_is_not_named(folder: Path) -> None:
    """A recipe from elsewhere names code that would betray itself by a file."""
    (folder / "trap.py").write_text("open('sprung', 'w').close()\n")
    (folder / "recipe.yaml").write_text("data: {name: digits}\nmodel: {name: 'trap:Network'}\n")
    assert "only imported when you name it" in ask("train", "recipe.yaml", code=2)
    assert not (folder / "sprung").exists()


def test_what_is_no_network_is_refused(folder: Path) -> None:
    for name, message in (
        ("nets:seven", "is a int, no network"),
        ("nets:Absent", "cannot import"),
        ("nowhere:Net", "cannot import"),
    ):
        with pytest.raises(UsageError, match=message):
            name_of(name)
    with pytest.raises(UsageError, match="one score for each of 10 classes"):
        sightline.train("digits", KEYS, model=nn.Sequential(nn.Flatten(), nn.Linear(64, 7)), smoke=True, out="run")
    with pytest.raises(UsageError, match="does not take images of 1x8x8"):
        sightline.train("digits", KEYS, model=nn.Sequential(nn.Flatten(), nn.Linear(63, 10)), smoke=True, out="run")
    assert not (folder / "run").exists()


def test_an_object_starts_as_it_was_passed(folder: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    before = network[1].weight.detach().clone()
    keys = {**KEYS, "optim.lr": 1e-12, "optim.weight_decay": 0}
    run = sightline.train("digits", keys, model=network, smoke=True, out="run")
    kept = load_file(run.folder / "model" / "model.safetensors")
    assert torch.allclose(kept["1.weight"], before, atol=1e-6)
    assert torch.equal(network[1].weight, before)
    assert sightline.evaluate("run", model=network).to_json()["n"] > 0
    network[1].weight.data.zero_()
    again = sightline.train("digits", keys, model=network, smoke=True, out="zero")
    assert float(load_file(again.folder / "model" / "model.safetensors")["1.weight"].abs().max()) < 1e-6
