"""Maps equal Captum's on networks whose weights are random and distinct."""

from __future__ import annotations

import copy
from collections import Counter
from functools import cache
from typing import Any

import pytest
import torch
from captum import attr
from torch import Tensor, nn

from sightline.explanation.attribution.cam import grad_cam_map
from sightline.explanation.attribution.gradients import input_x_gradient, saliency
from sightline.explanation.attribution.integrated import integrated_gradients
from sightline.explanation.attribution.layers import read_layer
from sightline.explanation.attribution.perturbation import occlusion
from sightline.explanation.attribution.rectifiers import deconvnet, guided_backprop
from sightline.explanation.subject import Refused, Subject, undisturbed
from sightline.models.create import create_model
from sightline.preprocessing.normalise import Normalise, Normalised
from tests.distinct import fill_lively

NETWORKS: dict[str, dict[str, Any]] = {
    "lenet5": {},
    "resnet18": {"small_images": True},
    "vgg11": {"dense": (64, 64), "in_channels": 1},
    "vit_ti_16": {"small_images": True},
}
TARGET = torch.tensor([3, 1])


@cache
def subject(name: str) -> tuple[Subject, Tensor]:
    torch.manual_seed(0)
    network = create_model(name, num_classes=7, **NETWORKS[name])
    channels, height, width = network.input_size
    height, width = min(height, 32), min(width, 32)
    pixels = torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(5)) * 255
    fill_lively(network, (pixels - 120) / 60, seed=3)
    whole = _for_hooks(Normalised(Normalise([120.0] * channels, [60.0] * channels), network).eval(), pixels)
    return Subject(whole, whole), pixels


def assert_close(ours: Tensor, theirs: Tensor) -> None:
    largest = float(theirs.detach().abs().max())
    assert largest > 0 and float((ours - theirs.detach()).abs().max()) <= 1e-5 * largest


@pytest.mark.parametrize("name", NETWORKS)
def test_gradient_methods(name: str) -> None:
    ours, pixels = subject(name)
    leaf = pixels.clone().requires_grad_()
    found = saliency(ours, pixels, TARGET)
    assert_close(found.values.abs(), attr.Saliency(ours.network).attribute(leaf, target=TARGET))
    assert_close(found.map, attr.Saliency(ours.network).attribute(leaf, target=TARGET).amax(1))
    assert_close(
        input_x_gradient(ours, pixels, TARGET).values,
        attr.InputXGradient(ours.network).attribute(leaf, target=TARGET),
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_integrated_gradients(name: str) -> None:
    ours, pixels = subject(name)
    theirs = attr.IntegratedGradients(ours.network).attribute(
        pixels, baselines=20.0, target=TARGET, n_steps=6, method="gausslegendre"
    )
    assert_close(integrated_gradients(ours, pixels, TARGET, steps=6, most=6, baseline=20.0).values, theirs)


@pytest.mark.parametrize("name", NETWORKS)
def test_occlusion_whose_windows_do_not_tile_the_image(name: str) -> None:
    """In float64: a small difference of large scores loses digits."""
    single, pixels = subject(name)
    network, pixels = copy.deepcopy(single.network).double(), pixels.double()
    ours = Subject(network, network)
    channels = pixels.shape[1]
    theirs = attr.Occlusion(ours.network).attribute(
        pixels, sliding_window_shapes=(channels, 20, 21), strides=(channels, 14, 13), target=TARGET, baselines=99.0,
        perturbations_per_eval=8,
    )  # fmt: skip
    assert_close(occlusion(ours, pixels, TARGET, window=(20, 21), stride=(14, 13), fill=99.0).values, theirs[:, :1])


@pytest.mark.parametrize("name", NETWORKS)
def test_class_activation_map_of_the_layer_that_was_found(name: str) -> None:
    ours, pixels = subject(name)
    with undisturbed(ours.network):
        reading = read_layer(ours, pixels, TARGET)
    layer = ours.network.get_submodule(reading.layer)
    layer = (
        layer.each[min(1, len(layer.each) - 1)] if isinstance(layer, _Fresh) else layer
    )  # LeNet's tanh at its second call
    found = grad_cam_map(reading.activation, reading.slope)
    if name == "vit_ti_16":  # Captum averages over axes 2 and 3, which tokens do not have
        tokens: dict[str, Tensor] = {}
        handle = layer.register_forward_hook(lambda m, i, output: tokens.update(x=output))
        score = ours.network(pixels).gather(1, TARGET[:, None]).sum()
        handle.remove()
        (slope,) = torch.autograd.grad(score, tokens["x"])
        weight = slope[:, 1:].mean(1, keepdim=True)  # (b, 1, d), without the class token
        theirs = (weight * tokens["x"][:, 1:]).sum(2).clamp(min=0).view(2, 1, 8, 8)
    else:
        theirs = attr.LayerGradCam(ours.network, layer).attribute(pixels, target=TARGET, relu_attributions=True)
    assert_close(found, theirs)


@pytest.mark.parametrize("name", ["resnet18", "vgg11"])
@pytest.mark.parametrize("rule", ["guided", "deconvnet"])
def test_rules_for_rectifiers(name: str, rule: str) -> None:
    ours, pixels = subject(name)
    function, reference = {
        "guided": (guided_backprop, attr.GuidedBackprop),
        "deconvnet": (deconvnet, attr.Deconvolution),
    }[rule]
    theirs = reference(ours.network).attribute(pixels.clone().requires_grad_(), target=TARGET)
    assert_close(function(ours, pixels, TARGET).values, theirs)


def test_rules_also_reach_rectifiers_that_write_in_place() -> None:
    ours, pixels = subject("resnet18")
    expected = guided_backprop(ours, pixels, TARGET).values
    other = copy.deepcopy(ours.network)
    for module in other.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = True
    assert torch.equal(guided_backprop(Subject(other, other), pixels, TARGET).values, expected)


@pytest.mark.parametrize("name", ["lenet5", "vit_ti_16"])
def test_rules_are_refused_without_a_rectifier(name: str) -> None:
    ours, pixels = subject(name)
    with pytest.raises(Refused, match="tanh" if name == "lenet5" else "GELU"):
        guided_backprop(ours, pixels, TARGET)


class _Fresh(nn.Module):
    """An activation that is another module at every call of a forward pass."""

    def __init__(self, activation: nn.Module, calls: int) -> None:
        super().__init__()
        self.each = nn.ModuleList(type(activation)() for _ in range(calls))
        self.call = 0

    def forward(self, x: Tensor) -> Tensor:
        self.call += 1
        return self.each[(self.call - 1) % len(self.each)](x)


def _for_hooks(network: nn.Module, pixels: Tensor) -> nn.Module:
    """The reference's hooks follow neither values that are overwritten nor modules that are called several times."""
    calls: Counter[nn.Module] = Counter()
    handles = [m.register_forward_hook(lambda m, i, o: calls.update([m])) for m in network.modules()]
    network(pixels)
    for handle in handles:
        handle.remove()
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.ReLU | nn.Tanh):
                setattr(module, name, _Fresh(child, calls[child]))
    return network
