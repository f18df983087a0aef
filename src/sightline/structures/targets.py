"""The targets of a batch, one frozen dataclass for each kind.

Boxes are half-open pixel edges, xyxy, float, in the batch's frame. What is unknown is marked (`known`, IGNORE) and has
loss weight 0; it is never guessed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

IGNORE = 255  # mask value of pixels that belong to no class and are left out of losses and metrics


@dataclass(frozen=True)
class Target(ABC):
    """The target of a batch. `join` stacks the targets of single samples in order."""

    @classmethod
    @abstractmethod
    def join(cls, parts: Sequence[Target]) -> Target:
        """The target of a batch from those of its samples."""


@dataclass(frozen=True)
class Labels(Target):
    """A class for each image: `index` (b,), `known` (b,); `soft` (b, k) replaces the one-hot labels where images were
    mixed, and `index` is then the class with the largest share."""

    index: Int[Tensor, "b"]
    known: Bool[Tensor, "b"]
    soft: Float[Tensor, "b k"] | None = None

    @classmethod
    def of(cls, index: Int[Tensor, "b"]) -> Labels:
        """Labels from indexes; a negative one means unknown."""
        return cls(index=index.clamp(min=0), known=index >= 0)

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Labels:
        labels = [p for p in parts if isinstance(p, Labels)]
        return cls(torch.cat([p.index for p in labels]), torch.cat([p.known for p in labels]))


@dataclass(frozen=True)
class Boxes(Target):
    """All boxes of a batch, packed: `boxes` (n, 4) xyxy, `label` (n,), `sample` (n,) the image of each. `ignore` (n,)
    marks regions that count neither as objects nor as background (crowds, difficult ones); none if omitted."""

    boxes: Float[Tensor, "n 4"]
    label: Int[Tensor, "n"]
    sample: Int[Tensor, "n"]
    ignore: Bool[Tensor, "n"] = field(default=None)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.ignore is None:
            object.__setattr__(self, "ignore", torch.zeros_like(self.label, dtype=torch.bool))

    def take(self, which: Tensor) -> Boxes:
        """Those that an index or a boolean mask selects."""
        return Boxes(self.boxes[which], self.label[which], self.sample[which], self.ignore[which])

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Boxes:
        packs = [p for p in parts if isinstance(p, Boxes)]
        sample = torch.cat([torch.full_like(p.label, row) for row, p in enumerate(packs)])
        boxes, label, ignore = (torch.cat([getattr(p, name) for p in packs]) for name in ("boxes", "label", "ignore"))
        return cls(boxes, label, sample, ignore)


@dataclass(frozen=True)
class Outlines(Target):
    """Boxes with a mask each: `mask` (n, h, w) in the batch's frame, row i for box i. `natural` holds each image's masks
    (n_i, H, W) in the original frame, as `Masks.natural` does; there no box has been dropped."""

    boxes: Boxes
    mask: Bool[Tensor, "n h w"]
    natural: tuple[Tensor, ...] = ()

    def take(self, which: Tensor) -> Outlines:
        """Those that an index or a boolean mask selects, without the original masks."""
        return Outlines(self.boxes.take(which), self.mask[which])

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Outlines:
        packs = [p for p in parts if isinstance(p, Outlines)]
        height, width = (max(p.mask.shape[side] for p in packs) for side in (1, 2))
        padded = [functional.pad(p.mask, (0, width - p.mask.shape[2], 0, height - p.mask.shape[1])) for p in packs]
        natural = tuple(mask for p in packs for mask in p.natural)
        return cls(Boxes.join([p.boxes for p in packs]), torch.cat(padded), natural)


@dataclass(frozen=True)
class Masks(Target):
    """A class for each pixel: `index` (b, h, w), with IGNORE (255) for pixels without one. `natural` holds each image's
    original mask (H, W), in whose frame metrics are computed; it is empty in training."""

    index: Int[Tensor, "b h w"]
    natural: tuple[Tensor, ...] = ()

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Masks:
        masks = [p.index[0] for p in parts if isinstance(p, Masks)]
        height, width = max(m.shape[0] for m in masks), max(m.shape[1] for m in masks)
        index = torch.full((len(masks), height, width), IGNORE, dtype=masks[0].dtype)
        for row, mask in zip(index, masks, strict=True):
            row[: mask.shape[0], : mask.shape[1]] = mask
        return cls(index, tuple(mask for p in parts if isinstance(p, Masks) for mask in p.natural))


@dataclass(frozen=True)
class Values(Target):
    """Several numbers for each image: `value` (b, k), with `known` (b, k). For several labels an image they are 1 (it has the
    label) and 0, for regression measurements in the data's own units. Where it is not known, a value is 0."""

    value: Float[Tensor, "b k"]
    known: Bool[Tensor, "b k"]

    @classmethod
    def of(cls, value: Float[Tensor, "b k"]) -> Values:
        """From numbers, NaN where one is unknown."""
        known = ~value.isnan()
        return cls(value.where(known, 0.0), known)

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Values:
        values = [p for p in parts if isinstance(p, Values)]
        return cls(torch.cat([p.value for p in values]), torch.cat([p.known for p in values]))


@dataclass(frozen=True)
class Pairs(Target):
    """The identity that each image shows, `identity` (b,). Images 2i and 2i + 1 of a batch are a pair, positive if their
    identities agree."""

    identity: Int[Tensor, "b"]

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Pairs:
        return cls(torch.cat([p.identity for p in parts if isinstance(p, Pairs)]))


@dataclass(frozen=True)
class Pictures(Target):
    """The domain that each image is of, `domain` (b,), -1 if unknown; and its partner in the other domain, `image`
    (b, c, h, w) uint8 in the batch's frame, where `known` (b,). Without any partner the pictures have no pixels."""

    domain: Int[Tensor, "b"]
    image: UInt8[Tensor, "b c h w"]
    known: Bool[Tensor, "b"]

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Pictures:
        pictures = [p for p in parts if isinstance(p, Pictures)]
        height, width = (max(p.image.shape[side] for p in pictures) for side in (2, 3))
        padded = [
            functional.pad(p.image, (0, width - p.image.shape[3], 0, height - p.image.shape[2])) for p in pictures
        ]
        return cls(torch.cat([p.domain for p in pictures]), torch.cat(padded), torch.cat([p.known for p in pictures]))


@dataclass(frozen=True)
class Wordings(Target):
    """What may be said of each sample, in one or several wordings: captions, translations; () where none is known."""

    texts: tuple[tuple[str, ...], ...]

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Wordings:
        return cls(tuple(texts for p in parts if isinstance(p, Wordings) for texts in p.texts))


@dataclass(frozen=True)
class Several(Target):
    """Targets by name, for a network with several outputs; each marks its own unknowns."""

    by_name: Mapping[str, Target]

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Several:
        several = [p for p in parts if isinstance(p, Several)]
        names = several[0].by_name
        return cls({name: type(names[name]).join([p.by_name[name] for p in several]) for name in names})
