"""Network in Network: sizes and parameters of its two plans, its layers written out, its start."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.models.create import create_model, default_input
from sightline.models.describe import describe
from sightline.models.early.nin import NIN
from tests.distinct import fill_distinct

torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("name", "images", "maps", "parameters"),
    [
        ("nin", (3, 32, 32), [[96, 32, 32], [192, 16, 16], [192, 8, 8]], 966_986),
        (
            "nin_imagenet",
            (3, 224, 224),
            [[96, 54, 54], [256, 27, 27], [384, 13, 13], [1024, 6, 6]],
            7_595_176,
        ),
    ],
)
def test_plans(name: str, images: tuple[int, int, int], maps: list[list[int]], parameters: int) -> None:
    assert default_input(name) == images
    table = describe(name)
    assert table["parameters"] == parameters
    last = {row["name"].split(".")[1]: row["output"] for row in table["layers"][:-1]}  # of each block
    assert list(last.values()) == maps


def written_out(network: NIN, x: Tensor) -> Tensor:
    """The CIFAR-10 plan as the paper draws it: class maps from a last 1x1, and their means."""

    def pooled(maps: Tensor) -> Tensor:
        return F.max_pool2d(F.pad(maps, (0, 1, 0, 1), value=-torch.inf), 3, 2)  # of an even side

    def perceptron(maps: Tensor, i: int, padding: int) -> Tensor:
        block = network.blocks[i]
        maps = F.conv2d(maps, block.conv.weight, block.conv.bias, padding=padding).relu()
        for layer in [layer for name, layer in block.named_children() if name.startswith("cccp")]:
            maps = F.conv2d(maps, layer.weight, layer.bias).relu()
        return maps

    x = pooled(perceptron(x, 0, padding=2))
    x = pooled(perceptron(x, 1, padding=2))
    x = perceptron(x, 2, padding=1)
    maps = F.conv2d(x, network.head.weight[:, :, None, None], network.head.bias)  # (b, classes, h/4, w/4)
    return maps.mean((2, 3))


@torch.no_grad()
def test_written_out() -> None:
    network = create_model("nin", num_classes=7).eval()
    fill_distinct(network, seed=2)
    x = torch.randn(2, 3, 32, 24, generator=torch.Generator().manual_seed(0))
    expected = written_out(network, x)
    scale = expected.abs().max()
    assert scale > 1e-2
    assert expected.min() < 0  # class maps are not rectified
    assert (network(x) - expected).abs().max() <= 2e-6 * scale
    block = network.blocks[1]
    block.cccp1.bias, block.cccp2.bias = block.cccp2.bias, block.cccp1.bias
    assert (network(x) - expected).abs().max() > 1e-4 * scale


def test_small_images() -> None:
    network = create_model("nin_imagenet", small_images=True).eval()
    assert network.input_size == (3, 32, 32)
    assert [tuple(maps.shape[2:]) for maps in network.features(torch.zeros(1, 3, 32, 32))] == [
        (32, 32),
        (16, 16),
        (8, 8),
        (4, 4),
    ]


@pytest.mark.parametrize(("name", "dropped"), [("nin", [1, 2]), ("nin_imagenet", [3])])
def test_dropout_behind_poolings(name: str, dropped: list[int]) -> None:
    network = create_model(name, dropout=0.3)
    found = {key: layer.p for key, layer in network.named_modules() if isinstance(layer, nn.Dropout)}
    assert found == {f"blocks.{i}.drop": 0.3 for i in dropped}
    for i in dropped:
        assert [key for key, _ in network.blocks[i].named_children()][:3] == ["pool", "drop", "conv"]


@pytest.mark.parametrize(
    ("name", "narrow"), [("nin", set()), ("nin_imagenet", {"blocks.0.conv", "blocks.2.conv", "head"})]
)
def test_published_start(name: str, narrow: set[str]) -> None:
    network = create_model(name)
    for key, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert layer.weight.std().item() == pytest.approx(0.01 if key in narrow else 0.05, rel=0.06), key
            assert layer.bias.abs().max() == 0, key
