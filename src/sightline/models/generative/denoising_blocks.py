"""The parts of a denoising U-Net, named as `diffusers` names them in its UNet2DModel."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.attention.encoder_block import EncoderBlock
from sightline.layers.attention.multi_head import scaled_dot_product

LONGEST = 32  # words of a text
_PERIOD = 10_000.0


def sinusoids(time: Tensor, width: int, *, sine_first: bool = False, shift: int = 0) -> Float[Tensor, "b w"]:
    """Times as cosines and sines of wavelengths from 2π to 2π · 10,000 (Vaswani et al. 2017), in 32 bits."""
    half = width // 2
    exponent = torch.arange(half, dtype=torch.float32, device=time.device) / (half - shift)
    angle = time.float()[:, None] * torch.exp(-math.log(_PERIOD) * exponent)
    parts = (angle.sin(), angle.cos()) if sine_first else (angle.cos(), angle.sin())
    return torch.cat(parts, dim=1)


class State(NamedTuple):
    """What all blocks of one pass read: the time's embedding (b, t), and the words (b, n, s)."""

    time: Tensor
    words: Tensor | None = None


class Norm(nn.GroupNorm):
    """Group norm in 32 bits: under autocast torch's own in 16 bits takes several times as long on a processor."""

    def forward(self, input: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h w"]:
        """Maps of the shape of `input`, in float32."""
        return super().forward(input.float())


class TimeEmbedding(nn.Module):
    """Two dense layers over the sinusoids."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(inputs, width), nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b i"]) -> Float[Tensor, "b w"]:
        """Sinusoids of the times (b, i) → vectors (b, w)."""
        return self.linear_2(F.silu(self.linear_1(x)))


class Residual(nn.Module):
    """Norm, SiLU, 3x3, time, norm, SiLU, dropout, 3x3; added to the input, or to its 1x1 where the channels change."""

    def __init__(self, inputs: int, outputs: int, time: int, *, groups: int, eps: float, dropout: float) -> None:
        super().__init__()
        self.norm1, self.conv1 = Norm(groups, inputs, eps), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time_emb_proj = nn.Linear(time, outputs)
        self.norm2, self.dropout = Norm(groups, outputs, eps), nn.Dropout(dropout)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        if inputs != outputs:
            self.conv_shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Float[Tensor, "b i h w"], time: Float[Tensor, "b t"]) -> Float[Tensor, "b o h w"]:
        """Maps (b, i, h, w) and embedded times (b, t) → maps (b, o, h, w)."""
        y = self.conv1(F.silu(self.norm1(x))) + self.time_emb_proj(F.silu(time))[:, :, None, None]
        y = self.conv2(self.dropout(F.silu(self.norm2(y))))
        return y + (self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x)


class Attention(nn.Module):
    """Places of a map attend to each other, or to words of width `source`; added to the input."""

    def __init__(self, channels: int, *, width: int, groups: int, eps: float, source: int | None = None) -> None:
        super().__init__()
        self.width = width
        self.group_norm = Norm(groups, channels, eps)
        self.to_q = nn.Linear(channels, channels)
        self.to_k, self.to_v = (nn.Linear(source or channels, channels) for _ in range(2))
        self.to_out = nn.ModuleList([nn.Linear(channels, channels)])

    def forward(
        self,
        x: Float[Tensor, "b c h w"],
        words: Float[Tensor, "b n s"] | None = None,
    ) -> Float[Tensor, "b c h w"]:
        """Maps of the shape of `x`; without `words` its places attend to each other."""
        places = self.group_norm(x).flatten(2).transpose(1, 2)  # (b, h w, c)
        source = places if words is None else words
        q, k, v = (
            y.unflatten(-1, (-1, self.width)).transpose(1, 2)  # (b, heads, tokens, width)
            for y in (self.to_q(places), self.to_k(source), self.to_v(source))
        )
        # Not torch's fused kernel: on a processor its backward pass in 16 bits takes longer than all convolutions together.
        read = scaled_dot_product(q, k, v).output
        out = self.to_out[0](read.transpose(1, 2).flatten(2))
        return x + out.transpose(1, 2).unflatten(2, x.shape[2:])


class Block(nn.Module):
    """Residual blocks at one size; each may be followed by attention, to itself and to the words. Then down or up."""

    def __init__(
        self, reads: list[int], outputs: int, time: int, *, attends: bool, words: int | None, **shared: Any
    ) -> None:
        super().__init__()
        head, eps, groups = shared.pop("head"), shared["eps"], shared["groups"]
        self.resnets = nn.ModuleList(Residual(inputs, outputs, time, **shared) for inputs in reads)
        among = {"width": min(head, outputs), "groups": groups, "eps": eps}
        if attends:
            self.attentions = nn.ModuleList(Attention(outputs, **among) for _ in reads)
        if attends and words is not None:
            self.text_attentions = nn.ModuleList(Attention(outputs, source=words, **among) for _ in reads)

    def at(self, i: int, x: Tensor, state: State) -> Tensor:
        """The i-th residual block and what follows it at the same size."""
        x = self.resnets[i](x, state.time)
        if hasattr(self, "attentions"):
            x = self.attentions[i](x)
        if hasattr(self, "text_attentions"):
            x = self.text_attentions[i](x, state.words)
        return x


class Down(nn.Module):
    """Half the height and width. `padded`: on all sides; otherwise on the right and at the bottom only."""

    def __init__(self, channels: int, *, padded: bool) -> None:
        super().__init__()
        self.padded = padded
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, padding=1 if padded else 0)

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c i j"]:
        """Maps (b, c, h, w) → (b, c, h / 2, w / 2)."""
        return self.conv(x if self.padded else F.pad(x, (0, 1, 0, 1)))


class Up(nn.Module):
    """Height and width of a finer map, by nearest neighbours and a 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c h w"], size: torch.Size) -> Float[Tensor, "b c i j"]:
        """Maps (b, c, h, w) → (b, c, *size)."""
        return self.conv(F.interpolate(x, size=tuple(size), mode="nearest"))


class Middle(Block):
    """Residual, attention, residual at the coarsest size."""

    def __init__(self, channels: int, time: int, *, words: int | None, **shared: Any) -> None:
        super().__init__([channels, channels], channels, time, attends=True, words=words, **shared)
        del self.attentions[1:]
        if words is not None:
            del self.text_attentions[1:]

    def forward(self, x: Tensor, state: State) -> Tensor:
        """Maps of the shape of `x`."""
        return self.resnets[1](self.at(0, x, state), state.time)


class Words(nn.Module):
    """Words as vectors: embedded with their places, then one layer in which they read each other. Texts are filled up to one
    length by word 0, which is a word as any other."""

    def __init__(self, words: int, width: int, time: int) -> None:
        super().__init__()
        self.embedding, self.places = nn.Embedding(words, width), nn.Embedding(LONGEST, width)
        self.layer = EncoderBlock(width, max(width // 32, 1))
        self.norm, self.to_time = nn.LayerNorm(width), nn.Linear(width, time)

    def forward(self, index: Int[Tensor, "b n"]) -> tuple[Tensor, Tensor]:
        """Vectors (b, n, width), and what is added to the time's embedding (b, time)."""
        x = self.embedding(index) + self.places.weight[: index.shape[1]]
        x = self.norm(self.layer(x))
        return x, self.to_time(x.mean(1))
