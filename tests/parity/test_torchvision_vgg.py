"""VGG against torchvision: its values load strictly and answer alike."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.models import MODELS
from sightline.models.early.vgg import as_torchvision
from tests.distinct import fill_distinct

torchvision = pytest.importorskip("torchvision")
torch.set_num_threads(1)

NAMES = ["vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]
FILLED = ["vgg11_bn", "vgg16"]  # a plain and a normalised one; the others are the same with other counts


def light(network: nn.Module) -> nn.Module:
    """torchvision's with dense layers of 64, so that 120 million values need not be drawn."""
    network.classifier[0] = nn.Linear(512 * 49, 64)
    network.classifier[3] = nn.Linear(64, 64)
    network.classifier[6] = nn.Linear(64, 10)
    return network.eval()


@pytest.mark.parametrize("name", NAMES)
def test_same_names_and_shapes(name: str) -> None:
    with torch.device("meta"):
        ours, theirs = MODELS[name](), torchvision.models.get_model(name, weights=None)
    renamed = as_torchvision(theirs.state_dict())
    assert {key: x.shape for key, x in ours.state_dict().items()} == {key: x.shape for key, x in renamed.items()}


@pytest.mark.parametrize("name", FILLED)
@torch.no_grad()
def test_same_answers(name: str) -> None:
    with torch.device("meta"):
        empty = torchvision.models.get_model(name, weights=None)
    theirs = light(empty).to_empty(device="cpu")
    fill_distinct(theirs, seed=1)
    ours = MODELS[name](dense=(64, 64), num_classes=10).eval()
    ours.load_state_dict(as_torchvision(theirs.state_dict()), strict=True)
    for size in ((75, 64), (224, 224)):  # averaged up to 7x7, and there already
        x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
        expected = theirs(x)
        scale = expected.abs().max()
        assert 1e-4 < scale < 100
        assert (ours(x) - expected).abs().max() <= 1e-6 * scale
    first, second, *_ = (layer for layer in ours.trunk if isinstance(layer, nn.Conv2d) and layer.in_channels == 512)
    first.bias, second.bias = second.bias, first.bias
    assert (ours(x) - expected).abs().max() > 1e-4 * scale


def test_same_start() -> None:
    torch.manual_seed(0)
    ours = MODELS["vgg11"](dense=(64, 64))
    theirs = torchvision.models.vgg11(weights=None)
    renamed = as_torchvision(theirs.state_dict())
    for key, value in ours.state_dict().items():
        if key.endswith("bias"):
            assert value.abs().max() == renamed[key].abs().max() == 0
        else:
            assert value.std().item() == pytest.approx(renamed[key].std().item(), rel=0.1), key
