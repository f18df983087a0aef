"""BERT: every word is read with the words on both sides of it, and what was hidden is guessed.

    Devlin, Chang, Lee & Toutanova 2018, "BERT: Pre-training of Deep Bidirectional Transformers", arXiv:1810.04805

The vector of a place is the sum of those of its token, its position and its segment (A or B). Post-norm blocks follow. Two
heads: scores of the token at each place, through a dense layer and with the vectors of the tokens as output weights; and of the
whole, read at the first token, for the next sentence or for classes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.layers.attention.encoder_block import EncoderBlock
from sightline.layers.attention.multi_head import visible

EPS = 1e-12
STD = 0.02  # of all initial weights


class Bert(nn.Module):
    """Scores (b, n, tokens) of every place; `classes` outputs for the whole text instead if there are any.

    width, depth, heads   768, 12 and 12 in BERT-base, of 30,522 tokens
    longest               tokens of a text
    """

    def __init__(
        self,
        tokens: int,
        classes: int = 0,
        *,
        width: int = 128,
        depth: int = 2,
        heads: int = 4,
        longest: int = 64,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.token, self.place = nn.Embedding(tokens, width), nn.Embedding(longest, width)
        self.segment = nn.Embedding(2, width)
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.dropout = nn.Dropout(dropout)
        blocks = [EncoderBlock(width, heads, dropout=dropout, norm_first=False) for _ in range(depth)]
        self.blocks = nn.ModuleList(blocks)
        self.pooler = nn.Linear(width, width)
        self.transform = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width, eps=EPS))
        self.bias = nn.Parameter(torch.zeros(tokens))
        self.next = nn.Linear(width, 2)
        self.head = nn.Linear(width, classes) if classes else None
        self.longest = longest
        for module in self.modules():
            if isinstance(module, nn.LayerNorm):
                module.eps = EPS
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=STD)

    def encode(
        self,
        index: Int[Tensor, "b n"],
        mask: Bool[Tensor, "b n"] | None = None,
        segment: Int[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b n d"]:
        """A vector for each place. UsageError for a longer text than `longest`."""
        n = index.shape[1]
        if n > self.longest:
            raise UsageError(f"a text of {n} tokens, and the network takes {self.longest}", "shorten it")
        segment = torch.zeros_like(index) if segment is None else segment
        x = self.token(index) + self.place(torch.arange(n, device=index.device)) + self.segment(segment)
        x = self.dropout(self.norm(x))
        bias = None if mask is None else visible(mask)
        for block in self.blocks:
            x = block(x, bias)
        return x

    def pooled(self, hidden: Float[Tensor, "b n d"]) -> Float[Tensor, "b d"]:
        """A vector of the whole, from the first place."""
        return torch.tanh(self.pooler(hidden[:, 0]))

    def words(self, hidden: Float[Tensor, "... d"]) -> Float[Tensor, "... v"]:
        """The scores of the token at each place."""
        return F.linear(self.transform(hidden), self.token.weight, self.bias)

    def follows(self, hidden: Float[Tensor, "b n d"]) -> Float[Tensor, "b 2"]:
        """Scores of: segment B follows A, and it does not."""
        return self.next(self.pooled(hidden))

    def forward(
        self,
        index: Num[Tensor, "b n"],
        mask: Bool[Tensor, "b n"] | None = None,
        segment: Int[Tensor, "b n"] | None = None,
    ) -> Tensor:
        """Class scores (b, classes) of the whole, or scores (b, n, tokens) of the places where there are no classes."""
        hidden = self.encode(index.long(), mask, segment)
        return self.words(hidden) if self.head is None else self.head(self.dropout(self.pooled(hidden)))


class BagOfWords(nn.Module):
    """A weight for each class and token that occurs, whatever its place and number: logistic regression, the baseline."""

    def __init__(self, tokens: int, classes: int, *, longest: int = 64) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.zeros(tokens, classes)), nn.Parameter(torch.zeros(classes))
        self.longest = longest

    def forward(self, index: Num[Tensor, "b n"], mask: Bool[Tensor, "b n"] | None = None) -> Float[Tensor, "b k"]:
        """Class scores (b, classes)."""
        real = torch.ones_like(index, dtype=torch.bool) if mask is None else mask
        occurs = torch.zeros(len(index), len(self.weight), device=self.weight.device)
        occurs.scatter_reduce_(1, index.long(), real.float(), "amax")
        return occurs @ self.weight + self.bias


_BLOCK = {
    "attention.output.dense": "self_attention.out_proj",
    "attention.output.LayerNorm": "ln_1",
    "intermediate.dense": "mlp.0",
    "output.dense": "mlp.3",
    "output.LayerNorm": "ln_2",
}
_NAMES = {
    "embeddings.word_embeddings": "token",
    "embeddings.position_embeddings": "place",
    "embeddings.token_type_embeddings": "segment",
    "embeddings.LayerNorm": "norm",
    "pooler.dense": "pooler",
    "cls.predictions.transform.dense": "transform.0",
    "cls.predictions.transform.LayerNorm": "transform.2",
    "cls.seq_relationship": "next",
}
_SKIPPED = ("embeddings.position_ids", "cls.predictions.decoder.weight", "cls.predictions.decoder.bias")  # tied


def from_published(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A published BERT's tensors (`bert.encoder.layer.0…`, as of BertForPreTraining) under the names used here. UsageError for
    a name that no BERT has."""
    own: dict[str, Tensor] = {}
    parts: dict[int, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        short = name.removeprefix("bert.").replace(".gamma", ".weight").replace(".beta", ".bias")
        stem, _, leaf = short.rpartition(".")
        layer = re.fullmatch(r"encoder\.layer\.(\d+)\.(.+)", stem)
        if short in _SKIPPED:
            continue
        if short == "cls.predictions.bias":
            own["bias"] = tensor
        elif stem in _NAMES:
            own[f"{_NAMES[stem]}.{leaf}"] = tensor
        elif layer and (inner := layer[2].removeprefix("attention.self.")) in ("query", "key", "value"):
            parts.setdefault(int(layer[1]), {})[f"{inner}.{leaf}"] = tensor
        elif layer and layer[2] in _BLOCK:
            own[f"blocks.{layer[1]}.{_BLOCK[layer[2]]}.{leaf}"] = tensor
        else:
            raise UsageError(f"{name} is no tensor of BERT", "give the state dict of BertForPreTraining or BertModel")
    for i, some in parts.items():
        for leaf in ("weight", "bias"):
            three: list[Any] = [some[f"{inner}.{leaf}"] for inner in ("query", "key", "value")]
            own[f"blocks.{i}.self_attention.in_proj_{leaf}"] = torch.cat(three)
    return own
