"""Position embeddings by name: attention alone is blind to the order of tokens.

    none         a bag of patches
    learned_1d   a vector for each place in the sequence                        Dosovitskiy et al. 2020, arXiv:2010.11929
    learned_2d   half a vector for each row, half for each column               ibid., appendix D.4
    sinusoid     sin and cos of the place at wavelengths from 2π to almost 10000 · 2π      Vaswani et al. 2017, arXiv:1706.03762
    relative     attention logits get a bias for each offset between two patches, from a table for each head; tokens are
                 left as they are                                               Shaw et al. 2018, arXiv:1803.02155

The relative one has Swin's form (Liu et al. 2021, arXiv:2103.14030): offsets are two-dimensional, and the bias does not
depend on the query. Appendix D.4 instead multiplies the query with an embedding of a one-dimensional offset.

Patches are counted in reading order. Tokens `ahead` of them (a class token) have no place on the grid: learned_1d and
sinusoid number them in the sequence, learned_2d and relative leave them unchanged. Learned values are initialised with
standard deviation 0.02.
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
    """Wavelengths of the sin-cos pairs, in places: 2π · 10000^(2i/width). The last is just below 10000 · 2π."""
    if width % 2:
        raise UsageError(f"a sinusoid of width {width} has half a pair", "use an even width")
    return 2 * math.pi * 10_000 ** (torch.arange(0, width, 2, dtype=torch.float64) / width)


def sinusoid(places: int, width: int) -> Float[Tensor, "n d"]:
    """sin(p · 2π/λᵢ) in column 2i and cos in column 2i + 1, in float64."""
    angle = torch.arange(places, dtype=torch.float64)[:, None] * (2 * math.pi / wavelengths(width))  # (n, d/2)
    return torch.stack([angle.sin(), angle.cos()], 2).flatten(1)  # (n, d)


def relative_offsets(grid: Grid) -> Int[Tensor, "n n"]:
    """For patches i and j: the number of the offset from i to j among all (2h - 1)(2w - 1), in reading order.

    >>> relative_offsets((1, 3))  # offsets -2 … 2 are numbered 0 … 4
    tensor([[2, 3, 4],
            [1, 2, 3],
            [0, 1, 2]])
    """
    h, w = grid
    row = torch.arange(h).repeat_interleave(w)  # (n,)
    column = torch.arange(w).repeat(h)
    down, right = row[None] - row[:, None] + h - 1, column[None] - column[:, None] + w - 1  # (n, n)
    return down * (2 * w - 1) + right


class Layout(NamedTuple):
    """The sequence to embed: `ahead` tokens, then the patches of a grid; `width` numbers each, read by `heads`."""

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

    def resample(self, learned: Float[Tensor, "1 m d"]) -> Float[Tensor, "1 n d"]:
        """Embeddings learned on another, square grid, interpolated to this one as an image (bicubic, antialiased).

        UsageError unless the number of places is a square.
        """
        ahead, places = learned.split([self.ahead, learned.shape[1] - self.ahead], 1)
        side = math.isqrt(places.shape[1])
        if side * side != places.shape[1]:
            raise UsageError(
                f"{places.shape[1]} learned positions are not a square grid",
                "use weights of square images with the same tokens ahead of the patches (option pool)",
            )
        image = places.float().unflatten(1, (side, side)).permute(0, 3, 1, 2)  # (1, m, d) → (1, d, side, side)
        image = F.interpolate(image, self.grid, mode="bicubic", antialias=True)
        return torch.cat([ahead, image.flatten(2).transpose(1, 2).to(places.dtype)], 1)  # (1, d, h, w) → (1, n, d)

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
            raise UsageError(f"a width of {layout.width} cannot be halved for rows and columns", "use an even width")
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
        self.register_buffer(
            "places", places[None], persistent=False
        )  # determined by the shape, so not in the state dict

    def embeddings(self) -> Float[Tensor, "1 n d"]:
        """The embeddings (1, n, d)."""
        return self.get_buffer("places")

    def forward(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        """Tokens (b, n, d) plus their embeddings."""
        return x + self.embeddings()


class RelativeBias(nn.Module):
    """A learned bias for attention logits, one for each offset and head (relative); its forward takes no tokens."""

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
    """A new position embedding by name; UsageError with the nearest name."""
    return lookup("position embedding", name, POSITIONS)(layout)


def position_similarity(embeddings: Float[Tensor, "n d"], grid: Grid) -> Float[Tensor, "h w h w"]:
    """Cosine similarity of each place of the grid with every place (arXiv:2010.11929, figure 7, centre)."""
    unit = F.normalize(embeddings, dim=1)  # (n, d)
    return (unit @ unit.T).unflatten(1, grid).unflatten(0, grid)
