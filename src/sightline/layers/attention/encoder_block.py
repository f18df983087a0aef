"""The block of a Transformer encoder: tokens read one another, then each passes through an MLP.

    post-norm   Vaswani et al. 2017       arXiv:1706.03762    norm(x + attention(x)), norm(x + MLP(x))
    pre-norm    Dosovitskiy et al. 2020   arXiv:2010.11929    x + attention(norm(x)), x + MLP(norm(x))

With pre-norm an identity path runs through all blocks, and deep stacks train without learning-rate warm-up (Xiong et
al. 2020, arXiv:2002.04745).
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from sightline.layers.convolution.stochastic_depth import StochasticDepth

from .multi_head import Cache, MultiHeadAttention


class EncoderBlock(nn.Module):
    """Self-attention and an MLP with a hidden layer of 4 · width and GELU. Parameter names are torchvision's.

    dropout       after the attention and after each dense layer of the MLP
    skip          stochastic depth: the rate of dropping either residual branch
    norm_first    pre-norm, as in a ViT; False: post-norm, as in the original Transformer
    rotary        places turn queries and keys
    """

    def __init__(
        self,
        width: int,
        heads: int,
        *,
        dropout: float = 0.0,
        skip: float = 0.0,
        norm_first: bool = True,
        rotary: bool = False,
    ) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.self_attention = MultiHeadAttention(width, heads, rotary=rotary)
        self.dropout = nn.Dropout(dropout)
        wider, narrower = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(wider, nn.GELU(), nn.Dropout(dropout), narrower, nn.Dropout(dropout))
        self.skip = StochasticDepth(skip)
        self.norm_first = norm_first
        for layer in (wider, narrower):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(
        self,
        x: Float[Tensor, "b n d"],
        bias: Float[Tensor, "... #n #m"] | None = None,
        *,
        causal: bool = False,
        cache: Cache | None = None,
    ) -> Float[Tensor, "b n d"]:
        """Tokens (b, n, d) → (b, n, d); `bias` is added to the attention logits. `causal`: none reads a later one; `cache`
        holds what earlier calls have read."""
        y = self._attention_input(x)
        y = self.skip(self.dropout(self.self_attention(y, y, y, bias=bias, causal=causal, cache=cache)))
        if self.norm_first:
            x = x + y
            return x + self.skip(self.mlp(self.ln_2(x)))
        x = self.ln_1(x + y)
        return self.ln_2(x + self.skip(self.mlp(x)))

    def attention(
        self, x: Float[Tensor, "b n d"], bias: Float[Tensor, "... #n #n"] | None = None
    ) -> Float[Tensor, "b heads n n"]:
        """Attention weights (b, heads, n, n): how much each token (row) reads from each (column)."""
        y = self._attention_input(x)
        return self.self_attention.with_weights(y, y, y, bias=bias).weights

    def _attention_input(self, x: Float[Tensor, "b n d"]) -> Float[Tensor, "b n d"]:
        return self.ln_1(x) if self.norm_first else x
