"""A model of texts themselves: the words that were hidden (BERT), or the next word each time (GPT).

Devlin et al. 2018, arXiv:1810.04805, section 3.1: 15 % of the tokens are chosen; 80 % of these become [MASK], 10 % another
token, 10 % stay as they are. The loss counts chosen tokens only.
Radford et al. 2018 (GPT): every token is guessed from those before it
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.metrics.texts.measures import text_metrics
from sightline.preprocessing.tokens.vocabulary import MASK, SPECIAL, Vocabulary
from sightline.randomness.keyed import uniform
from sightline.structures.batch import Batch
from sightline.structures.inputs import Texts
from sightline.structures.predictions import Written
from sightline.structures.rows.texts import TextRows
from sightline.tasks.task import Loss, Task

from .tokens import Tokenised, entropy, first_wording, text_rows
from .writing import go_on

CHOSEN, MASKED, REPLACED = 0.15, 0.8, 0.1  # shares, of the tokens and of those chosen


class Hidden(NamedTuple):
    """Tokens (b, n) in which some were hidden, and which were chosen."""

    tokens: Int[Tensor, "b n"]
    chosen: Bool[Tensor, "b n"]


def hide(
    index: Int[Tensor, "b n"], real: Bool[Tensor, "b n"], key: Int[Tensor, "b"], tokens: int, share: float = CHOSEN
) -> Hidden:
    """Hide a share of the tokens that are no special ones, keyed by (key of the text, place). Of a text without any chosen, the
    first is. `tokens` are those of the vocabulary."""
    place = torch.arange(index.shape[1])
    key = key.cpu()[:, None]
    draws = [uniform(0, what, key, place).to(index.device) for what in ("choose token", "hide token", "replace token")]
    words = real & (index >= len(SPECIAL))
    chosen = words & (draws[0] < share)
    lacking = ~chosen.any(1) & words.any(1)
    first = F.one_hot(words.float().argmax(1), index.shape[1]).bool()
    chosen = chosen | (first & lacking[:, None])
    other = (len(SPECIAL) + draws[2] * (tokens - len(SPECIAL))).long().clamp(max=tokens - 1)
    hidden = torch.where(draws[1] < MASKED, MASK, torch.where(draws[1] < MASKED + REPLACED, other, index))
    return Hidden(torch.where(chosen, hidden, index), chosen)


class Language(Task):
    """`model` maps tokens (b, n) and their mask to scores (b, n, v).

    objective   masked or causal
    share       of the tokens that are chosen, of masked
    """

    def __init__(
        self,
        model: nn.Module,
        vocabulary: Vocabulary,
        *,
        longest: int,
        objective: Literal["masked", "causal"],
        share: float = CHOSEN,
    ) -> None:
        super().__init__()
        self.model, self.objective, self.share = model, objective, share
        self.tokenised = Tokenised(vocabulary, longest)

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        each, terms, _ = self._losses(batch, batch.position)
        weight = terms.sum()
        total = each.sum() / weight.clamp(min=1)
        return Loss(total, weight, {"loss": total.detach()})

    def _losses(self, batch: Batch, key: Tensor) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"], Tensor]:
        """The sum of the losses of each text, the number of its terms, and the tokens with those guessed that were hidden."""
        index, real = self._tokens(batch)
        if self.objective == "causal":
            scores = self.model(index[:, :-1])
            return entropy(scores, index), real[:, 1:].sum(1).float(), index
        hidden = hide(index, real, key, len(self.tokenised.vocabulary), self.share)
        scores = self.model(hidden.tokens, real)
        each = F.cross_entropy(scores.transpose(1, 2), index, reduction="none") * hidden.chosen
        guessed = torch.where(hidden.chosen, self._best(scores), index)
        return each.sum(1), hidden.chosen.sum(1).float(), guessed

    def _tokens(self, batch: Batch) -> tuple[Tensor, Tensor]:
        texts = batch.inputs["source"]
        assert isinstance(texts, Texts)
        return self.tokenised(texts.text, batch.id.device)

    def _best(self, scores: Float[Tensor, "b n v"]) -> Int[Tensor, "b n"]:
        """The likeliest word of each place, no special token."""
        known = scores[..., len(SPECIAL) : len(self.tokenised.vocabulary)]
        return known.argmax(-1) + len(SPECIAL)

    def predict(self, batch: Batch) -> Written:
        """Masked: the text with the words that were hidden as the network guesses them; the choice is a function of the
        sample's id. Where the text itself says [MASK], those are guessed. Causal: the first half of the text, gone on with."""
        each, terms, guessed = self._losses(batch, batch.id)
        decode = self.tokenised.vocabulary.decode
        if self.objective == "masked":
            texts = [decode(row) for row in self._filled(batch, guessed).tolist()]
            return Written(tuple(texts), each, terms, (-each / terms.clamp(min=1)).exp())
        return self._continued(batch, each, terms)

    def _filled(self, batch: Batch, guessed: Tensor) -> Tensor:
        texts = batch.inputs["source"]
        assert isinstance(texts, Texts)
        asked = [row for row, text in enumerate(texts.text) if SPECIAL[MASK] in text]
        for row in asked:  # the vocabulary knows no special tokens in a text: they are put in between its parts
            parts = [self.tokenised.vocabulary.encode(part) for part in texts.text[row].split(SPECIAL[MASK])]
            numbers = [1, *parts[0]]
            for part in parts[1:]:
                numbers += [MASK, *part]
            index = torch.tensor([[*numbers, 2]], device=guessed.device)
            best = torch.where(
                index == MASK, self._best(self.model(index, torch.ones_like(index, dtype=torch.bool))), index
            )
            guessed = F.pad(guessed, (0, max(best.shape[1] - guessed.shape[1], 0)))
            guessed[row] = F.pad(best[0], (0, guessed.shape[1] - best.shape[1]))
        return guessed

    def _continued(self, batch: Batch, each: Tensor, terms: Tensor) -> Written:
        """Of a text that is known, the first half; of one that is only asked about, the whole."""
        index, real = self._tokens(batch)
        texts, confidence = [], []
        for row, n, known in zip(index, real.sum(1).tolist(), first_wording(batch), strict=True):
            head = row[: max(n // 2, 1) if known else n - 1]  # n counts START and END
            longest = self.tokenised.longest - len(head)
            rest, p = go_on(self.model, head, tokens=len(self.tokenised.vocabulary), longest=longest)
            texts.append(self.tokenised.vocabulary.decode([*head.tolist(), *rest]))
            confidence.append(p)
        return Written(tuple(texts), each, terms, torch.tensor(confidence, device=index.device))

    def rows(self, batch: Batch, prediction: Any) -> TextRows:
        assert isinstance(prediction, Written)
        rows, vocabulary = text_rows(batch, prediction), self.tokenised.vocabulary
        readable = tuple(tuple(vocabulary.decode(vocabulary.encode(t)) for t in texts) for texts in rows.reference)
        return replace(rows, reference=readable)

    def metrics(self, rows: TextRows) -> dict[str, float | None]:
        return text_metrics(rows)
