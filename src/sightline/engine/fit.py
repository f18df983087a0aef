"""The training loop, in the order in which things happen. There are no callbacks.

A step is one pass over `task.turns`. A turn draws `accumulate` micro-batches of its own, accumulates the gradient of
their exact weighted mean, and makes one optimiser step. `every` is the only extension point: pairs (n, action), run
after every n-th step and after the last one, in the given order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from sightline.errors import DivergedError, UsageError
from sightline.randomness.keyed import seed_torch
from sightline.structures.batch import Batch
from sightline.tasks.task import Task

from .devices import Fabric
from .ema import Ema
from .guard import Guard, SkippedTurn
from .state import State, weighted

Feed = Callable[[int], Iterator[Batch]]  # k → this rank's micro-batches from its k-th on
Action = Callable[[State], None]


@dataclass(frozen=True)
class TrainingPlan:
    """How to train.

    steps       optimiser steps of each turn
    schedule    state → factor of the initial learning rate
    accumulate  micro-batches of one optimiser step
    clip        largest norm of the gradient; None: no limit
    seed        keys everything random in the networks, such as dropout
    sam         radius of sharpness-aware minimisation; None: off
    """

    steps: int
    schedule: Callable[[State], float]
    accumulate: int = 1
    clip: float | None = None
    seed: int = 0
    sam: float | None = None


def fit(
    fabric: Fabric,
    task: Task,
    optimizers: Mapping[str, torch.optim.Optimizer],
    feed: Feed,
    plan: TrainingPlan,
    *,
    ema: Ema | None = None,
    augment: Callable[[Batch], Batch] = lambda batch: batch,
    state: State | None = None,
    every: Sequence[tuple[int, Action]] = (),
    watch: Callable[[int], None] = lambda step: None,
    stop: Callable[[], bool] = lambda: False,
    rescue: Action = lambda state: None,
) -> State:
    """Train from `state` (None: from the start) until the plan's steps are done, an action ends it, or `stop()` is true.

    task, optimizers   as `devices.set_up` returned them; one optimiser for each turn's name
    feed               `feed(k)` yields this rank's micro-batches from its k-th on
    every              actions on the state; each one waits for the device
    watch              gets the number of every step; it does not wait for the device
    rescue             gets the state if an error ends the training between two steps, when the state is consistent

    The result depends on (task, feed, plan) only: a training killed and resumed from any state ends bit-identical.
    Raises DivergedError when the guard has skipped too many turns in a row.
    """
    if task.coupled and plan.accumulate > 1:
        raise UsageError(
            f"{type(task).__name__} compares the samples of a batch, so accumulating would change its loss",
            "set fit.accumulate=1",
        )
    state = state or State()
    guard = Guard(task, in_a_row=state.in_a_row)
    # The step is the data cursor: every step consumes the same number of micro-batches, skipped turns included, so
    # nothing about the data needs to be stored to resume exactly.
    batches = feed(state.step * len(task.turns) * plan.accumulate)
    task.train()
    with _rescuing(guard, state, rescue):
        while state.step < plan.steps and state.ended is None:
            for number, turn in enumerate(task.turns):
                optimizer = optimizers[turn.name]
                factor = plan.schedule(state)
                for group in optimizer.param_groups:
                    waits = state.step < group.get("starts", 0)
                    group["lr"] = 0.0 if waits else group["initial_lr"] * factor
                micro_batches = (
                    augment(next(batches).to(fabric.device, non_blocking=True)) for _ in range(plan.accumulate)
                )
                _take_turn(fabric, task, number, optimizer, micro_batches, guard, state, plan)
            last = state.step + 1 == plan.steps
            due = [action for n, action in every if (state.step + 1) % n == 0 or last]
            if due or last:
                # Actions read or commit the state. A checkpoint that did not know of this step's skipped turns would
                # resume differently from the run that went on.
                guard.drain()
            if ema is not None:
                ema.update(state.step)
            state.step += 1
            _record_skipped(guard, state)
            if last:
                state.ended = "finished"
            for action in due:
                action(state)
                task.train()  # a validation leaves it in eval mode
            guard.settle()
            watch(state.step)
            if stop():
                break
    guard.drain()
    _record_skipped(guard, state)
    return state


@contextlib.contextmanager
def _rescuing(guard: Guard, state: State, rescue: Action) -> Iterator[None]:
    """On an error, undo the step that it interrupted and rescue the state of the step before.

    Once an optimiser of a step has moved, the weights belong to neither step and nothing is rescued. Two exceptions: an
    interrupted validation (`owed`) comes after all moves of its step, and the skipped turns of a divergence moved nothing.
    """
    try:
        yield
    except Exception as error:
        guard.undo()
        with contextlib.suppress(DivergedError):
            guard.drain()
        _record_skipped(guard, state)
        if not guard.moved or state.owed or isinstance(error, DivergedError):
            rescue(state)
        raise


def _take_turn(
    fabric: Fabric,
    task: Task,
    number: int,
    optimizer: torch.optim.Optimizer,
    micro_batches: Iterator[Batch],
    guard: Guard,
    state: State,
    plan: TrainingPlan,
) -> None:
    """One turn: the gradient of the weighted mean over the micro-batches, then a guarded step of the turn's optimiser.

    The loss of the whole batch is Σᵢ wᵢ Lᵢ / Σᵢ wᵢ over micro-batches and ranks. Averaging the Lᵢ instead would give a
    micro-batch with one labelled pixel the same say as one with a million. Σ wᵢ is known only after the last
    micro-batch, so each backward pass adds the gradient of wᵢ Lᵢ, and the sum is divided once at the end:

        w = (1, 3), L = (8, 4):  (1·8 + 3·4) / (1 + 3) = 5, whereas the plain mean is 6
    """
    turn = task.turns[number]
    task.require_gradients(turn)
    before = guard.begin()
    batches: Iterable[Batch] = micro_batches if plan.sam is None else list(micro_batches)
    descent = _gradient(fabric, task, number, optimizer, batches, state, plan)
    good = descent.good & torch.isfinite(descent.norm)
    if plan.sam is not None:
        with _ascended(optimizer, plan.sam, descent.norm), guard.keeping_statistics():
            descent = replace(_gradient(fabric, task, number, optimizer, batches, state, plan), parts=descent.parts)
        good = good & descent.good & torch.isfinite(descent.norm)
    norm, weight, parts = descent.norm, descent.weight, descent.parts
    if len(task.trained_networks()) > 1:  # rivals: a gradient that vanishes is the first sign that one of them has won
        parts.append(weighted({f"{turn.name}_gradient": norm}, torch.ones_like(weight)))
    if fabric.world_size > 1:
        # all ranks skip together, or their weights would drift apart
        good = _summed(fabric, good.float()) >= fabric.world_size
    if plan.clip is not None:
        # as clip_grad_norm_, without a sync
        torch._foreach_mul_(_gradients(optimizer), (plan.clip / (norm + 1e-6)).clamp(max=1.0))
    guard.decide(good, optimizer, before, SkippedTurn(state.step, turn.name, torch.cat(descent.samples)))
    # A skipped turn counts for nothing: one bad image would leave the loss of its whole epoch undefined.
    for pairs in parts:
        counted = {name: torch.where(good, pair, 0.0) for name, pair in pairs.items()}
        for meter in (state.logged, state.epoch):
            meter.add(counted)


@dataclass(frozen=True)
class _Descent:
    """The gradients that a turn has accumulated: their norm, the weight of the loss behind them, whether every loss was finite,
    the parts of each loss, and the samples of each micro-batch."""

    norm: Tensor
    weight: Tensor
    good: Tensor
    parts: list[dict[str, Tensor]]
    samples: list[Tensor]


def _gradient(
    fabric: Fabric,
    task: Task,
    number: int,
    optimizer: torch.optim.Optimizer,
    micro_batches: Iterable[Batch],
    state: State,
    plan: TrainingPlan,
) -> _Descent:
    """Leave the gradient of the weighted mean over the micro-batches in the parameters."""
    turn, ranks = task.turns[number], fabric.world_size
    networks = [getattr(task, name) for name in turn.learns]
    whole = plan.accumulate == 1 and ranks == 1  # w L / w = L: skip the two roundings
    # None instead of zeros: the first backward pass stores its gradient instead of adding it to zeros, and a parameter
    # without a gradient is skipped by the optimiser. With zeros, momentum and weight decay would still move it.
    optimizer.zero_grad(set_to_none=True)
    weight = torch.zeros((), device=fabric.device)
    good = torch.ones((), dtype=torch.bool, device=fabric.device)
    samples: list[Tensor] = []
    parts: list[dict[str, Tensor]] = []
    for i, batch in enumerate(micro_batches):
        samples.append(batch.id)
        # Seeded anew for each forward pass: dropout then depends on (step, turn, micro-batch, rank) only, and no
        # generator state needs to be saved.
        seed_torch(plan.seed, "forward", state.step, number, i, fabric.global_rank)
        local_only = ranks > 1 and i < plan.accumulate - 1  # gradients are exchanged once, in the last backward pass
        with _unsynchronised(fabric, networks, local_only):
            loss = task.loss(batch, turn.name)
            fabric.backward(loss.total if whole else loss.total * loss.weight)
        weight = weight + loss.weight.detach()
        good = good & torch.isfinite(loss.total.detach())
        parts.append(weighted(loss.parts, loss.weight.detach()))
    gradients = _gradients(optimizer)
    if ranks > 1:
        weight = _summed(fabric, weight)
    if not whole:
        # DDP has averaged over the ranks, so × ranks restores the sum. With weight 0 (nothing labelled) the gradient is
        # 0; the clamp keeps 0 / 0 from turning it into NaN.
        torch._foreach_mul_(gradients, ranks / weight.clamp(min=torch.finfo(weight.dtype).tiny))
    # One norm serves both clipping and the guard: it is NaN or infinite exactly if some gradient is (or overflows).
    return _Descent(torch.nn.utils.get_total_norm(gradients), weight, good, parts, samples)


def _gradients(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]


@contextlib.contextmanager
def _ascended(optimizer: torch.optim.Optimizer, radius: float, norm: Tensor) -> Iterator[None]:
    """Within the context the weights lie `radius` further along their gradient, where the loss around them is about highest:
    the gradient there also moves away from sharp minima (Foret et al. 2020, arXiv:2010.01412, equation 2). Afterwards they are
    what they were, bit for bit."""
    parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    with torch.no_grad():
        own = [p.clone(memory_format=torch.preserve_format) for p in parameters]
        torch._foreach_add_(parameters, torch._foreach_mul(_gradients(optimizer), radius / (norm + 1e-12)))
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(parameters, own)


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


def _record_skipped(guard: Guard, state: State) -> None:
    """Move what the guard has learned into the state, which is what a checkpoint holds."""
    state.in_a_row = guard.in_a_row
    state.skipped += [{"step": s.step, "turn": s.turn, "samples": s.samples.tolist()} for s in guard.skipped]
    guard.skipped.clear()
