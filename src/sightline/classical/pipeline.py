"""A pipeline: an encoder and a learner, solved in chunks.

What is learned lies in buffers of fixed shapes, the parts of an unfinished solution included, and a chunk is a pure function of
these buffers, the training images and the seed. So the state after any chunk is all that a checkpoint has to hold, and a run
that was killed goes on from there bit-identically.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.randomness.keyed import permutation, torch_seeded
from sightline.structures.learned import Gallery

VALIDATIONS = 5  # of a solution in many passes
ENCODED = 256  # images that are encoded at once
KEPT = (
    1 << 28
)  # numbers of encoded images that are kept in memory (1 GiB); beyond, they are encoded again for each chunk


@dataclass(frozen=True)
class Examples:
    """Training images as a pipeline sees them.

    labels  (n,) class of each; -1 unknown
    images  places (m,) → (m, c, h, w), values from 0 to 1
    passes  over the images, of learners that need several
    batch   images of one step of such a learner
    classes how many there are
    """

    labels: Int[Tensor, "n"]
    images: Callable[[Int[Tensor, "m"]], Float[Tensor, "m c h w"]]
    seed: int
    passes: int
    batch: int
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def chosen(self, most: int, purpose: str) -> Int[Tensor, "m"]:
        """Places of at most so many images, drawn by the seed, in ascending order."""
        return self.order(purpose)[:most].sort().values

    def order(self, purpose: str, number: int = 0) -> Int[Tensor, "n"]:
        """All places in an order that (seed, purpose, number) decides."""
        return permutation(len(self), self.seed, purpose, number)


Figures = dict[str, float]  # what a chunk has measured, by name


class Encoder(nn.Module):
    """Images (b, c, h, w) in 0-1 → vectors (b, size). A fixed one has no chunks."""

    size: int

    def steps(self, passes: int) -> tuple[str, ...]:
        return ()

    def solve(self, chunk: int, examples: Examples) -> Figures:
        """Work on its chunk with this number."""
        raise NotImplementedError


@dataclass
class Vectors:
    """The training images encoded: computed once and kept, where they fit into memory."""

    encoder: nn.Module
    examples: Examples
    size: int
    most: int = KEPT
    _kept: Tensor | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.examples)

    @property
    def labels(self) -> Int[Tensor, "n"]:
        return self.examples.labels

    def __call__(self, places: Int[Tensor, "m"]) -> Float[Tensor, "m size"]:
        if len(self) * self.size > self.most:
            return self._encoded(places)
        if self._kept is None:
            self._kept = self._encoded(torch.arange(len(self)))
        return self._kept[places]

    def _encoded(self, places: Int[Tensor, "m"]) -> Float[Tensor, "m size"]:
        # always in blocks of the same size: the last bits of a product depend on how many rows it has
        return torch.cat([self.encoder(self.examples.images(part)) for part in places.split(ENCODED)])


class Learner(nn.Module):
    """Vectors (b, size) → scores (b, classes).

    iterates   whether it passes over the images several times, so that `fit.epochs` means something
    ready      the number of its chunks before it can answer
    """

    iterates = False
    ready = 1

    def steps(self, passes: int) -> tuple[str, ...]:
        raise NotImplementedError

    def solve(self, chunk: int, vectors: Vectors) -> Figures:
        raise NotImplementedError


class Pipeline(nn.Module):
    """scores = learner(encoder(pixels)). Pixels are 0 to 1 behind the run's normalisation."""

    normalisation = (0.0, 255.0)  # mean and deviation of 0-255 units

    def __init__(self, encoder: Encoder, learner: Learner | None, input_size: tuple[int, int, int]) -> None:
        super().__init__()
        self.input_size = input_size
        self.channels = (encoder.size,)
        self.encoder = encoder
        self.learner: nn.Module = learner if learner is not None else nn.Identity()

    @property
    def iterates(self) -> bool:
        return bool(getattr(self.learner, "iterates", False))

    def features(self, x: Float[Tensor, "b c h w"]) -> list[Float[Tensor, "b d 1 1"]]:
        """The vector, every entry a channel: (b, size, 1, 1)."""
        self._require(x)
        return [self.encoder(x)[:, :, None, None]]

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        """Class scores (b, num_classes); with num_classes=0 the vector (b, channels[-1])."""
        return self.learner(self.features(x)[-1].flatten(1))

    def _require(self, x: Tensor) -> None:
        if tuple(x.shape[1:]) != self.input_size:
            (c, h, w), (oc, oh, ow) = self.input_size, x.shape[1:]
            if c != oc:
                raise UsageError(f"the pipeline takes images of {c} channels, these have {oc}", "set in_channels")
            raise UsageError(
                f"the pipeline sees {h}x{w} pixels, these images have {oh}x{ow}", f"use size {h}x{w}, or set image_size"
            )

    def galleries(self) -> list[Gallery]:
        """What it has learned as pictures; none where nothing can be drawn."""
        return []


class Solving:
    """One solution: the chunks of a pipeline in order, `advance(k)` for the k-th. `ready` is the number of chunks after which
    the pipeline answers."""

    def __init__(self, pipeline: Pipeline, examples: Examples) -> None:
        self.pipeline, self.examples = pipeline, examples
        encoder, learner = pipeline.encoder, pipeline.learner
        assert isinstance(encoder, Encoder) and isinstance(learner, Learner)
        self.encoder, self.learner = encoder, learner
        self._before = len(encoder.steps(examples.passes))
        self.names = (*encoder.steps(examples.passes), *learner.steps(examples.passes))
        self.ready = self._before + learner.ready
        self._vectors = Vectors(encoder, examples, encoder.size)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def between(self) -> int:
        """Chunks between two validations, so that there are about `VALIDATIONS`."""
        return max((len(self) - self.ready + 1) // VALIDATIONS, 1)

    @torch.no_grad()
    def advance(self, chunk: int) -> Figures:
        """Work on the chunk with this number; random draws depend on it and the seed only."""
        self.pipeline.eval()
        with torch_seeded(self.examples.seed, "chunk", chunk):
            if chunk < self._before:
                return self.encoder.solve(chunk, self.examples)
            return self.learner.solve(chunk - self._before, self._vectors)


def blocks(n: int, size: int) -> tuple[Tensor, ...]:
    """Places 0 to n - 1 in order, in blocks of `size`."""
    return torch.arange(n).split(size)
