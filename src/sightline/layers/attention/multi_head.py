"""Attention between tokens: each reads an average of all values, weighted by how well their keys match its query.

    softmax(Q Kᵀ / √d) V            Vaswani et al. 2017, "Attention is all you need", arXiv:1706.03762
    softmax(vᵀ tanh(W q + U k)) V   Bahdanau, Cho & Bengio 2014, arXiv:1409.0473: additive, compared by a small network

d is the width of one head. For unit-normal vectors q·k has standard deviation √d; without the scale a softmax of such
numbers saturates and passes almost no gradient. Several heads read the same tokens through projections of their own.
Without positions, attention is equivariant to permutation: shuffled tokens give shuffled outputs.

`MultiHeadAttention` has the parameter names and the initialisation of `torch.nn.MultiheadAttention`; inputs are always
(b, n, d).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError


class Attended(NamedTuple):
    """The outputs of n queries, and their weights on the m values; each row of weights sums to 1."""

    output: Float[Tensor, "*b n d"]
    weights: Float[Tensor, "*b n m"]


def attention_logits(
    query: Float[Tensor, "*b n d"], key: Float[Tensor, "*b m d"], *, scale: float | None = None
) -> Float[Tensor, "*b n m"]:
    """The match of each query with each key: scale · q·k, with 1/√d where `scale` is None."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    return scale * query @ key.transpose(-2, -1)


def causal_bias(logits: Float[Tensor, "*b n m"]) -> Float[Tensor, "n m"]:
    """-inf where a token would read a later one, 0 elsewhere.

    n = m = 3:   0 -inf -inf
                 0    0 -inf
                 0    0    0

    The n queries are the last of m tokens: with n = 1 it reads all of them.
    """
    n, m = logits.shape[-2:]
    return torch.full((n, m), -torch.inf, dtype=logits.dtype, device=logits.device).triu(1 + m - n)


def scaled_dot_product(
    query: Float[Tensor, "*b n d"],
    key: Float[Tensor, "*b m d"],
    value: Float[Tensor, "*b m v"],
    *,
    bias: Float[Tensor, "... #n #m"] | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Attended:
    """Attention in explicit form.

    bias      added to the logits; -inf hides a key from a query. At least one key must stay visible to each query
    causal    token i reads tokens 0 … i only
    scale     of the logits; None: 1/√d. Scale 1 with query = key = value is self-attention without parameters
    """
    logits = attention_logits(query, key, scale=scale)  # (*b, n, m)
    if bias is not None:
        logits = logits + bias
    if causal:
        logits = logits + causal_bias(logits)
    weights = logits.softmax(-1)
    return Attended(weights @ value, weights)


def visible(mask: Bool[Tensor, "b m"]) -> Float[Tensor, "b 1 1 m"]:
    """The bias of the logits that hides the tokens where `mask` is false, for every head and query."""
    hidden = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -torch.inf)
    return hidden[:, None, None]  # (b, 1, 1, m)


def rotated(x: Float[Tensor, "b heads n d"], start: int = 0) -> Float[Tensor, "b heads n d"]:
    """Rotary positions: the pair (2i, 2i + 1) of place p is turned by p / 10000^(2i/d), so that the product of a query and a
    key depends on the distance of their places only (Su et al. 2021, arXiv:2104.09864). `start` is the place of the first."""
    n, d = x.shape[-2:]
    place = torch.arange(start, start + n, device=x.device, dtype=torch.float64)
    angle = place[:, None] / 10_000 ** (torch.arange(0, d, 2, device=x.device, dtype=torch.float64) / d)  # (n, d/2)
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    even, odd = x[..., ::2], x[..., 1::2]
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], -1).flatten(-2)


