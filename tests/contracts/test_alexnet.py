"""The AlexNets against the paper: their sizes, two towers written out, what is dropped, where they start."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models.create import create_model, default_input
from sightline.models.describe import describe
from sightline.models.early.alexnet import AlexNet
from tests.distinct import fill_distinct

torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("name", "side", "parameters", "multiply_adds"),
    [
        ("alexnet", 224, 61_100_840, 714_188_480),
        ("alexnet_table", 227, 62_378_344, 1_135_256_096),
        ("alexnet_original", 227, 60_965_224, 724_406_816),
    ],
)
def test_totals(name: str, side: int, parameters: int, multiply_adds: int) -> None:
    assert default_input(name) == (3, side, side)
    table = describe(name)
    assert (table["parameters"], table["multiply_adds"]) == (parameters, multiply_adds)
    assert {row["name"]: row["output"] for row in table["layers"]}["pool5"] == [256, 6, 6]  # and nothing is averaged


def test_neurons() -> None:
    """The paper's 650,000: all outputs of convolutions and dense layers. Its own list of them says 253,440 for the first
    layer, which is 55 · 48 · 96 and should be 55 · 55 · 96."""
    rows = describe("alexnet_original")["layers"]
    neurons = [math.prod(row["output"]) for row in rows if row["parameters"]]
    assert neurons == [290_400, 186_624, 64_896, 64_896, 43_264, 4096, 4096, 1000]
    assert sum(neurons) == 659_272


def in_two_towers(network: AlexNet, x: Tensor) -> Tensor:
    """The paper's figure 2: each GPU has half of the maps, and only conv3 and the dense layers see both halves."""

    def convolved(maps: Tensor, layer: nn.Conv2d, half: int) -> Tensor:
        weight, bias = layer.weight.chunk(2)[half], layer.bias.chunk(2)[half]
        return F.conv2d(maps, weight, bias, padding=layer.padding).relu()

    def normalised(maps: Tensor) -> Tensor:
        """torch divides its α by the window, the paper does not."""
        return F.local_response_norm(maps, 5, alpha=5e-4, beta=0.75, k=2.0)

    x = F.conv2d(x, network.conv1.weight, network.conv1.bias, stride=4).relu()
    x = F.max_pool2d(normalised(x), 3, 2)
    x = torch.cat([convolved(half, network.conv2, i) for i, half in enumerate(x.chunk(2, 1))], 1)
    x = F.max_pool2d(normalised(x), 3, 2)
    towers = [convolved(x, network.conv3, half) for half in (0, 1)]
    towers = [convolved(half, network.conv4, i) for i, half in enumerate(towers)]
    towers = [F.max_pool2d(convolved(half, network.conv5, i), 3, 2) for i, half in enumerate(towers)]
    x = torch.cat([F.adaptive_avg_pool2d(half, 6) for half in towers], 1).flatten(1)
    return network.fc8(network.fc7(network.fc6(x).relu()).relu())


@torch.no_grad()
def test_original_is_two_towers() -> None:
    network = create_model("alexnet_original", dense=(48, 32), num_classes=7).eval()
    fill_distinct(network, seed=2)
    x = 30 * torch.randn(2, 3, 99, 91, generator=torch.Generator().manual_seed(0))  # so large that responses are damped
    expected = in_two_towers(network, x)
    scale = expected.abs().max()
    assert scale > 1e-2
    assert (network(x) - expected).abs().max() <= 2e-6 * scale
    weight = network.conv4.weight
    weight.copy_(torch.cat(weight.chunk(2)[::-1]))
    assert (network(x) - expected).abs().max() > 1e-3 * scale


def test_published_start() -> None:
    network = create_model("alexnet_original", dense=(512, 256))
    ones = {"conv2", "conv4", "conv5", "fc6", "fc7"}
    for name, layer in network.named_children():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert layer.weight.std().item() == pytest.approx(0.01, rel=0.03), name
            assert set(layer.bias.tolist()) == {float(name in ones)}, name


def test_small_images_start_wider() -> None:
    for name in ("alexnet", "alexnet_original"):
        network = create_model(name, small_images=True, dense=(512, 256))
        assert network.conv3.weight.var().item() == pytest.approx(2 / network.conv3.weight[0].numel(), rel=0.03)
        assert network.fc6.weight.var().item() == pytest.approx(2 / (256 * 9), rel=0.03)
        assert network.fc6.bias.abs().max() == 0


@torch.no_grad()
def test_small_images() -> None:
    network = create_model("alexnet_table", small_images=True, dense=(64, 64), num_classes=10).eval()
    assert network.input_size == (3, 32, 32)
    x = torch.rand(2, 3, 32, 32)
    *maps, _vector = network.features(x)
    assert [tuple(m.shape[1:]) for m in maps] == [(96, 15, 15), (256, 7, 7), (256, 3, 3)]
    assert torch.equal(network.avgpool(maps[-1]), maps[-1])


@torch.no_grad()
def test_dropout_of_2012() -> None:
    """Behind fc6 and fc7, not before. Without weights their units all answer with their biases of 1."""
    network = create_model("alexnet_table", dense=(600, 400), dropout=0.25).train()
    network.fc6.weight.zero_()
    network.fc7.weight.zero_()
    x = torch.rand(4, 3, 67, 67)
    reads: dict[str, list[Tensor]] = {"fc6": [], "fc7": [], "fc8": []}
    for name, seen in reads.items():
        network.get_submodule(name).register_forward_hook(lambda _layer, x, _y, seen=seen: seen.append(x[0]))
    for seed in (0, 1):
        torch.manual_seed(seed)
        network(x)
    assert torch.equal(*reads["fc6"])
    for name in ("fc7", "fc8"):
        for vector in reads[name]:
            assert (vector == 0).float().mean().item() == pytest.approx(0.25, abs=0.05), name
