"""The training loop, in the order in which things happen. There are no callbacks.

A step is one pass over `task.turns`; a turn draws `accumulate` micro-batches of its own, descends their exact weighted
mean and lets one optimiser move. `every` is the only extension point: pairs (n, action), run after every n-th step and
after the last, in the order given.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from sightline.errors import DivergedError, UsageError
from sightline.randomness.keyed import seed_torch
from sightline.structures.batch import Batch
from sightline.tasks.task import Task

from .ema import Ema
from .guard import Guard, Skipped
from .state import State, weighted

Feed = Callable[[int], Iterator[Batch]]  # how many micro-batches this rank has had → those that follow
Action = Callable[[State], None]


@dataclass(frozen=True)
class Plan:
    """How to train: `steps` optimiser steps at the rate that `schedule` says, each on `accumulate` micro-batches, with
    gradients no longer than `clip`; `seed` keys what the networks draw."""

    steps: int
    schedule: Callable[[State], float]
    accumulate: int = 1
    clip: float | None = None
    seed: int = 0


def fit(
    fabric: Fabric,
    task: Task,
    optimizers: Mapping[str, torch.optim.Optimizer],
    feed: Feed,
    plan: Plan,
    *,
    ema: Ema | None = None,
    augment: Callable[[Batch], Batch] = lambda batch: batch,
    state: State | None = None,
    every: Sequence[tuple[int, Action]] = (),
    watch: Callable[[int], None] = lambda step: None,
    stop: Callable[[], bool] = lambda: False,
    rescue: Action = lambda state: None,
) -> State:
    """Train from `state` (or the start) until the plan's steps are done, an action ends it, or `stop()` says so. `watch`
    is told each step's number and nothing else: an action waits for all that the device has still to say. `rescue` is
    given the state when an error ends the training and the state is whole: nothing moved since the last step.

    `task` and `optimizers` (one for each turn's name) were set up by `devices.set_up`; `feed(k)` yields the micro-batches
    from this rank's k-th on. The result is a function of (task, feed, plan): killed and resumed from any state
    it ends in the same bits. Raises DivergedError when too many turns in a row are not finite.
    """
    if task.coupled and plan.accumulate > 1:
        raise UsageError(
            f"{type(task).__name__} compares the samples of a batch, so accumulating would change its loss",
            "set fit.accumulate=1",
        )
    state = state or State()
    guard = Guard(task, in_a_row=state.in_a_row)
    batches = feed(state.step * len(task.turns) * plan.accumulate)
    task.train()
    with _rescued(guard, state, rescue):
        while state.step < plan.steps and state.ended is None:
            for number, turn in enumerate(task.turns):
                optimizer = optimizers[turn.name]
                factor = plan.schedule(state)
                for group in optimizer.param_groups:
                    group["lr"] = group["initial_lr"] * factor
                micro = (augment(next(batches).to(fabric.device, non_blocking=True)) for _ in range(plan.accumulate))
                _take(fabric, task, number, optimizer, micro, guard, state, plan)
            last = state.step + 1 == plan.steps
            due = [action for n, action in every if (state.step + 1) % n == 0 or last]
            if due or last:
                guard.drain()
            if ema is not None:
                ema.update(state.step)
            state.step += 1
            _hear(guard, state)
            if last:
                state.ended = "finished"
            for action in due:
                action(state)
                task.train()
            guard.settle()
            watch(state.step)
            if stop():
                break
    guard.drain()
    _hear(guard, state)
    return state


@contextlib.contextmanager
def _rescued(guard: Guard, state: State, rescue: Action) -> Iterator[None]:
    """What an error within a step leaves: that step is not taken, and what the last one left is rescued where it is whole."""
    try:
        yield
    except Exception as error:
        guard.undo()
        with contextlib.suppress(DivergedError):
            guard.drain()
        _hear(guard, state)
        if not guard.moved or state.owed or isinstance(error, DivergedError):
            rescue(state)
        raise


def _take(
    fabric: Fabric,
    task: Task,
    number: int,
    optimizer: torch.optim.Optimizer,
    micro: Iterator[Batch],
    guard: Guard,
    state: State,
    plan: Plan,
) -> None:
    """One turn: gradients of the weighted mean over the micro-batches, then a guarded move of the turn's optimiser."""
    turn = task.turns[number]
    for name, child in task.named_children():
        child.requires_grad_(name in turn.learns)
    ranks, networks = fabric.world_size, [getattr(task, name) for name in turn.learns]
    whole = plan.accumulate == 1 and ranks == 1  # one mean is already the mean of the whole
    before = guard.begin()
    optimizer.zero_grad(set_to_none=True)
    weight = torch.zeros((), device=fabric.device)
    good = torch.ones((), dtype=torch.bool, device=fabric.device)
    samples: list[Tensor] = []
    said: list[dict[str, Tensor]] = []
    for i, batch in enumerate(micro):
        samples.append(batch.id)
        seed_torch(plan.seed, "forward", state.step, number, i, fabric.global_rank)
        waits = ranks > 1 and i < plan.accumulate - 1  # ranks meet in the last micro-batch's backward only
        with _unsynchronised(fabric, networks, waits):
            loss = task.loss(batch, turn.name)
            fabric.backward(loss.total if whole else loss.total * loss.weight)
        weight = weight + loss.weight.detach()
        good = good & torch.isfinite(loss.total.detach())
        said.append(weighted(loss.parts, loss.weight.detach()))
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    if ranks > 1:
        weight = _summed(fabric, weight)
    if not whole:
        torch._foreach_mul_(gradients, ranks / weight.clamp(min=torch.finfo(weight.dtype).tiny))
    norm = torch.nn.utils.get_total_norm(gradients)
    good = good & torch.isfinite(norm)
    if ranks > 1:
        good = _summed(fabric, good.float()) >= ranks
    if plan.clip is not None:
        torch._foreach_mul_(gradients, (plan.clip / (norm + 1e-6)).clamp(max=1.0))
    guard.decide(good, optimizer, before, Skipped(state.step, turn.name, torch.cat(samples)))
    for pairs in said:
        taken = {name: torch.where(good, pair, 0.0) for name, pair in pairs.items()}
        for meter in (state.logged, state.epoch):
            meter.add(taken)


def _summed(fabric: Fabric, value: Tensor) -> Tensor:
    """The sum over ranks."""
    total = fabric.all_reduce(value, reduce_op="sum")
    assert isinstance(total, Tensor)
    return total


def _unsynchronised(fabric: Fabric, networks: Sequence[Any], enabled: bool) -> contextlib.ExitStack:
    stack = contextlib.ExitStack()
    for network in networks if enabled else ():
        stack.enter_context(fabric.no_backward_sync(network))
    return stack


def _hear(guard: Guard, state: State) -> None:
    """Bring what the guard knows into the state, which is what a checkpoint holds."""
    state.in_a_row = guard.in_a_row
    state.skipped += [{"step": s.step, "turn": s.turn, "samples": s.samples.tolist()} for s in guard.skipped]
    guard.skipped.clear()
