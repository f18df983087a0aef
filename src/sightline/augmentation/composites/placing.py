"""Images scaled to whole pixels and placed on a canvas, with everything that is known of them.

A tile is a rectangle of whole pixels: the box of an object in it moves by an exact scale and offset. Images are resized
bilinearly with antialiasing, masks take the pixel at the centre.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int, Shaped, UInt8
from torch import Tensor
from torch.nn import functional

from sightline.structures.batch import Batch
from sightline.structures.masks import extents
from sightline.structures.targets import IGNORE, Boxes, Masks, Outlines, Several, Target

from ..operation import VISIBLE

SMALLEST = 1.0  # pixels: an object whose box has a shorter side is dropped


class Rectangle(NamedTuple):
    """Half-open, in whole pixels."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.bottom - self.top


class Piece(NamedTuple):
    """Image `row` of `batch`: its part `source` lands in `tile` of the canvas, of which a part may lie outside."""

    batch: Batch
    row: int
    source: Rectangle
    tile: Rectangle

    @property
    def scale(self) -> tuple[float, float]:
        """Across and down."""
        return self.tile.width / self.source.width, self.tile.height / self.source.height

    @property
    def offset(self) -> tuple[float, float]:
        """Where the corner of the image would land."""
        across, down = self.scale
        return self.tile.left - self.source.left * across, self.tile.top - self.source.top * down

    def visible(self, canvas: Rectangle) -> Rectangle:
        """The part of the tile on the canvas."""
        left, top = max(self.tile.left, canvas.left), max(self.tile.top, canvas.top)
        right, bottom = min(self.tile.right, canvas.right), min(self.tile.bottom, canvas.bottom)
        return Rectangle(left, top, max(left, right), max(top, bottom))


def content(batch: Batch, row: int) -> Rectangle:
    """The part of an image that shows the original, without a letterbox's padding. It is known while the image lies straight in
    its frame, as it was read."""
    frame, (tall, wide) = batch.frame[row].tolist(), batch.natural[row].tolist()
    height, width = batch.size[row].tolist()
    left, top = max(round(frame[0][2]), 0), max(round(frame[1][2]), 0)
    right = min(round(frame[0][2] + frame[0][0] * wide), width)
    bottom = min(round(frame[1][2] + frame[1][1] * tall), height)
    if right <= left or bottom <= top:
        return Rectangle(0, 0, width, height)
    return Rectangle(left, top, right, bottom)


def whole(batch: Batch, row: int) -> Rectangle:
    """The rectangle of an image in its batch."""
    height, width = batch.size[row].tolist()
    return Rectangle(0, 0, width, height)


def paint(canvas: UInt8[Tensor, "c h w"], piece: Piece) -> None:
    """Draw the visible pixels of a piece on the canvas."""
    seen = piece.visible(Rectangle(0, 0, canvas.shape[2], canvas.shape[1]))
    if not seen.width or not seen.height:
        return
    (left, top, right, bottom), tile = piece.source, piece.tile
    pixels = _resized(piece.batch.image[piece.row, :, top:bottom, left:right], tile.height, tile.width)
    rows = slice(seen.top - tile.top, seen.bottom - tile.top)
    columns = slice(seen.left - tile.left, seen.right - tile.left)
    canvas[:, seen.top : seen.bottom, seen.left : seen.right] = pixels[:, rows, columns]


def _resized(pixels: UInt8[Tensor, "c h w"], height: int, width: int) -> UInt8[Tensor, "c H W"]:
    if pixels.shape[1:] == (height, width):
        return pixels
    exact = pixels[None] if pixels.device.type == "cpu" else pixels[None].float()  # accelerators have no uint8 kernel
    resized = functional.interpolate(exact, (height, width), mode="bilinear", antialias=True)
    return resized[0] if resized.dtype == torch.uint8 else resized[0].round().clamp(0, 255).to(torch.uint8)


def placed_plane(
    plane: Shaped[Tensor, "n h w"], piece: Piece, canvas: Shaped[Tensor, "n H W"], size: Rectangle
) -> Shaped[Tensor, "n H W"]:
    """The canvas with the planes of a piece on it: each pixel takes the value at its centre."""
    seen = piece.visible(size)
    rows = _nearest(seen.top, seen.bottom, piece.tile.top, piece.tile.height, piece.source.top, piece.source.height)
    columns = _nearest(seen.left, seen.right, piece.tile.left, piece.tile.width, piece.source.left, piece.source.width)
    rows, columns = rows.to(plane.device), columns.to(plane.device)
    canvas[:, seen.top : seen.bottom, seen.left : seen.right] = plane[:, rows][:, :, columns]
    return canvas


