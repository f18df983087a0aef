"""Numbers of the lecture about features made by hand, computed by the product. `handmade.json` holds the rows as given."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from sightline.classical.corners import eigenvalues
from sightline.classical.features.haar import integral, rectangle
from sightline.classical.features.hog import Hog
from sightline.classical.features.words import fisher_size
from sightline.classical.learners.quantised import packed_bytes
from tests.golden.rows import Golden

golden = Golden("handmade")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


@golden("fv-dims")
def _(inputs: Inputs):
    return fisher_size(inputs["D"], inputs["N"], inputs["R"])


@golden("fv-compression")
def _(inputs: Inputs):
    size = fisher_size(64, 1024, 4)
    taken = packed_bytes(size, inputs["G"], inputs["b"])
    return {"groups": size // inputs["G"], "bytes": taken, "float_bytes": 4 * size}


@golden("hog-size")
def _(inputs: Inputs):
    hog = Hog(cell=inputs["cell"], bins=inputs["bins"], block=1, norm="none")
    vector = hog(torch.zeros(1, 1, inputs["height"], inputs["width"]))
    rows, columns = hog.grid(inputs["height"], inputs["width"])
    return {"cells": [columns, rows], "features": vector.shape[1]}


@golden("integral-image")
def _(inputs: Inputs):
    x = torch.arange(1.0, 17.0).reshape(4, 4)
    table = integral(x)
    return {
        "total": float(table[-1, -1]),
        "rect": float(rectangle(table, 1, 1, 3, 4)),
        "direct": float(x[1:3, 1:4].sum()),
    }


@golden("harris-rank")
def _(inputs: Inputs):
    """A flat patch, a step across it, and a step in both directions."""
    patches = {name: torch.zeros(5, 5) for name in ("flat", "edge", "corner")}
    patches["edge"][:, 2:] = 1
    patches["corner"][2:, 2:] = 1
    return {name: int((eigenvalues(patch) > 1e-6).sum()) for name, patch in patches.items()}
