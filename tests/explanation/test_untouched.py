"""Every classifier with every explainer: a map or a refusal by name, and a network that is as it was before."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from sightline.explanation.attribution.methods import METHODS
from sightline.explanation.explain import EFFORTS, explain_images
from sightline.explanation.subject import Refused, Subject, subject_of
from sightline.models.create import create_model
from tests.distinct import fill_lively
from tests.smallest import SMALLEST

QUICK: dict[str, dict[str, Any]] = {
    "smoothgrad": {"samples": 3},
    "integrated_gradients": {"steps": 4, "most": 4},
    "rise": {"masks": 8},
}
WITHOUT_RELU = {"efficientnet_b0", "lenet5", "lenet5_original", "lenet_1989", "linear", "maxout", "vit_ti_16"}
WITHOUT_MAPS = {"linear", "maxout", "mlp"}
DEFAULT_SUITE = ("convnet", "lenet5", "linear", "maxout", "mlp", "resnet8", "vit_ti_16")
FIRST = torch.tensor([1])


def _build(name: str) -> tuple[nn.Module, torch.Tensor]:
    torch.manual_seed(0)
    network = create_model(name, num_classes=10, **SMALLEST[name])
    channels, height, width = network.input_size
    pixels = torch.rand(1, channels, height, width) * 255
    fill_lively(network, pixels / 255, seed=1)  # biases too: without any, several methods agree on a rectified network
    return network, pixels


def _state(network: nn.Module) -> dict[str, Any]:
    """Everything that a caller could notice."""
    return {
        "modes": [m.training for m in network.modules()],
        "hooks": [
            (len(m._forward_hooks), len(m._backward_hooks), len(m._forward_pre_hooks)) for m in network.modules()
        ],
        "learning": [p.requires_grad for p in network.parameters()],
        "grads": [None if p.grad is None else p.grad.clone() for p in network.parameters()],
        "tensors": {key: tensor.clone() for key, tensor in network.state_dict().items()},
    }


def _require_same(before: dict[str, Any], after: dict[str, Any]) -> None:
    assert before["modes"] == after["modes"]
    assert before["hooks"] == after["hooks"]
    assert before["learning"] == after["learning"]
    for a, b in zip(before["grads"], after["grads"], strict=True):
        assert (a is None) == (b is None) and (a is None or torch.equal(a, b))
    for key, tensor in before["tensors"].items():
        assert torch.equal(tensor, after["tensors"][key]), key


def _prepared(network: nn.Module) -> None:
    """A network in the middle of a training: training mode, some weights frozen, some gradients there."""
    network.train()
    for i, parameter in enumerate(network.parameters()):
        parameter.requires_grad_(i % 3 > 0)
        if i % 2:
            parameter.grad = torch.full_like(parameter, 0.5)


def _check(name: str) -> None:
    network, pixels = _build(name)
    _prepared(network)
    before, maps, refusals = _state(network), {}, {}
    for key, method in METHODS.items():
        half = pixels.shape[2] // 2
        settings = QUICK.get(key, {}) | ({"window": half, "stride": half} if key == "occlusion" else {})
        try:
            found = method.explain(subject_of(network), pixels, FIRST, **settings)
        except Refused as error:
            refusals[key] = error
        else:
            assert found.map.shape == (1, *pixels.shape[2:]) and bool(found.values.isfinite().all())
            assert not found.values.requires_grad and found.unit
            maps[key] = found.map
        _require_same(before, _state(network))
    assert all(error.hint and len(error.message) > 20 for error in refusals.values())
    expected = {"guided_backprop", "deconvnet"} if name in WITHOUT_RELU else set()
    expected |= {"grad_cam", "grad_cam_plus_plus"} if name in WITHOUT_MAPS else set()
    expected |= set() if name.startswith("vit") else {"attention", "rollout"}
    assert refusals.keys() == expected
    for (first, a), (second, b) in combinations(maps.items(), 2):
        same = bool(a.any()) and float((a - b).abs().max()) <= 1e-6 * float(a.abs().max())
        assert not same or name == "linear", f"{first} and {second} give the same map"


@pytest.mark.parametrize("name", DEFAULT_SUITE)
def test_every_explainer(name: str) -> None:
    _check(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(SMALLEST) - set(DEFAULT_SUITE)))
def test_every_explainer_on_every_classifier(name: str) -> None:
    _check(name)


class _Failing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.body(x)
        raise RuntimeError("broken")


@pytest.mark.parametrize("key", METHODS)
def test_a_network_that_fails_is_left_as_it_was(key: str) -> None:
    network = _Failing()
    _prepared(network)
    before = _state(network)
    with pytest.raises(RuntimeError, match="broken"):
        METHODS[key].explain(Subject(network, network), torch.rand(1, 3, 8, 8), FIRST)
    _require_same(before, _state(network))


def test_controls_bring_the_weights_back() -> None:
    network, pixels = _build("resnet8")
    _prepared(network)
    before = _state(network)
    ((explained, controls),) = explain_images(
        subject_of(network), pixels, FIRST, ["gradient", "grad_cam"], effort=EFFORTS["full"]
    )
    _require_same(before, _state(network))
    assert controls is not None and [len(one.stages) for one in explained] == [5, 5]


def test_equal_maps_say_so() -> None:
    network, pixels = _build("linear")
    ((explained, _),) = explain_images(
        subject_of(network), pixels, FIRST, ["input_x_gradient", "integrated_gradients"], effort=None
    )
    assert "the same map as Integrated gradients" in explained[0].attribution.notes
    assert "the same map as Input × gradient" in explained[1].attribution.notes


def test_a_network_of_ones_own_needs_no_layer_name() -> None:
    own = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(4 * 6 * 6, 2)
    )
    ((explained, _),) = explain_images(
        subject_of(own), torch.rand(1, 1, 12, 12) * 255, torch.tensor([0]), ["grad_cam", "deconvnet"], effort=None
    )
    assert explained[0].attribution.settings["layer"] == "1" and explained[0].attribution.settings["grid"] == [12, 12]
    assert "GELU" in explained[1].refusal and np.isfinite(explained[0].map).all()
