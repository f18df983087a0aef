"""`task.adversarial=pgd`: every step learns from attacked images, and nothing else changes."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from sightline.errors import Stopped, UsageError
from sightline.kinds.networks import load_task
from sightline.losses.adversarial import Adversary
from sightline.recipes.recipe import identity
from sightline.runs.console import Console
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels
from sightline.tasks.classification import Classification
from sightline.verbs.train import train
from tests.complete_recipes import recipe_of
from tests.tiny_data import write_folder

QUIET = Console(level=-2)
ADVERSARY = Adversary(8.0, 5, 0)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 3)
    )


def batch(n: int = 6) -> Batch:
    image = torch.randint(0, 256, (n, 3, 8, 8), dtype=torch.uint8)
    size, frame = torch.full((n, 2), 8), torch.eye(3).expand(n, 3, 3)
    places = torch.arange(100, 100 + n)
    return Batch.of_images(image, size, frame, size, places, places, Labels.of(torch.arange(n) % 3))


def attacked(task: Classification, some: Batch) -> torch.Tensor:
    return task._attacked(some, some.target)  # type: ignore[arg-type]


def test_images_stay_in_the_budget_and_raise_the_loss() -> None:
    model, some = network().eval(), batch()
    task = Classification(model, adversary=ADVERSARY)
    task.train()
    moved = attacked(task, some)
    assert 0 < (moved - some.image).abs().max() <= 8 and moved.min() >= 0 and moved.max() <= 255
    model.eval()
    with torch.no_grad():
        index = some.target.index  # type: ignore[attr-defined]
        before, after = (nn.functional.cross_entropy(model(x), index) for x in (some.image.float(), moved))
    assert after > before


def test_the_search_leaves_statistics_gradients_and_modes_as_they_were() -> None:
    model, some = network(), batch()
    task = Classification(model, adversary=ADVERSARY)
    task.train()
    model[3].eval()  # as a frozen part is
    before = {name: value.clone() for name, value in model.state_dict().items()}
    attacked(task, some)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert model.training and model[1].training and not model[3].training


def test_an_image_is_attacked_by_its_position_alone() -> None:
    """Whatever its neighbours and the generator's state are: so a resumed run attacks the same."""
    some = batch()
    task = Classification(network(), adversary=ADVERSARY)
    task.train()
    every = attacked(task, some)
    torch.manual_seed(99)
    part = Batch.of_images(
        some.image[2:4], some.size[2:4], some.frame[2:4], some.natural[2:4], some.id[2:4], some.position[2:4],
        Labels.of(torch.tensor([2, 0])),
    )  # fmt: skip
    assert torch.equal(attacked(task, part), every[2:4])


def test_validation_sees_images_as_they_are() -> None:
    some = batch()
    task = Classification(network(), adversary=ADVERSARY)
    task.eval()
    assert attacked(task, some) is some.image


def test_recipes_without_it_keep_their_identity() -> None:
    plain, adversarial = (recipe_of({"task": task}) for task in ({}, {"adversarial": "pgd", "eps": 4}))
    assert not identity(plain)["task"].keys() & {"adversarial", "eps", "steps"}
    assert identity(adversarial)["task"]["adversarial"] == "pgd" and identity(adversarial)["task"]["eps"] == 4


def test_a_run_trains_with_it_and_twice_the_same(tmp_path: Path) -> None:
    data = write_folder(tmp_path / "data", {"cat": 12, "dog": 12})
    keys = ["input.size=16", "input.channels=3", "fit.batch=4", "task.adversarial=pgd", "task.eps=4", "task.steps=2"]
    one, two, other = (
        train(data, options, model="resnet8", smoke=True, out=tmp_path / name, console=QUIET)
        for name, options in (("one", keys), ("two", keys), ("other", keys[:3]))
    )
    weights = [load_task(run).state_dict() for run in (one, two, other)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert any(not torch.equal(weights[0][name], weights[2][name]) for name in weights[0])


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within an epoch: the attacks of the steps to come are those that they would have been."""
    data = write_folder(tmp_path / "data", {"cat": 32, "dog": 32})
    keys = ["fit.batch=8", "fit.epochs=3", "task.adversarial=pgd", "task.eps=8", "task.steps=2", "fit.threads=1"]
    whole = train(data, keys, model="lenet5", out=tmp_path / "whole", console=QUIET)
    attack, steps = Classification._attacked, []

    def stopping(task: Classification, some: Batch, target: Labels) -> torch.Tensor:
        steps.append(task.training)
        if sum(steps) == 7:
            os.kill(os.getpid(), signal.SIGTERM)
        return attack(task, some, target)

    with monkeypatch.context() as patched:
        patched.setattr(Classification, "_attacked", stopping)
        with pytest.raises(Stopped):
            train(data, keys, model="lenet5", out=tmp_path / "parts", console=QUIET)
    assert json.loads((tmp_path / "parts" / "run.json").read_text())["step"] == 7
    parts = train(resume=tmp_path / "parts", console=QUIET)
    for name in ("model/model.safetensors", "history.csv", "metrics.jsonl", "metrics.json"):
        assert (parts.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


@pytest.mark.parametrize("key", ["task.eps=4", "task.steps=3"])
def test_its_keys_alone_are_refused(tmp_path: Path, key: str) -> None:
    data = write_folder(tmp_path / "data", {"cat": 12, "dog": 12})
    with pytest.raises(UsageError) as caught:
        train(data, [key], model="resnet8", smoke=True, out=tmp_path / "run", console=QUIET)
    assert "has no effect without task.adversarial" in caught.value.message
