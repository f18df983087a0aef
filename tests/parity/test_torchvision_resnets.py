"""ResNets against torchvision: the same parameter names and, with its values, the same answers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightline.models import MODELS
from tests.distinct import fill_distinct

torchvision = pytest.importorskip("torchvision")
torch.set_num_threads(1)

NAMES = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
RELATIVES = ["resnext50_32x4d", "resnext101_32x8d", "resnext101_64x4d", "wide_resnet50_2", "wide_resnet101_2"]


def pair(name: str) -> tuple[nn.Module, nn.Module]:
    """(ours, theirs) with the same distinct values, loaded strictly."""
    theirs = torchvision.models.get_model(name, weights=None)
    fill_distinct(theirs, seed=1)
    ours = MODELS[name]()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours.eval(), theirs.eval()


def images() -> Tensor:
    return torch.randn(2, 3, 75, 64, generator=torch.Generator().manual_seed(0))


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference relative to the largest answer, which must be a number of about one."""
    scale = theirs.abs().max().item()
    assert 0.1 < scale < 100
    return (ours - theirs).abs().max().item() / scale


@pytest.mark.parametrize("name", [*NAMES, *RELATIVES])
@torch.no_grad()
def test_same_answers(name: str) -> None:
    ours, theirs = pair(name)
    assert difference(ours(images()), theirs(images())) <= 1e-6


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_same_gradients_and_running_statistics(name: str) -> None:
    gradients, states = [], []
    for network in pair(name):
        network.train()
        network(images()).square().mean().backward()
        gradients.append({key: p.grad for key, p in network.named_parameters()})
        states.append(network.state_dict())
    for key, gradient in gradients[1].items():
        assert torch.allclose(gradients[0][key], gradient, rtol=1e-4, atol=1e-7), key
    for key, value in states[1].items():
        assert torch.allclose(states[0][key], value, rtol=1e-5, atol=1e-7), key


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_a_swapped_pair_of_norms_is_seen(name: str) -> None:
    """bn1 and bn2 of a block have one shape: with default values their change of places would change no answer."""
    ours, theirs = pair(name)
    block = ours.layer3[1]
    block.bn1, block.bn2 = block.bn2, block.bn1
    assert difference(ours(images()), theirs(images())) > 1e-4


def test_same_start() -> None:
    """torchvision's initialisation: the same spread in every convolution, norms at 1 and 0."""
    torch.manual_seed(0)
    ours, theirs = MODELS["resnet18"](), torchvision.models.resnet18(weights=None)
    for name, p in ours.named_parameters():
        reference = theirs.get_parameter(name)
        if p.ndim == 4:
            assert p.std().item() == pytest.approx(reference.std().item(), rel=0.05), name
        elif "bn" in name or "downsample" in name:
            assert torch.equal(p, reference), name
