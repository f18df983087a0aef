"""A network from a pattern, as a table: shapes, parameters and cost layer by layer, before anything is allocated.

Patterns are those of `models.early.pattern`, the table is that of `models.describe`.
"""

from __future__ import annotations

from typing import Any

import torch

from sightline.models.early.pattern import sequence

from .describe import describe


def trace(pattern: str, input: tuple[int, int, int]) -> dict[str, Any]:
    """The table (see `describe`) of the network with a pattern such as "[CONV32-RELU-POOL]*2-FC128-RELU-FC10".

    input         (c, h, w) of one image
    UsageError    for an unknown layer, one in the wrong place, or an image with too few pixels
    """
    with torch.device("meta"):
        network = sequence(pattern, input)
    return describe(network, input=input) | {"name": pattern}
