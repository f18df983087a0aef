"""The update rules as equations against torch's optimisers, and Nesterov's as published."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from sightline.lab import updates

CURVE = torch.tensor([1.0, 25.0], dtype=torch.float64)
START = torch.tensor([10.0, 1.0], dtype=torch.float64)


def walked(rule: Callable[..., tuple[Tensor, updates.Memory]], steps: int) -> Tensor:
    """(steps, 2) places on the bowl ½(x² + 25y²)."""
    w, memory, places = START, {}, []
    for _ in range(steps):
        w, memory = rule(w, CURVE * w, memory)
        places.append(w)
    return torch.stack(places)


def by_torch(make: Callable[[list[Tensor]], torch.optim.Optimizer], steps: int) -> Tensor:
    w = START.clone().requires_grad_()
    optimizer = make([w])
    places = []
    for _ in range(steps):
        w.grad = CURVE * w.detach()
        optimizer.step()
        places.append(w.detach().clone())
    return torch.stack(places)


def test_adadelta_is_torchs() -> None:
    ours = walked(updates.adadelta, 50)
    assert ours.numpy() == pytest.approx(by_torch(torch.optim.Adadelta, 50).numpy(), abs=1e-10)
    assert not torch.equal(ours[-1], START)


def test_nesterov_as_published_and_as_torch_rewrites_it() -> None:
    """θ² from 2 with η = 0.1 and μ = 0.9: 1.6, 0.992, 0.356; torch walks the places that it looks ahead to."""
    theta, memory = torch.tensor(2.0, dtype=torch.float64), {}
    places, ahead = [], []
    for _ in range(3):
        theta, memory = updates.nesterov(theta, lambda t: 2 * t, memory, lr=0.1)
        places.append(theta.item())
        ahead.append((theta + 0.9 * memory["v"]).item())
    assert places == pytest.approx([1.6, 0.992, 0.35584], abs=1e-9)
    assert ahead == pytest.approx([1.24, 0.4448, -0.216704], abs=1e-9)
    torchs = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([torchs], lr=0.1, momentum=0.9, nesterov=True)
    ours, state = torch.tensor(2.0, dtype=torch.float64), {}
    for place in ahead:
        optimizer.zero_grad()
        (torchs**2).backward()
        optimizer.step()
        ours, state = updates.momentum(ours, 2 * ours, state, lr=0.1, form="nesterov")
        assert torchs.item() == pytest.approx(place, abs=1e-12)
        assert ours.item() == pytest.approx(place, abs=1e-12)


def test_the_average_is_the_sum_at_a_tenth_of_the_rate() -> None:
    average = walked(partial(updates.momentum, lr=0.2, form="average"), 30)
    assert average.numpy() == pytest.approx(walked(partial(updates.momentum, lr=0.02), 30).numpy(), abs=1e-12)
    first = walked(partial(updates.momentum, lr=0.2, form="average"), 1)[0]
    assert first.tolist() == pytest.approx([10 - 0.2 * 0.1 * 10, 1 - 0.2 * 0.1 * 25])
