"""Numbers of the lecture about networks, each computed by the product. `models.json` holds the rows as given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sightline.layers.arithmetic import convolution_parameters, linear_parameters
from sightline.layers.convolution.pooling import TrainableSubsample
from sightline.layers.linear import bias_trick
from sightline.models.create import create_model
from sightline.models.describe import describe
from sightline.models.residual.resnet import BasicBlock, Bottleneck, conv3x3
from tests.golden.rows import Golden

torch.set_num_threads(1)
golden = Golden("models")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


def double(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


# ------------------------------------------------------------------------------------------------------------- linear
def _scores(x: list[float], weight: Tensor, bias: list[float]) -> list[float]:
    """Of the linear classifier with these weights (k, d), on four pixels."""
    network = create_model("linear", in_channels=1, image_size=(2, 2), num_classes=len(bias)).double()
    with torch.no_grad():
        network.fc.weight.copy_(weight)
        network.fc.bias.copy_(double(bias))
    return network(double(x).reshape(1, 1, 2, 2))[0].tolist()


golden("linear-3class-scores")(lambda inputs: _scores(inputs["x"], double(inputs["W"]).T, inputs["b"]))
golden("linear-cs231n-scores")(lambda inputs: _scores(inputs["x"], double(inputs["W"]), inputs["b"]))


@golden("linear-bias-trick")
def _(inputs: Inputs):
    x, weight = bias_trick(double([inputs["x"]]), double(inputs["W"]).T, double(inputs["b"]))
    assert x[0].tolist() == inputs["x_aug"]
    assert weight.T.tolist() == inputs["W_aug"]
    return (x @ weight.T)[0].tolist()


@golden("cifar10-input-dim")
def _(inputs: Inputs):
    network = create_model(
        "linear", in_channels=inputs["c"], image_size=(inputs["h"], inputs["w"]), num_classes=inputs["classes"]
    )
    return {
        "D": network.channels[0],
        "weights": network.templates().numel(),
        "params_with_bias": parameters(network),
    }


@golden("mnist-784")
def _(inputs: Inputs):
    return create_model("mlp", image_size=(inputs["h"], inputs["w"]), hidden=()).channels[0]


@golden("mlp-342-shapes")
def _(inputs: Inputs):
    """The lecture's tensors are columns, ours rows: a batch of one."""
    n0, n1, n2 = inputs["n"]
    network = create_model("mlp", in_channels=n0, image_size=(1, 1), hidden=(n1,), num_classes=n2)
    first, activation, _ = network.hidden[0]
    x = torch.ones(1, n0, 1, 1)
    z1 = first(x.flatten(1))
    z2 = network(x)
    shapes = {"W1": first.weight, "b1": first.bias[:, None], "z1": z1.T, "a1": activation(z1).T}
    shapes |= {"W2": network.fc.weight, "b2": network.fc.bias[:, None], "z2": z2.T, "a2": z2.sigmoid().T}
    return {name: list(tensor.shape) for name, tensor in shapes.items()} | {"params": parameters(network)}


# -------------------------------------------------------------------------------------------------------------- LeNet
@golden("lenet5-shapes")
def _(inputs: Inputs):
    layers = describe("lenet5", input=tuple(inputs["input"]))["layers"]
    return [row["output"] for row in layers if row["kind"] != "Tanh"]


@golden("lenet5-params-table")
def _(inputs: Inputs):
    table = describe("lenet5")
    rows = [row["parameters"] for row in table["layers"] if row["parameters"]]
    assert rows == [156, 2416, 48120, 10164, 850]
    assert table["parameters"] == parameters(create_model("lenet5"))
    return table["parameters"]


@golden("lenet5-params-original")
def _(inputs: Inputs):
    """From formulas: the partial third layer is a convolution for each map with its own inputs."""
    rows = {
        "C1": convolution_parameters(1, 6, 5),
        "S2": parameters(TrainableSubsample(6)),
        "C3": sum(maps * convolution_parameters(seen, 1, 5) for maps, seen in ((6, 3), (9, 4), (1, 6))),
        "S4": parameters(TrainableSubsample(16)),
        "C5": convolution_parameters(16, 120, 5),
        "F6": linear_parameters(120, 84),
    }
    return rows | {"total": sum(rows.values())}


# ------------------------------------------------------------------------------------------------------------- ResNet
def _depth(name: str) -> int:
    """Convolutions on the main path, and the head."""
    rows = describe(name)["layers"]
    return sum(row["kind"] in ("Conv2d", "Linear") and "downsample" not in row["name"] for row in rows)


@golden("resnet-depths")
def _(inputs: Inputs):
    return [_depth(f"resnet{depth}") for depth in (18, 34, 50, 101, 152)]


@golden("resnet-8x-vgg")
def _(inputs: Inputs):
    return _depth("resnet152") / 19


@golden("resnet-bottleneck-params")
def _(inputs: Inputs):
    def weights(block: nn.Module) -> int:
        return sum(p.numel() for p in block.parameters() if p.ndim == 4)

    return {
        "basic": weights(BasicBlock(64, 64, 1)),
        "bottleneck": weights(Bottleneck(256, 64, 1)),
        "plain_3x3_256": 2 * parameters(conv3x3(256, 256)),
    }
