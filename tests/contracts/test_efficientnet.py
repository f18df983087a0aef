"""EfficientNet's parts and promises: blocks, dropped branches, the table, and what scaling makes of it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.convolution.mbconv import MBConv, whole_channels
from sightline.layers.convolution.stochastic_depth import StochasticDepth
from sightline.models.create import create_model, default_input, outline
from sightline.models.describe import describe
from sightline.models.efficient.efficientnet import PUBLISHED, Stage, compound_scaling
from sightline.models.pixels.backbones import strides

torch.set_num_threads(1)


# ---------------------------------------------------------------------------------------------------- stochastic depth
def test_stochastic_depth_drops_whole_rows_and_keeps_the_mean() -> None:
    layer, rate, rows = StochasticDepth(0.3), 0.3, 20_000
    torch.manual_seed(0)
    y = layer.train()(torch.ones(rows, 3, 2, 2))
    assert torch.equal(y, y[:, :1, :1, :1].expand_as(y))
    first = y[:, 0, 0, 0]
    assert set(first.unique().tolist()) == {0, torch.tensor(1 / 0.7).item()}
    spread = (rate * (1 - rate) / rows) ** 0.5
    assert abs((first == 0).float().mean().item() - rate) < 4 * spread
    assert abs(y.mean().item() - 1) < 4 * spread / (1 - rate)


def test_stochastic_depth_follows_torchs_generator() -> None:
    layer, x = StochasticDepth(0.5).train(), torch.rand(32, 4)
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(layer(x))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_stochastic_depth_is_nothing_at_test_time_and_at_rate_0() -> None:
    x = torch.rand(8, 3)
    assert StochasticDepth(0.9).eval()(x) is x
    before = torch.get_rng_state()
    assert StochasticDepth(0.0).train()(x) is x
    assert torch.equal(torch.get_rng_state(), before)
    for rate in (1.0, -0.1):
        with pytest.raises(UsageError, match="no rate"):
            StochasticDepth(rate)


# -------------------------------------------------------------------------------------------------------------- MBConv
def silenced(block: MBConv) -> MBConv:
    """Its branch answers 0."""
    nn.init.zeros_(block.block[-1][1].weight)
    return block


def test_the_shortcut_is_there_where_the_shape_stays() -> None:
    x = torch.randn(2, 8, 5, 6)
    assert torch.equal(silenced(MBConv(8, 8)).eval()(x), x)
    for block, shape in ((MBConv(8, 8, stride=2), (2, 8, 3, 3)), (MBConv(8, 16), (2, 16, 5, 6))):
        y = silenced(block).eval()(x)
        assert y.shape == shape
        assert y.abs().max() == 0


def test_only_the_branch_is_dropped() -> None:
    block, x = MBConv(8, 8, drop=0.5), torch.randn(64, 8, 3, 3)
    torch.manual_seed(0)
    same = (block.train()(x) == x).flatten(1).all(1)
    assert 16 < same.sum() < 48


@pytest.mark.parametrize(("expansion", "kernel"), [(1, 3), (6, 5)])
def test_the_order_of_a_block(expansion: int, kernel: int) -> None:
    """Expand, depthwise, attention of a quarter of what came in, and a projection without activation."""
    width = 16 * expansion
    *expand, depthwise, attention, project = MBConv(16, 24, expansion=expansion, kernel=kernel).block
    assert [layer[0].out_channels for layer in expand] == ([width] if expansion > 1 else [])
    assert depthwise[0].groups == depthwise[0].in_channels == depthwise[0].out_channels == width
    assert depthwise[0].kernel_size == (kernel, kernel)
    assert (attention.fc1.in_channels, attention.fc1.out_channels) == (width, 4)
    assert [type(layer) for layer in project] == [nn.Conv2d, nn.BatchNorm2d]


# ------------------------------------------------------------------------------------------------------------- scaling
@pytest.mark.parametrize(
    ("asked", "given"),
    [(1.0, 8), (12.0, 16), (11.9, 16), (17.6, 16), (17.8, 24), (19.2, 24), (35.2, 32), (44.0, 48), (1280.0, 1280)],
)
def test_whole_channels(asked: float, given: int) -> None:
    """11.9 is nearer to 8, but 8 would be less than 90 % of it; so is 16 of 17.8, not of 17.6."""
    assert whole_channels(asked) == given


def test_whole_channels_never_lose_a_tenth() -> None:
    for tenths in range(80, 5000):
        given = whole_channels(tenths / 10)
        assert given % 8 == 0
        assert 0.9 * tenths / 10 <= given < tenths / 10 + 8


def test_a_scaled_stage() -> None:
    stage = Stage(expansion=6, kernel=5, stride=2, channels=112, layers=3)
    assert stage.scaled(1.0, 1.0) == stage
    assert stage.scaled(1.1, 1.2) == stage._replace(channels=120, layers=4)  # 123.2; 3.6


def test_compound_scaling() -> None:
    assert compound_scaling(0.0) == (1, 1, 1, 1)
    twice = compound_scaling(2.0, alpha=2.0, beta=3.0, gamma=5.0)
    assert (twice.depth, twice.width, twice.resolution, twice.flops) == (4, 9, 25, (2 * 9 * 25) ** 2)
    once = compound_scaling(1.0)
    assert once.flops == pytest.approx(once.depth * once.width**2 * once.resolution**2)
    assert once.flops == pytest.approx(2, abs=0.1)
    with pytest.raises(UsageError, match="at least 1"):
        compound_scaling(1.0, beta=0.9)


def test_published_coefficients_are_near_the_formula() -> None:
    for phi, published in zip((0.0, 0.5, 1.0, 2.0, 3.5, 5.0, 6.0, 7.0), PUBLISHED, strict=True):
        scaling = compound_scaling(phi)
        assert published.width == pytest.approx(scaling.width, rel=0.05)
        assert published.resolution == pytest.approx(224 * scaling.resolution, rel=0.05)
        behind = 1 - published.depth / scaling.depth
        assert 0.11 < behind < 0.14 if phi >= 5 else abs(behind) < 0.05


def test_what_scaling_costs() -> None:
    """B0's dense layers of squeeze and excite count, for one place each; B7 is 97.8 times the work, by the formula 96.3."""
    small, large = describe("efficientnet_b0"), describe("efficientnet_b7")
    assert (small["parameters"], small["multiply_adds"]) == (5_288_548, 385_814_752)
    assert sum(row["multiply_adds"] for row in small["layers"] if ".fc" in row["name"]) == 627_200
    assert (large["parameters"], large["multiply_adds"]) == (66_347_960, 37_745_884_192)
    grown = large["multiply_adds"] / small["multiply_adds"]
    assert grown == pytest.approx(compound_scaling(7.0).flops, rel=0.02)


