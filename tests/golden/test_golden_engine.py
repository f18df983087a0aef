"""Numbers of the lecture about optimisers, schedules, averages and stopping, each computed by the product."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline.engine import schedules
from sightline.engine.ema import coefficients, horizon
from sightline.engine.optimizers import make_optimizer
from sightline.engine.stopping import best_index, should_stop
from sightline.lab import updates
from sightline.losses.classification import cross_entropy
from sightline.structures.targets import Labels
from tests.golden.rows import Golden

torch.set_num_threads(1)
golden = Golden("engine")
Inputs = dict[str, Any]
Rule = Callable[[Tensor, Tensor, Mapping[str, Tensor]], tuple[Tensor, Mapping[str, Tensor]]]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


def walked(rule: Rule, inputs: Inputs) -> list[float]:
    """W0 after the row's gradients."""
    w, memory = torch.tensor(inputs["W0"], dtype=torch.float64), {}
    for g in inputs["grads"]:
        w, memory = rule(w, torch.tensor(g, dtype=torch.float64), memory)
    return w.tolist()


def by_torch(inputs: Inputs, name: str, **options: Any) -> list[float]:
    """The same through the product's optimiser."""
    layer = nn.Module()
    layer.w = nn.Parameter(torch.tensor(inputs.get("W0", inputs.get("w")), dtype=torch.float64))
    optimizer = make_optimizer(name, [layer], lr=inputs["lr"], **options)
    for g in inputs["grads"]:
        layer.w.grad = torch.tensor(g, dtype=torch.float64)
        optimizer.step()
    return layer.w.tolist()


def both(by_rule: list[float], by_optimizer: list[float]) -> list[float]:
    """The equation and the optimiser that trains must say the same."""
    assert by_rule == pytest.approx(by_optimizer, abs=1e-6)
    return by_rule


# -------------------------------------------------------------------------------------------------------- optimisers
@golden("opt-sgd")
def _sgd(inputs: Inputs) -> Any:
    return both(walked(partial(updates.sgd, lr=inputs["lr"]), inputs), by_torch(inputs, "sgd"))


@golden("opt-momentum-variant")
def _momentum(inputs: Inputs) -> Any:
    rule = partial(updates.momentum, lr=inputs["lr"], beta=inputs["beta"])
    return both(walked(rule, inputs), by_torch(inputs, "sgd", momentum=inputs["beta"]))


@golden("opt-sgd-alexnet")
def _alexnet(inputs: Inputs) -> Any:
    decay = inputs["weight_decay"]
    rule = partial(updates.momentum, lr=inputs["lr"], beta=inputs["momentum"], weight_decay=decay, form="alexnet")
    return both(walked(rule, inputs), by_torch(inputs, "sgd", momentum=inputs["momentum"], weight_decay=decay))


@golden("opt-adagrad")
def _adagrad(inputs: Inputs) -> Any:
    rule = partial(updates.adagrad, lr=inputs["lr"], eps=inputs["eps"])
    return both(walked(rule, inputs), by_torch(inputs, "adagrad"))


@golden("opt-rmsprop")
def _rmsprop(inputs: Inputs) -> Any:
    rule = partial(updates.rmsprop, lr=inputs["lr"], beta=inputs["beta2"])
    both(walked(partial(rule, eps=1e-8), inputs), by_torch(inputs, "rmsprop"))  # torch's own eps
    return walked(partial(rule, eps=inputs["eps"]), inputs)


@golden("opt-adam-deck1-pseudocode")
def _adam(inputs: Inputs) -> Any:
    rule = partial(updates.adam, lr=inputs["lr"], betas=(inputs["beta1"], inputs["beta2"]))
    return both(walked(rule, inputs), by_torch(inputs, "adam"))


@golden("opt-adam-nobias")
def _adam_raw(inputs: Inputs) -> Any:
    betas = (inputs["beta1"], inputs["beta2"])
    return walked(partial(updates.adam, lr=inputs["lr"], betas=betas, eps=inputs["eps"], correct_bias=False), inputs)


