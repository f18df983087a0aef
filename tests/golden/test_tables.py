"""Tables of the papers and lectures, cell by cell, from what `sightline describe --json` prints.

A file of `tables/` is a table: each row one cell of one network.

    model, options, classes, input   what is described; empty: as published
    row            layers whose numbers are summed: a name, or the beginning of names up to a dot; several with +; empty: all
    quantity       parameters · weights (parameters that are no biases) · multiply_adds · output (of the last layer of that
                   name; of several names, their channels side by side)
    expected       what is right; `tolerance` is half a unit of the last digit where the source rounds
    printed        what the source prints where it is wrong: it must not come out
"""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from sightline.verbs.models import describe

TABLES = Path(__file__).parent / "tables"
CELLS = [
    pytest.param(cell, id=f"{path.stem}-{number}-{cell['model']}-{cell['row'] or 'all'}-{cell['quantity']}")
    for path in sorted(TABLES.glob("*.csv"))
    for number, cell in enumerate(csv.DictReader(path.open()), 1)
]


@cache
def described(model: str, options: str, classes: str, size: str) -> dict[str, Any]:
    answer = describe(model, options.split(), classes=int(classes) if classes else None, input=size or None)
    return json.loads(json.dumps(answer))


def measured(cell: Mapping[str, str]) -> int | str:
    table = described(cell["model"], cell["options"], cell["classes"], cell["input"])
    groups = [[row for row in table["layers"] if belongs(row["name"], name)] for name in cell["row"].split("+")]
    assert all(groups), f"a layer of {cell['row']} is missing"
    if cell["quantity"] == "output":
        outputs = [group[-1]["output"] for group in groups]
        return "x".join(map(str, [sum(output[0] for output in outputs), *outputs[0][1:]]))
    layers = [layer for group in groups for layer in group]
    if cell["quantity"] == "weights":
        return sum(weights(layer) for layer in layers)
    total = sum(layer[cell["quantity"]] for layer in layers)
    assert cell["row"] or total == table[cell["quantity"]]
    return total


def belongs(layer: str, name: str) -> bool:
    return not name or layer == name or layer.startswith(f"{name}.")


def weights(layer: Mapping[str, Any]) -> int:
    """Each is used once at every place of the output."""
    return layer["multiply_adds"] // math.prod(layer["output"][1:])


@pytest.mark.parametrize("cell", CELLS)
def test_cell(cell: Mapping[str, str]) -> None:
    got = measured(cell)
    if cell["quantity"] == "output":
        assert got == cell["expected"]
        return
    tolerance = int(cell["tolerance"])
    assert abs(got - int(cell["expected"])) <= tolerance
    if cell["printed"]:
        assert abs(got - int(cell["printed"])) > tolerance


def test_the_command_prints_the_same() -> None:
    command = [sys.executable, "-m", "sightline", "describe", "cbam_resnet50", "stride_on=1x1", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == described("cbam_resnet50", "stride_on=1x1", "", "3x224x224")


def test_all_tables_are_there() -> None:
    assert {path.stem for path in TABLES.glob("*.csv")} == {
        "alexnet", "cbam", "efficientnet", "googlenet", "lenet", "mobilenet", "resnet", "vgg",
    }  # fmt: skip
    assert sum(cell.values[0]["model"].startswith(("se_", "cbam_")) for cell in CELLS) == 32
