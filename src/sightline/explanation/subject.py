"""What is explained: a score as a function of pixels, and the module behind it; and what an explanation is.

Every method takes a `Subject`, pixels (b, c, h, w) in 0-255 units and the index of one score for each image. It leaves the
network as it was: mode, `requires_grad`, `.grad`, hooks and buffers, also after an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.errors import UsageError

Scores = Callable[[Float[Tensor, "b c h w"]], Float[Tensor, "b k"]]


@dataclass(frozen=True)
class Subject:
    """A score to be explained.

    network   the module that `scores` runs, normalisation included; hooks are put into it
    scores    pixels (b, c, h, w), float in 0-255 units → scores (b, k), un-normalised (no softmax)
    classes   whether the softmax of the scores is a probability; else, as for regions and boxes, each score is used as it is
    dense     whether the network answers for places, so that its last maps are answers and not features
    batch     most images in one forward pass
    """

    network: nn.Module
    scores: Scores
    classes: bool = True
    dense: bool = False
    batch: int = 32

    def score(self, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]) -> Float[Tensor, "b"]:
        """The target's score of each image."""
        return self.both(pixels, target)[0]

    def confidence(self, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]) -> Float[Tensor, "b"]:
        """The target's probability where there is one, else its score."""
        return self.both(pixels, target)[1]

    def both(
        self, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]
    ) -> tuple[Float[Tensor, "b"], Float[Tensor, "b"]]:
        """Score and confidence by one forward pass."""
        scores, rows = _wide(self.scores(pixels)), torch.arange(len(target), device=target.device)
        return scores[rows, target], (scores.softmax(1) if self.classes else scores)[rows, target]


def _wide(scores: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
    """In float32 at least: half precision would lose the differences."""
    return scores if scores.dtype == torch.float64 else scores.float()


def subject_of(network: nn.Module, *, mean: float = 0.0, std: float = 255.0) -> Subject:
    """Any classifier as a subject: a module from images to scores (b, k), whose input is (pixels - mean) / std.

    The default feeds it images in [0, 1]. Networks that return a tuple, such as one with auxiliary heads, are explained by
    their first output.
    """

    def scores(pixels: Tensor) -> Tensor:
        output = network((pixels - mean) / std)
        return output[0] if isinstance(output, tuple) else output

    return Subject(network, scores)


def counted(subject: Subject, passed: Callable[[int], None]) -> Subject:
    """The same subject, which tells `passed` how many images each forward pass holds."""

    def scores(pixels: Tensor) -> Tensor:
        passed(len(pixels))
        return subject.scores(pixels)

    return replace(subject, scores=scores)


class Refused(UsageError):
    """A method that has no meaning for this network; the message says why."""


@dataclass(frozen=True)
class Attribution:
    """The explanation of b images by one method.

    values     (b, c, h, w), or (b, 1, h, w) where the method does not distinguish channels; in `unit`
    merging    how channels become one map: "sum", or "largest" magnitude
    signed     whether negative values are evidence against the score
    unit       of the values, in words
    settings   of the method, with the layer that it chose
    notes      sentences that belong beside the picture, such as "not converged"
    """

    values: Float[Tensor, "b c h w"]
    merging: Literal["sum", "largest"]
    signed: bool
    unit: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def map(self) -> Float[Tensor, "b h w"]:
        return self.values.sum(1) if self.merging == "sum" else self.values.abs().amax(1)

    def noted(self, *notes: str) -> Attribution:
        return replace(self, notes=(*self.notes, *notes))


@contextmanager
def undisturbed(network: nn.Module) -> Iterator[None]:
    """Evaluation mode and no gradients for weights inside the block; afterwards everything is as it was."""
    modes = {module: module.training for module in network.modules()}
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    network.eval()
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for parameter in learning:
            parameter.requires_grad_(True)


def watched(pixels: Float[Tensor, "b c h w"]) -> tuple[Float[Tensor, "b c h w"], Float[Tensor, "b c h w"]]:
    """A leaf that collects gradients, and the tensor to feed: the network may change its input in place, never a leaf."""
    leaf = pixels.detach().clone().requires_grad_()
    return leaf, leaf.clone()


def gradient(subject: Subject, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]) -> Float[Tensor, "b c h w"]:
    """∂score / ∂pixel, without touching the `.grad` of any weight. A score that depends on no pixel has gradient 0."""
    with torch.enable_grad():
        leaf, image = watched(pixels)
        score = subject.score(image, target).sum()
        if not score.requires_grad:
            return torch.zeros_like(pixels)
        (slope,) = torch.autograd.grad(score, leaf, allow_unused=True)
    return torch.zeros_like(pixels) if slope is None else slope
