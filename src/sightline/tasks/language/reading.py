"""The text of an image of a line, by connectionist temporal classification.

Graves et al. 2006, "Connectionist Temporal Classification" (ICML)
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.decoding.sequences import BLANK, best_path, best_text
from sightline.metrics.texts.measures import text_metrics
from sightline.preprocessing.tokens.vocabulary import Characters
from sightline.structures.batch import Batch
from sightline.structures.predictions import Written
from sightline.structures.rows.texts import TextRows
from sightline.tasks.task import Loss, Task

from .tokens import first_wording, one_wording, text_rows


class Reading(Task):
    """`model` maps images (b, c, h, w) in 0-255 units to scores (b, t, v), symbol 0 the blank.

    beams   prefixes that are kept while decoding; 1: the likeliest path
    """

    def __init__(self, model: nn.Module, vocabulary: Characters, *, beams: int = 1) -> None:
        super().__init__()
        self.model, self.vocabulary, self.beams = model, vocabulary, beams

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        each, length = self._losses(self.model(batch.image), one_wording(batch))
        weight = length.sum().float()
        total = each.sum() / weight.clamp(min=1)
        return Loss(total, weight, {"loss": total.detach()})

    def _losses(self, scores: Float[Tensor, "b t v"], texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """The loss (b,) of each text and its number (b,) of symbols; 0 and 0 where it is unknown, or too long for the time."""
        numbers = [self.vocabulary.encode(text) for text in texts]
        time = scores.shape[1]
        numbers = [each if _fits(each, time) else [] for each in numbers]
        length = torch.tensor([len(each) for each in numbers], device=scores.device)
        flat = torch.tensor([n for each in numbers for n in each], dtype=torch.long, device=scores.device)
        logs = scores.float().log_softmax(2).transpose(0, 1)  # (t, b, v)
        steps = torch.full((len(texts),), time, dtype=torch.long, device=scores.device)
        each = F.ctc_loss(logs, flat, steps, length, blank=BLANK, reduction="none", zero_infinity=True)
        return each * (length > 0), length

    def predict(self, batch: Batch) -> Written:
        scores = self.model(batch.image)
        loss, length = self._losses(scores, first_wording(batch))
        logs = scores.float()[:, :, : len(self.vocabulary)].log_softmax(2).cpu().double().numpy()
        read = [self.read(each) for each in logs]
        confidence = torch.tensor([p for _, p in read], device=scores.device)
        return Written(tuple(text for text, _ in read), loss, length.float(), confidence.float())

    def read(self, logs: Float[np.ndarray, "t v"]) -> tuple[str, float]:
        """The text, and the probability of its path or, with beams, of all of its paths."""
        numbers, p = best_path(logs) if self.beams == 1 else best_text(logs, self.beams)
        return self.vocabulary.decode(numbers), p

    def rows(self, batch: Batch, prediction: Any) -> TextRows:
        assert isinstance(prediction, Written)
        return text_rows(batch, prediction)

    def metrics(self, rows: TextRows) -> dict[str, float | None]:
        return text_metrics(rows)


def _fits(numbers: Sequence[int], time: int) -> bool:
    """Whether a path of so many steps can have this text: equal neighbours need a blank between them."""
    return len(numbers) + sum(a == b for a, b in pairwise(numbers)) <= time
