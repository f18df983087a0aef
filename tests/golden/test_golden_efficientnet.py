"""Numbers of the lecture about EfficientNet, each computed by the product. `efficientnet.json` holds the rows as given."""

from __future__ import annotations

from typing import Any

import pytest

from sightline.layers.convolution.mbconv import MBConv
from sightline.models.create import default_input, outline
from sightline.models.describe import describe
from sightline.models.efficient.efficientnet import compound_scaling
from tests.golden.rows import Golden

golden = Golden("efficientnet")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


@golden("efficientnet-b0-table")
def _(inputs: Inputs):
    """The nine parts of the trunk are the nine stages: each sees the size that the one before answers with."""
    table = describe("efficientnet_b0")
    stages = [[row for row in table["layers"] if row["name"].startswith(f"trunk.{index}.")] for index in range(9)]
    outputs = [stage[-1]["output"] for stage in stages]
    assert [channels for channels, _, _ in outputs] == inputs["channels"]
    trunk = outline("efficientnet_b0").trunk
    blocks = [sum(isinstance(module, MBConv) for module in stage.modules()) for stage in trunk]
    assert [max(count, 1) for count in blocks] == inputs["layers"]
    return {
        "input_res": [default_input("efficientnet_b0")[1], *(height for _, height, _ in outputs[:-1])],
        "mbconv": sum(blocks),
        "params": table["parameters"],
        "macs": table["multiply_adds"],
    }


@golden("efficientnet-constraint")
def _(inputs: Inputs):
    gammas = {"paper": inputs["gamma_paper"], "printed": inputs["gamma_printed"]}
    return {name: compound_scaling(1.0, inputs["alpha"], inputs["beta"], gamma).flops for name, gamma in gammas.items()}
