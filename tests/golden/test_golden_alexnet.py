"""Numbers of the lecture about AlexNet and ZFNet, each computed by the product. `alexnet.json` holds the rows as given."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sightline.models.create import create_model, default_input
from sightline.models.describe import describe
from tests.golden.rows import Golden

torch.set_num_threads(1)
golden = Golden("alexnet")
Inputs = dict[str, Any]
LAYERS = ["conv1", "pool1", "conv2", "pool2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7", "fc8"]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


def rows_of(name: str) -> list[dict[str, Any]]:
    """Those of the lecture's table, in the order they run: all but what only rectifies, normalises, averages, drops."""
    rows = [row for row in describe(name)["layers"] if row["name"] in LAYERS]
    assert [row["name"] for row in rows] == LAYERS
    return rows


@golden("alexnet-64-filters")
def _(inputs: Inputs):
    """The one tower has what the lecture printed; the row's note asks for both under their own names."""
    assert (
        create_model("alexnet", dense=(8, 8)).conv1.out_channels == golden.rows["alexnet-64-filters"]["lecture_printed"]
    )
    return create_model("alexnet_table", dense=(8, 8)).conv1.out_channels


@golden("alexnet-conv1-35k")
def _(inputs: Inputs):
    row = rows_of("alexnet_table")[0]
    channels, height, width = row["output"]
    weights = create_model("alexnet_table", dense=(8, 8)).conv1.weight.numel()
    return {"out": [height, width, channels], "weights": weights, "params": row["parameters"]}


@golden("alexnet-overlap-pool")
def _(inputs: Inputs):
    network = create_model("alexnet_table", dense=(8, 8))
    pools = [network.pool1, network.pool2, network.pool5]
    ((kernel, stride),) = {(pool.kernel_size, pool.stride) for pool in pools}
    sizes = [pool(torch.zeros(1, 1, size, size)).shape[-1] for pool, size in zip(pools, inputs["sizes"], strict=True)]
    return {"kernel": kernel, "stride": stride, "out": sizes}


@golden("alexnet-params-rows")
def _(inputs: Inputs):
    assert inputs["layers"] == [name.replace("pool", "maxpool") for name in LAYERS]
    return [row["parameters"] for row in rows_of("alexnet_table")]


@golden("alexnet-params-total")
def _(inputs: Inputs):
    network = create_model("alexnet_table", dense=(8, 8))
    assert {network.conv2.groups, network.conv4.groups, network.conv5.groups} == {inputs["groups"]}
    return describe("alexnet_table")["parameters"]


@golden("alexnet-shapes")
def _(inputs: Inputs):
    assert list(default_input("alexnet_table")) == inputs["input"]
    return [row["output"] for row in rows_of("alexnet_table")]


@golden("zfnet-changes")
def _(inputs: Inputs):
    rows = {row["name"]: row for row in rows_of("zfnet_wide")}
    assert rows["conv2"]["output"][0] == inputs["conv2_out"]
    return [rows[name]["parameters"] for name in ("conv1", "conv3", "conv4", "conv5")]
