"""CutMix: a rectangle of one image is replaced by the same rectangle of another, and the label is shared by area (Yun et al.
2019, arXiv:1905.04899)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.structures.batch import Batch

from .composite import Composite
from .shares import beta, both_known, fitted, mixed_labels


@dataclass(frozen=True)
class CutMix(Composite):
    """Makes `share` of the samples, of `classes` classes. The rectangle has the image's shape and an area of 1 - λ, with λ
    from Beta(`alpha`, `alpha`). Its centre is anywhere, it is cut off at the edge, and labels have the shares of the areas."""

    share: float = 1.0
    start: float = 0.0
    alpha: float = 1.0
    classes: int = 0
    name: ClassVar[str] = "cutmix"
    group: ClassVar[str] = "mix"
    partners: ClassVar[int] = 1
    first: ClassVar[bool] = False

    def __call__(self, batch: Batch, owner: Int[Tensor, "m"], partners: Sequence[Batch], seed: int) -> Batch:
        (other,) = partners
        size = batch.size[owner].minimum(other.size)  # (m, 2)
        cut = self._rectangle(size, self.draws(batch, owner, seed, 3).to(size.device), batch.image.shape[2:])
        cut = cut & both_known(batch, owner, other)[:, None, None]
        image = batch.image.clone()
        image[owner] = torch.where(cut[:, None], fitted(other, batch), batch.image[owner])
        area = batch.size[owner].prod(1)
        kept = (area - cut.sum((1, 2))) / area
        return batch.with_pixels(image=image, target=mixed_labels(batch, owner, other, kept, self.classes))

    def _rectangle(
        self, size: Int[Tensor, "m 2"], draws: Float[Tensor, "m 3"], shape: Sequence[int]
    ) -> Bool[Tensor, "m h w"]:
        part = (1 - beta(draws[:, 0], self.alpha)).clamp(min=0).sqrt()  # of each side
        inside = []
        for axis, draw in enumerate((draws[:, 1], draws[:, 2])):
            side = size[:, axis]
            length, centre = (part * side).floor().long(), (draw * side).floor().long()
            start = centre - length // 2
            place = torch.arange(shape[axis], device=size.device)
            inside.append((place >= start[:, None]) & (place < (start + length).minimum(side)[:, None]))
        return inside[0][:, :, None] & inside[1][:, None, :]
