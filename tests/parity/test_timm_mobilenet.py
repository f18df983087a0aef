"""MobileNet v1 against timm: its values load strictly and answer alike once its activations are not capped at 6."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.models import MODELS
from sightline.models.mobilenet import as_timm
from tests.distinct import farthest, fill_lively, picture

timm = pytest.importorskip("timm")
torch.set_num_threads(1)


@pytest.mark.parametrize(("theirs", "width"), [("mobilenetv1_100", 1.0), ("mobilenetv1_125", 1.25)])
def test_same_names_and_shapes(theirs: str, width: float) -> None:
    with torch.device("meta"):
        ours, network = MODELS["mobilenet_v1"](width=width), timm.create_model(theirs)
    renamed = as_timm(network.state_dict())
    assert {key: x.shape for key, x in ours.state_dict().items()} == {key: x.shape for key, x in renamed.items()}


@torch.no_grad()
def test_same_answers() -> None:
    theirs = timm.create_model("mobilenetv1_100", act_layer=nn.ReLU, num_classes=10)
    fill_lively(theirs, picture(8, 3, 96, 96, seed=1), seed=1)
    ours = MODELS["mobilenet_v1"](num_classes=10).eval()
    ours.load_state_dict(as_timm(theirs.state_dict()), strict=True)
    for size in ((77, 93), (224, 224)):
        x = picture(2, 3, *size)
        expected = theirs(x)
        assert farthest(expected[:1], expected[1:]) > 0.1  # the image matters
        assert farthest(ours(x), expected) <= 1e-6
    first, second, *_ = ours.layer4[1:]
    first.depthwise, second.depthwise = second.depthwise, first.depthwise
    assert farthest(ours(x), expected) > 1e-2


@torch.no_grad()
def test_the_cap_is_the_difference() -> None:
    """timm's network as published is ours with ReLUs that stop at 6."""
    theirs = timm.create_model("mobilenetv1_100", num_classes=10)
    fill_lively(theirs, picture(8, 3, 64, 64, seed=1), seed=1)
    theirs.bn1.weight.mul_(30)
    ours = MODELS["mobilenet_v1"](num_classes=10).eval()
    ours.load_state_dict(as_timm(theirs.state_dict()), strict=True)
    x = picture(2, 3, 64, 64)
    expected = theirs(x)
    assert farthest(ours(x), expected) > 1e-2
    for layer in ours.modules():
        if hasattr(layer, "relu"):
            layer.relu = nn.ReLU6()
    assert farthest(ours(x), expected) <= 1e-6
