"""MobileNet v1 against timm: its values load strictly and answer alike once its activations are not capped at 6."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from sightline.models import MODELS
from sightline.models.create import create_model
from sightline.models.efficient.mobilenet import as_timm
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
def test_the_cap_is_the_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """timm's network as published is ours with ReLUs that stop at 6; its file in ours without them is said to differ."""
    theirs = timm.create_model("mobilenetv1_100", num_classes=10)
    fill_lively(theirs, picture(8, 3, 64, 64, seed=1), seed=1)
    theirs.bn1.weight.mul_(30)
    save_file(theirs.state_dict(), tmp_path / "m.safetensors")
    x = picture(2, 3, 64, 64)
    expected = theirs(x)
    ours = create_model("mobilenet_v1", num_classes=10, weights=tmp_path / "m.safetensors").eval()
    assert farthest(ours(x), expected) > 1e-2
    assert "set activation=relu6 to get timm's outputs" in capsys.readouterr().err
    ours = create_model("mobilenet_v1", num_classes=10, activation="relu6", weights=tmp_path / "m.safetensors").eval()
    assert farthest(ours(x), expected) <= 1e-6
    assert "trained with ReLU6" not in capsys.readouterr().err
