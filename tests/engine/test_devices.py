"""What a network is given on its way through Fabric, and what the device must not change."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from sightline.engine.devices import make_fabric, repeatable


class Truth(NamedTuple):
    boxes: Tensor


class Learner(nn.Module):
    """Answers in the precision that it computed in, and keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 2)
        self.given: Truth | None = None

    def forward(self, x: Tensor, truth: Truth) -> Tensor:
        self.given = truth
        self.computed = self.linear(x)
        return self.computed


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_low_precision_computes_but_never_rounds_the_truth(precision: str) -> None:
    fabric, learner = make_fabric("cpu", precision), Learner()
    network = fabric.setup_module(learner)
    boxes = torch.tensor([[601.0, 300.0, 607.0, 411.0]])
    answer = network(torch.randn(3, 4), Truth(boxes))
    assert learner.computed.dtype == (torch.bfloat16 if precision == "bf16" else torch.float32)
    assert answer.dtype == torch.float32
    assert learner.given is not None
    assert torch.equal(learner.given.boxes, boxes)


def test_settings_for_repeating_are_put_back() -> None:
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cuda.flash_sdp_enabled()
    with repeatable("cuda"):
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.backends.cuda.flash_sdp_enabled()
    with repeatable("cpu"):
        assert torch.are_deterministic_algorithms_enabled() == before[0]
    assert (torch.are_deterministic_algorithms_enabled(), torch.backends.cuda.flash_sdp_enabled()) == before


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loss_may_take_gradients_itself(precision: str) -> None:
    """As attacks do while training: a gradient by the input, before Fabric's own backward."""
    fabric = make_fabric("cpu", precision)
    network = fabric.setup_module(nn.Linear(4, 2))
    image = torch.ones(3, 4, requires_grad=True)
    (found,) = torch.autograd.grad(network(image).float().sum(), image)
    assert found.abs().sum() > 0
    fabric.backward(network(image + found).float().sum())
    assert network.weight.grad is not None and network.weight.grad.isfinite().all()
