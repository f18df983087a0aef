"""Images with their truth, the task that answers them, and the kind that measures the answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

from sightline.attacks.accuracy import Alter, altered
from sightline.attacks.aim import Aim
from sightline.attacks.changes import CHANGES
from sightline.attacks.figure import Figure
from sightline.engine.predicting import predictions
from sightline.errors import DataError
from sightline.evaluation.intervals import RESAMPLES, estimate, resample_weights
from sightline.kinds.kind import Exposure, Kind
from sightline.reports.attacks.sheet import Pair
from sightline.reports.wording import percent
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels, Values
from sightline.tasks.task import Task


@dataclass(frozen=True)
class Measured:
    """batches   of a few images each, on the device of the task
    names     of the images by id
    score     from which objects are reported, where predictions have scores
    """

    kind: Kind
    task: Task
    batches: tuple[Batch, ...]
    classes: tuple[str, ...]
    names: dict[int, str]
    score: float = 0.5

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    @property
    def metric(self) -> str:
        """The headline in words."""
        headline = self.kind.chapter.headline
        return headline.name if headline is not None else "the metric"

    @property
    def exposure(self) -> Exposure:
        assert self.kind.sensitivity is not None and self.kind.sensitivity.exposure is not None
        return self.kind.sensitivity.exposure

    @property
    def changes(self) -> tuple[str, ...]:
        """The controlled changes that leave the truth as it is: masks and boxes would have to move with what is seen."""
        still = isinstance(self.batches[0].target, Labels | Values)
        return tuple(name for name, change in CHANGES.items() if still or not change.moves)

    def answered(self, batch: Batch) -> tuple[Any, Any]:
        """The rows of a batch, and the prediction."""
        device = self.task.device
        (moved, prediction), *_ = predictions(self.task, [batch], device)
        return self.task.rows(moved, prediction), prediction

    def headline(self, rows: Any) -> Figure:
        """The metric that the report speaks of. DataError where the data know no truth."""
        scoring = self.kind.scoring
        assert scoring is not None
        found = scoring.rows.judge(rows, self.classes)
        value = found.metrics.get(scoring.headline)
        if value is None:
            raise DataError(f"{self.metric} is undefined on these images", "use images with annotations")
        return Figure(self.metric, float(value), found.intervals.get(scoring.headline), len(self))

    def under(self, alter: Alter) -> Figure:
        """The headline on the images after a change."""
        parts = []
        for batch in self.batches:
            images = altered(batch.image, batch.id, alter)
            parts.append(self.answered(batch.with_pixels(image=images.to(batch.image.device)))[0])
        return self.headline(type(parts[0]).join(parts))

    def counted(self, rows: Any, aim: Aim) -> Figure:
        """Pixels or objects that are right, or have become the target."""
        hits, of = self.exposure.count(rows, aim, self.score)
        return shared(self.words(aim), hits, of)

    def words(self, aim: Aim) -> str:
        """What is counted."""
        if aim.target is not None:
            return f"{self.exposure.unit} taken for {self.classes[aim.target]}"
        return "objects found" if self.exposure.unit == "objects" else f"{self.exposure.unit} right"

    def compared(self, batch: Batch, images: UInt8[Tensor, "b c h w"], aim: Aim) -> list[Pair]:
        """Each image before and after, with what the network answers drawn on it."""
        changed = batch.with_pixels(image=images)
        (clean, before), (attacked, after) = (self._described(one, aim) for one in (batch, changed))
        return [
            Pair(picture(batch, row), picture(changed, row), before[row], after[row], self.names[int(batch.id[row])],
                 clean[row], attacked[row])
            for row in range(len(batch))
        ]  # fmt: skip

    def _described(self, batch: Batch, aim: Aim) -> tuple[list[Any], list[str]]:
        """The answer to each image as a picture and in words."""
        rows, prediction = self.answered(batch)
        hits, of = self.exposure.count(rows, aim, self.score)
        draw, unit = self.kind.drawings.answer, self.words(aim)
        pictures = [draw(batch, i, self.classes, prediction, self.score) if draw else None for i in range(len(batch))]
        counted = "{share}" if self.exposure.unit == "pixels" else "{h} of {n}"
        words = [
            f"{counted.format(share=percent(h / n), h=h, n=n)} {unit}" if n else "nothing to attack"
            for h, n in zip(hits.tolist(), of.tolist(), strict=True)
        ]
        return pictures, words


def shared(name: str, hits: Int[np.ndarray, "n"], of: Int[np.ndarray, "n"]) -> Figure:
    """The share of all, with an interval by resampling images: what lies in one image is not independent."""
    total = int(of.sum())
    if not total:
        raise DataError("there is nothing to attack in these images", "choose other images, or attack whole images")
    weights = resample_weights(len(of), 0, range(RESAMPLES))  # (r, n)
    counts = weights @ of
    values = np.divide(weights @ hits, counts, out=np.full(len(counts), np.nan), where=counts > 0)
    share = float(hits.sum()) / total
    return Figure(name, share, estimate(share, values).interval, total)


def picture(batch: Batch, row: int) -> UInt8[np.ndarray, "h w c"]:
    """An image of the batch without its padding."""
    height, width = batch.size[row].tolist()
    return batch.image[row, :, :height, :width].permute(1, 2, 0).cpu().numpy()  # (c, h, w) → (h, w, c)


def joined(parts: Sequence[Any]) -> Any:
    return type(parts[0]).join(list(parts))


def stacked(images: Sequence[UInt8[Tensor, "c h w"]]) -> UInt8[Tensor, "b c h w"]:
    return torch.stack(list(images))
