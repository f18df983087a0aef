"""LeNet of 1989 and of 1998 as published, and maxout: their counts, starts, pictures; and the layer that reads a part."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.layers.convolution.partial import PartialConvolution
from sightline.layers.initialise import fans, initialise
from sightline.models.create import create_model
from sightline.models.describe import describe
from sightline.models.early.lenet5_original import pictures

torch.set_num_threads(1)


def parameters(name: str, num_classes: int = 10) -> dict[str, int]:
    rows = describe(name, num_classes=num_classes)["layers"]
    return {row["name"]: row["parameters"] for row in rows if row["parameters"]}


# ---------------------------------------------------------------------------------------------------------------- 1989
def test_published_counts_of_1989() -> None:
    """Units, connections and independent parameters, layer by layer: 1,256, 64,660 and 9,760 in all."""
    counts = parameters("lenet_1989")
    layers = [
        counts["h1(own)"] + counts["h1.connections"],
        counts["h2(own)"] + counts["h2.connections"],
        counts["h3"],
        counts["fc"],
    ]
    assert layers == [1068, 2592, 5790, 310]
    assert sum(layers) == describe("lenet_1989")["parameters"] == 9760
    assert (counts["h1(own)"], counts["h2(own)"]) == (768, 192)  # a bias a unit

    network = create_model("lenet_1989")
    reads = {network.h1: 25, network.h2: len(network.h2.connections.kernels) // 12 * 25}
    connections = [plane.bias.numel() * (inputs + 1) for plane, inputs in reads.items()]
    assert connections == [19_968, 38_592]
    assert sum(connections) + 5790 + 310 == 64_660
    biases = [p.numel() for key, p in network.named_parameters() if key.endswith("bias")]
    assert 256 + sum(biases) == 1256


@torch.no_grad()
def test_background_surrounds_the_image() -> None:
    """An image of nothing but background looks the same everywhere, to the border; units then differ by their biases."""
    network = create_model("lenet_1989")
    nn.init.zeros_(network.h1.bias)
    (h1, *_) = network.features(torch.full((1, 1, 16, 16), -1.0))
    assert torch.allclose(h1, h1[:, :, :1, :1].expand_as(h1))
    assert h1.abs().max() > 0.01
    (h1, *_) = network.features(torch.zeros(1, 1, 16, 16))
    assert not torch.allclose(h1[:, :, 0], h1[:, :, 1])
    nn.init.uniform_(network.h1.bias)
    (h1, *_) = network.features(torch.full((1, 1, 16, 16), -1.0))
    assert h1[0, 0].unique().numel() == 64


def test_other_sizes_of_1989() -> None:
    network = create_model("lenet_1989", image_size=(9, 14), in_channels=2)
    assert [tuple(m.shape[1:]) for m in network.features(torch.zeros(1, 2, 9, 14))] == [
        (12, 5, 7),
        (12, 3, 4),
        (30, 1, 1),
    ]


# ---------------------------------------------------------------------------------------------------------------- 1998
def test_published_counts_of_1998() -> None:
    counts = {"c1": 156, "s2(own)": 12, "c3": 1516, "s4(own)": 32, "c5": 48_120, "f6": 10_164}
    for classes in (10, 26):  # what the output compares with is fixed
        assert parameters("lenet5_original", num_classes=classes) == counts
    assert sum(counts.values()) == describe("lenet5_original")["parameters"] == 60_000
    outputs = {row["name"]: row["output"] for row in describe("lenet5_original")["layers"]}
    places = {name: math.prod(outputs[name][1:]) for name in counts}
    connections = {name: count * places[name] for name, count in counts.items()}  # each weight once a position …
    connections |= {name: 5 * math.prod(outputs[name]) for name in ("s2(own)", "s4(own)")}  # … but α once an input
    assert connections["c3"] == 151_600
    assert sum(connections.values()) + 10 * 84 == 340_908


def test_pictures() -> None:
    """Ten that differ in many pixels; draws where there are none, the same for every network."""
    digits = pictures(10)
    assert digits.shape == (10, 84)
    assert digits.abs().eq(1).all()
    apart = (digits[:, None] != digits).sum(2) + 84 * torch.eye(10, dtype=torch.long)
    assert apart.min() >= 10  # 8 and 9, 0 and 6 are alike
    one = digits[1].reshape(12, 7)
    assert one[0].tolist() == [-1, -1, -1, 1, -1, -1, -1]
    assert one[-1].tolist() == [-1, 1, 1, 1, 1, 1, -1]
    for classes in (3, 200):
        drawn = pictures(classes)
        assert torch.equal(drawn, pictures(200)[:classes])
        assert abs(drawn.mean()) < 0.2
        assert len(drawn.unique(dim=0)) == classes


@torch.no_grad()
def test_the_likeliest_class_is_the_nearest_picture() -> None:
    network = create_model("lenet5_original")
    scores = network.output(pictures(10) + 0.1)
    assert scores.argmax(1).tolist() == list(range(10))
    assert torch.allclose(scores.diag(), torch.full((10,), -84 * 0.01))
    assert "output.pictures" in network.state_dict()
    assert create_model("lenet5_original", num_classes=0)(torch.zeros(1, 1, 32, 32)).shape == (1, 84)


def test_one_size_of_1998() -> None:
    with pytest.raises(UsageError, match=r"28x28.*use size 32"):
        create_model("lenet5_original", image_size=(28, 28))


# -------------------------------------------------------------------------------------------------------------- starts
def test_partial_kernels_can_be_started_anew() -> None:
    """Each map as a convolution over what it reads; what was read from a throw-away before."""
    network = create_model("lenet5_original")
    expected: dict[str, Callable[[int], float]] = {  # of a map that reads so many; ten read each of the six
        "he": lambda maps: (2 / (25 * maps)) ** 0.5,
        "he_out": lambda maps: (2 / (25 * 10)) ** 0.5,
        "xavier": lambda maps: (2 / (25 * (maps + 10))) ** 0.5,
    }
    for name, deviation in expected.items():
        initialise(network, name)
        reads = [len(maps) for maps in network.c3.table]
        scaled = [
            kernels / deviation(maps) for maps, kernels in zip(reads, network.c3.kernels.split(reads), strict=True)
        ]
        assert torch.cat(scaled).std().item() == pytest.approx(1, rel=0.05), name
    initialise(network, "zeros")
    assert network.c3.kernels.abs().max() == 0


@pytest.mark.parametrize("name", ["lenet_1989", "lenet5_original"])
def test_uniform_start_by_inputs(name: str) -> None:
    """Every weight and bias within ±2.4 / inputs of its unit, and the largest close to that."""
    network = create_model(name, seed=3)
    reached = {}
    for layer_name, layer in network.named_modules():
        if isinstance(layer, PartialConvolution):
            for number, read in enumerate(layer.kernels.split([len(maps) for maps in layer.table])):
                reached[f"{layer_name}.{number}"] = (read.abs().max() * read.numel()).item()
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            reached[layer_name] = (layer.weight.abs().max() * fans(layer.weight)[0]).item()
    biases = {"h1": 25, "h2": 200} if name == "lenet_1989" else {"s2": 4, "s4": 4}
    for layer_name, inputs in biases.items():
        for key, p in network.get_submodule(layer_name).named_parameters(recurse=False):
            assert p.abs().max() <= 2.4 / inputs, key
            assert p.std() > 0.1 * 2.4 / inputs, key
    assert all(2.4 * 0.9 < value <= 2.4 for value in reached.values()), reached
    assert all(
        layer.bias is None or layer.bias.std() > 0 for layer in network.modules() if isinstance(layer, nn.Conv2d)
    )


def test_maxout() -> None:
    assert parameters("maxout") == {"hidden.0.0.linear": 942_000, "hidden.1.0.linear": 289_200, "fc": 2410}
    network = create_model("maxout")
    for layer in (m for m in network.modules() if isinstance(m, nn.Linear)):
        assert 0.0045 < layer.weight.abs().max() <= 0.005
        assert layer.bias.abs().max() == 0
    x = torch.rand(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        (first, _) = network.eval().features(x)
        pieces = network.hidden[0][0].linear(x.flatten(1)).reshape(2, 5, 240)
        assert torch.equal(first[:, :, 0, 0], pieces.amax(1))
        dropped = network.train().drop_pixels(torch.ones(20_000))
    assert abs((dropped == 0).float().mean() - 0.2) < 0.02
    assert network.hidden[0][1].p == network.hidden[1][1].p == 0.5
    for options, message in (({"hidden": ()}, "use linear"), ({"input_dropout": 1}, "leaves nothing")):
        with pytest.raises(UsageError, match=message):
            create_model("maxout", **options)


# ------------------------------------------------------------------------------------------------- reading a part only
def test_partial_convolution() -> None:
    """As one convolution of zeros and kernels, and as one for each map; the gradient reaches what is read, no more."""
    table = ((2, 0), (1,), (0, 1, 2), (0,))
    layer = PartialConvolution(3, table, 3, stride=2, padding=1).double()
    assert sum(p.numel() for p in layer.parameters()) == 7 * 9 + 4
    x = torch.randn(2, 3, 8, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True)
    y, used = layer(x), 0
    for number, maps in enumerate(table):
        kernels = layer.kernels[used : used + len(maps)][None]
        expected = F.conv2d(x[:, maps], kernels, layer.bias[number : number + 1], stride=2, padding=1)
        assert torch.allclose(y[:, number : number + 1], expected)
        (gradient,) = torch.autograd.grad(y[:, number].sum(), x, retain_graph=True)
        assert {channel for channel in range(3) if gradient[:, channel].abs().max() > 0} == set(maps)
        used += len(maps)
    y.square().sum().backward()
    assert layer.kernels.grad.abs().amin() > 0
    assert set(layer.state_dict()) == {"kernels", "bias"}


@pytest.mark.parametrize("table", [((0, 0),), ((0,), ()), ((3,),), ((-1,),)])
def test_impossible_tables(table: tuple) -> None:
    with pytest.raises(UsageError, match=r"cannot read.*from 0 to 2"):
        PartialConvolution(3, table, 3)


def test_no_templates_without_classes() -> None:
    assert create_model("linear").templates().shape == (10, *create_model("linear").input_size)
    with pytest.raises(UsageError, match="without classes there are no templates"):
        create_model("linear", num_classes=0).templates()