@dataclass
class Cache:
    """Keys and values (b, heads, m, d) of the tokens so far, so that the next one needs only its own."""

    key: Tensor | None = None
    value: Tensor | None = None

    def __len__(self) -> int:
        return 0 if self.key is None else self.key.shape[2]

    def extended(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values, with these at the end."""
        if self.key is not None and self.value is not None:
            key, value = torch.cat([self.key, key], 2), torch.cat([self.value, value], 2)
        self.key, self.value = key, value
        return key, value

    def take(self, rows: Int[Tensor, "r"]) -> None:
        """Keep these rows of the batch, as beams that go on do."""
        if self.key is not None and self.value is not None:
            self.key, self.value = self.key[rows], self.value[rows]


class AdditiveAttention(nn.Module):
    """Attention whose logits come from a hidden layer of `width`, so queries (b, n, query) and keys (b, m, key) may differ in
    width."""

    def __init__(self, query: int, key: int, width: int) -> None:
        super().__init__()
        self.of_query, self.of_key = nn.Linear(query, width, bias=False), nn.Linear(key, width)
        self.score = nn.Linear(width, 1, bias=False)

    def forward(
        self,
        query: Float[Tensor, "b n q"],
        key: Float[Tensor, "b m k"],
        value: Float[Tensor, "b m v"],
        *,
        bias: Float[Tensor, "... #n #m"] | None = None,
    ) -> Attended:
        """Queries (b, n, q), keys (b, m, k), values (b, m, v) → output (b, n, v) and weights (b, n, m). `bias` is added to
        the logits."""
        hidden = torch.tanh(self.of_query(query)[:, :, None] + self.of_key(key)[:, None])  # (b, n, m, width)
        logits = self.score(hidden)[..., 0]  # (b, n, m)
        weights = (logits if bias is None else logits + bias).softmax(-1)
        return Attended(weights @ value, weights)


class MultiHeadAttention(nn.Module):
    """Project, attend in each head, concatenate the heads, project. `dropout` is the rate of dropping attention weights while
    training; `rotary` turns queries and keys by their places (`rotated`).

    UsageError where the width is not a multiple of the heads.
    """

    def __init__(self, width: int, heads: int, *, dropout: float = 0.0, rotary: bool = False) -> None:
        super().__init__()
        if width % heads:
            raise UsageError(
                f"{heads} heads cannot share a width of {width}", f"use a width that is a multiple of {heads}"
            )
        self.heads, self.dropout, self.rotary = heads, dropout, rotary
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))  # of queries, keys, values
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self,
        query: Float[Tensor, "b n d"],
        key: Float[Tensor, "b m d"],
        value: Float[Tensor, "b m d"],
        *,
        bias: Float[Tensor, "... #n #keys"] | None = None,
        causal: bool = False,
        cache: Cache | None = None,
    ) -> Float[Tensor, "b n d"]:
        """By torch's fused kernel, which never materialises the weights. `bias` is shared by all heads, or (…, heads, n, m).
        With a `cache`, the keys and values of earlier tokens are read before these, and these are added to it."""
        q, k, v = self._project(query, key, value, 0 if cache is None else len(cache))
        if cache is not None:
            k, v = cache.extended(k, v)
        if causal and bias is None and q.shape[-2] != k.shape[-2]:
            bias = torch.zeros(1, 1, device=q.device, dtype=q.dtype)  # the kernel counts from the first key
        if causal and bias is not None:
            every = bias.expand(
                *bias.shape[:-2], q.shape[-2], k.shape[-2]
            )  # (…, n, m), also where the bias has a single row
            bias, causal = every + causal_bias(every), False
        rate = self.dropout if self.training else 0.0
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, is_causal=causal, dropout_p=rate)
        return self._join_heads(read)

    def with_weights(
        self,
        query: Float[Tensor, "b n d"],
        key: Float[Tensor, "b m d"],
        value: Float[Tensor, "b m d"],
        *,
        bias: Float[Tensor, "... #n #m"] | None = None,
        causal: bool = False,
    ) -> Attended:
        """The same output (b, n, d) in explicit form, with the weights (b, heads, n, m)."""
        read, weights = scaled_dot_product(*self._project(query, key, value), bias=bias, causal=causal)
        return Attended(self._join_heads(read), weights)

    def _project(self, query: Tensor, key: Tensor, value: Tensor, start: int = 0) -> tuple[Tensor, ...]:
        """Each (b, heads, tokens, d / heads); `start` is the place of the first token."""
        if query is key is value:  # self-attention: one matrix product for all three
            projected = F.linear(query, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        else:
            weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
            projected = tuple(map(F.linear, (query, key, value), weights, biases))
        q, k, v = (x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in projected)
        return (rotated(q, start), rotated(k, start), v) if self.rotary else (q, k, v)

    def _join_heads(self, read: Float[Tensor, "b heads n _"]) -> Float[Tensor, "b n d"]:
        return self.out_proj(read.transpose(1, 2).flatten(2))  # (b, n, d)
