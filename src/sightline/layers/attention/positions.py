"""Where a token stands, told to a network that cannot see it: position embeddings by name.

    none         a bag of patches
    learned_1d   a vector for each place in the sequence                        Dosovitskiy et al. 2020, arXiv:2010.11929
    learned_2d   half a vector for each row, half for each column               there, appendix D.4
    sinusoid     sin and cos of the place at wavelengths from 2π to almost 10000 · 2π      Vaswani et al. 2017, arXiv:1706.03762
    relative     nothing is added to tokens; attention logits get a number for each offset between two patches, a table
                 for each head                                                  Shaw et al. 2018, arXiv:1803.02155

The relative one is Swin's form (Liu et al. 2021, arXiv:2103.14030): offsets are two-dimensional and their number does not
depend on the query. Appendix D.4 multiplies the query with an embedding of a one-dimensional offset instead.

Patches are counted row by row. Tokens `ahead` of them (a class token) have no place on the grid: learned_1d and sinusoid
count them in the sequence, learned_2d and relative leave them as they are. Learned numbers start from deviation 0.02.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.registry import lookup

Position = Literal["none", "learned_1d", "learned_2d", "sinusoid", "relative"]
Grid = tuple[int, int]


def wavelengths(width: int) -> Float[Tensor, "pairs"]:
    """Of the sin-cos pairs of a sinusoid, in places: 2π · 10000^(2i/width). The last falls short of 10000 · 2π."""
    if width % 2:
        raise UsageError(f"a sinusoid of width {width} has half a pair", "an even width")
    return 2 * math.pi * 10_000 ** (torch.arange(0, width, 2, dtype=torch.float64) / width)


def sinusoid(places: int, width: int) -> Float[Tensor, "n d"]:
    """sin(p · 2π/λᵢ) in column 2i and cos in column 2i + 1, in float64."""
    angle = torch.arange(places, dtype=torch.float64)[:, None] * (2 * math.pi / wavelengths(width))  # (n, d/2)
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)  # (n, d)


def relative_offsets(grid: Grid) -> Int[Tensor, "n n"]:
    """For patches i and j: which of the (2h - 1)(2w - 1) offsets j has from i, counted row by row."""
    h, w = grid
    row = torch.arange(h).repeat_interleave(w)  # (n,)
    column = torch.arange(w).repeat(h)
    down, right = row[None] - row[:, None] + h - 1, column[None] - column[:, None] + w - 1  # (n, n)
    return down * (2 * w - 1) + right


class Layout(NamedTuple):
    """What is to be placed: patches of a grid behind `ahead` other tokens, `width` numbers each, read by `heads`."""

    grid: Grid
    width: int
    heads: int = 1
    ahead: int = 0

    @property
    def tokens(self) -> int:
        """Number of tokens, those ahead of the patches included."""
        return self.ahead + self.grid[0] * self.grid[1]


class LearnedPositions(nn.Module):
    """A learned vector for each place in the sequence (learned_1d)."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.grid, self.ahead = layout.grid, layout.ahead
        self.weight = nn.Parameter(torch.empty(1, layout.tokens, layout.width))
        nn.init.normal_(self.weight, std=0.02)

    def resampled(self, learned: Float[Tensor, "1 m d"]) -> Float[Tensor, "1 n d"]:
        """What was learned on another square grid, for this one: the patches' places as a picture, bicubic, with
        anti-aliasing. UsageError for places of no square."""
        ahead, places = learned.split([self.ahead, learned.shape[1] - self.ahead], 1)
        side = math.isqrt(places.shape[1])
        if side * side != places.shape[1]:
            raise UsageError(
                f"{places.shape[1]} learned positions are no square grid",
                "weights of square images, with as many tokens ahead (pool)",
            )
        picture = places.float().unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, m, d) → (1, d, side, side)
        picture = F.interpolate(picture, self.grid, mode="bicubic", antialias=True)
        return torch.cat([ahead, picture.flatten(2).transpose(1, 2).to(places.dtype)], 1)  # (1, d, h, w) → (1, n, d)

    def embeddings(self) -> Float[Tensor, "1 n d"]:
        """The embeddings (1, n, d)."""
        return self.weight

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Tokens (b, n, d) plus their embeddings."""
        return x + self.embeddings()


class GridPositions(nn.Module):
    """Half a learned vector for each row, half for each column (learned_2d)."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        (h, w), half = layout.grid, layout.width // 2
        if layout.width % 2:
            raise UsageError(f"a width of {layout.width} has no halves for rows and columns", "an even width")
        self.ahead = layout.ahead
        self.row, self.column = nn.Parameter(torch.empty(h, half)), nn.Parameter(torch.empty(w, half))
        nn.init.normal_(self.row, std=0.02)
        nn.init.normal_(self.column, std=0.02)

    def embeddings(self) -> Float[Tensor, "1 n d"]:
        """The embeddings (1, n, d); zeros for tokens ahead of the patches."""
        h, w = len(self.row), len(self.column)
        row, column = self.row[:, None].expand(h, w, -1), self.column[None].expand(h, w, -1)  # (h, w, d/2)
        places = torch.cat([row, column], 2).flatten(0, 1)  # (h · w, d)
        return F.pad(places, (0, 0, self.ahead, 0))[None]

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Tokens (b, n, d) plus their embeddings."""
        return x + self.embeddings()


class SinusoidPositions(nn.Module):
    """Fixed sines and cosines of the place in the sequence (sinusoid)."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        places = sinusoid(layout.tokens, layout.width).to(torch.get_default_dtype())
        self.register_buffer("places", places[None], persistent=False)  # follows from the shape

    def embeddings(self) -> Float[Tensor, "1 n d"]:
        """The embeddings (1, n, d)."""
        return self.get_buffer("places")

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Tokens (b, n, d) plus their embeddings."""
        return x + self.embeddings()


class RelativeBias(nn.Module):
    """For the logits of attention, not for tokens: it takes nothing."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        h, w = layout.grid
        self.ahead = layout.ahead
        self.weight = nn.Parameter(torch.empty((2 * h - 1) * (2 * w - 1), layout.heads))
        nn.init.normal_(self.weight, std=0.02)
        self.register_buffer("offsets", relative_offsets(layout.grid), persistent=False)

    def forward(self) -> Float[Tensor, "1 heads n n"]:
        """The bias of the attention logits, (1, heads, n, n)."""
        bias = self.weight[self.get_buffer("offsets")]  # (h · w, h · w, heads)
        return F.pad(bias.permute(2, 0, 1), (self.ahead, 0, self.ahead, 0))[None]


POSITIONS: Mapping[str, Callable[[Layout], nn.Module]] = {
    "none": nn.Identity,
    "learned_1d": LearnedPositions,
    "learned_2d": GridPositions,
    "sinusoid": SinusoidPositions,
    "relative": RelativeBias,
}


def position_embedding(name: str, layout: Layout) -> nn.Module:
    """A fresh position embedding by name; UsageError with the nearest name."""
    return lookup("position embedding", name, POSITIONS)(layout)


def position_similarity(embeddings: Float[Tensor, "n d"], grid: Grid) -> Float[Tensor, "h w h w"]:
    """How alike the places of a grid are: for each of them a map of cosines with all (the paper's figure 7, centre)."""
    unit = F.normalize(embeddings, dim=1)  # (n, d)
    return (unit @ unit.T).unflatten(1, grid).unflatten(0, grid)