def _nearest(start: int, stop: int, tile: int, length: int, source: int, side: int) -> Int[Tensor, "s"]:
    """The source of each pixel from `start` to `stop`, in whole numbers."""
    return (2 * (torch.arange(start, stop) - tile) + 1) * side // (2 * length) + source


def placed_target(target: Target, owner: Sequence[int], pieces: Sequence[Sequence[Piece]], batch: Batch) -> Target:
    """The target of the batch after the samples `owner` were made of `pieces` each.

    An object is kept if at least `VISIBLE` of its area is on the canvas and no side of its box is below `SMALLEST` pixels.
    Later pieces hide nothing of earlier ones: pieces lie side by side, or show through."""
    if isinstance(target, Several):
        parts = {}
        for name, one in target.by_name.items():
            named = [[p._replace(batch=_only(p.batch, name)) for p in some] for some in pieces]
            parts[name] = placed_target(one, owner, named, batch)
        return Several(parts)
    if isinstance(target, Masks):
        index = target.index.clone()
        for row, some in zip(owner, pieces, strict=True):
            index[row] = IGNORE
            for piece in some:
                assert isinstance(piece.batch.target, Masks)
                other = piece.batch.target.index[piece.row : piece.row + 1]
                placed_plane(other, piece, index[row : row + 1], whole(batch, row))
        return Masks(index, target.natural)
    if isinstance(target, Boxes | Outlines):
        return _placed_objects(target, owner, pieces, batch)
    raise TypeError(f"targets of type {type(target).__name__} cannot be placed side by side")


def _only(batch: Batch, name: str) -> Batch:
    assert isinstance(batch.target, Several)
    return replace(batch, target=batch.target.by_name[name])


def _placed_objects(
    target: Boxes | Outlines, owner: Sequence[int], pieces: Sequence[Sequence[Piece]], batch: Batch
) -> Boxes | Outlines:
    boxes = target.boxes if isinstance(target, Outlines) else target
    replaced = torch.isin(boxes.sample, torch.tensor(owner, device=boxes.sample.device))
    parts = [target.take(~replaced)]
    for row, some in zip(owner, pieces, strict=True):
        parts += [_placed(piece, row, whole(batch, row), batch.image.shape[2:]) for piece in some]
    packs = [p.boxes if isinstance(p, Outlines) else p for p in parts]
    joined = Boxes(*(torch.cat([getattr(p, name) for p in packs]) for name in ("boxes", "label", "sample", "ignore")))
    order = joined.sample.argsort(stable=True)
    if isinstance(target, Boxes):
        return joined.take(order)
    return Outlines(joined, torch.cat([p.mask for p in parts if isinstance(p, Outlines)])).take(order)


def _placed(piece: Piece, row: int, canvas: Rectangle, shape: Sequence[int]) -> Boxes | Outlines:
    """The objects of a piece that remain, as those of image `row`."""
    target = piece.batch.target
    assert isinstance(target, Boxes | Outlines)
    boxes = target.boxes if isinstance(target, Outlines) else target
    mine = boxes.sample == piece.row
    boxes = boxes.take(mine)
    (across, down), (right, below) = piece.scale, piece.offset
    scale, offset = boxes.boxes.new_tensor([across, down] * 2), boxes.boxes.new_tensor([right, below] * 2)
    moved = boxes.boxes * scale + offset
    sample = torch.full_like(boxes.sample, row)
    if isinstance(target, Outlines):
        before = target.mask[mine]
        mask = placed_plane(before, piece, before.new_zeros(len(before), *shape), canvas)
        kept = _pixels_remain(before, mask, across * down)
        own = extents(mask).to(moved.dtype)
        return Outlines(replace(boxes, boxes=own, sample=sample), mask).take(kept & _large(own))
    seen = piece.visible(canvas)
    low, high = moved.new_tensor([seen.left, seen.top] * 2), moved.new_tensor([seen.right, seen.bottom] * 2)
    cut = moved.maximum(low).minimum(high)
    return replace(boxes, boxes=cut, sample=sample).take(_large(cut) & (_area(cut) >= VISIBLE * _area(moved)))


def _pixels_remain(before: Bool[Tensor, "n h w"], after: Bool[Tensor, "n H W"], grown: float) -> Bool[Tensor, "n"]:
    left = after.sum((1, 2))
    return (left > 0) & (left >= VISIBLE * grown * before.sum((1, 2)))


def _large(boxes: Float[Tensor, "n 4"]) -> Bool[Tensor, "n"]:
    return (boxes[:, 2:] - boxes[:, :2] >= SMALLEST).all(1)


def _area(boxes: Float[Tensor, "n 4"]) -> Float[Tensor, "n"]:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
