"""Texts of a batch → numbers of tokens, padded, with masks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.preprocessing.tokens.vocabulary import PAD, Vocabulary
from sightline.randomness.keyed import integers
from sightline.structures.batch import Batch
from sightline.structures.predictions import Written
from sightline.structures.rows.texts import TextRows
from sightline.structures.targets import Wordings


class Tokenised:
    """Turns texts into sequences of at most `longest` tokens, and remembers them."""

    def __init__(self, vocabulary: Vocabulary, longest: int) -> None:
        self.vocabulary, self.longest = vocabulary, longest
        self._known: dict[str, list[int]] = {}

    def __call__(
        self, texts: Sequence[str], device: torch.device | str = "cpu"
    ) -> tuple[Int[Tensor, "b n"], Bool[Tensor, "b n"]]:
        """The numbers (b, n) with START and END, and which of them are real."""
        rows = [self._of(text) for text in texts]
        index = torch.full((len(rows), max(map(len, rows), default=1)), PAD)
        for row, numbers in zip(index, rows, strict=True):
            row[: len(numbers)] = torch.tensor(numbers)
        lengths = torch.tensor([len(numbers) for numbers in rows])
        return index.to(device), (torch.arange(index.shape[1]) < lengths[:, None]).to(device)

    def _of(self, text: str) -> list[int]:
        if text not in self._known:
            self._known[text] = self.vocabulary.sequence(text, self.longest)
        return self._known[text]


def one_wording(batch: Batch) -> list[str]:
    """One of the wordings of each sample, drawn by its place in the stream; "" where there is none."""
    assert isinstance(batch.target, Wordings)
    drawn = integers(1 << 30, 0, "wording", batch.position.cpu()).tolist()
    return [texts[at % len(texts)] if texts else "" for texts, at in zip(batch.target.texts, drawn, strict=True)]


def first_wording(batch: Batch) -> list[str]:
    """The first wording of each sample; "" where there is none."""
    target = batch.target
    return [texts[0] if texts else "" for texts in target.texts] if isinstance(target, Wordings) else [""] * len(batch)


def text_rows(batch: Batch, prediction: Written) -> TextRows:
    """A row for each sample."""
    target = batch.target
    texts = target.texts if isinstance(target, Wordings) else ((),) * len(batch)
    loss, terms, confidence = (
        x.cpu().double().numpy() for x in (prediction.loss, prediction.terms, prediction.confidence)
    )
    return TextRows(batch.id.cpu().numpy(), texts, prediction.text, loss, terms, confidence)


def entropy(scores: Float[Tensor, "b n v"], target: Int[Tensor, "b m"], smoothing: float = 0.0) -> Float[Tensor, "b"]:
    """The sum of the cross-entropies of the tokens after the first, padding left out; m = n + 1."""
    every = F.cross_entropy(
        scores.transpose(1, 2), target[:, 1:], ignore_index=PAD, label_smoothing=smoothing, reduction="none"
    )
    return every.sum(1)
