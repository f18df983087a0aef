"""A classifier that slides over a larger image: a detector and a segmenter from nothing but windows.

    windows one by one   what every method before 2012 did; the classifier sees each window as an image of its own
    as a convolution     the same answers in one pass, because neighbouring windows share nearly all of their work
                         (Sermanet et al. 2013, OverFeat, arXiv:1312.6229; Long et al. 2014, arXiv:1411.4038, section 3.1)

`scores` below is any function from images (n, c, window, window) to class scores (n, k): a network, or a run's task.model,
which takes pixels in 0-255 units.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.decoding.suppression import nms_by_label
from sightline.errors import UsageError
from sightline.layers.convolution.convolution import linear_as_convolution
from sightline.layers.convolution.upsampling import bilinear

Scores = Callable[[Tensor], Tensor]
BATCH = 256  # windows of one forward pass


def windows(image: Float[Tensor, "c h w"], window: int, step: int) -> Float[Tensor, "n c q q"]:
    """All square windows of side `window`, `step` pixels apart, in reading order. UsageError where none fits."""
    if min(image.shape[1:]) < window:
        raise UsageError(
            f"windows of {window} pixels do not fit into {image.shape[1]}x{image.shape[2]}", "use smaller ones"
        )
    cut = image.unfold(1, window, step).unfold(2, window, step)  # (c, rows, columns, window, window)
    return cut.flatten(1, 2).transpose(0, 1)


def score_map(scores: Scores, image: Float[Tensor, "c h w"], window: int, step: int) -> Float[Tensor, "k i j"]:
    """The scores of every window, one by one: (k, rows, columns)."""
    rows, columns = ((side - window) // step + 1 for side in image.shape[1:])
    every = windows(image, window, step)
    answered = torch.cat([scores(some) for some in every.split(BATCH)])  # (n, k)
    return answered.T.unflatten(1, (rows, columns))


def as_convolution(network: nn.Sequential, window: tuple[int, int, int]) -> nn.Sequential:
    """The same network for images of any size: dense layers become convolutions with the same weights, and what flattens goes.

    window        (c, h, w) of the images that the network reads
    UsageError    for a network whose parts are no plain sequence, or that pads inside: a window's zeros are the next window's
                  pixels
    """
    layers: list[nn.Module] = []
    shape, dense = torch.zeros(1, *window), False
    for layer in _flat(network):
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d) and any(_pair(layer.padding)):
            raise UsageError("a layer that pads gives other numbers inside a larger image", "build it without padding")
        if isinstance(layer, nn.Linear):
            size = (shape.shape[1], 1, 1) if dense else tuple(shape.shape[1:])
            layer, dense = linear_as_convolution(layer, *size), True
        elif isinstance(layer, nn.Flatten):
            continue
        layers.append(copy.deepcopy(layer).eval())
        with torch.no_grad():
            shape = layers[-1](shape)
    return nn.Sequential(*layers)


def _flat(network: nn.Module) -> list[nn.Module]:
    if not isinstance(network, nn.Sequential):
        kinds = (nn.Conv2d, nn.Linear, nn.Flatten, nn.MaxPool2d, nn.AvgPool2d, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.Dropout)
        if not isinstance(network, (*kinds, nn.BatchNorm2d)):
            raise UsageError(
                f"{type(network).__name__} is no step of a plain sequence", "slide it window by window: score_map"
            )
        return [network]
    return [inner for child in network for inner in _flat(child)]


def _pair(padding: object) -> tuple[object, ...]:
    return padding if isinstance(padding, tuple) else (padding,)


def detect(
    found: Float[Tensor, "k i j"], window: int, step: int, *, least: float = 0.5, overlap: float = 0.3
) -> tuple[Float[Tensor, "n 4"], Tensor, Tensor]:
    """Boxes xyxy (n, 4), classes (n,) and probabilities (n,) of a map of scores, best first. Its last class means no object; a
    window is a box where another one is the most probable with at least `least`, and windows of a class that overlap by an
    IoU of more than `overlap` are suppressed by the best."""
    probability, label = found.softmax(0).flatten(1).max(0)  # (i · j,)
    keep = (label < found.shape[0] - 1) & (probability >= least)
    places = keep.nonzero()[:, 0]
    left, top = places % found.shape[2] * step, places // found.shape[2] * step
    boxes = torch.stack([left, top, left + window, top + window], 1).to(found.dtype)
    best = nms_by_label(boxes, probability[places], label[places], overlap)
    return boxes[best], label[places][best], probability[places][best]


def segment(found: Float[Tensor, "k i j"], window: int, step: int, size: tuple[int, int]) -> Float[Tensor, "k h w"]:
    """Scores of every pixel of an image of `size` (height, width): each window's stand at its centre, and bilinearly between
    them; beyond the outermost centres those of the border."""
    rows, columns = ((n - 1) * step + 1 for n in found.shape[1:])
    # one pixel per centre and `step` between: the centres of the resized map's cells are half a step inside its edge
    wide = bilinear(found[None], (found.shape[1] * step, found.shape[2] * step))[0]
    first = step // 2
    inner = wide[:, first : first + rows, first : first + columns]
    top, left = window // 2, window // 2
    below, right = size[0] - top - rows, size[1] - left - columns
    if min(below, right) < 0:
        raise UsageError("the map has more windows than the image", "pass the window, step and size it was made with")
    return nn.functional.pad(inner[None], (left, right, top, below), mode="replicate")[0]
