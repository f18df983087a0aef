"""Numbers of the lecture about GoogLeNet and its modules, each computed by the product. `googlenet.json` holds the rows
as given: K is 1024 weights, biases apart; M a million multiply-adds."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
from torch import nn

from sightline.layers.arithmetic import convolution_parameters, linear_parameters
from sightline.layers.convolution.inception import Inception, NaiveInception
from sightline.models.create import create_model
from sightline.models.describe import describe
from tests.golden.rows import Golden

torch.set_num_threads(1)
golden = Golden("googlenet")
Inputs = dict[str, Any]
NAMES = ["3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


@cache
def network() -> nn.Module:
    """The paper's, without auxiliary heads and without numbers."""
    with torch.device("meta"):
        return create_model("googlenet_paper", aux=False)


@cache
def table() -> dict[str, Any]:
    return describe(network(), input=(3, 224, 224))


def weights(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.ndim > 1)


def multiply_adds(part: str) -> int:
    return sum(row["multiply_adds"] for row in table()["layers"] if row["name"].startswith(part))


def module(name: str) -> Inception:
    return network().get_submodule(f"inception{name}")


# ------------------------------------------------------------------------------------------------------ rows of modules
def parameters_row(name: str) -> None:
    @golden(f"googlenet-{name}-params")
    def _(inputs: Inputs):
        """Of a module with the row's widths, which are those of the network's."""
        widths = ("in_channels", "n1x1", "r3", "n3", "r5", "n5", "pool")
        with torch.device("meta"):
            alone = Inception(*(inputs[width] for width in widths))
        assert [p.shape for p in alone.parameters()] == [p.shape for p in module(name).parameters()]
        return weights(alone) / 1024


def operations_row(name: str) -> None:
    @golden(f"googlenet-{name}-ops")
    def _(inputs: Inputs):
        rows = [row for row in table()["layers"] if row["name"].startswith(f"inception{name}.")]
        assert {tuple(row["output"][1:]) for row in rows} == {(inputs["size"], inputs["size"])}
        return multiply_adds(f"inception{name}.") / 1e6


for row in ("3a", "3b", "4a", "4b", "4d", "4e", "5a"):
    parameters_row(row)
for row in ("3a", "4a", "4b", "4c", "4d", "5a"):
    operations_row(row)


# ---------------------------------------------------------------------------------------------------- the whole network
@golden("googlenet-total")
def _(inputs: Inputs):
    return {"weights": weights(network()), "params": table()["parameters"], "macs": table()["multiply_adds"]}


@golden("googlenet-linear")
def _(inputs: Inputs):
    """All that stands behind the last module; its pooling and dropout have no parameters and no multiply-adds."""
    names = [row["name"] for row in table()["layers"]]
    behind = table()["layers"][names.index("avgpool") :]
    assert [row["kind"] for row in behind] == ["AdaptiveAvgPool2d", "Dropout", "Linear"]
    assert [row["parameters"] for row in behind[:2]] == [0, 0]
    biases = behind[2]["output"][0]
    return {
        "K": sum(row["parameters"] - biases for row in behind[2:]) / 1024,
        "M": sum(row["multiply_adds"] for row in behind) / 1e6,
    }


@golden("googlenet-depth")
def _(inputs: Inputs):
    """Layers with weights on the longest way through: in a module, its second branch."""
    rows = [row["name"] for row in table()["layers"] if row["kind"] in ("Conv2d", "Linear")]
    return sum("branch" not in name or "branch2" in name for name in rows)


@golden("googlenet-12x")
def _(inputs: Inputs):
    """AlexNet's from formulas, the network of the lecture's own table: no groups, one image for all layers."""
    convolutions = [(3, 96, 11), (96, 256, 5), (256, 384, 3), (384, 384, 3), (384, 256, 3)]
    dense = [(256 * 6 * 6, 4096), (4096, 4096), (4096, 1000)]
    alexnet = sum(convolution_parameters(*layer) for layer in convolutions)
    alexnet += sum(linear_parameters(*layer) for layer in dense)
    assert alexnet == inputs["alexnet"]
    assert table()["parameters"] == inputs["googlenet"]
    return alexnet / table()["parameters"]


@golden("inception-out-channels")
def _(inputs: Inputs):
    assert inputs["modules"] == NAMES
    channels = []
    for name in NAMES:
        parts = [row["output"][0] for row in table()["layers"] if row["name"] in _ends(name)]
        assert len(parts) == 4
        channels.append(sum(parts))
    readers = [module(name).branch1.conv.in_channels for name in NAMES[1:]]
    assert [*readers, network().fc.in_features] == channels  # and that is what the next layer reads
    return channels


def _ends(name: str) -> set[str]:
    return {f"inception{name}.{end}.conv" for end in ("branch1", "branch2.1", "branch3.1", "branch4.1")}


# ------------------------------------------------------------------------------------------------------------- modules
SEEN = (256, 28, 28)  # what the lecture's example modules see


@cache
def naive() -> dict[str, Any]:
    with torch.device("meta"):
        return describe(NaiveInception(256, 128, 192, 96), input=SEEN)


@golden("inception-naive-volume")
def _(inputs: Inputs):
    height, width, channels = inputs["inp"]
    with torch.device("meta"):
        output = NaiveInception(channels, 128, 192, 96)(torch.zeros(1, channels, height, width))
    assert output.shape[2:] == (height, width)
    return {"depth": output.shape[1], "values": output.numel()}


@golden("inception-naive-ops")
def _(inputs: Inputs):
    each = {row["name"]: row["multiply_adds"] for row in naive()["layers"]}
    branches = {f"c{kernel}": each[f"branch{branch}.conv"] for branch, kernel in ((1, 1), (2, 3), (3, 5))}
    return branches | {"total": naive()["multiply_adds"]}


@golden("inception-bottleneck-ops")
def _(inputs: Inputs):
    with torch.device("meta"):
        made = describe(Inception(256, 128, 64, 192, 64, 96, 64), input=SEEN)
    each = {row["name"]: row["multiply_adds"] for row in made["layers"] if row["multiply_adds"]}
    order = ("branch2.0", "branch3.0", "branch1", "branch2.1", "branch3.1", "branch4.1")  # as the lecture goes
    assert each.keys() == {f"{name}.conv" for name in order}
    return {
        "each": [each[f"{name}.conv"] for name in order],
        "total": made["multiply_adds"],
        "saving": naive()["multiply_adds"] / made["multiply_adds"],
    }
