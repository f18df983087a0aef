"""The non-finite guard: a bad turn moves nothing, is named with its samples, and ends a hopeless training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from sightline.data.orders import shuffle
from sightline.data.stream import Stream
from sightline.engine import guard as guard_module
from sightline.engine.checkpoints import Checkpoints
from sightline.engine.devices import make_fabric, set_up
from sightline.engine.ema import Ema
from sightline.engine.fit import TrainingPlan, fit
from sightline.engine.guard import Guard, _bare, _masks_itself
from sightline.engine.optimizers import one_a_turn
from sightline.engine.state import State
from sightline.errors import DivergedError
from sightline.structures.batch import Batch
from sightline.tasks.task import Loss
from tests import walls

N, STEPS = 24, 6


@pytest.fixture(params=["asked", "masked"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """As on a CPU, which asks; and as on a GPU, which masks the turn and hears of it later: fused optimisers can, anywhere."""
    if request.param == "masked":
        monkeypatch.setattr(
            guard_module, "_decides_on_host", lambda good, optimizer: not _masks_itself(_bare(optimizer))
        )
    return str(request.param)


class Poisoned(walls.Classifier):
    """The toy classifier, whose loss, gradient or input is spoiled while `poison` says so."""

    def __init__(self, where: str, steps: set[int]) -> None:
        super().__init__()
        self.where, self.steps, self.calls = where, steps, 0

    def loss(self, batch: Batch, turn: str) -> Loss:
        bad = self.calls // 2 in self.steps and self.calls % 2 == 1  # the second micro-batch of a step
        self.calls += 1
        if bad and self.where == "input":
            scores = self.model(walls.pixels(batch) * float("nan"))
            total = scores.sum()
        else:
            total = super().loss(batch, turn).total
        if bad and self.where == "loss":
            total = total * float("inf")
        if bad and self.where == "gradient":
            total = total + (next(self.model.parameters()).sum() * 0).sqrt()  # value 0, slope infinite times 0
        return Loss(total, torch.tensor(4.0), {"loss": total.detach()})


def trained(where: str, steps: set[int], folder: Path) -> tuple[Poisoned, State, Ema, list[tuple[int, ...]]]:
    torch.manual_seed(0)
    task = Poisoned(where, steps)
    fabric = make_fabric("cpu", "fp32")
    optimizers = set_up(fabric, task, one_a_turn(task, "sgd", lr=0.1, momentum=0.9, device="cuda"))
    ema = Ema(task, 0.5)
    stream = Stream(walls.loader(walls.labelled), shuffle(N), N, 4, seed=1)
    drawn: list[tuple[int, ...]] = []

    def feed(start: int) -> Iterator[Batch]:
        for batch in stream.feed(start):
            drawn.append(tuple(batch.id.tolist()))
            yield batch

    keeper = Checkpoints(folder, task, optimizers, ema=ema, logs={}, about={}, say=print)
    plan = TrainingPlan(STEPS, lambda state: 1.0, accumulate=2)
    state = fit(fabric, task, optimizers, feed, plan, ema=ema, every=[(1, keeper.commit)])
    return task, state, ema, drawn


@pytest.mark.parametrize("where", ["loss", "gradient", "input"])
@pytest.mark.parametrize("step", [0, 3, 5])
def test_a_bad_turn_is_named_and_nothing_becomes_non_finite(where: str, step: int, tmp_path: Path) -> None:
    task, state, ema, drawn = trained(where, {step}, tmp_path)
    assert [(s["step"], s["turn"]) for s in state.skipped] == [(step, "model")]
    assert tuple(state.skipped[0]["samples"]) == drawn[2 * step] + drawn[2 * step + 1]
    every = [*task.state_dict().values(), *ema.tensors().values()]
    assert all(torch.isfinite(t).all() for t in every if t.is_floating_point())
    assert list(tmp_path.glob("step-*"))


@pytest.mark.parametrize("where", ["loss", "gradient", "input"])
def test_a_skipped_turn_is_no_part_of_the_means(where: str, tmp_path: Path) -> None:
    """Else one bad image would leave the training loss of its whole epoch undefined."""
    task, state, _, _ = trained(where, {5}, tmp_path)  # the last, so that all turns before are as without it
    (tmp_path / "whole").mkdir()
    whole = trained("loss", set(), tmp_path / "whole")[1]
    kept = 2 * (STEPS - 1) * 4.0  # weight of the micro-batches of the other turns
    for meter, other in ((state.epoch, whole.epoch), (state.logged, whole.logged)):
        ((total, weight),) = meter.sums().values()
        ((_, every),) = other.sums().values()
        assert weight == kept < every
        assert math.isfinite(total)
    assert state.skipped[0]["step"] == STEPS - 1 == task.calls // 2 - 1


def test_a_skipped_turn_leaves_the_weights_and_statistics_where_they_were(tmp_path: Path) -> None:
    task, _, _, _ = trained("input", set(range(STEPS)), tmp_path)
    torch.manual_seed(0)
    fresh = Poisoned("input", set())
    before = {k: v for k, v in fresh.state_dict().items() if "num_batches" not in k}
    after = {k: v for k, v in task.state_dict().items() if "num_batches" not in k}
    assert all(before[k].equal(after[k]) for k in before)


def test_what_is_kept_knows_of_the_step_before(tmp_path: Path) -> None:
    """A state that a checkpoint would hold is never behind: else a resumed run would forget a bad turn."""
    torch.manual_seed(0)
    task, fabric = Poisoned("loss", {1, 2, 5}), make_fabric("cpu", "fp32")
    optimizers = set_up(fabric, task, one_a_turn(task, "sgd", lr=0.1, momentum=0.9, device="cuda"))
    stream = Stream(walls.loader(walls.labelled), shuffle(N), N, 4, seed=1)
    seen: list[tuple[int, int, list[int]]] = []
    told: list[int] = []
    fit(
        fabric, task, optimizers, stream.feed, TrainingPlan(STEPS, lambda state: 1.0, accumulate=2), watch=told.append,
        every=[(2, lambda state: seen.append((state.step, state.in_a_row, [row["step"] for row in state.skipped])))],
    )  # fmt: skip
    assert seen == [(2, 1, [1]), (4, 0, [1, 2]), (6, 1, [1, 2, 5])]
    assert told == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("steps", [14, 20])
def test_nothing_moves_after_the_tenth(steps: int) -> None:
    """Whether it is the plan's last step or good ones would follow."""

    def weights(poison: set[int], steps: int) -> list[torch.Tensor]:
        torch.manual_seed(0)
        task, fabric = Poisoned("input", poison), make_fabric("cpu", "fp32")
        optimizers = set_up(fabric, task, one_a_turn(task, "sgd", lr=0.1, momentum=0.9, device="cuda"))
        stream = Stream(walls.loader(walls.labelled), shuffle(N), N, 4, seed=1)
        plan = TrainingPlan(steps, lambda state: 1.0, accumulate=2)
        if poison:
            with pytest.raises(DivergedError, match="last at step 13"):
                fit(fabric, task, optimizers, stream.feed, plan)
        else:
            fit(fabric, task, optimizers, stream.feed, plan)
        return [t for name, t in task.state_dict().items() if "num_batches" not in name]

    expected = weights(set(), 4)
    assert all(t.equal(e) for t, e in zip(weights(set(range(4, 14)), steps), expected, strict=True))


