"""A class for each pixel: cross-entropy, Dice, their sum, or the focal loss; evaluated in the original image."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.decoding.segments import class_map
from sightline.errors import DataError
from sightline.losses.segmentation import focal, pixel_cross_entropy, soft_dice, summed_cross_entropy
from sightline.metrics.segmentation import boundary_counts, pixel_confusion, segmentation_metrics
from sightline.structures.batch import Batch
from sightline.structures.predictions import Prediction, Segments
from sightline.structures.rows.segments import SegmentRows
from sightline.structures.targets import IGNORE, Masks

from .task import Loss, Task

LossName = Literal["cross_entropy", "dice", "cross_entropy+dice", "focal"]


class Segmentation(Task):
    """`model` maps images (b, c, h, w) in 0-255 units to scores (b, k, h, w). In training it may return a NamedTuple instead:
    the scores, followed by those of auxiliary heads, whose losses are added with weight `aux_weight`. The reported loss is
    always plain cross-entropy, so it can be compared with validation, whatever loss is minimised.

    classes         k
    class_weight    (k,) weight of the pixels of each class, see `losses.segmentation`
    """

    class_weight: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        *,
        classes: int,
        loss: LossName = "cross_entropy",
        class_weight: Float[Tensor, "k"] | None = None,
        aux_weight: float = 0.4,
    ) -> None:
        super().__init__()
        self.model = model
        self.classes = classes
        self.kind = loss
        self.aux_weight = aux_weight
        self.register_buffer("class_weight", class_weight, persistent=False)

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        index = _masks(batch).index
        outputs = self.model(batch.image)
        scores, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)  # (b, k, h, w) each
        parts = self._criterion(scores, index)
        weight = parts[0].weight
        mean = _total(parts)
        total = mean + sum(self.aux_weight * _total(self._criterion(extra, index)) for extra in auxiliary)
        with torch.no_grad():
            known = (index != IGNORE).sum()
            right = ((scores.argmax(1) == index) & (index != IGNORE)).sum() / known.clamp(min=1)
            plain = parts[0].name == "cross_entropy" and self.class_weight is None
            reported = parts[0].mean if plain else pixel_cross_entropy(scores, index)[0]
        shown = {"loss": (reported.detach(), known), "pixel_accuracy": (right, known)}
        return Loss(total, weight, shown | {p.name: p.mean.detach() for p in parts if p.name != "cross_entropy"})

    def predict(self, batch: Batch) -> Segments:
        return Segments(self.model(batch.image).float())

    def rows(self, batch: Batch, prediction: Prediction) -> SegmentRows:
        """One row per image, counted against `Masks.natural` in the original frame, else in the batch's."""
        assert isinstance(prediction, Segments)
        masks, score = _masks(batch), prediction.score.detach()
        loss_sum, pixels = summed_cross_entropy(score, masks.index)
        pairs = [self._pair(batch, masks, score[row], row) for row in range(len(batch))]
        return SegmentRows(
            id=batch.id.cpu().numpy(),
            confusion=np.stack([pixel_confusion(truth, guess, self.classes) for truth, guess in pairs]),
            boundary=np.stack([boundary_counts(truth, guess) for truth, guess in pairs]),
            loss_sum=loss_sum.cpu().numpy(),
            pixels=pixels.cpu().numpy(),
        )

    def metrics(self, rows: SegmentRows) -> dict[str, float | None]:
        return segmentation_metrics(rows)

    def _criterion(self, scores: Float[Tensor, "b k h w"], index: Int[Tensor, "b h w"]) -> list[_Part]:
        functions = {"cross_entropy": pixel_cross_entropy, "dice": soft_dice, "focal": focal}
        weight = self.class_weight
        return [_Part(name, *functions[name](scores, index, class_weight=weight)) for name in self.kind.split("+")]

    def _pair(
        self, batch: Batch, masks: Masks, score: Float[Tensor, "k h w"], row: int
    ) -> tuple[Int[np.ndarray, "height width"], Int[np.ndarray, "height width"]]:
        """True and predicted class of each pixel of one image."""
        height, width = batch.size[row].tolist()
        score = score[:, :height, :width]  # cut off the padding
        if masks.natural:
            truth = masks.natural[row].cpu().long()
            guess = class_map(score, batch.frame[row], (truth.shape[0], truth.shape[1]))
        else:
            truth, guess = masks.index[row, :height, :width].cpu().long(), score.argmax(0)
        invalid = truth[(truth != IGNORE) & ((truth < 0) | (truth >= self.classes))]
        if len(invalid):
            raise DataError(
                f"a mask has the class index {int(invalid[0])}, but there are {self.classes} classes",
                f"use 0 to {self.classes - 1}, or {IGNORE} for pixels to ignore",
            )
        return truth.numpy(), guess.cpu().numpy()


class _Part(NamedTuple):
    name: str
    mean: Tensor
    weight: Tensor


def _total(parts: list[_Part]) -> Tensor:
    return torch.stack([part.mean for part in parts]).sum()


def _masks(batch: Batch) -> Masks:
    if not isinstance(batch.target, Masks):
        raise TypeError(f"Segmentation needs Masks, but the batch has {type(batch.target).__name__}")
    return batch.target
