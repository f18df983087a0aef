"""EfficientNet against torchvision: its values load strictly and answer alike, while training too."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.layers.attention.scores import SqueezeExcite
from sightline.models import MODELS
from sightline.models.create import create_model, outline
from sightline.models.efficient.efficientnet import EfficientNet, as_torchvision
from tests.distinct import fill_lively, picture

torchvision = pytest.importorskip("torchvision")
torch.set_num_threads(1)

NAMES = [f"efficientnet_b{index}" for index in range(8)]
FILLED = ["efficientnet_b0", "efficientnet_b5"]  # both kinds of batch norm; the others are the same with other counts


def theirs_of(name: str, num_classes: int = 10) -> nn.Module:
    with torch.device("meta"):
        return torchvision.models.get_model(name, weights=None, num_classes=num_classes)


def filled(name: str) -> nn.Module:
    network = theirs_of(name).to_empty(device="cpu")
    torch.manual_seed(0)  # blocks are dropped
    fill_lively(network, picture(4, 3, 96, 96), seed=1)
    return network


def ours_with(name: str, theirs: nn.Module) -> EfficientNet:
    with torch.device("meta"):
        ours = MODELS[name](num_classes=10)
    ours.to_empty(device="cpu").load_state_dict(as_torchvision(theirs.state_dict()), strict=True)
    return ours.eval()


def blocks_of(network: nn.Module) -> list[nn.Module]:
    return [module for module in network.modules() if type(module).__name__ == "MBConv"]


@pytest.mark.parametrize("name", NAMES)
def test_same_names_shapes_and_rates(name: str) -> None:
    ours, theirs = outline(name), theirs_of(name, num_classes=1000)
    renamed = as_torchvision(theirs.state_dict())
    assert {key: x.shape for key, x in ours.state_dict().items()} == {key: x.shape for key, x in renamed.items()}
    weights = torchvision.models.get_model_weights(name).IMAGENET1K_V1
    assert sum(p.numel() for p in ours.parameters()) == weights.meta["num_params"]
    assert [(norm.eps, norm.momentum) for norm in ours.modules() if isinstance(norm, nn.BatchNorm2d)] == [
        (norm.eps, norm.momentum) for norm in theirs.modules() if isinstance(norm, nn.BatchNorm2d)
    ]
    assert [layer.p for layer in ours.modules() if isinstance(layer, nn.Dropout)] == [theirs.classifier[0].p]
    rates = [block.stochastic_depth and block.stochastic_depth.rate for block in blocks_of(ours)]
    expected = [block.stochastic_depth.p if block.use_res_connect else None for block in blocks_of(theirs)]
    assert rates == [rate if rate is None else pytest.approx(rate) for rate in expected]


@pytest.mark.parametrize("name", FILLED)
@torch.no_grad()
def test_same_answers(name: str) -> None:
    theirs = filled(name)
    ours = ours_with(name, theirs)
    for size in ((64, 64), (75, 97)):
        x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
        expected = theirs(x)
        scale = expected.abs().max()
        assert 0.1 < scale < 100
        assert (expected[0] - expected[1]).abs().max() > 0.1 * scale  # it looks at the image
        assert (ours(x) - expected).abs().max() <= 1e-6 * scale
    _, first, second, *_ = (layer for layer in ours.trunk[5].modules() if isinstance(layer, SqueezeExcite))
    first.fc1, second.fc1 = second.fc1, first.fc1
    assert (ours(x) - expected).abs().max() > 1e-3 * scale


@torch.no_grad()
def test_same_training_pass() -> None:
    """Also what the generator decides, which blocks and units are dropped, and what the norms remember."""
    theirs = filled("efficientnet_b0")
    ours = ours_with("efficientnet_b0", theirs)
    x = torch.randn(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    answers = []
    for network in (theirs.train(), ours.train()):
        torch.manual_seed(5)
        answers.append(network(x))
    scale = answers[0].abs().max()
    assert (answers[1] - answers[0]).abs().max() <= 1e-6 * scale
    renamed = as_torchvision(theirs.state_dict())
    for key, value in ours.state_dict().items():
        assert torch.allclose(value, renamed[key], rtol=1e-5, atol=1e-7), key
    torch.manual_seed(6)
    assert (ours(x) - answers[0]).abs().max() > 1e-2 * scale


def test_same_start() -> None:
    torch.manual_seed(0)
    ours = create_model("efficientnet_b0", num_classes=100)
    theirs = as_torchvision(torchvision.models.efficientnet_b0(weights=None, num_classes=100).state_dict())
    for key, value in ours.state_dict().items():
        if value.ndim < 2:
            assert torch.equal(value, theirs[key]), key
        elif value.numel() > 1000:
            assert value.std().item() == pytest.approx(theirs[key].std().item(), rel=0.15), key
    assert 0.0999 < ours.classifier[1].weight.abs().max() <= 0.1
