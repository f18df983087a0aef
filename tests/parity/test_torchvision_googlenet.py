"""GoogLeNet against torchvision: its values load strictly and answer alike, auxiliary heads included."""

from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import Tensor, nn

from sightline.models import MODELS
from sightline.models.early.googlenet import GoogLeNet, WithAuxiliaries
from sightline.preprocessing.normalise import Normalise
from tests.distinct import fill_distinct

torchvision = pytest.importorskip("torchvision")
torch.set_num_threads(1)


def published(init_weights: bool = False, **options) -> nn.Module:
    return torchvision.models.googlenet(weights=None, init_weights=init_weights, **options)


def loaded() -> tuple[GoogLeNet, nn.Module]:
    """(ours, theirs) with the same distinct values, nothing dropped."""
    values = distinct()
    with torch.device("meta"):
        ours, theirs = MODELS["googlenet"](num_classes=10), published(num_classes=10)
    for network in (ours, theirs):
        network.to_empty(device="cpu").load_state_dict(values, strict=True)
        for layer in network.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
    return ours, theirs


@cache
def distinct() -> dict[str, Tensor]:
    """Norms then take the statistics of what they see: so deep a network without shortcuts would else forget its input."""
    with torch.device("meta"):
        theirs = published(num_classes=10)
    fill_distinct(theirs.to_empty(device="cpu"), seed=1)
    for layer in theirs.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 1.0
    with torch.no_grad():
        one, other = theirs.train()(images(96, 96)).logits
    assert (one - other).abs().max() > 0.1
    return theirs.state_dict()


def images(height: int, width: int, batch: int = 2) -> Tensor:
    return torch.randn(batch, 3, height, width, generator=torch.Generator().manual_seed(0))


def difference(ours: Tensor, theirs: Tensor) -> float:
    """Largest difference relative to the largest answer, which must be a number of about one."""
    assert ours.shape == theirs.shape
    scale = theirs.abs().max().item()
    assert 1e-2 < scale < 100
    return (ours - theirs).abs().max().item() / scale


def test_same_names_and_shapes() -> None:
    with torch.device("meta"):
        for options in ({}, {"aux_logits": False}):
            ours, theirs = MODELS["googlenet"](aux=options.get("aux_logits", True)), published(**options)
            ours, theirs = ({key: x.shape for key, x in n.state_dict().items()} for n in (ours, theirs))
            assert ours == theirs


@torch.no_grad()
def test_same_answers() -> None:
    ours, theirs = (network.eval() for network in loaded())
    for size in ((15, 15), (75, 49), (224, 224)):
        assert difference(ours(images(*size)), theirs(images(*size))) <= 1e-6
    x = images(75, 49)
    expected = theirs(x)
    module = ours.inception4e
    for first, second in ((module.branch3[1].bn, module.branch4[1].bn), (ours.conv1.bn, ours.conv2.bn)):
        for name in ("weight", "bias"):
            one, other = getattr(first, name), getattr(second, name)
            one.data, other.data = other.data, one.data
        assert difference(ours(x), expected) > 1e-4
        for name in ("weight", "bias"):
            one, other = getattr(first, name), getattr(second, name)
            one.data, other.data = other.data, one.data
        assert difference(ours(x), expected) <= 1e-6


def test_same_training() -> None:
    """The three sets of scores, every gradient, and the running statistics after it."""
    answers, gradients, buffers = [], [], []
    for network in loaded():
        answer = network.train()(images(75, 64, batch=3))
        scores, aux2, aux1 = answer
        (scores.square().mean() + 0.3 * aux2.square().mean() + 0.5 * aux1.square().mean()).backward()
        answers.append(answer)
        gradients.append({key: p.grad for key, p in network.named_parameters()})
        buffers.append(dict(network.named_buffers()))
    assert isinstance(answers[0], WithAuxiliaries)
    assert answers[0]._fields == ("scores", "aux2", "aux1")
    for ours, theirs in zip(*answers, strict=True):
        assert difference(ours.detach(), theirs.detach()) <= 1e-5
    for key, gradient in gradients[1].items():
        assert torch.allclose(gradients[0][key], gradient, rtol=1e-3, atol=1e-5 * gradient.abs().max().item()), key
    for key, buffer in buffers[1].items():
        assert torch.allclose(buffers[0][key], buffer, rtol=1e-5, atol=1e-7), key


@torch.no_grad()
def test_published_weights_want_pixels_between_minus_one_and_one() -> None:
    """What torchvision converts inside, where it loads them, is our preprocessing with mean and deviation 127.5."""
    ours, theirs = (network.eval() for network in loaded())
    theirs.transform_input = True
    pixels = torch.randint(0, 256, (2, 3, 64, 64), generator=torch.Generator().manual_seed(0))
    imagenet = Normalise([255 * m for m in (0.485, 0.456, 0.406)], [255 * s for s in (0.229, 0.224, 0.225)])
    between = Normalise([127.5] * 3, [127.5] * 3)
    assert difference(ours(between(pixels)), theirs(imagenet(pixels))) <= 1e-5
    assert difference(ours(imagenet(pixels)), theirs(imagenet(pixels))) > 1e-2


def test_same_start() -> None:
    torch.manual_seed(0)
    ours = MODELS["googlenet"](num_classes=10).state_dict()
    theirs = published(init_weights=True, num_classes=10).state_dict()
    for key, value in theirs.items():
        if value.ndim > 1:
            assert ours[key].std().item() == pytest.approx(value.std().item(), rel=0.1), key
            assert abs(ours[key].mean().item()) < 1e-3, key
        elif value.is_floating_point() and "fc" in key:
            assert ours[key].abs().max().item() == pytest.approx(value.abs().max().item(), rel=0.5), key
        else:
            assert torch.equal(ours[key], value), key
