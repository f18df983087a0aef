"""The networks of 1989 and 1998 against the same written a second time, map by map as the papers tell them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.models.create import create_model
from sightline.models.early import lenet5_original, lenet_1989
from tests.distinct import fill_distinct

torch.set_num_threads(1)
State = dict[str, Tensor]


def squash(x: Tensor) -> Tensor:
    return 1.7159 * torch.tanh(2 / 3 * x)


def map_by_map(x: Tensor, kernels: Tensor, table: list[list[int]], stride: int = 1) -> Tensor:
    """Each map of the table by its own convolution, the kernels taken from the pile in order."""
    maps, used = [], 0
    for read in table:
        maps.append(F.conv2d(x[:, read], kernels[used : used + len(read)][None], stride=stride))
        used += len(read)
    assert used == len(kernels)
    return torch.cat(maps, 1)


def zip_codes(state: State, x: Tensor) -> Tensor:
    x = F.pad(x, (2, 2, 2, 2), value=-1)
    x = squash(F.conv2d(x, state["h1.connections.weight"], stride=2) + state["h1.bias"])
    x = F.pad(x, (2, 2, 2, 2), value=-1)
    table = [[(first + step) % 12 for step in range(8)] for first in range(12)]
    x = squash(map_by_map(x, state["h2.connections.kernels"], table, stride=2) + state["h2.bias"])
    x = squash(F.linear(x.flatten(1), state["h3.weight"], state["h3.bias"]))
    return F.linear(x, state["fc.weight"], state["fc.bias"])


# table I of 1998 as it is printed: a row for each map of S2, a column for each of C3
TABLE_1 = """
X...XXX..XXXX.XX
XX...XXX..XXXX.X
XXX...XXX..X.XXX
.XXX..XXXX..X.XX
..XXX..XXXX.XX.X
...XXX..XXXX.XXX
"""


def column(number: int) -> list[int]:
    return [read for read, row in enumerate(TABLE_1.split()) if row[number] == "X"]


def subsample(state: State, name: str, x: Tensor) -> Tensor:
    total = x[:, :, ::2, ::2] + x[:, :, 1::2, ::2] + x[:, :, ::2, 1::2] + x[:, :, 1::2, 1::2]
    return squash(state[f"{name}.alpha"][:, None, None] * total + state[f"{name}.beta"][:, None, None])


def documents(state: State, x: Tensor) -> Tensor:
    x = subsample(state, "s2", squash(F.conv2d(x, state["c1.weight"], state["c1.bias"])))
    x = map_by_map(x, state["c3.kernels"], [column(number) for number in range(16)])
    x = subsample(state, "s4", squash(x + state["c3.bias"][:, None, None]))
    x = squash(F.linear(x.flatten(1), state["c5.weight"].flatten(1), state["c5.bias"]))
    x = squash(F.linear(x, state["f6.weight"], state["f6.bias"]))
    return torch.stack([-(x - picture).square().sum(1) for picture in state["output.pictures"]], 1)


@pytest.mark.parametrize(("name", "reference"), [("lenet_1989", zip_codes), ("lenet5_original", documents)])
@torch.no_grad()
def test_same_answers(name: str, reference) -> None:
    network = create_model(name).double().eval()
    fill_distinct(network, seed=2)
    x = torch.randn(3, *network.input_size, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = reference(network.state_dict(), x)
    assert 0.1 < expected.std() < 100
    assert torch.allclose(network(x), expected, rtol=1e-12, atol=1e-12)


def test_tables() -> None:
    assert [list(maps) for maps in lenet5_original.TABLE] == [column(number) for number in range(16)]
    assert [len(maps) for maps in lenet5_original.TABLE] == [3] * 6 + [4] * 9 + [6]
    assert [len(set(maps)) for maps in lenet_1989.TABLE] == [8] * 12
    assert [sum(number in maps for maps in lenet_1989.TABLE) for number in range(12)] == [8] * 12
