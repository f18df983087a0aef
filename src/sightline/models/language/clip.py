"""CLIP: an image and its text have vectors that point the same way.

    Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision", arXiv:2103.00020

The text tower is a Transformer with a causal mask whose vector is read at the end token; both vectors are projected and scaled
to length 1. The temperature is learned as the logarithm of its inverse, begins at 1 / 0.07 and is clamped at 100 (section 2.5):
without the clamp training becomes unstable.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.layers.attention.encoder_block import EncoderBlock
from sightline.layers.attention.multi_head import MultiHeadAttention
from sightline.layers.attention.sequences import WordEmbedding, WordPosition

MOST_SCALE = math.log(100.0)
TEMPERATURE = 0.07  # at the beginning


class AttentionPool(nn.Module):
    """One vector of a map: its mean asks, and every place answers, by where it is and what is there (section 2.4). A plain mean
    would forget what is left of what."""

    def __init__(self, channels: int, grid: tuple[int, int], heads: int) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.randn(grid[0] * grid[1], channels) * channels**-0.5)
        self.attention = MultiHeadAttention(channels, heads)

    def forward(self, x: Float[Tensor, "b c i j"]) -> Float[Tensor, "b c"]:
        """A map (b, c, i, j) of the grid → (b, c)."""
        places = x.flatten(2).transpose(1, 2) + self.place
        return self.attention(places.mean(1, keepdim=True), places, places)[:, 0]


class Clip(nn.Module):
    """`trunk` is a network for images without a head, `features(x)` gives its maps; `image_shape` is that of an image.

    pool        attention over the last map, or its mean
    dimension   of the common vectors
    width, depth, heads, longest   of the text tower
    causal      words read the words before them only; False: all words
    """

    def __init__(
        self,
        tokens: int,
        trunk: nn.Module,
        image_shape: tuple[int, int, int],
        *,
        pool: Literal["attention", "mean"] = "attention",
        dimension: int = 128,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        longest: int = 32,
        dropout: float = 0.0,
        positions: WordPosition = "learned",
        causal: bool = True,
    ) -> None:
        super().__init__()
        self.trunk: Any = trunk
        with torch.no_grad():
            training, images = trunk.training, trunk.eval()
            features: Any = images.features
            _, channels, *grid = features(torch.zeros(1, *image_shape))[-1].shape
            trunk.train(training)
        if pool not in ("attention", "mean"):
            raise UsageError(f"unknown pool {pool!r}", "use attention or mean")
        self.pool = AttentionPool(channels, (grid[0], grid[1]), heads) if pool == "attention" else None
        self.image_projection = nn.Linear(channels, dimension, bias=False)
        self.embedding = WordEmbedding(tokens, width, longest, positions=positions, dropout=dropout)
        rotary = positions == "rotary"
        self.blocks = nn.ModuleList(EncoderBlock(width, heads, dropout=dropout, rotary=rotary) for _ in range(depth))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.text_projection = nn.Linear(width, dimension, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(math.log(1 / TEMPERATURE)))
        self.causal, self.longest = causal, longest
        for projection in (self.image_projection, self.text_projection):
            nn.init.normal_(projection.weight, std=projection.in_features**-0.5)

    def scale(self) -> Float[Tensor, ""]:
        """What cosines are multiplied by, at most 100. Beyond the clamp its gradient is 0."""
        return self.logit_scale.clamp(max=MOST_SCALE).exp()

    def encode_image(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b d"]:
        """Vectors of length 1."""
        places = self.trunk.features(image)[-1]
        vector = places.mean((2, 3)) if self.pool is None else self.pool(places)
        return F.normalize(self.image_projection(vector), dim=1)

    def encode_text(self, text: Int[Tensor, "b n"], mask: Bool[Tensor, "b n"]) -> Float[Tensor, "b d"]:
        """Vectors of length 1, read at the last real token."""
        x = self.embedding(text)
        bias = None
        if not self.causal:  # padding comes last, so a causal mask hides it already
            bias = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -torch.inf)[:, None, None]
        for block in self.blocks:
            x = block(x, bias, causal=self.causal)
        last = mask.sum(1) - 1
        ends = self.norm(x[torch.arange(len(x), device=x.device), last])
        return F.normalize(self.text_projection(ends), dim=1)

    def forward(
        self,
        image: Float[Tensor, "b c h w"],
        text: Int[Tensor, "b n"] | None = None,
        mask: Bool[Tensor, "b n"] | None = None,
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b d"], Float[Tensor, ""]]:
        """The vectors of images and of texts, and the scale of their cosines. A text of START and END where none is given."""
        if text is None:
            text = torch.ones(len(image), 2, dtype=torch.long, device=image.device)
        if mask is None:
            mask = torch.ones_like(text, dtype=torch.bool)
        return self.encode_image(image), self.encode_text(text, mask), self.scale()
