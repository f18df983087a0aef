"""The layer that a class activation map reads, found by a forward pass: no names from the user.

Classifiers: the output of the last module that still is a map, before pooling and the head; pooling and dropout behind it
are skipped. Networks that answer for places (segmenters, detectors): the last of the coarsest maps, the features with the
widest view, in which anything raises the score. Transformers: the last tokens whose patches the score still reads: with a
class token that is the input of the last attention, because behind it no patch token reaches the head.

A map is (b, c, h, w), or (b, h, w, c), with the image's proportions and more than one place; tokens are (b, n, d) with one
token for each place of the patch convolution's map, and perhaps others ahead of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.explanation.subject import Refused, Subject, watched

Layout = Literal["map", "channels last", "tokens"]
_SKIPPED = (
    nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.LPPool2d, nn.FractionalMaxPool2d,
    nn.Identity, nn.Dropout, nn.Dropout2d,
)  # fmt: skip

FINER = 8  # times, of the maps of a dense network that are read instead of the coarsest


@dataclass(frozen=True)
class Place:
    """An output of a module in one forward pass; `grid` the rows and columns of its map."""

    name: str
    output: Tensor
    layout: Layout
    grid: tuple[int, int]

    def as_map(self, values: Tensor) -> Float[Tensor, "b c h w"]:
        """Values of the output's shape as a map."""
        if self.layout == "channels last":
            return values.permute(0, 3, 1, 2)
        if self.layout == "tokens":
            rows, columns = self.grid
            return values[:, values.shape[1] - rows * columns :].transpose(1, 2).unflatten(2, self.grid)
        return values


@dataclass(frozen=True)
class Reading:
    """A map's activations and the gradient of the score with respect to them, both (b, c, h, w), and the layer's name."""

    layer: str
    activation: Float[Tensor, "b c h w"]
    slope: Float[Tensor, "b c h w"]


def read_layer(subject: Subject, pixels: Float[Tensor, "b c h w"], target: Int[Tensor, "b"]) -> Reading:
    """The layer, its activations and gradients. Refused where the network mixes all places before any map is left."""
    with torch.enable_grad(), _outputs(subject.network, pixels) as places:
        _, image = watched(pixels)
        score = subject.score(image, target).sum()
        found = _candidates(places, subject.dense)
        if not found:
            raise Refused(
                "a class activation map needs a layer that still is a map, and this network mixes all places of the image "
                "in its first layer",
                "use gradient, integrated_gradients or occlusion",
            )
        best, read = (found[-1], torch.zeros_like(found[-1].output)), False
        for place in reversed(found):
            slope = _slope(score, place.output)
            if slope is None or not bool(place.as_map(slope).any()):
                continue
            positive = not subject.dense or _has_evidence(place, slope)
            if positive or not read:
                best, read = (place, slope), True
            if positive:
                break
    place, slope = best
    return Reading(place.name, place.as_map(place.output.detach()).float(), place.as_map(slope).float())


def _has_evidence(place: Place, slope: Tensor) -> bool:
    """Whether the map, weighted by its mean gradients, is positive anywhere: that of a small object may not be in the coarsest
    map, because finer ones hold it."""
    weight = place.as_map(slope).mean((2, 3), keepdim=True)
    return bool(((weight * place.as_map(place.output.detach())).sum(1) > 0).any())


def _slope(score: Tensor, output: Tensor) -> Tensor | None:
    if not score.requires_grad or not output.requires_grad:
        return None
    return torch.autograd.grad(score, output, retain_graph=True, allow_unused=True)[0]


def _candidates(places: list[Place], dense: bool) -> list[Place]:
    """The places in question, the most likely last."""
    if any(place.layout == "tokens" for place in places):
        return [place for place in places if place.layout == "tokens"]
    if dense:  # the coarsest last; those finer than an eighth of the coarsest's stride are no features of whole objects
        areas = [place.grid[0] * place.grid[1] for place in places]
        coarse = [place for place, area in zip(places, areas, strict=True) if area <= FINER**2 * min(areas)]
        return sorted(coarse, key=lambda place: -place.grid[0] * place.grid[1])
    return places[-1:]


@contextmanager
def _outputs(network: nn.Module, pixels: Float[Tensor, "b c h w"]) -> Iterator[list[Place]]:
    """Collects the maps and tokens that modules return inside the block, in the order in which they are finished."""
    places: list[Place] = []
    size = (int(pixels.shape[2]), int(pixels.shape[3]))

    def keep(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            if isinstance(module, _SKIPPED) or not isinstance(output, Tensor) or len(output) != len(pixels):
                return
            known = next((i for i, place in enumerate(places) if place.output is output), None)
            if known is not None:
                if places[known].name.startswith(f"{name}."):  # the last module of a sequence returned it before
                    places[known] = replace(places[known], name=name)
                return
            if output.ndim == 4 and output.shape != pixels.shape and (layout := layout_of(output, size)):
                grid = output.shape[2:] if layout == "map" else output.shape[1:3]
                places.append(Place(name, output, layout, (int(grid[0]), int(grid[1]))))
            elif output.ndim == 3 and (patches := _token_grid(output, places)):
                places.append(Place(name, output, "tokens", patches))

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in network.named_modules() if name]
    try:
        yield places
    finally:
        for handle in handles:
            handle.remove()


def layout_of(output: Tensor, size: tuple[int, int]) -> Layout | None:
    _, a, b, c = output.shape
    if proportional((b, c), size):
        return "map"
    return "channels last" if proportional((a, b), size) else None


def proportional(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    """Whether a grid has the image's proportions up to a place more or fewer, and more than one place."""
    (rows, columns), (height, width) = grid, size
    if rows * columns < 2 or rows > height + 1 or columns > width + 1:
        return False
    return abs(rows * width - columns * height) <= max(height, width)


def _token_grid(output: Tensor, places: list[Place]) -> tuple[int, int] | None:
    """The grid of patch tokens: that of the map they were made from, with the same width and at most a few tokens ahead."""
    for place in places:
        ahead = output.shape[1] - place.grid[0] * place.grid[1]
        width = place.output.shape[1] if place.layout == "map" else place.output.shape[-1]
        if 0 <= ahead <= 8 and output.shape[2] == width:
            return place.grid
    return None
