"""The AlexNet of one tower against torchvision's: its values load strictly and answer alike, also while they train."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.models import MODELS
from sightline.models.early.alexnet import as_torchvision
from tests.distinct import fill_distinct

torchvision = pytest.importorskip("torchvision")
torch.set_num_threads(1)


def light() -> nn.Module:
    """torchvision's with dense layers of 64, so that 58 million values need not be drawn."""
    with torch.device("meta"):
        network = torchvision.models.alexnet(weights=None)
        network.classifier[1] = nn.Linear(256 * 36, 64)
        network.classifier[4] = nn.Linear(64, 64)
        network.classifier[6] = nn.Linear(64, 10)
    return network.to_empty(device="cpu").eval()


def test_same_names_and_shapes() -> None:
    with torch.device("meta"):
        ours, theirs = MODELS["alexnet"](), torchvision.models.alexnet(weights=None)
    renamed = as_torchvision(theirs.state_dict())
    assert {key: x.shape for key, x in ours.state_dict().items()} == {key: x.shape for key, x in renamed.items()}


@torch.no_grad()
def test_same_answers() -> None:
    theirs = light()
    fill_distinct(theirs, seed=1)
    ours = MODELS["alexnet"](dense=(64, 64), num_classes=10).eval()
    ours.load_state_dict(as_torchvision(theirs.state_dict()), strict=True)
    for size in ((75, 64), (224, 224)):  # averaged up to 6x6, and there already
        x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
        expected = theirs(x)
        scale = expected.abs().max()
        assert 1e-4 < scale < 100
        assert (ours(x) - expected).abs().max() <= 1e-6 * scale

    answers = []
    for network in (ours, theirs):
        torch.manual_seed(3)  # the same units are dropped where dropout stands in the same places
        answers.append(network.train()(x))
    assert (answers[0] - answers[1]).abs().max() <= 1e-6 * scale
    assert (answers[0] - expected).abs().max() > 1e-2 * scale
    ours.eval()

    ours.conv4.bias, ours.conv5.bias = ours.conv5.bias, ours.conv4.bias
    assert (ours(x) - expected).abs().max() > 1e-4 * scale


def test_same_start() -> None:
    """torch's own; drawn in the same order, it is the same to the last bit."""
    torch.manual_seed(0)
    ours = MODELS["alexnet"](num_classes=10)
    torch.manual_seed(0)
    theirs = torchvision.models.alexnet(weights=None, num_classes=10)
    for key, value in as_torchvision(theirs.state_dict()).items():
        assert torch.equal(ours.get_parameter(key), value), key
