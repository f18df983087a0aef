"""Recurrent networks from sequence to sequence: one reads the source, another writes the target and looks back at it.

Sutskever, Vinyals & Le 2014   arXiv:1409.3215   the last state of the encoder starts the decoder
Bahdanau, Cho & Bengio 2014    arXiv:1409.0473   additive attention to every state of a bidirectional encoder
Luong, Pham & Manning 2015     arXiv:1508.04025  dot products instead
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, Num
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.attention.multi_head import AdditiveAttention, scaled_dot_product

Cell = Literal["gru", "lstm", "rnn"]
CELLS: Mapping[str, Callable[..., nn.RNNBase]] = {"gru": nn.GRU, "lstm": nn.LSTM, "rnn": nn.RNN}
ATTENTIONS = ("additive", "dot", "none")


@dataclass
class RecurrentState:
    """What writing goes on from: the encoded source (b, m, 2w) with its bias (b, 1, m), the cell's state, and what was last
    read of the source (b, 1, 2w)."""

    memory: Tensor
    bias: Tensor | None
    hidden: Tensor | tuple[Tensor, Tensor]
    context: Tensor

    def take(self, rows: Int[Tensor, "r"]) -> None:
        """Keep these rows of the batch."""
        self.memory, self.context = self.memory[rows], self.context[rows]
        self.bias = None if self.bias is None else self.bias[rows]
        hidden = self.hidden
        self.hidden = (
            (hidden[0][:, rows], hidden[1][:, rows]) if isinstance(hidden, tuple) else hidden[:, rows]
        )  # (layers, b, w)


class Recurrent(nn.Module):
    """A bidirectional encoder and a decoder with attention, over one vocabulary of `tokens`.

    cell        gru, lstm or rnn (Elman's, tanh)
    attention   additive, dot, or none: then only the encoder's last state tells the decoder of the source
    """

    def __init__(
        self,
        tokens: int,
        *,
        width: int = 128,
        cell: Cell = "gru",
        attention: Literal["additive", "dot", "none"] = "additive",
        dropout: float = 0.1,
        longest: int = 128,
    ) -> None:
        super().__init__()
        if cell not in CELLS or attention not in ATTENTIONS:
            raise UsageError(
                f"unknown cell {cell!r} or attention {attention!r}",
                f"use {', '.join(CELLS)}, and {', '.join(ATTENTIONS)}",
            )
        self.longest = longest
        self.token = nn.Embedding(tokens, width)
        self.encoder = CELLS[cell](width, width, batch_first=True, bidirectional=True)
        self.bridge = nn.Linear(2 * width, width)
        self.decoder = CELLS[cell](3 * width, width, batch_first=True)
        self.query = nn.Linear(width, 2 * width, bias=False) if attention == "dot" else None
        self.additive = AdditiveAttention(width, 2 * width, width) if attention == "additive" else None
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Sequential(nn.Linear(4 * width, width), nn.Tanh(), nn.Linear(width, tokens))

    def start(self, source: Int[Tensor, "b m"], mask: Bool[Tensor, "b m"] | None = None) -> RecurrentState:
        """The state from which `step` writes. Padding is packed away: it must not reach the backward direction."""
        x = self.dropout(self.token(source))
        lengths = mask.sum(1).cpu() if mask is not None else torch.full((len(source),), source.shape[1])
        packed = nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        read, last = self.encoder(packed)
        memory, _ = nn.utils.rnn.pad_packed_sequence(read, batch_first=True, total_length=source.shape[1])
        ends = last[0] if isinstance(last, tuple) else last  # (2, b, w)
        first = torch.tanh(self.bridge(torch.cat([ends[0], ends[1]], 1)))[None]
        hidden = (first, torch.zeros_like(first)) if isinstance(last, tuple) else first
        bias = None
        if mask is not None:
            bias = torch.zeros(mask.shape, device=mask.device).masked_fill(~mask, -torch.inf)[:, None]
        return RecurrentState(memory, bias, hidden, torch.zeros_like(memory[:, :1]))

    def step(self, token: Int[Tensor, "b n"], state: RecurrentState) -> Float[Tensor, "b v"]:
        """The scores (b, v) of the next token, after the last of `token`."""
        x = torch.cat([self.dropout(self.token(token[:, -1:])), state.context], 2)  # (b, 1, 3w)
        y, state.hidden = self.decoder(x, state.hidden)
        if self.additive is not None:
            state.context = self.additive(y, state.memory, state.memory, bias=state.bias).output
        elif self.query is not None:
            state.context = scaled_dot_product(self.query(y), state.memory, state.memory, bias=state.bias).output
        word = self.token(token[:, -1:])
        return self.head(self.dropout(torch.cat([y, state.context, word], 2)))[:, 0]

    def forward(
        self,
        source: Num[Tensor, "b m"],
        mask: Bool[Tensor, "b m"] | None = None,
        prefix: Int[Tensor, "b n"] | None = None,
    ) -> Float[Tensor, "b n v"]:
        """The scores (b, n, v) of the token after each of the prefix (b, n), which is the source where none is given."""
        source = source.long()
        prefix = source if prefix is None else prefix
        state = self.start(source, mask)
        return torch.stack([self.step(prefix[:, i : i + 1], state) for i in range(prefix.shape[1])], 1)
