"""The separable convolution, and the network made of thirteen: cost, widths, sizes as the paper's tables have them."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.layers.convolution.convolution import correlate
from sightline.layers.convolution.separable import Separable, depthwise, product_kernel
from sightline.models import MODELS
from sightline.models.create import create_model
from sightline.models.describe import describe

torch.set_num_threads(1)


def test_two_steps_are_one_convolution_of_restricted_rank() -> None:
    generator = torch.Generator().manual_seed(0)
    space = torch.randn(4, 1, 3, 3, generator=generator, dtype=torch.float64)
    across = torch.randn(6, 4, 1, 1, generator=generator, dtype=torch.float64)
    x = torch.randn(2, 4, 7, 8, generator=generator, dtype=torch.float64)
    steps = F.conv2d(F.conv2d(x, space, stride=2, padding=1, groups=4), across)
    kernel = product_kernel(space, across)
    assert torch.allclose(correlate(x, kernel, stride=2, padding=1), steps, rtol=0, atol=1e-12)
    ranks = torch.linalg.matrix_rank(kernel.transpose(0, 1).flatten(2))  # of each input map's (6, 9)
    assert ranks.tolist() == [1, 1, 1, 1]
    free = torch.randn(6, 4, 3, 3, generator=generator, dtype=torch.float64)
    assert torch.linalg.matrix_rank(free.transpose(0, 1).flatten(2)).tolist() == [6, 6, 6, 6]


@torch.no_grad()
def test_a_separable_layer_is_both_steps_with_norm_and_relu() -> None:
    layer = Separable(4, 6, kernel=5, stride=2).eval()
    x = torch.randn(2, 4, 9, 11)
    layer.bn1.running_mean.copy_(torch.arange(4) / 10)
    layer.bn2.running_var.copy_(torch.arange(6) + 1.0)
    y = F.conv2d(x, layer.depthwise.weight, stride=2, padding=2, groups=4)
    y = (y - layer.bn1.running_mean[:, None, None]).div((1 + 1e-5) ** 0.5).relu()
    y = F.conv2d(y, layer.pointwise.weight).div((layer.bn2.running_var + 1e-5).sqrt()[:, None, None]).relu()
    assert y.shape == (2, 6, 5, 6)
    assert torch.allclose(layer(x), y, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("inputs", "outputs", "kernel"), [(8, 16, 3), (32, 64, 5), (5, 7, 1)])
def test_cost_ratio(inputs: int, outputs: int, kernel: int) -> None:
    size = (inputs, 14, 14)
    standard = describe(nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), input=size)["multiply_adds"]
    separable = describe(Separable(inputs, outputs, kernel=kernel), input=size)["multiply_adds"]
    assert separable / standard == pytest.approx(1 / outputs + 1 / kernel**2, rel=1e-12)


def test_a_depthwise_map_reads_its_own_map_only() -> None:
    layer, x = depthwise(3), torch.randn(1, 3, 5, 5, requires_grad=True)
    layer(x)[0, 1].sum().backward()
    assert x.grad.abs().amax((2, 3))[0].gt(0).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("name", "size", "parameters", "multiply_adds"),
    [
        ("mobilenet_v1", 224, 4_231_976, 568_740_352),
        ("mobilenet_v1", 192, 4_231_976, 418_121_728),
        ("mobilenet_v1", 160, 4_231_976, 290_675_200),
        ("mobilenet_v1", 128, 4_231_976, 186_400_768),
        ("mobilenet_v1_075", 224, 2_585_560, 325_400_448),
        ("mobilenet_v1_050", 224, 1_331_592, 149_497_088),
        ("mobilenet_v1_025", 224, 470_072, 41_030_272),
    ],
)
def test_published_totals(name: str, size: int, parameters: int, multiply_adds: int) -> None:
    """The paper's tables 6 and 7 print 4.2, 2.6, 1.3, 0.5 and 569, 418, 290, 186, 325, 149, 41 million."""
    table = describe(name, input=(3, size, size))
    assert (table["parameters"], table["multiply_adds"]) == (parameters, multiply_adds)


def test_strides_and_widths() -> None:
    with torch.device("meta"):
        large, small = MODELS["mobilenet_v1"](), MODELS["mobilenet_v1"](small_images=True, width=0.1)
        sides = [m.shape[2] for m in large.features(torch.zeros(1, 3, 224, 224))]
        small_sides = [m.shape[2] for m in small.features(torch.zeros(1, 3, 32, 32))]
    assert sides == [112, 56, 28, 14, 7]
    assert small_sides == [32, 32, 16, 8, 4]
    assert small.channels == (8, 13, 26, 51, 102)
    assert small.conv1.out_channels == 8  # 3.2 of 32 would be too few
    with pytest.raises(UsageError, match=r"width=0\.0 leaves nothing"):
        create_model("mobilenet_v1", width=0)
    with pytest.raises(UsageError, match="the variant sets it itself"):
        create_model("mobilenet_v1_050", width=0.3)


def test_start() -> None:
    """He's variance of 2 / fan-in, where a depthwise filter reads one map."""
    network = create_model("mobilenet_v1")
    assert network.layer5[1].depthwise.weight.var().item() == pytest.approx(2 / 9, rel=0.05)
    assert network.layer5[1].pointwise.weight.var().item() == pytest.approx(2 / 1024, rel=0.05)
