"""DenseNet against torchvision: its values load strictly and answer alike. The CIFAR nets: against the same, and by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models import MODELS
from sightline.models.residual.densenet import as_torchvision
from tests.distinct import farthest, fill_lively, picture

torchvision = pytest.importorskip("torchvision")
torch.set_num_threads(1)

NAMES = ["densenet121", "densenet161", "densenet169", "densenet201"]


@pytest.mark.parametrize("name", NAMES)
def test_same_names_and_shapes(name: str) -> None:
    with torch.device("meta"):
        ours, theirs = MODELS[name](), torchvision.models.get_model(name, weights=None)
    renamed = as_torchvision(theirs.state_dict())
    assert {key: x.shape for key, x in ours.state_dict().items()} == {key: x.shape for key, x in renamed.items()}


def filled(growth: int) -> nn.Module:
    """torchvision's with the blocks of 121 and values under which the image matters."""
    theirs = torchvision.models.DenseNet(growth, (6, 12, 24, 16), 2 * growth, num_classes=10)
    fill_lively(theirs, picture(8, 3, 96, 96, seed=1), seed=1)
    return theirs


@pytest.mark.parametrize("growth", [32, 8])
@torch.no_grad()
def test_same_answers(growth: int) -> None:
    theirs = filled(growth)
    ours = MODELS["densenet121"](growth=growth, num_classes=10).eval()
    ours.load_state_dict(as_torchvision(theirs.state_dict()), strict=True)
    for size in ((77, 93), (224, 224)):  # odd maps before the transitions' poolings, and none
        x = picture(2, 3, *size)
        expected = theirs(x)
        assert farthest(expected[:1], expected[1:]) > 0.1  # the image matters
        assert farthest(ours(x), expected) <= 1e-6
    block = ours.trunk["denseblock3"]
    first, second = block["denselayer7"], block["denselayer8"]
    first.conv2, second.conv2 = second.conv2, first.conv2
    assert farthest(ours(x), expected) > 1e-2


@torch.no_grad()
def test_same_answers_of_small_images() -> None:
    """With the stem that small images get, torchvision's says the same."""
    theirs = filled(8)
    theirs.features.conv0 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
    theirs.features.pool0 = nn.Identity()
    ours = MODELS["densenet121"](growth=8, num_classes=10, small_images=True).eval()
    ours.load_state_dict(as_torchvision(theirs.state_dict()), strict=True)
    x = picture(2, 3, 32, 35)
    assert farthest(ours(x), theirs(x)) <= 1e-6


@torch.no_grad()
def test_same_answers_of_the_compact_cifar_net() -> None:
    """torchvision's three blocks of 16 behind a bare 3x3 are densenet_bc100_12; its last norm is always the fifth."""
    theirs = torchvision.models.DenseNet(12, (16, 16, 16), 24, num_classes=10)
    theirs.features.conv0 = nn.Conv2d(3, 24, 3, padding=1, bias=False)
    theirs.features.norm0, theirs.features.relu0, theirs.features.pool0 = (nn.Identity() for _ in range(3))
    fill_lively(theirs, picture(8, 3, 32, 32, seed=1), seed=1)
    ours = MODELS["densenet_bc100_12"]().eval()
    renamed = as_torchvision(theirs.state_dict())
    ours.load_state_dict({key.replace("norm5", "norm4"): x for key, x in renamed.items()}, strict=True)
    for size in (32, 39):
        x = picture(2, 3, size, size)
        expected = theirs(x)
        assert farthest(expected[:1], expected[1:]) > 0.1
        assert farthest(ours(x), expected) <= 1e-6


def plain_dense_net(state: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The net of 40 layers by formulas. Every layer reads a list of all maps so far, not one that has grown."""

    def rectified(x: Tensor, norm: str) -> Tensor:
        mean, variance = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        return F.batch_norm(x, mean, variance, state[f"{norm}.weight"], state[f"{norm}.bias"]).relu()

    x = F.conv2d(x, state["trunk.conv0.weight"], padding=1)
    for block in (1, 2, 3):
        maps = [x]
        for layer in range(1, 13):
            name = f"trunk.denseblock{block}.denselayer{layer}"
            weight = state[f"{name}.conv1.weight"]
            maps.append(F.conv2d(rectified(torch.cat(maps, 1), f"{name}.norm1"), weight, padding=1))
        x = torch.cat(maps, 1)
        if block < 3:
            name = f"trunk.transition{block}"
            x = F.avg_pool2d(F.conv2d(rectified(x, f"{name}.norm"), state[f"{name}.conv.weight"]), 2)
    mean = rectified(x, "trunk.norm4").mean((2, 3))
    return mean @ state["classifier.weight"].T + state["classifier.bias"]


@torch.no_grad()
def test_same_answers_of_the_plain_cifar_net() -> None:
    ours = MODELS["densenet40_12"]()
    fill_lively(ours, picture(8, 3, 32, 32, seed=1), seed=1)
    for size in (32, 39):
        x = picture(2, 3, size, size)
        expected = plain_dense_net(ours.state_dict(), x)
        assert farthest(expected[:1], expected[1:]) > 0.1
        assert farthest(ours(x), expected) <= 1e-6
    block = ours.trunk["denseblock2"]
    block["denselayer4"].norm1.bias[[3, 150]] = block["denselayer4"].norm1.bias[[150, 3]]
    assert farthest(ours(x), expected) > 1e-4


def test_same_start() -> None:
    torch.manual_seed(0)
    ours = MODELS["densenet121"](growth=16)
    renamed = as_torchvision(torchvision.models.DenseNet(16, (6, 12, 24, 16), 32).state_dict())
    for key, value in ours.state_dict().items():
        if value.ndim == 4 or key == "classifier.weight":
            assert value.std().item() == pytest.approx(renamed[key].std().item(), rel=0.1), key
        else:
            assert torch.equal(value, renamed[key]), key
