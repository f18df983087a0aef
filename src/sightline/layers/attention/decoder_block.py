"""The block of a Transformer decoder: tokens read those before them, then what was encoded, then pass through an MLP.

Vaswani et al. 2017, arXiv:1706.03762, section 3.1
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from .encoder_block import EncoderBlock
from .multi_head import Cache, MultiHeadAttention


class DecoderBlock(nn.Module):
    """`EncoderBlock` with masked self-attention, and cross-attention to `memory` between it and the MLP. The arguments are
    those of `EncoderBlock`."""

    def __init__(
        self, width: int, heads: int, *, dropout: float = 0.0, norm_first: bool = True, rotary: bool = False
    ) -> None:
        super().__init__()
        block = EncoderBlock(width, heads, dropout=dropout, norm_first=norm_first, rotary=rotary)
        self.ln_1, self.ln_2, self.ln_3 = block.ln_1, nn.LayerNorm(width, eps=1e-6), block.ln_2
        self.self_attention, self.cross_attention = block.self_attention, MultiHeadAttention(width, heads)
        self.dropout, self.mlp, self.norm_first = block.dropout, block.mlp, norm_first

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        memory: Float[Tensor, "b m d"],
        *,
        bias: Float[Tensor, "... #n #k"] | None = None,
        memory_bias: Float[Tensor, "... #n #m"] | None = None,
        cache: Cache | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Tokens (b, n, d) and what was encoded (b, m, d) → (b, n, d). `bias` is added to the logits of self-attention,
        `memory_bias` to those of cross-attention; `cache` holds the keys and values of earlier tokens."""
        first = self.norm_first
        y = self.ln_1(x) if first else x
        x = x + self.dropout(self.self_attention(y, y, y, bias=bias, causal=True, cache=cache))
        x = x if first else self.ln_1(x)
        y = self.ln_2(x) if first else x
        x = x + self.dropout(self.cross_attention(y, memory, memory, bias=memory_bias))
        x = x if first else self.ln_2(x)
        x = x + self.mlp(self.ln_3(x) if first else x)
        return x if first else self.ln_3(x)
