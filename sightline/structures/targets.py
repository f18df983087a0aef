"""What is known about the images of a batch, one frozen dataclass a kind of knowledge.

Boxes are half-open pixel edges, xyxy, float, in the batch's frame. What is unknown has loss weight 0: it is marked
(`known`, ignore value), never guessed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

IGNORE = 255  # the value of a mask pixel that belongs to no class and counts nowhere


@dataclass(frozen=True)
class Target(ABC):
    """Any knowledge about a batch. `join` stacks the targets of single samples in order."""

    @classmethod
    @abstractmethod
    def join(cls, parts: Sequence[Target]) -> Target:
        """The target of a batch from those of its samples."""


@dataclass(frozen=True)
class Labels(Target):
    """A class for each image: `index` (b,), `known` (b,); `soft` (b, k) replaces the one-hot where labels were mixed."""

    index: Int[Tensor, "b"]
    known: Bool[Tensor, "b"]
    soft: Float[Tensor, "b k"] | None = None

    @classmethod
    def of(cls, index: Int[Tensor, "b"]) -> Labels:
        """Labels of which a negative index means unknown."""
        return cls(index=index.clamp(min=0), known=index >= 0)

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Labels:
        labels = [p for p in parts if isinstance(p, Labels)]
        return cls(torch.cat([p.index for p in labels]), torch.cat([p.known for p in labels]))


@dataclass(frozen=True)
class Boxes(Target):
    """All boxes of a batch, packed: `boxes` (n, 4) xyxy, `label` (n,), `sample` (n,) the image each belongs to."""

    boxes: Float[Tensor, "n 4"]
    label: Int[Tensor, "n"]
    sample: Int[Tensor, "n"]

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Boxes:
        packs = [p for p in parts if isinstance(p, Boxes)]
        sample = torch.cat([torch.full_like(p.label, row) for row, p in enumerate(packs)])
        return cls(torch.cat([p.boxes for p in packs]), torch.cat([p.label for p in packs]), sample)


@dataclass(frozen=True)
class Masks(Target):
    """A class for each pixel: `index` (b, h, w); IGNORE (255) counts nowhere."""

    index: Int[Tensor, "b h w"]

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Masks:
        masks = [p.index[0] for p in parts if isinstance(p, Masks)]
        height, width = max(m.shape[0] for m in masks), max(m.shape[1] for m in masks)
        index = torch.full((len(masks), height, width), IGNORE, dtype=masks[0].dtype)
        for row, mask in zip(index, masks, strict=True):
            row[: mask.shape[0], : mask.shape[1]] = mask
        return cls(index)


@dataclass(frozen=True)
class Pairs(Target):
    """Who each image shows (`identity` (b,)). Images 2i and 2i+1 of a batch are a pair: the same where these agree."""

    identity: Int[Tensor, "b"]

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Pairs:
        return cls(torch.cat([p.identity for p in parts if isinstance(p, Pairs)]))


@dataclass(frozen=True)
class Several(Target):
    """Targets by name, for a network that is asked more than one thing; each marks its own unknowns."""

    by_name: Mapping[str, Target]

    @classmethod
    def join(cls, parts: Sequence[Target]) -> Several:
        several = [p for p in parts if isinstance(p, Several)]
        names = several[0].by_name
        return cls({name: type(names[name]).join([p.by_name[name] for p in several]) for name in names})
