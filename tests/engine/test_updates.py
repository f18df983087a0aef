"""Optimisers beside their references, and what changes a step: L1, sharpness, averages, rates by depth."""

from __future__ import annotations

import json
from itertools import repeat

import pytest
import timm.optim
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel

from sightline.engine.devices import make_fabric, set_up
from sightline.engine.ema import Swa
from sightline.engine.fit import TrainingPlan, fit
from sightline.engine.moments import checked_moments, moments, moments_of, settings
from sightline.engine.optimizers import make_optimizer, one_a_turn, shrink
from sightline.engine.updates.orthogonal import Muon, orthogonal
from sightline.engine.updates.signed import Lamb, Lion
from sightline.storage.schema import Fields
from sightline.storage.text import json_text
from sightline.structures.batch import Batch
from sightline.tasks.task import Loss, Task
from tests import walls


class Quartic(Task):
    """The loss w⁴ / 4 of one weight that starts at 1, behind a norm whose statistics every pass moves."""

    def __init__(self) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.BatchNorm1d(1, affine=False), nn.Linear(1, 1, bias=False))
        nn.init.ones_(self.model[1].weight)

    def loss(self, batch: Batch, turn: str) -> Loss:
        self.model(torch.ones(4, 1))
        (weight,) = self.parameters()
        return Loss(weight.sum() ** 4 / 4, torch.ones(()), {})

    predict = rows = metrics = walls.of_task  # type: ignore[assignment]


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, 4))


def descend(module: nn.Module, optimizer: torch.optim.Optimizer, steps: int = 20) -> list[Tensor]:
    draw = torch.Generator().manual_seed(1)
    for _ in range(steps):
        x, y = torch.randn(8, 6, generator=draw), torch.randint(4, (8,), generator=draw)
        optimizer.zero_grad()
        F.cross_entropy(module(x), y).backward()
        optimizer.step()
    return [p.detach() for p in module.parameters()]


def assert_equal(mine: list[Tensor], theirs: list[Tensor]) -> None:
    for a, b in zip(mine, theirs, strict=True):
        assert (a - b).abs().max() <= 1e-6


def test_lion_equals_timms() -> None:
    ours, other = network(), network()
    mine = descend(ours, Lion(ours.parameters(), lr=1e-3, weight_decay=0.1))
    assert_equal(mine, descend(other, timm.optim.Lion(other.parameters(), lr=1e-3, weight_decay=0.1)))


def test_lamb_equals_timms() -> None:
    ours, other = network(), network()
    reference = timm.optim.Lamb(other.parameters(), lr=1e-2, weight_decay=0.01, max_grad_norm=None, always_adapt=True)
    assert_equal(descend(ours, Lamb(ours.parameters(), lr=1e-2, weight_decay=0.01)), descend(other, reference))


def test_muon_equals_torchs_for_matrices_and_adamw_for_vectors() -> None:
    ours, other = network(), network()
    muon = Muon(ours.parameters(), lr=0.02, weight_decay=0.1)
    matrices = [p for p in other.parameters() if p.dim() == 2]
    vectors = [p for p in other.parameters() if p.dim() == 1]

    class Both:
        def __init__(self) -> None:
            self.parts = (
                torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
                torch.optim.AdamW(vectors, lr=0.02, weight_decay=0.1),
            )

        def zero_grad(self) -> None:
            other.zero_grad()

        def step(self) -> None:
            for part in self.parts:
                part.step()

    assert_equal(descend(ours, muon), descend(other, Both()))  # type: ignore[arg-type]


def test_a_convolutions_step_is_nearly_orthogonal() -> None:
    torch.manual_seed(0)
    singular = torch.linalg.svdvals(orthogonal(torch.randn(16, 27)).float())
    assert singular.min() > 0.6 and singular.max() < 1.3
    conv = nn.Conv2d(3, 16, 3)
    optimizer = Muon(conv.parameters(), lr=1.0)
    conv(torch.randn(2, 3, 8, 8)).square().mean().backward()
    before = conv.weight.detach().clone()
    optimizer.step()
    moved = torch.linalg.svdvals((before - conv.weight.detach()).flatten(1) / (0.2 * 27**0.5))
    assert moved.min() > 0.6 and moved.max() < 1.3


