"""ZFNet against the figure and the table of its paper: sizes, order of its layers, parameters."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.layers.arithmetic import convolution_parameters, linear_parameters
from sightline.models.create import create_model
from sightline.models.describe import describe
from sightline.models.early.zfnet import ZFNet
from tests.distinct import fill_distinct

torch.set_num_threads(1)


@pytest.mark.parametrize(("name", "widths"), [("zfnet", (384, 384, 256)), ("zfnet_wide", (512, 1024, 512))])
def test_figure_3(name: str, widths: tuple[int, int, int]) -> None:
    table = describe(name)
    sizes = {row["name"]: row["output"][-1] for row in table["layers"] if len(row["output"]) == 3}
    printed = {"conv1": 110, "pool1": 55, "conv2": 26, "pool2": 13, "conv3": 13, "conv4": 13, "conv5": 13, "pool5": 6}
    assert {name: sizes[name] for name in printed} == printed
    assert sizes["avgpool"] == 6
    chain = (3, 96, 256, *widths)
    kernels = (7, 5, 3, 3, 3)
    expected = sum(convolution_parameters(*of, kernel) for of, kernel in zip(pairwise(chain), kernels, strict=True))
    expected += linear_parameters(widths[-1] * 36, 4096) + linear_parameters(4096, 4096) + linear_parameters(4096, 1000)
    assert table["parameters"] == expected


def written_out(network: ZFNet, x: Tensor) -> Tensor:
    """With every frame made by hand, for images of 224 pixels."""

    def pooled(maps: Tensor, hanging: int) -> Tensor:
        return F.max_pool2d(F.pad(maps, (0, hanging, 0, hanging), value=-torch.inf), 3, 2)

    def normalised(maps: Tensor) -> Tensor:
        return F.local_response_norm(maps, 5, alpha=5e-4, beta=0.75, k=2.0)

    x = F.pad(x, (1, 0, 1, 0))  # 225 pixels: 110 windows of 7 at stride 2
    x = normalised(pooled(F.conv2d(x, network.conv1.weight, network.conv1.bias, stride=2).relu(), hanging=1))
    x = normalised(pooled(F.conv2d(x, network.conv2.weight, network.conv2.bias, stride=2).relu(), hanging=1))
    for layer in (network.conv3, network.conv4, network.conv5):
        x = F.conv2d(x, layer.weight, layer.bias, padding=1).relu()
    x = pooled(x, hanging=0).flatten(1)
    return network.fc8(network.fc7(network.fc6(x).relu()).relu())


@torch.no_grad()
def test_written_out() -> None:
    network = create_model("zfnet", dense=(48, 32), num_classes=7).eval()
    fill_distinct(network, seed=2)
    x = 30 * torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(0))  # responses are damped
    expected = written_out(network, x)
    scale = expected.abs().max()
    assert scale > 1e-2
    assert (network(x) - expected).abs().max() <= 2e-6 * scale
    network.conv3.bias, network.conv4.bias = network.conv4.bias, network.conv3.bias
    assert (network(x) - expected).abs().max() > 1e-4 * scale


def test_start() -> None:
    network = create_model("zfnet", dense=(512, 256))
    assert network.conv4.weight.std().item() == pytest.approx(0.01, rel=0.03)
    small = create_model("zfnet", dense=(512, 256), small_images=True)
    assert small.conv4.weight.var().item() == pytest.approx(2 / (384 * 9), rel=0.03)
    for layer in (network.conv4, network.fc7, small.conv4):
        assert layer.bias.abs().max() == 0


@torch.no_grad()
def test_small_images() -> None:
    network = create_model("zfnet", small_images=True, dense=(64, 64), num_classes=10).eval()
    assert network.input_size == (3, 32, 32)
    *maps, _vector = network.features(torch.rand(2, 3, 32, 32))
    assert [tuple(m.shape[1:]) for m in maps] == [(96, 16, 16), (256, 8, 8), (256, 4, 4)]
    assert torch.equal(network.avgpool(maps[-1]), maps[-1])
