"""The Transformer: an encoder reads the source, a decoder writes the target, one token after the other.

    Vaswani et al. 2017, arXiv:1706.03762: post-norm, sinusoids, width 512, 8 heads, 6 + 6 blocks

The vectors of the tokens are shared by source, target and output, as in the paper (section 3.4). `norm_first` is the pre-norm
form, with a norm at the end of each stack, which trains without warm-up.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.attention.decoder_block import DecoderBlock
from sightline.layers.attention.encoder_block import EncoderBlock
from sightline.layers.attention.multi_head import Cache, visible
from sightline.layers.attention.sequences import OffsetBias, WordEmbedding, WordPosition


@dataclass
class DecoderState:
    """What decoding goes on from: the encoded source (b, m, d), its bias, and the cache of each block."""

    memory: Tensor
    bias: Tensor | None
    caches: list[Cache] = field(default_factory=list)

    def take(self, rows: Int[Tensor, "r"]) -> None:
        """Keep these rows of the batch."""
        self.memory, self.bias = self.memory[rows], None if self.bias is None else self.bias[rows]
        for cache in self.caches:
            cache.take(rows)


class Decoder(nn.Module):
    """Blocks that read the tokens so far and a memory of `width`, and score the next token."""

    def __init__(
        self,
        width: int,
        depth: int,
        heads: int,
        *,
        dropout: float,
        norm_first: bool,
        positions: WordPosition,
    ) -> None:
        super().__init__()
        rotary = positions == "rotary"
        self.blocks = nn.ModuleList(
            DecoderBlock(width, heads, dropout=dropout, norm_first=norm_first, rotary=rotary) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6) if norm_first else nn.Identity()
        self.offsets = OffsetBias(heads) if positions == "relative" else None

    def forward(
        self, prefix: Int[Tensor, "b n"], state: DecoderState, embedding: WordEmbedding
    ) -> Float[Tensor, "b n v"]:
        """The scores of the token after each of the prefix, whose vectors are those of the output too. With caches in the
        state, `prefix` is what they lack."""
        start = len(state.caches[0]) if state.caches else 0
        n = prefix.shape[1]
        bias = None if self.offsets is None else self.offsets(n, start + n)
        x = embedding(prefix, start)
        for i, block in enumerate(self.blocks):
            cache = state.caches[i] if state.caches else None
            x = block(x, state.memory, bias=bias, memory_bias=state.bias, cache=cache)
        return F.linear(self.norm(x), embedding.token.weight)

    def start(self, memory: Float[Tensor, "b m d"], mask: Bool[Tensor, "b m"] | None) -> DecoderState:
        """A state without tokens, with caches."""
        return DecoderState(memory, None if mask is None else visible(mask), [Cache() for _ in self.blocks])


class Transformer(nn.Module):
    """Encoder and decoder over one vocabulary of `tokens`.

    width, depth, heads   depth counts the blocks of each half
    longest               tokens of a text
    positions             sinusoid, learned, relative, rotary or none
    norm_first            pre-norm; False: post-norm, as published
    """

    def __init__(
        self,
        tokens: int,
        *,
        width: int = 128,
        depth: int = 3,
        heads: int = 4,
        longest: int = 128,
        dropout: float = 0.1,
        positions: WordPosition = "sinusoid",
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        self.embedding = WordEmbedding(tokens, width, longest, positions=positions, dropout=dropout)
        rotary = positions == "rotary"
        self.blocks = nn.ModuleList(
            EncoderBlock(width, heads, dropout=dropout, norm_first=norm_first, rotary=rotary) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width, eps=1e-6) if norm_first else nn.Identity()
        self.offsets = OffsetBias(heads) if positions == "relative" else None
        self.decoder = Decoder(width, depth, heads, dropout=dropout, norm_first=norm_first, positions=positions)

    def encode(self, source: Int[Tensor, "b m"], mask: Bool[Tensor, "b m"] | None = None) -> Float[Tensor, "b m d"]:
        """The source as the decoder reads it."""
        x, m = self.embedding(source), source.shape[1]
        bias = None if mask is None else visible(mask)
        if self.offsets is not None:
            offsets = self.offsets(m, m)
            bias = offsets if bias is None else bias + offsets
        for block in self.blocks:
            x = block(x, bias)
        return self.norm(x)

    def start(self, source: Int[Tensor, "b m"], mask: Bool[Tensor, "b m"] | None = None) -> DecoderState:
        """The state from which `step` writes."""
        return self.decoder.start(self.encode(source, mask), mask)

    def step(self, token: Int[Tensor, "b n"], state: DecoderState) -> Float[Tensor, "b v"]:
        """The scores (b, v) of the next token, after `token`, which the state does not hold yet."""
        return self.decoder(token, state, self.embedding)[:, -1]

    def forward(
        self,
        source: Num[Tensor, "b m"],
        mask: Bool[Tensor, "b m"] | None = None,
        prefix: Int[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b n v"]:
        """The scores (b, n, v) of the token after each of the prefix (b, n), which is the source where none is given."""
        source = source.long()
        memory = self.encode(source, mask)
        state = DecoderState(memory, None if mask is None else visible(mask))
        return self.decoder(source if prefix is None else prefix, state, self.embedding)