def test_l1_makes_the_weights_of_useless_inputs_exactly_zero() -> None:
    torch.manual_seed(0)
    x = torch.randn(200, 20)
    y = x[:, :1] * 2 - x[:, 1:2]
    shares = {}
    for l1 in (0.0, 0.1):
        layer = nn.Linear(20, 1)
        optimizer = make_optimizer("sgd", [layer], lr=0.05, momentum=0.9)
        optimizer.register_step_post_hook(lambda own, *_, l1=l1: shrink(own, l1) if l1 else None)
        for _ in range(300):
            optimizer.zero_grad()
            (F.mse_loss(layer(x), y) / 2).backward()
            optimizer.step()
        weight = layer.weight.detach()[0]
        shares[l1] = float((weight[2:] == 0).float().mean())
        expected = torch.tensor([2.0 - l1, l1 - 1.0])  # the lasso of nearly uncorrelated inputs
        assert (weight[:2] - expected).abs().max() < 0.1
    assert shares == {0.0: 0.0, 0.1: 1.0}


def test_a_step_that_the_guard_masks_shrinks_nothing() -> None:
    layer = nn.Linear(3, 1)
    optimizer = make_optimizer("sgd", [layer], lr=0.1)
    layer(torch.zeros(1, 3)).sum().backward()
    before = layer.weight.detach().clone()
    optimizer.found_inf = torch.ones(())  # type: ignore[attr-defined]
    shrink(optimizer, 1.0)
    assert torch.equal(layer.weight, before)
    optimizer.found_inf = torch.zeros(())  # type: ignore[attr-defined]
    shrink(optimizer, 1.0)
    assert not torch.equal(layer.weight, before)


def test_rates_fall_towards_the_input() -> None:
    chain = nn.Sequential(*(nn.Linear(3, 3) for _ in range(5)))
    optimizer = make_optimizer("adamw", [chain], lr=1.0, layer_decay=0.5)
    rates = {id(p): group["initial_lr"] for group in optimizer.param_groups for p in group["params"]}
    assert [rates[id(layer.weight)] for layer in chain] == [0.0625, 0.125, 0.25, 0.5, 1.0]


def test_the_average_of_the_last_steps_equals_torchs() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    mine = Swa(module, start=4)
    theirs = AveragedModel(module, use_buffers=True)
    for step in range(10):
        module(torch.randn(8, 3))
        with torch.no_grad():
            module[0].weight.normal_()
        mine.update(step)
        if step >= 4:
            theirs.update_parameters(module)
        else:
            assert torch.equal(mine.tensors()["0.weight"], module[0].weight)
    reference = dict(theirs.module.state_dict())
    for name, tensor in mine.tensors().items():
        assert (tensor - reference[name]).abs().max() <= 1e-6


def test_moments_resume_exactly() -> None:
    for name, momentum in (("lion", 0.0), ("lamb", 0.0), ("muon", 0.9)):
        module, fresh = network(), network()
        optimizer = make_optimizer(name, [module], lr=0.01, momentum=momentum)
        descend(module, optimizer, 3)
        other = make_optimizer(name, [fresh], lr=0.01, momentum=momentum)
        fresh.load_state_dict(module.state_dict())
        remembered = {key: moment.clone() for key, moment in moments(optimizer, "model").items()}
        saved = Fields(json.loads(json_text(settings(optimizer))), "x", "x")
        states = checked_moments(other, saved, moments_of(remembered, "model"), 3)
        other.load_state_dict({"state": states, "param_groups": other.state_dict()["param_groups"]})
        for a, b in zip(descend(module, optimizer, 3), descend(fresh, other, 3), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("radius", [None, 0.3])
def test_sharpness_aware_steps_take_the_gradient_uphill(radius: float | None) -> None:
    """f(w) = w⁴ / 4 at w = 1: the gradient is 1, uphill (1 + radius)³."""
    task = Quartic()
    fabric = make_fabric("cpu", "fp32")
    optimizers = set_up(fabric, task, one_a_turn(task, "sgd", lr=0.1))
    batch = walls.loader(walls.labelled)(torch.arange(4), torch.arange(4))
    fit(fabric, task, optimizers, lambda k: repeat(batch), TrainingPlan(1, lambda state: 1.0, sam=radius))
    assert next(task.parameters()).item() == pytest.approx(1 - 0.1 * (1 + (radius or 0.0)) ** 3, rel=1e-5)
    assert task.model.module[0].num_batches_tracked == (1 if radius is None else 2)
    assert task.model.module[0].running_mean == pytest.approx(0.1)  # only the first pass moved it
