"""Numbers of the lecture about residual networks with attention, from the product. `residual.json` holds the rows as given."""

from __future__ import annotations

from typing import Any

import pytest

from sightline.models.describe import describe
from tests.golden.rows import Golden

golden = Golden("residual")
Inputs = dict[str, Any]
NETWORKS = {
    "resnet18": "resnet18",
    "resnet34": "resnet34",
    "resnet50": "resnet50",
    "resnet101": "resnet101",
    "wideresnet18-1.5": "wide_resnet18_1_5",
    "resnext50-32x4d": "resnext50_32x4d",
    "resnext101-32x4d": "resnext101_32x4d",
}
VARIANTS = {"plain": "", "SE": "se_", "CBAM": "cbam_"}


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


def row_of_table(network: str, quantity: str, unit: float) -> Any:
    def compute(inputs: Inputs) -> list[float]:
        options = {"stride_on": "1x1"} if inputs["block"] == "Bott" else {}
        names = [VARIANTS[variant] + NETWORKS[network] for variant in inputs["variants"]]
        return [describe(name, options=options)[quantity] / unit for name in names]

    return compute


for identifier in golden.rows:
    if identifier.startswith("cbam-table-"):
        network, _, kind = identifier.removeprefix("cbam-table-").rpartition("-")
        what = ("parameters", 1e6) if kind == "params" else ("multiply_adds", 1e9)
        golden(identifier)(row_of_table(network, *what))


@golden("resnext-block")
def _(inputs: Inputs):
    def block(name: str) -> int:
        """Weights of the second block's three convolutions: each is used once at every place."""
        layers = {row["name"]: row for row in describe(name)["layers"]}
        rows = [layers[f"layer1.1.conv{i}"] for i in (1, 2, 3)]
        return sum(row["parameters"] for row in rows)

    resnet, resnext = block("resnet50"), block("resnext50_32x4d")
    return {"resnet": resnet, "resnext": resnext, "ratio": resnext / resnet}
