"""A text about an image, token by token.

Vinyals et al. 2014, arXiv:1411.4555
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from sightline.metrics.texts.measures import text_metrics
from sightline.preprocessing.tokens.vocabulary import Vocabulary
from sightline.structures.batch import Batch
from sightline.structures.predictions import Written
from sightline.structures.rows.texts import TextRows
from sightline.tasks.task import Frozen, Loss, Task

from .tokens import Tokenised, entropy, first_wording, one_wording, text_rows
from .writing import write


class Captioning(Task):
    """`model` maps images (b, c, h, w) in 0-255 units and a prefix (b, n) to scores (b, n, v): `Normalised` around a network
    that writes (`writing`). In training each image comes with one of its captions, drawn by its place in the stream.

    smoothing   share of the target that is spread over all tokens
    beams       texts that are kept while writing
    frozen      parts of the network that keep their weights
    """

    def __init__(
        self,
        model: nn.Module,
        vocabulary: Vocabulary,
        *,
        longest: int,
        smoothing: float = 0.1,
        beams: int = 1,
        frozen: Frozen | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenised = Tokenised(vocabulary, longest)
        self.smoothing, self.beams = smoothing, beams
        self.frozen = frozen or Frozen()

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        target, real = self.tokenised(one_wording(batch), batch.id.device)
        scores = self.model(batch.image, target[:, :-1])
        weight = real[:, 1:].sum().float()
        plain = entropy(scores, target).sum() / weight
        total = entropy(scores, target, self.smoothing).sum() / weight if self.smoothing else plain
        return Loss(total, weight, {"loss": plain.detach()})

    def predict(self, batch: Batch) -> Written:
        """The texts, and the loss of the first true one where one is known."""
        model: Any = self.model
        texts = first_wording(batch)
        numbers, confidence = write(
            model.network.step,
            model.network.start(model.normalise(batch.image)),
            len(batch),
            tokens=len(self.tokenised.vocabulary),
            longest=self.tokenised.longest - 1,
            beams=self.beams,
            device=batch.id.device,
        )
        target, real = self.tokenised(texts, batch.id.device)
        known = torch.tensor([float(bool(text)) for text in texts], device=batch.id.device)
        loss = entropy(model(batch.image, target[:, :-1]), target)
        written = tuple(self.tokenised.vocabulary.decode(each) for each in numbers)
        return Written(written, loss * known, real[:, 1:].sum(1) * known, confidence)

    def rows(self, batch: Batch, prediction: Any) -> TextRows:
        assert isinstance(prediction, Written)
        return text_rows(batch, prediction)

    def metrics(self, rows: TextRows) -> dict[str, float | None]:
        return text_metrics(rows)
