"""From one text to another: each token of the target is predicted from the source and from the true tokens before it.

Sutskever, Vinyals & Le 2014, arXiv:1409.3215; Vaswani et al. 2017, arXiv:1706.03762 (label smoothing, section 5.4)
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from sightline.metrics.texts.measures import text_metrics
from sightline.preprocessing.tokens.vocabulary import Vocabulary
from sightline.structures.batch import Batch
from sightline.structures.inputs import Texts
from sightline.structures.predictions import Written
from sightline.structures.rows.texts import TextRows
from sightline.tasks.task import Loss, Task

from .tokens import Tokenised, entropy, first_wording, one_wording, text_rows
from .writing import write

SOURCE = "source"  # the name of the texts that are translated


class TextTranslation(Task):
    """`model` maps source (b, m), its mask and a prefix (b, n) to scores (b, n, v), and writes (`writing`).

    smoothing   share of the target that is spread over all tokens
    beams       texts that are kept while writing
    """

    def __init__(
        self, model: nn.Module, vocabulary: Vocabulary, *, longest: int, smoothing: float = 0.1, beams: int = 1
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenised = Tokenised(vocabulary, longest)
        self.smoothing, self.beams = smoothing, beams

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        source, mask = self._source(batch)
        target, real = self.tokenised(one_wording(batch), source.device)
        scores = self.model(source, mask, target[:, :-1])
        weight = real[:, 1:].sum().float()
        plain = entropy(scores, target).sum() / weight
        total = entropy(scores, target, self.smoothing).sum() / weight if self.smoothing else plain
        return Loss(total, weight, {"loss": plain.detach()})

    def _source(self, batch: Batch) -> tuple[Int[Tensor, "b m"], Bool[Tensor, "b m"]]:
        texts = batch.inputs[SOURCE]
        assert isinstance(texts, Texts)
        return self.tokenised(texts.text, batch.id.device)

    def predict(self, batch: Batch) -> Written:
        """The texts, and the loss of the first true one where one is known."""
        model: Any = self.model
        source, mask = self._source(batch)
        numbers, confidence = write(
            model.step,
            model.start(source, mask),
            len(batch),
            tokens=len(self.tokenised.vocabulary),
            longest=self.tokenised.longest - 1,
            beams=self.beams,
            device=source.device,
        )
        target, real = self.tokenised(first_wording(batch), source.device)
        loss = entropy(self.model(source, mask, target[:, :-1]), target)
        known = torch.tensor([bool(text) for text in first_wording(batch)], device=source.device)
        texts = tuple(self.tokenised.vocabulary.decode(each) for each in numbers)
        return Written(texts, loss * known, real[:, 1:].sum(1) * known.float(), confidence)

    def rows(self, batch: Batch, prediction: Any) -> TextRows:
        assert isinstance(prediction, Written)
        return text_rows(batch, prediction)

    def metrics(self, rows: TextRows) -> dict[str, float | None]:
        return text_metrics(rows)
