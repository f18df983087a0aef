"""The base of every augmentation: batch → batch on the device, each sample changed by its own draws.

The draws of a sample are hash(seed, operation, position in the training stream). The size and order of the batch and the
other images in it do not matter, so resuming, prefetching and gradient accumulation reproduce every pixel. To keep that
promise to the last bit, draws only pass through operations that IEEE 754 rounds exactly (+ - * / sqrt): a vectorised
sine may differ from the scalar one, and the position in the batch decides which of them computes a sample.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor

from sightline.randomness.keyed import uniform
from sightline.structures.batch import Batch
from sightline.structures.masks import extents
from sightline.structures.targets import (
    IGNORE,
    Boxes,
    Labels,
    Masks,
    Outlines,
    Pairs,
    Pictures,
    Several,
    Target,
    Values,
    Wordings,
)

VISIBLE = 0.1  # a box is dropped if less than this share of its area stays inside the image


class Operation(ABC):
    """One augmentation. Implementations are frozen dataclasses; `name` keys the draws."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, batch: Batch, seed: int) -> Batch:
        """The batch with every image changed, and its size, frame and target along with it."""

    def draws(self, batch: Batch, seed: int, n: int) -> tuple[Float[Tensor, "b"], ...]:
        """`n` independent uniform numbers in [0, 1) for each sample."""
        place = torch.arange(n, device=batch.position.device)
        return uniform(seed, f"augmentation/{self.name}", batch.position[:, None], place).unbind(1)


def pixels_last(image: Shaped[Tensor, "b c h w"]) -> Shaped[Tensor, "b h w c"]:
    """Contiguous with the channels last: free for a channels-last batch."""
    return image.permute(0, 2, 3, 1).contiguous()


def pixels_first(x: Shaped[Tensor, "b h w c"]) -> Shaped[Tensor, "b c h w"]:
    """The layout of batches: (b, c, h, w), channels last in memory."""
    return x.permute(0, 3, 1, 2)


def inside(batch: Batch) -> Bool[Tensor, "b h w"]:
    """Which pixels belong to the images rather than to the padding at the right and below."""
    (_, _, h, w), device = batch.image.shape, batch.image.device
    rows = torch.arange(h, device=device) < batch.size[:, :1]  # (b, h)
    columns = torch.arange(w, device=device) < batch.size[:, 1:]  # (b, w)
    return rows[:, :, None] & columns[:, None, :]


def gather(
    x: Shaped[Tensor, "b h w c"], rows: Int[Tensor, "b h"], columns: Int[Tensor, "b w"], fill: int
) -> Shaped[Tensor, "b h w c"]:
    """out[i, y, x] = in[i, rows[i, y], columns[i, x]], and `fill` where either index is outside, as one gather.

    The pixels form one list with a pixel of `fill` at its end, and every index that is too large selects that one.
    2 x 2 pixels A B / C D with rows (1, 0) and columns (0, 9): the list is A B C D fill, the indexes are 2, 4 / 0, 4,
    the result is C fill / A fill.
    """
    b, h, w, c = x.shape
    n = b * h * w
    start = (
        torch.arange(0, n, h * w, device=x.device)[:, None] + rows * w
    )  # (b, h): the index of the first pixel of each row
    start = start.masked_fill_((rows < 0) | (rows >= h), n)
    place = columns.masked_fill((columns < 0) | (columns >= w), n)
    index = (start[:, :, None] + place[:, None, :]).clamp_(max=n)  # (b, h, w)
    pixels = torch.cat([x.reshape(n, c), x.new_full((1, c), fill)])  # (b, h, w, c) → (n + 1, c)
    return pixels.index_select(0, index.view(n)).view(b, h, w, c)  # (n, c) → (b, h, w, c)


def matrix(*rows: tuple[Tensor, Tensor, Tensor]) -> Float[Tensor, "b 3 3"]:
    """Affine matrices from their first two rows, each entry (b,)."""
    last = torch.tensor([0.0, 0.0, 1.0], device=rows[0][0].device).expand(len(rows[0][0]), 3)
    return torch.stack([torch.stack([e.float() for e in row], 1) for row in rows] + [last], 1)