def test_ten_in_a_row_end_the_training_with_the_samples_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.engine.test_guard.STEPS", 20)
    with pytest.raises(DivergedError, match=r"10 times in a row, last at step 13, turn 'model', samples \["):
        trained("loss", set(range(4, 20)), tmp_path)


def test_on_a_device_the_turn_is_masked_without_asking() -> None:
    """What accelerators rely on: through Fabric's wrapper a fused step moves neither weights, moments nor statistics
    where the turn was bad, and all of them where it was good."""
    torch.manual_seed(0)
    task = walls.Classifier()
    optimizers = set_up(make_fabric("cpu", "fp32"), task, one_a_turn(task, "sgd", lr=0.1, momentum=0.9, device="cuda"))
    (optimizer,), guard = optimizers.values(), Guard(task)
    assert not _masks_itself(optimizer)  # no moments yet: the first turn is asked for

    def moved(good: bool) -> list[bool]:
        before = guard.statistics()
        watched = [*task.parameters(), *(t for s in optimizer.state.values() for t in s.values())]
        was = [t.detach().clone() for t in [*watched, before]]
        task.loss(walls.loader(walls.labelled)(torch.arange(1, 5), torch.arange(4)), "model").total.backward()
        guard.mask(torch.tensor(good), optimizer, before)
        return [not t.equal(w) for t, w in zip([*watched, guard.statistics()], was, strict=True)]

    assert all(moved(True))
    assert _masks_itself(optimizer)
    assert not any(moved(False))
    assert all(moved(True))
