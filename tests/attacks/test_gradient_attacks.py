"""Gradient attacks against Foolbox from the same start, their budgets, and what they leave as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from foolbox import PyTorchModel
from foolbox.attacks import LinfFastGradientAttack, LinfProjectedGradientDescentAttack
from foolbox.attacks.projected_gradient_descent import L2ProjectedGradientDescentAttack
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sightline.attacks.balls import BALLS
from sightline.attacks.gradient.apgd import apgd, checkpoints
from sightline.attacks.gradient.fgsm import fgsm
from sightline.attacks.gradient.pgd import pgd
from sightline.attacks.scores import Counted, ascent, objective
from tests.attacks.networks import classifier, held_out, plain


class _Plain(nn.Module):
    def forward(self, pixels: Tensor) -> Tensor:
        return plain(pixels)


def _foolbox(attack: Any, eps: float, start: Tensor | None = None) -> Tensor:
    x, y, _ = held_out(40)
    if start is not None:
        attack.get_random_start = lambda x0, epsilon: type(x0)(start)
    model = PyTorchModel(_Plain().eval(), bounds=(0, 255), device="cpu")
    return attack.run(model, x, y, epsilon=eps)


def test_fgsm_is_foolboxes() -> None:
    x, y, _ = held_out(40)
    expected = _foolbox(LinfFastGradientAttack(random_start=False), 8.0)
    assert (fgsm(plain, x, y, eps=8.0) - expected).abs().max() <= 1e-6
    assert (expected != x).any()


@pytest.mark.parametrize(("norm", "eps", "step"), [("linf", 8.0, 1.0), ("l2", 96.0, 12.0)])
def test_pgd_is_foolboxes_from_the_same_start(norm: str, eps: float, step: float) -> None:
    x, y, ids = held_out(40)
    start = BALLS[norm].start(x, eps, 0, ids)
    kind = {"linf": LinfProjectedGradientDescentAttack, "l2": L2ProjectedGradientDescentAttack}[norm]
    # Foolbox does not clip a start to the bounds in the Euclidean norm; ours is inside already
    attack = kind(steps=10, abs_stepsize=step, random_start=True)
    expected = _foolbox(attack, eps, start)
    ours = pgd(plain, x, y, eps=eps, steps=10, step=step, norm=norm, start=start)
    assert (ours - expected).abs().max() <= 1e-6 * 255
    assert (ours - x).abs().max() > 1


def test_a_single_step_of_the_whole_budget_is_fgsm_bit_for_bit() -> None:
    x, y, _ = held_out(40)
    x = x + torch.rand(x.shape).clamp(max=0.9)  # not whole levels: where x + (x' - x) would round
    assert torch.equal(pgd(plain, x, y, eps=5.3, steps=1, step=5.3), fgsm(plain, x, y, eps=5.3))


def test_a_target_is_approached() -> None:
    x, y, _ = held_out(40)
    target = (y + 1) % 10
    moved = pgd(plain, x, y, eps=48.0, steps=20, target=target)
    before, after = (plain(p).softmax(1).gather(1, target[:, None]).mean() for p in (x, moved))
    assert after > 10 * before


def test_auto_pgd_finds_at_least_the_loss_of_pgd() -> None:
    x, y, ids = held_out(60)
    start = BALLS["linf"].start(x, 16.0, 0, ids)
    losses = [
        objective(y)(plain(moved)).mean()
        for moved in (
            apgd(plain, x, y, eps=16.0, steps=40, start=start),
            pgd(plain, x, y, eps=16.0, steps=40, start=start),
        )
    ]
    assert losses[0] >= losses[1] - 1e-3


def test_the_checkpoints_of_auto_pgd_are_the_papers() -> None:
    """p = 0.22, 0.41, 0.57, 0.70, 0.80, 0.87, then gaps of 0.06 (section 3.2 of the paper)."""
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]


@settings(deadline=None, max_examples=25)
@given(st.sampled_from(["linf", "l2"]), st.floats(0.5, 60.0), st.integers(0, 1 << 30))
def test_a_start_and_its_rounding_stay_in_the_budget(norm: str, eps: float, seed: int) -> None:
    x, _, ids = held_out(8)
    ball = BALLS[norm]
    start = ball.start(x, eps, seed, ids)
    whole = ball.rounded(start, x, eps)
    change = (whole.float() - x).flatten(1)
    size = change.abs().amax(1) if norm == "linf" else change.norm(dim=1)
    assert start.min() >= 0 and start.max() <= 255
    assert size.max() <= eps + 1e-4


def test_the_start_of_an_image_depends_on_its_id_alone() -> None:
    x, _, ids = held_out(8)
    every = BALLS["linf"].start(x, 8.0, 3, ids)
    one = BALLS["linf"].start(x[5:6], 8.0, 3, ids[5:6])
    assert torch.equal(every[5:6], one)
    assert not torch.equal(one, BALLS["linf"].start(x[5:6], 8.0, 3, ids[4:5]))


def test_parameters_keep_their_gradients() -> None:
    x, y, _ = held_out(4)
    weight = next(classifier().parameters())
    weight.grad = None
    pgd(plain, x, y, eps=8.0, steps=2)
    assert weight.grad is None and weight.requires_grad


def test_forwards_and_backwards_are_counted_in_images() -> None:
    x, y, _ = held_out(7)
    counted = Counted(plain)
    pgd(counted, x, y, eps=8.0, steps=3)
    assert (counted.forwards, counted.backwards) == (21, 21)


def test_a_network_without_a_graph_has_no_gradient() -> None:
    x, y, _ = held_out(4)
    _, gradient = ascent(lambda pixels: plain(pixels.detach()), x, objective(y))
    assert not gradient.any()
