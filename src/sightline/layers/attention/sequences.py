"""Positions of words: sequences have any length up to a longest one, and go on where a cache ends.

sinusoid   Vaswani et al. 2017    arXiv:1706.03762    sines and cosines are added to the words
learned    Gehring et al. 2017    arXiv:1705.03122    a vector for each place is added
relative   Shaw et al. 2018       arXiv:1803.02155    a bias of the logits for each offset up to ±FAR, by head
rotary     Su et al. 2021         arXiv:2104.09864    inside attention: `multi_head.rotated`
none       a bag of words
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.errors import UsageError

from .positions import sinusoid

WordPosition = Literal["sinusoid", "learned", "relative", "rotary", "none"]
POSITIONS = ("sinusoid", "learned", "relative", "rotary", "none")
FAR = 16  # offsets beyond it share the bias of the farthest


class WordEmbedding(nn.Module):
    """Vectors of tokens, times √width as in the paper, with their positions.

    UsageError for a text longer than `longest`, or positions that do not exist.
    """

    def __init__(self, tokens: int, width: int, longest: int, *, positions: WordPosition, dropout: float = 0.0) -> None:
        super().__init__()
        if positions not in POSITIONS:
            raise UsageError(f"unknown positions {positions!r}", f"use {', '.join(POSITIONS)}")
        self.token, self.dropout, self.longest = nn.Embedding(tokens, width), nn.Dropout(dropout), longest
        nn.init.normal_(self.token.weight, std=width**-0.5)
        self.scale = math.sqrt(width)
        self.place = nn.Embedding(longest, width) if positions == "learned" else None
        if self.place is not None:
            nn.init.normal_(self.place.weight, std=0.02)
        fixed = sinusoid(longest, width).to(torch.get_default_dtype()) if positions == "sinusoid" else None
        self.register_buffer("fixed", fixed, persistent=False)

    def forward(self, index: Int[Tensor, "b n"], start: int = 0) -> Float[Tensor, "b n d"]:
        """Tokens (b, n) → (b, n, d); `start` is the place of the first."""
        end = start + index.shape[1]
        if end > self.longest:
            raise UsageError(f"a text of {end} tokens, and the network takes {self.longest}", "shorten it")
        x = self.token(index) * self.scale
        if self.place is not None:
            x = x + self.place(torch.arange(start, end, device=index.device))
        fixed: Tensor | None = self.fixed  # type: ignore[assignment]
        return self.dropout(x if fixed is None else x + fixed[start:end])


class OffsetBias(nn.Module):
    """A learned bias for each head and each offset from query to key."""

    def __init__(self, heads: int, far: int = FAR) -> None:
        super().__init__()
        self.far = far
        self.weight = nn.Parameter(torch.zeros(2 * far + 1, heads))

    def forward(self, queries: int, keys: int) -> Float[Tensor, "1 heads n m"]:
        """The bias of the logits; the queries are the last of the keys."""
        query = torch.arange(keys - queries, keys, device=self.weight.device)
        offset = torch.arange(keys, device=self.weight.device)[None] - query[:, None]  # (n, m)
        return self.weight[offset.clamp(-self.far, self.far) + self.far].permute(2, 0, 1)[None]
