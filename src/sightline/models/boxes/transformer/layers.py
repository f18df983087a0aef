"""The Transformer of DETR: Carion et al. 2020, arXiv:2005.12872, appendix A.4 and figure 10.

Positions are added to queries and keys of every attention, not to values. Norms come after each residual sum, and one
more after the decoder, which is shared by the answers of all its layers. Parameter names are the authors'.
"""

from __future__ import annotations

import math
from typing import NamedTuple, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.attention.multi_head import MultiHeadAttention


class Size(NamedTuple):
    """Width of the tokens, heads, width of the hidden layer of each MLP, rate of dropout."""

    width: int
    heads: int
    hidden: int
    dropout: float


class _Layer(nn.Module):
    """What both kinds of layer share: self-attention and an MLP."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.self_attn = MultiHeadAttention(size.width, size.heads, dropout=size.dropout)
        self.linear1, self.linear2 = nn.Linear(size.width, size.hidden), nn.Linear(size.hidden, size.width)
        self.dropout = nn.Dropout(size.dropout)
        self.norm1, self.norm2 = nn.LayerNorm(size.width), nn.LayerNorm(size.width)

    def mlp(self, x: Tensor) -> Tensor:
        return self.dropout(self.linear2(self.dropout(F.relu(self.linear1(x)))))


class EncoderLayer(_Layer):
    """Pixels read one another."""

    def forward(
        self, x: Float[Tensor, "b n d"], position: Float[Tensor, "b n d"], hidden: Float[Tensor, "b 1 1 n"] | None
    ) -> Float[Tensor, "b n d"]:
        """(b, n, d) → (b, n, d); `hidden` is -inf at pixels of the padding."""
        q = x + position
        x = self.norm1(x + self.dropout(self.self_attn(q, q.clone(), x, bias=hidden)))
        return self.norm2(x + self.mlp(x))


class DecoderLayer(_Layer):
    """Queries read one another, then the pixels."""

    def __init__(self, size: Size) -> None:
        super().__init__(size)
        self.norm3 = nn.LayerNorm(size.width)
        self.multihead_attn = MultiHeadAttention(size.width, size.heads, dropout=size.dropout)

    def forward(
        self,
        x: Float[Tensor, "b q d"],
        query: Float[Tensor, "b q d"],
        memory: Float[Tensor, "b n d"],
        position: Float[Tensor, "b n d"],
        hidden: Float[Tensor, "b 1 1 n"] | None,
    ) -> Float[Tensor, "b q d"]:
        """(b, q, d) → (b, q, d)."""
        q = x + query
        x = self.norm1(x + self.dropout(self.self_attn(q, q.clone(), x)))
        x = self.norm2(x + self.dropout(self.multihead_attn(x + query, memory + position, memory, bias=hidden)))
        return self.norm3(x + self.mlp(x))


class Transformer(nn.Module):
    """Pixels and queries → the queries after every layer of the decoder."""

    def __init__(self, size: Size, encoder: int, decoder: int) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict({"layers": nn.ModuleList(EncoderLayer(size) for _ in range(encoder))})
        self.decoder = nn.ModuleDict(
            {"layers": nn.ModuleList(DecoderLayer(size) for _ in range(decoder)), "norm": nn.LayerNorm(size.width)}
        )
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)

    def forward(
        self,
        pixels: Float[Tensor, "b n d"],
        position: Float[Tensor, "b n d"],
        query: Float[Tensor, "b q d"],
        padding: Bool[Tensor, "b n"] | None,
    ) -> Float[Tensor, "l b q d"]:
        """(b, n, d) pixels, their positions, (b, q, d) queries → (l, b, q, d). `padding` marks pixels outside of an image."""
        hidden = None
        if padding is not None:
            hidden = torch.zeros_like(padding, dtype=pixels.dtype).masked_fill(padding, -math.inf)[:, None, None]
        for layer in cast(nn.ModuleList, self.encoder["layers"]):
            pixels = layer(pixels, position, hidden)
        x, answers = torch.zeros_like(query), []
        for layer in cast(nn.ModuleList, self.decoder["layers"]):
            x = layer(x, query, pixels, position, hidden)
            answers.append(self.decoder["norm"](x))
        return torch.stack(answers)


def sine_positions(
    padding: Bool[Tensor, "b h w"], width: int, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "b n d"]:
    """Sines and cosines of row (first half) and column (second half) of each pixel, scaled so that an image without its padding
    reaches from 0 to 2π: the same place of two images has the same position whatever their sizes."""
    inside = (~padding).float()
    half = width // 2
    frequency = 10_000 ** (torch.arange(0, half, 2, device=padding.device) / half).repeat_interleave(2)  # (half,)
    parts = []
    for axis in (1, 2):
        place = inside.cumsum(axis)
        last = place.narrow(axis, place.shape[axis] - 1, 1)
        angle = (place / (last + 1e-6) * 2 * math.pi)[..., None] / frequency  # (b, h, w, half)
        parts.append(torch.stack((angle[..., 0::2].sin(), angle[..., 1::2].cos()), 4).flatten(3))
    return torch.cat(parts, 3).flatten(1, 2).to(dtype)