@golden("opt-sign")
def _sign(inputs: Inputs) -> Any:
    theta = torch.tensor(float(inputs["theta"]), dtype=torch.float64, requires_grad=True)
    (0.5 * (inputs["y"] - theta * inputs["x"]) ** 2).backward()
    assert theta.grad is not None
    return updates.sgd(theta.detach(), theta.grad, {}, lr=inputs["eta"])[0].item()


@golden("torch-weight-decay-step")
def _decay(inputs: Inputs) -> Any:
    once = inputs | {"W0": inputs["w"], "grads": [inputs["grad"]]}
    rule = partial(updates.sgd, lr=inputs["lr"], weight_decay=inputs["weight_decay"])
    return both(walked(rule, once), by_torch(once, "sgd", weight_decay=inputs["weight_decay"]))


@golden("ravine-damping")
def _ravine(inputs: Inputs) -> bool:
    curve = torch.tensor([1.0, 25.0], dtype=torch.float64)

    def left(rule: Rule) -> float:
        w, memory = torch.tensor([10.0, 1.0], dtype=torch.float64), {}
        for _ in range(inputs["steps"]):
            w, memory = rule(w, curve * w, memory)
        return 0.5 * (curve * w * w).sum().item()

    plain, damped = (
        partial(updates.sgd, lr=inputs["lr"]),
        partial(updates.momentum, lr=inputs["lr"], beta=inputs["beta"]),
    )
    return left(plain) > left(damped)


@golden("lr-regimes")
def _regimes(inputs: Inputs) -> list[float]:
    ends = []
    for lr in inputs["lr"]:
        x = torch.tensor(1.0, dtype=torch.float64)
        for _ in range(20):
            x, _ = updates.sgd(x, 2 * x, {}, lr=lr)
        ends.append(abs(x.item()))
    return ends


@golden("minibatch-gradient-mean")
def _mean_gradient(inputs: Inputs) -> float:
    """The gradient of the batch's loss against the mean of its samples' own."""
    torch.manual_seed(0)
    x, index = torch.randn(inputs["B"], 5, dtype=torch.float64), torch.arange(inputs["B"]) % 3
    w = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)

    def gradient(rows: slice) -> Tensor:
        loss, _ = cross_entropy(x[rows] @ w, Labels.of(index[rows]))
        return torch.autograd.grad(loss, w)[0]

    each = torch.stack([gradient(slice(i, i + 1)) for i in range(inputs["B"])]).mean(0)
    return (gradient(slice(None)) - each).abs().max().item()


# ---------------------------------------------------------------------------------------------------------- schedules
@golden("lr-exp-decay")
def _decays(inputs: Inputs) -> dict[str, list[float]]:
    a0, k, drop = inputs["a0"], inputs["k"], inputs["step"]
    return {
        "exp": [a0 * schedules.exponential(t, rate=k) for t in inputs["t"]],
        "inv_t": [a0 * schedules.inverse_time(t, rate=k) for t in inputs["t"]],
        "step": [a0 * schedules.step_decay(t, every=drop["every"], factor=drop["factor"]) for t in drop["t"]],
    }


@golden("lr-plateau")
def _plateau(inputs: Inputs) -> list[float]:
    values = [float(v) for v in inputs["val"]]
    return [0.1 * schedules.plateau(values[: i + 1], factor=0.1, patience=2) for i in range(len(values))]


# ----------------------------------------------------------------------------------------------- averages and stopping
golden("ewa-coefs")(lambda inputs: [sum(coefficients(inputs["beta"], t)) for t in inputs["t"]])


@golden("ewa-window")
def _window(inputs: Inputs) -> dict[str, Any]:
    """(1 - ε)^(1/ε) is the weight of a value one window ago, relative to the newest."""
    limit = [(c := coefficients(1 - e, round(horizon(1 - e)) + 1))[-1] / c[0] for e in inputs["eps"]]
    return {"window": [horizon(b) for b in inputs["beta"]], "limit": limit, "inv_e": math.exp(-1)}


@golden("early-stopping")
def _stopping(inputs: Inputs) -> dict[str, int]:
    values = inputs["val"]
    stop = next(i for i in range(len(values)) if should_stop(values[: i + 1], patience=1))
    return {"stop_rule": stop, "best_snapshot": best_index(values)}
