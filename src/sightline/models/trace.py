"""A network as a line of words, and its table: shapes, parameters and cost, layer by layer, before anything is allocated.

The words are those of `models.pattern`, the table that of `models.describe`.
"""

from __future__ import annotations

from typing import Any

import torch

from sightline.models.early.pattern import sequence

from .describe import describe


def trace(pattern: str, input: tuple[int, int, int]) -> dict[str, Any]:
    """`describe`'s table of the network that a pattern such as "[CONV32-RELU-POOL]*2-FC128-RELU-FC10" names.

    input         (c, h, w) of one image
    UsageError    names what is no layer, what cannot stand where it does, or where the pixels run out
    """
    with torch.device("meta"):
        network = sequence(pattern, input)
    return describe(network, input=input) | {"name": pattern}
