"""Numbers of the lecture about MobileNet, each computed by the product. `mobilenet.json` holds the rows as given."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from sightline.layers.convolution.separable import Separable
from sightline.models.create import create_model
from sightline.models.describe import describe
from tests.golden.rows import Golden

golden = Golden("mobilenet")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


def convolutions(size: int) -> list[list[Any]]:
    """[type, stride, input size, channels in, channels out] of each, in the order they run."""
    network = create_model("mobilenet_v1").eval()
    rows = []
    for row in describe(network, input=(3, size, size))["layers"]:
        if row["kind"] != "Conv2d":
            continue
        layer = network.get_submodule(row["name"])
        kind = "dw" if layer.groups > 1 else "conv" if layer.kernel_size == (3, 3) else "pw"
        rows.append([kind, layer.stride[0], size, layer.in_channels, layer.out_channels])
        size = row["output"][1]
    return rows


@golden("mobilenet-body-rows")
def _(inputs: Inputs):
    network, table = create_model("mobilenet_v1"), describe("mobilenet_v1")
    assert convolutions(inputs["rows"][0][2]) == inputs["rows"]
    assert [network.fc.in_features, network.fc.out_features] == inputs["fc"]
    return {
        "conv_weights": sum(row["parameters"] for row in table["layers"] if row["kind"] == "Conv2d"),
        "fc_params": sum(p.numel() for p in network.fc.parameters()),
        "pairs": sum(isinstance(layer, Separable) for layer in network.modules()),
        "macs": table["multiply_adds"],
    }


@golden("mobilenet-input-sizes")
def _(inputs: Inputs):
    return [size for _, _, size, _, _ in convolutions(inputs["input"])]


@golden("mobilenet-totals")
def _(inputs: Inputs):
    table = describe("mobilenet_v1")
    layers = sum(row["kind"] in ("Conv2d", "Linear") for row in table["layers"])
    return {"layers": layers, "params": table["parameters"], "macs": table["multiply_adds"]}


@golden("mobilenet-cost-ratio")
def _(inputs: Inputs):
    kernel, maps, filters, side = (inputs[key] for key in ("DK", "M", "N", "DF"))
    layers = nn.Conv2d(maps, filters, kernel, padding=kernel // 2), Separable(maps, filters, kernel=kernel)
    standard, separable = (describe(layer, input=(maps, side, side))["multiply_adds"] for layer in layers)
    return {"standard": standard, "separable": separable, "ratio": separable / standard}
