"""Fully convolutional ResNets against torchvision: its values load strictly and answer alike, in training too."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightline.models import MODELS
from sightline.models.residual.resnet import Bottleneck, ResNet
from tests.distinct import fill_distinct

torchvision = pytest.importorskip("torchvision")
torch.set_num_threads(1)


def pair(name: str) -> tuple[nn.Module, nn.Module]:
    """(ours, theirs) with the same distinct values, loaded strictly."""
    with torch.device("meta"):
        theirs = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=5, aux_loss=True)
        ours = MODELS[name](num_classes=5, aux=True)
    theirs, ours = theirs.to_empty(device="cpu"), ours.to_empty(device="cpu")
    fill_distinct(theirs, seed=1)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    return ours, theirs


def images() -> Tensor:
    return torch.randn(2, 3, 75, 49, generator=torch.Generator().manual_seed(0))


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference relative to the largest answer, which must be a number of about one."""
    assert ours.shape == theirs.shape
    scale = theirs.abs().max().item()
    assert 0.1 < scale < 100
    return (ours - theirs).abs().max().item() / scale


@pytest.mark.parametrize("name", ["fcn_resnet50", "fcn_resnet101", "deeplabv3_resnet50", "deeplabv3_resnet101"])
@torch.no_grad()
def test_same_answers(name: str) -> None:
    ours, theirs = (network.eval() for network in pair(name))
    expected = theirs(images())["out"]
    assert difference(ours(images()), expected) <= 1e-6
    block = ours.backbone.layer4[1]
    block.bn1, block.bn2 = block.bn2, block.bn1
    assert difference(ours(images()), expected) > 1e-4


@pytest.mark.parametrize("name", ["fcn_resnet50", "deeplabv3_resnet50"])
def test_same_gradients_of_both_heads(name: str) -> None:
    gradients, answers = [], []
    for network in pair(name):
        for layer in network.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        answer = network.train()(images())
        out, aux = answer if isinstance(answer, tuple) else (answer["out"], answer["aux"])
        (out.square().mean() + 0.4 * aux.square().mean()).backward()
        answers.append((out.detach(), aux.detach()))
        gradients.append({key: p.grad for key, p in network.named_parameters()})
    for ours, theirs in zip(*answers, strict=True):
        assert difference(ours, theirs) <= 1e-6
    for key, gradient in gradients[1].items():
        scale = gradient.abs().max().item()  # ours sums the image's mean in another order
        assert torch.allclose(gradients[0][key], gradient, rtol=1e-4, atol=max(1e-7, 1e-5 * scale)), key


@pytest.mark.parametrize(("stride", "replaced"), [(16, (False, False, True)), (8, (False, True, True))])
@torch.no_grad()
def test_dilated_trunks(stride: int, replaced: tuple[bool, bool, bool]) -> None:
    theirs = torchvision.models.resnet50(weights=None, replace_stride_with_dilation=list(replaced))
    fill_distinct(theirs, seed=2)
    ours = ResNet(Bottleneck, (3, 4, 6, 3), output_stride=stride)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    assert difference(ours.eval()(images()), theirs.eval()(images())) <= 1e-6
