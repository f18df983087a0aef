"""What makes a network dense: every layer reads all earlier maps of its block, and gradients reach each by a short way."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import nn

from sightline.models import MODELS
from sightline.models.describe import describe
from sightline.models.residual.densenet import BottleneckLayer, DenseBlock, Layer, PlainLayer
from sightline.models.residual.densenet_cifar import CifarDenseNet

torch.set_num_threads(1)
INPUTS, GROWTH, DEPTH = 5, 3, 4
LAYERS = [PlainLayer, BottleneckLayer]


def block_of(layer: Layer) -> DenseBlock:
    torch.manual_seed(0)
    return DenseBlock(layer, INPUTS, GROWTH, DEPTH).eval()


def made_by(i: int) -> slice:
    """The channels of a block's output that layer i made."""
    return slice(INPUTS + i * GROWTH, INPUTS + (i + 1) * GROWTH)


@pytest.mark.parametrize("layer", LAYERS)
@torch.no_grad()
def test_each_layer_reads_all_earlier_maps_and_adds_its_own(layer: Layer) -> None:
    block, x = block_of(layer), torch.randn(2, INPUTS, 6, 7)
    y = block(x)
    assert y.shape == (2, INPUTS + DEPTH * GROWTH, 6, 7)
    assert torch.equal(y[:, :INPUTS], x)
    for i, each in enumerate(block.values()):
        assert each.norm1.num_features == INPUTS + i * GROWTH
        assert torch.equal(y[:, made_by(i)], each(y[:, : INPUTS + i * GROWTH]))


@pytest.mark.parametrize("layer", LAYERS)
def test_gradients_jump_from_any_layer_to_any_earlier_one(layer: Layer) -> None:
    """Also with every other layer switched off: there is a way that goes through none of them."""
    for early, late in combinations(range(DEPTH), 2):
        block, x = block_of(layer), torch.randn(2, INPUTS, 6, 7)
        layers = list(block.values())
        for i, each in enumerate(layers):
            if i not in (early, late):
                nn.init.zeros_(each.conv1.weight)
        block(x)[:, made_by(late)].square().sum().backward()
        assert layers[early].conv1.weight.grad.abs().max() > 0, (early, late)


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds", "channels"),
    [
        ("densenet121", 7_978_856, 2_834_161_664, (256, 512, 1024, 1024)),
        ("densenet161", 28_681_000, 7_727_907_072, (384, 768, 2112, 2208)),
        ("densenet169", 14_149_480, 3_359_843_328, (256, 512, 1280, 1664)),
        ("densenet201", 20_013_928, 4_291_365_888, (256, 512, 1792, 1920)),
        ("densenet40_12", 1_019_722, 264_812_928, (160, 304, 448)),
        ("densenet_bc100_12", 769_162, 287_929_692, (216, 300, 342)),
    ],
)
def test_published_totals(name: str, parameters: int, multiply_adds: int, channels: tuple[int, ...]) -> None:
    """As torchvision documents the large ones; the name of each counts its layers."""
    table = describe(name)
    assert (table["parameters"], table["multiply_adds"]) == (parameters, multiply_adds)
    with torch.device("meta"):
        assert MODELS[name]().channels == channels
    depth = sum(row["kind"] in ("Conv2d", "Linear") for row in table["layers"])
    assert str(depth) in name


@pytest.mark.parametrize(
    ("layer", "depth", "growth", "first", "compression", "millions"),
    [
        (PlainLayer, 12, 12, 16, 1.0, 1.0),
        (PlainLayer, 32, 12, 16, 1.0, 7.0),
        (PlainLayer, 32, 24, 16, 1.0, 27.2),
        (BottleneckLayer, 16, 12, 24, 0.5, 0.8),
        (BottleneckLayer, 41, 24, 48, 0.5, 15.3),
        (BottleneckLayer, 31, 40, 80, 0.5, 25.6),
    ],
)
def test_the_papers_cifar_table(
    layer: Layer, depth: int, growth: int, first: int, compression: float, millions: float
) -> None:
    with torch.device("meta"):
        network = CifarDenseNet(layer, depth, growth, first, compression)
    assert round(sum(p.numel() for p in network.parameters()) / 1e6, 1) == millions


@torch.no_grad()
def test_maps_are_normalised_and_rectified() -> None:
    """What the transition reads is the block's map, so a pyramid is of one kind from fine to coarse."""
    network = MODELS["densenet40_12"]().train()
    for each in network.features(torch.randn(8, 3, 16, 16)):
        assert each.min() == 0
        assert each.square().mean().item() == pytest.approx(0.5, abs=0.1)  # half of a unit Gaussian