def test_published_sizes() -> None:
    sides = [default_input(f"efficientnet_b{index}") for index in range(0, 8, 2)]
    assert sides == [(3, side, side) for side in (224, 260, 380, 528)]


# ------------------------------------------------------------------------------------------------------------- network
def sizes(network: nn.Module, x: Tensor) -> list[tuple[int, ...]]:
    return [tuple(m.shape[1:]) for m in network.eval().features(x)]


def test_maps() -> None:
    assert strides("efficientnet_b0") == (2, 4, 8, 16, 32)
    assert outline("efficientnet_b7").channels == (32, 48, 80, 224, 2560)
    network = create_model("efficientnet_b0", small_images=True, num_classes=3)
    assert network.input_size == (3, 32, 32)
    maps = sizes(network, torch.zeros(1, 3, 32, 32))
    assert maps == [(16, 32, 32), (24, 32, 32), (40, 16, 16), (112, 8, 8), (1280, 4, 4)]
    assert network(torch.zeros(1, 3, 5, 5)).shape == (1, 3)
    with pytest.raises(UsageError, match="at least 5x5"):
        network(torch.zeros(1, 3, 5, 4))


def test_dropping() -> None:
    """The first block is always there, the last never dropped at the full rate; a given dropout wins."""
    rates = [
        m.rate for m in outline("efficientnet_b0", stochastic_depth=0.8).modules() if isinstance(m, StochasticDepth)
    ]
    assert rates == pytest.approx([0.8 * block / 16 for block in (2, 4, 6, 7, 9, 10, 12, 13, 14)])
    assert outline("efficientnet_b7").classifier[0].p == 0.5
    assert outline("efficientnet_b7", dropout="0.1").classifier[0].p == 0.1
    for options in ({"dropout": 1.0}, {"stochastic_depth": 1.0}):
        with pytest.raises(UsageError, match="leaves nothing"):
            outline("efficientnet_b0", **options)
