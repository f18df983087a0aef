"""What holds on a CPU holds on a GPU: the same answers, the same bits twice and after a kill, bad turns masked and named.

Skipped where there is none.
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import pytest
import torch

from sightline.data.orders import shuffle
from sightline.data.stream import Stream
from sightline.engine.devices import make_fabric, set_up
from sightline.engine.fit import TrainingPlan, fit
from sightline.engine.optimizers import one_a_turn
from sightline.errors import DivergedError
from sightline.models.create import create_model
from sightline.structures.batch import Batch
from sightline.tasks.task import Loss
from sightline.verbs.evaluate import evaluate
from sightline.verbs.train import train
from tests import walls
from tests.distinct import farthest, fill_lively, picture
from tests.faults.runs import TASKS, command, environment, finish, litter, outcome, write_jpegs
from tests.smallest import SMALLEST

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


@pytest.mark.parametrize("name", sorted(SMALLEST))
@torch.no_grad()
def test_networks_answer_as_on_the_cpu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    network = create_model(name, num_classes=5, **SMALLEST[name])
    channels, height, width = network.input_size
    x = picture(4, channels, height, width, seed=0)
    fill_lively(network, picture(4, channels, height, width, seed=1), seed=1)
    expected = network.eval()(x)
    assert farthest(network.cuda()(x.cuda()).cpu(), expected) <= 1e-4


def test_a_transformer_repeats_itself(tmp_path: Path) -> None:
    write_jpegs(tmp_path / "data")
    keys = {"model.options.image_size": "32,32", "model.options.small_images": True, "input.size": 32}
    runs = [
        train(str(tmp_path / "data"), keys, model="vit_ti_16", epochs=3, device="cuda", out=tmp_path / name)
        for name in ("one", "two")
    ]
    assert outcome(runs[0].folder) == outcome(runs[1].folder)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("task", list(TASKS))
def test_a_killed_run_ends_in_the_same_bits(task: str, precision: str, tmp_path: Path) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    settings = {"task": task, "device": "cuda", "precision": precision}
    TASKS[task][0](data)
    for out in ("untouched", "again"):
        done = finish(data, tmp_path / out, cache, **settings)
        assert done.returncode == 0, done.stderr
    killed = tmp_path / "killed"
    child = subprocess.Popen(command(data, killed, **settings), env=environment(cache), stderr=subprocess.DEVNULL)
    while child.poll() is None and len(list(killed.glob("checkpoints/step-*/manifest.json"))) < 2:
        time.sleep(0.01)
    child.kill()
    assert child.wait() == -9
    done = finish(data, killed, cache, **settings)
    assert done.returncode == 0, done.stderr
    assert "resumed at step" in (killed / "log.txt").read_text()
    assert outcome(tmp_path / "again") == outcome(tmp_path / "untouched")
    assert outcome(killed) == outcome(tmp_path / "untouched")
    assert not litter(killed)
    kept = json.loads((killed / "metrics.json").read_text())["test"]
    assert {name: evaluate(killed, device="cuda").judgement.metrics[name] for name in kept} == kept


class Poisoned(walls.Classifier):
    """The toy classifier, whose input is spoiled in some steps; it normalises on its own device."""

    def __init__(self, steps: set[int]) -> None:
        super().__init__()
        self.steps, self.calls = steps, 0

    def loss(self, batch: Batch, turn: str) -> Loss:
        spoiled = float("nan") if self.calls in self.steps else 1.0
        self.calls += 1
        total = self.model(walls.pixels(batch) * spoiled).square().mean()
        return Loss(total, torch.ones((), device=total.device), {"loss": total.detach()})


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "rmsprop", "adagrad"])
def test_bad_turns_move_nothing_and_are_named(optimizer: str) -> None:
    torch.manual_seed(0)
    task, fabric = Poisoned({0, 3, 5}), make_fabric("cuda", "fp32")
    momentum = 0.9 if optimizer == "sgd" else 0.0
    task.to(fabric.device)
    optimizers = set_up(fabric, task, one_a_turn(task, optimizer, lr=0.01, momentum=momentum, device="cuda"))
    stream = Stream(walls.loader(walls.labelled), shuffle(24), 24, 4, seed=1)
    state = fit(fabric, task, optimizers, stream.feed, TrainingPlan(8, lambda state: 1.0))
    assert [row["step"] for row in state.skipped] == [0, 3, 5]
    assert [row["samples"] for row in state.skipped] == [stream.batch(k).id.tolist() for k in (0, 3, 5)]
    assert all(torch.isfinite(t).all() for t in task.state_dict().values() if t.is_floating_point())
    task.steps = set(range(100))
    with pytest.raises(DivergedError, match="10 times in a row"):
        fit(fabric, task, optimizers, stream.feed, TrainingPlan(100, lambda state: 1.0))
