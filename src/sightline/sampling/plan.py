"""What a kind of task says about making images, and what one pass of its networks gets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.randomness.keyed import normal
from sightline.structures.batch import Batch
from sightline.tasks.task import Task

OPTIONS = ("class", "text", "steps", "guidance", "sampler")  # what a request may hold beside number and seed


@dataclass(frozen=True)
class Request:
    """What is to be made.

    index      the images, by number: image i depends on `seed`, i and the conditions below, on nothing else
    classes    how many classes there are; 0: the networks know none
    label      the class of all images; None: image i has class i mod `classes`
    text       the words that all images are to show
    steps      of an iterative sampler; None: its own default
    guidance   weight of the condition in classifier-free guidance; None: its own default
    sampler    by name; None: its own default
    """

    index: Int[Tensor, "n"]
    seed: int = 0
    classes: int = 0
    label: int | None = None
    text: str | None = None
    steps: int | None = None
    guidance: float | None = None
    sampler: str | None = None

    def labels(self, index: Int[Tensor, "b"]) -> Int[Tensor, "b"] | None:
        """The class of each image; None where there are no classes."""
        if not self.classes:
            return None
        return torch.full_like(index, self.label) if self.label is not None else index % self.classes


@dataclass(frozen=True)
class Chunk:
    """The images of one pass: `index` (b,), always the same number of them at the same places.

    toward, share   for a walk: each image lies between image `index` and image `toward`, at `share` (b,) of the way
    """

    request: Request
    index: Int[Tensor, "b"]
    device: torch.device | str = "cpu"
    toward: Int[Tensor, "b"] | None = None
    share: Float[Tensor, "b"] | None = None

    def noise(self, purpose: str, shape: tuple[int, ...], *parts: int) -> Float[Tensor, "b *shape"]:
        """Standard normal noise of each image, (b, *shape). Every purpose, such as the start or a step of a sampler, has
        noise of its own; `parts` are further integers, such as the number of the step. Drawn on the host, so that every
        device gets the same."""
        own = _drawn(self.request.seed, purpose, self.index, shape, parts)
        if self.toward is not None and self.share is not None:
            own = between(own, _drawn(self.request.seed, purpose, self.toward, shape, parts), self.share)
        return own.to(self.device)

    @property
    def label(self) -> Int[Tensor, "b"] | None:
        """The class of each image; half-way between two images, the class changes."""
        nearest = self.index
        if self.toward is not None and self.share is not None:
            nearest = torch.where(self.share < 0.5, self.index, self.toward)
        labels = self.request.labels(nearest)
        return None if labels is None else labels.to(self.device)


def _drawn(
    seed: int, purpose: str, index: Int[Tensor, "b"], shape: tuple[int, ...], parts: tuple[int, ...]
) -> Float[Tensor, "b *shape"]:
    places = torch.arange(torch.Size(shape).numel())
    return normal(seed, f"sample {purpose}", *parts, index[:, None], places).reshape(len(index), *shape)


def between(
    first: Float[Tensor, "b *shape"], second: Float[Tensor, "b *shape"], share: Float[Tensor, "b"]
) -> Float[Tensor, "b *shape"]:
    """Spherical interpolation (Shoemake 1985): the straight line between two normal vectors of many dimensions passes through
    points much shorter than any that a generator has seen. `share` 0 is exactly `first`."""
    one, two = first.flatten(1).double(), second.flatten(1).double()
    cosine = torch.nn.functional.cosine_similarity(one, two).clamp(-1 + 1e-9, 1 - 1e-9)
    angle, s = cosine.arccos()[:, None], share.double()[:, None]
    mixed = ((1 - s) * angle).sin() / angle.sin() * one + (s * angle).sin() / angle.sin() * two
    return torch.where(s == 0, one, mixed).reshape(first.shape).to(first.dtype)


def _no_options(task: Task) -> frozenset[str]:
    return frozenset()


def _anything(task: Task, request: Request) -> None:
    pass


@dataclass(frozen=True)
class Sampling:
    """How a kind of task makes images.

    produce   task, chunk → images (b, c, h, w) in [-1, 1], one for each index of the chunk. It draws only what
              `Chunk.noise` gives, and uses no figure over the images of a chunk
    options   task → those of OPTIONS that a request may hold
    check     task, request → UsageError for values that these networks cannot use
    watched   how often images are made while it trains, for the report, and compared with the training images at its end; 0
              where that takes too long
    preview   steps of an iterative sampler for those; None: its own default
    strip     task, real images, chunk → columns of two strips for the report: the real ones as they become noise, and the
              chunk's as they come out of it; each column (b, c, h, w) in [-1, 1]. None where images are made at once
    """

    produce: Callable[[Task, Chunk], Float[Tensor, "b c h w"]]
    options: Callable[[Task], frozenset[str]] = _no_options
    check: Callable[[Task, Request], None] = _anything
    watched: int = 0
    preview: int | None = None
    strip: Callable[[Task, Batch, Chunk], tuple[list[Tensor], list[Tensor]]] | None = None
