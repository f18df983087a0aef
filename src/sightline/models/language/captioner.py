"""A network that says what an image shows: an image network reads it, a decoder writes while it looks at every place of it.

    Vinyals, Toshev, Bengio & Erhan 2014, arXiv:1411.4555   the encoder–decoder, with a recurrent decoder that sees one vector
    Xu et al. 2015, arXiv:1502.03044                        attention over the places of the image

The decoder here is that of the Transformer; its memory is the last map of any network for images.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.layers.attention.sequences import WordEmbedding, WordPosition

from .transformer import Decoder, DecoderState


class Captioner(nn.Module):
    """`trunk` is a network for images without a head: `features(x)` gives its maps, `channels` their widths.

    blind     no image is seen: one learned vector takes its place. What it writes is the best guess without looking
    """

    def __init__(
        self,
        tokens: int,
        trunk: nn.Module,
        *,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        longest: int = 32,
        dropout: float = 0.2,
        positions: WordPosition = "learned",
        norm_first: bool = True,
        blind: bool = False,
    ) -> None:
        super().__init__()
        self.trunk: Any = trunk
        images: Any = trunk
        self.project = nn.Linear(images.channels[-1], width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.nothing = nn.Parameter(torch.zeros(1, 1, width)) if blind else None
        self.embedding = WordEmbedding(tokens, width, longest, positions=positions, dropout=dropout)
        self.decoder = Decoder(width, depth, heads, dropout=dropout, norm_first=norm_first, positions=positions)

    def encode(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b m d"]:
        """A vector for each place of the image, in reading order."""
        if self.nothing is not None:
            return self.nothing.expand(len(image), -1, -1)
        places = self.trunk.features(image)[-1].flatten(2).transpose(1, 2)  # (b, m, c)
        return self.norm(self.project(places))

    def start(self, image: Float[Tensor, "b c h w"]) -> DecoderState:
        """The state from which `step` writes."""
        return self.decoder.start(self.encode(image), None)

    def step(self, token: Int[Tensor, "b n"], state: DecoderState) -> Float[Tensor, "b v"]:
        """The scores (b, v) of the next token, after `token`, which the state does not hold yet."""
        return self.decoder(token, state, self.embedding)[:, -1]

    def forward(
        self, image: Float[Tensor, "b c h w"], prefix: Int[Tensor, "b n"] | None = None
    ) -> Float[Tensor, "b n v"]:
        """The scores (b, n, v) of the token after each of the prefix (b, n); of one that is alone where none is given."""
        if prefix is None:
            prefix = torch.zeros(len(image), 1, dtype=torch.long, device=image.device)
        return self.decoder(prefix, DecoderState(self.encode(image), None), self.embedding)
