"""SE and pre-activation ResNets against timm's: the same weights under other names give the same answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from sightline.models import MODELS
from sightline.models.residual import preact_resnet, resnet_attention
from sightline.models.residual.resnet_attention import se_resnet50
from tests.distinct import farthest, fill_lively, picture

timm = pytest.importorskip("timm")
torch.set_num_threads(1)


class Pair(NamedTuple):
    theirs: str
    rename: Callable[..., dict[str, Tensor]]
    swapped: tuple[str, str]  # two of one shape


# ours → theirs; timm has no pre-activated network of basic blocks but these
PAIRS = {
    "se_resnet50": Pair("seresnet50", resnet_attention.as_timm, ("layer3.1.attention.fc1", "layer3.2.attention.fc1")),
    "se_resnext50_32x4d": Pair("seresnext50_32x4d", resnet_attention.as_timm, ("layer4.1.bn1", "layer4.1.bn2")),
    "preact_resnet18": Pair("resnetv2_18", preact_resnet.as_timm, ("stages.2.1.bn1", "stages.2.1.bn2")),
    "preact_resnet50": Pair("resnetv2_50", preact_resnet.as_timm, ("stages.2.1.bn2", "stages.2.1.bn3")),
}
ALL = PAIRS | {
    "se_resnet101": Pair("seresnet101", resnet_attention.as_timm, ("", "")),
    "se_resnet152": Pair("seresnet152", resnet_attention.as_timm, ("", "")),
    "preact_resnet34": Pair("resnetv2_34", preact_resnet.as_timm, ("", "")),
    "preact_resnet101": Pair("resnetv2_101", preact_resnet.as_timm, ("", "")),
    "preact_resnet152": Pair("resnetv2_152", preact_resnet.as_timm, ("", "")),
}


@pytest.mark.parametrize("name", ALL)
def test_same_names_and_shapes(name: str) -> None:
    with torch.device("meta"):
        ours, theirs = MODELS[name](), timm.create_model(ALL[name].theirs)
    renamed = ALL[name].rename(theirs.state_dict())
    assert {key: x.shape for key, x in ours.state_dict().items()} == {key: x.shape for key, x in renamed.items()}


@pytest.mark.parametrize("name", PAIRS)
@torch.no_grad()
def test_same_answers(name: str) -> None:
    theirs = timm.create_model(PAIRS[name].theirs).eval()
    fill_lively(theirs, picture(4, 3, 96, 96), seed=1)
    ours = MODELS[name]().eval()
    ours.load_state_dict(PAIRS[name].rename(theirs.state_dict()), strict=True)
    x, other = picture(2, 3, 75, 64), picture(2, 3, 75, 64, seed=2)
    assert farthest(theirs(other), theirs(x)) > 0.1  # the image matters
    assert farthest(ours(x), theirs(x)) <= 1e-5
    first, second = (ours.get_submodule(place) for place in PAIRS[name].swapped)
    swap(first, second)
    assert farthest(ours(x), theirs(x)) > 1e-3


def swap(first: nn.Module, second: nn.Module) -> None:
    kept: dict[str, Any] = {key: value.clone() for key, value in first.state_dict().items()}
    first.load_state_dict(second.state_dict())
    second.load_state_dict(kept)


def test_the_first_stride_is_an_option() -> None:
    """Where a bottleneck strides changes its cost, not its weights."""
    early, late = se_resnet50(stride_on="1x1", num_classes=5), se_resnet50(num_classes=5)
    early.load_state_dict(late.state_dict())
    assert early.layer2[0].conv1.stride == (2, 2) == late.layer2[0].conv2.stride
    assert early.layer2[0].conv2.stride == (1, 1) == late.layer2[0].conv1.stride
