"""The lecture's experiment on where learning starts: its four printed tables, met within their own sampling spread.

The lecture calls two of them Xavier: they follow variance 1 / in, here `lecun`. Glorot & Bengio's 2 / (in + out), here
`xavier`, is the same for layers as wide as their input, as all of these are.
"""

from __future__ import annotations

import json
import math
import statistics
from functools import cache
from pathlib import Path

import pytest
import torch

from sightline.layers.initialise import Spread, activation_statistics

torch.set_num_threads(1)
FILE = json.loads((Path(__file__).parents[1] / "golden" / "initialisation_tables.json").read_text())
TABLES = {table["title"]: table for table in FILE["tables"]}
SEEDS = 5
EVERY = [(quantity, layer) for quantity in Spread._fields for layer in range(FILE["setting"]["layers"])]


@cache
def measured(title: str, seeds: int = SEEDS) -> dict[tuple[str, int], list[float]]:
    """(mean or std, layer) → its value in each run."""
    start, activation = (TABLES[title][key] for key in ("initialiser", "activation"))
    runs = [activation_statistics(start, activation, **FILE["setting"], seed=seed) for seed in range(seeds)]
    return {(quantity, layer): [getattr(run[layer], quantity) for run in runs] for quantity, layer in EVERY}


def missed(printed: str, ours: str) -> list[tuple[str, int]]:
    """The cells of the printed table that our runs of a table's setting do not meet."""
    table, found = TABLES[printed], measured(ours)
    cells = []
    for quantity, layer in EVERY:
        spread = TABLES[ours][f"spread_of_{quantity}"][layer]
        tolerance = FILE["sigmas"] * spread * math.sqrt(1 + 1 / SEEDS) + FILE["rounding"]
        if abs(table[quantity][layer] - statistics.mean(found[quantity, layer])) > tolerance:
            cells.append((quantity, layer))
    return cells


@pytest.mark.parametrize("title", TABLES)
def test_printed_table(title: str) -> None:
    assert missed(title, title) == []


@pytest.mark.parametrize("title", TABLES)
def test_no_other_setting_gives_it(title: str) -> None:
    for other in TABLES.keys() - {title}:
        assert len(missed(title, other)) > len(EVERY) // 4, other


@pytest.mark.parametrize("title", TABLES)
def test_the_stated_spread_is_the_measured_one(title: str) -> None:
    """Mean squared ratio over the layers: a variance from a few runs is off by half of itself, that of ten less."""
    found = measured(title)
    for quantity in Spread._fields:
        stated = TABLES[title][f"spread_of_{quantity}"]
        ratios = [statistics.stdev(found[quantity, layer]) / spread for layer, spread in enumerate(stated)]
        assert 0.2 < statistics.mean(ratio**2 for ratio in ratios) < 3


@pytest.mark.slow
@pytest.mark.parametrize("title", TABLES)
def test_the_stated_spread_over_all_its_seeds(title: str) -> None:
    found = measured(title, FILE["seeds"])
    for quantity, layer in EVERY:
        stated = TABLES[title][f"spread_of_{quantity}"][layer]
        assert statistics.stdev(found[quantity, layer]) == pytest.approx(stated, rel=0.02)


def test_xavier_of_a_square_layer_has_variance_one_over_in() -> None:
    square = {"samples": 50, "width": 64, "layers": 3}
    assert activation_statistics("xavier", "tanh", **square) == activation_statistics("lecun", "tanh", **square)
