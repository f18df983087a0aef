"""A language model: each token is guessed from those before it, and a text is written by guessing on.

Radford et al. 2018, "Improving Language Understanding by Generative Pre-Training"; 2019, "Language Models are Unsupervised
Multitask Learners" (GPT-2): pre-norm, learned positions, the vectors of the tokens as output weights
"""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int, Num
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.attention.encoder_block import EncoderBlock
from sightline.layers.attention.multi_head import Cache
from sightline.layers.attention.sequences import OffsetBias, WordEmbedding, WordPosition


@dataclass
class GptState:
    """The keys and values of the tokens so far, of each block."""

    caches: list[Cache]

    def take(self, rows: Int[Tensor, "r"]) -> None:
        """Keep these rows of the batch."""
        for cache in self.caches:
            cache.take(rows)


class Gpt(nn.Module):
    """Scores of the next token after each of a text. `positions` as in `Transformer`."""

    def __init__(
        self,
        tokens: int,
        *,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        longest: int = 64,
        dropout: float = 0.1,
        positions: WordPosition = "learned",
    ) -> None:
        super().__init__()
        self.embedding = WordEmbedding(tokens, width, longest, positions=positions, dropout=dropout)
        rotary = positions == "rotary"
        self.blocks = nn.ModuleList(EncoderBlock(width, heads, dropout=dropout, rotary=rotary) for _ in range(depth))
        self.offsets = OffsetBias(heads) if positions == "relative" else None
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.longest = longest

    def start(self) -> GptState:
        """The state of no text, from which `step` writes."""
        return GptState([Cache() for _ in self.blocks])

    def step(self, token: Int[Tensor, "b n"], state: GptState) -> Float[Tensor, "b v"]:
        """The scores (b, v) of the next token, after `token`, which the state does not hold yet."""
        return self._scores(token, state.caches)[:, -1]

    def _scores(self, index: Int[Tensor, "b n"], caches: list[Cache] | None = None) -> Float[Tensor, "b n v"]:
        start, n = len(caches[0]) if caches else 0, index.shape[1]
        bias = None if self.offsets is None else self.offsets(n, start + n)
        x = self.embedding(index, start)
        for i, block in enumerate(self.blocks):
            x = block(x, bias, causal=True, cache=caches[i] if caches else None)
        return F.linear(self.norm(x), self.embedding.token.weight)

    def forward(self, index: Num[Tensor, "b n"], mask: object = None) -> Float[Tensor, "b n v"]:
        """The scores (b, n, v) of the token after each; padding comes last, so no mask is needed."""
        return self._scores(index.long())
