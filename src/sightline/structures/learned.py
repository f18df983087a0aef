"""What a model has learned, as arrays that can be drawn: templates, words, filters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Gallery:
    """Tiles (n, v, c, h, w): n entries with v views of each, in 1 or 3 channels.

    title     in a heading; `words` say how the tiles are to be read
    entries   names of the entries; empty: one a class
    views     names of the views
    signed    grey is 0; else black is 0
    """

    title: str
    words: str
    tiles: Float[np.ndarray, "n v c h w"]
    entries: Sequence[str] = ()
    views: Sequence[str] = ()
    signed: bool = False