def chain(first: Float[Tensor, "b 3 3"], second: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 3 3"]:
    """second @ first, summed in a fixed order: the order of a matrix product may depend on the batch size."""
    terms = [second[:, :, k, None] * first[:, k, None, :] for k in range(3)]
    return terms[0] + terms[1] + terms[2]


@runtime_checkable
class Carry(Protocol):
    """Applies an operation to planes of integers (n, h, w): plane i belongs to image `sample[i]` of the batch; `fill` is the
    value outside the image."""

    def __call__(self, planes: Int[Tensor, "n h w"], sample: Int[Tensor, "n"], fill: int) -> Int[Tensor, "n h w"]: ...


def move_target(target: Target, motion: Float[Tensor, "b 3 3"], size: Int[Tensor, "b 2"], carry: Carry) -> Target:
    """The target after the images moved by `motion` (old → new pixel edges); `carry` moves masks.

    A box becomes the upright box around its moved corners, clipped to the image, and is dropped below `VISIBLE`. If the
    pixels of an object are known, its box is drawn around those that remain, and the same share of pixels decides."""
    if isinstance(target, Labels | Values | Pairs | Wordings):
        return target
    if isinstance(target, Masks):
        sample = torch.arange(len(target.index), device=motion.device)
        return Masks(carry(target.index, sample, IGNORE), target.natural)
    if isinstance(target, Pictures):
        return replace(target, image=_move_pictures(target.image, carry))
    if isinstance(target, Boxes):
        boxes, keep = _move_boxes(target, motion, size)
        return replace(target, boxes=boxes).take(keep)
    if isinstance(target, Outlines):
        return _move_outlines(target, motion, carry)
    if isinstance(target, Several):
        return Several({name: move_target(t, motion, size, carry) for name, t in target.by_name.items()})
    raise TypeError(f"targets of type {type(target).__name__} cannot follow a moved image")


def _move_pictures(image: UInt8[Tensor, "b c h w"], carry: Carry) -> UInt8[Tensor, "b c h w"]:
    """Pictures that follow their images, as masks do: the nearest pixel, black outside."""
    if not image.numel():
        return image
    b, c, h, w = image.shape
    sample = torch.arange(b, device=image.device).repeat_interleave(c)
    moved = carry(image.reshape(b * c, h, w), sample, 0)  # (b, c, h, w) → (b·c, h, w)
    return moved.reshape(b, c, *moved.shape[1:])


def _move_boxes(
    target: Boxes, motion: Float[Tensor, "b 3 3"], size: Int[Tensor, "b 2"]
) -> tuple[Float[Tensor, "n 4"], Bool[Tensor, "n"]]:
    m, (x0, y0, x1, y1) = motion[target.sample], target.boxes.unbind(1)
    corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
    rows = (m[:, 0].unbind(1), m[:, 1].unbind(1))  # of each box's matrix
    x, y = (torch.stack([a * u + b * v + c for u, v in corners], 1) for a, b, c in rows)  # (n, 4)
    moved = torch.stack([x.amin(1), y.amin(1), x.amax(1), y.amax(1)], 1)  # (n, 4)
    height, width = size[target.sample].to(moved.dtype).unbind(1)
    cut = moved.clamp(min=0).minimum(torch.stack([width, height, width, height], 1))
    return cut, (_area(cut) > 0) & (_area(cut) >= VISIBLE * _area(moved))


def _move_outlines(target: Outlines, motion: Float[Tensor, "b 3 3"], carry: Carry) -> Outlines:
    mask = carry(target.mask.to(torch.int8), target.boxes.sample, 0) > 0  # (n, h, w)
    grown = (motion[:, 0, 0] * motion[:, 1, 1] - motion[:, 0, 1] * motion[:, 1, 0]).abs()[target.boxes.sample]
    before, after = target.mask.sum((1, 2)) * grown, mask.sum((1, 2))
    boxes = replace(target.boxes, boxes=extents(mask).to(target.boxes.boxes.dtype))
    return replace(target, boxes=boxes, mask=mask).take((after > 0) & (after >= VISIBLE * before))


def _area(boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n"]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
