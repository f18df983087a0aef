"""Networks as a line of words: [CONV-RELU-POOL]*N-[FC-RELU]*K-FC.

A pattern names its layers in order, with hyphens between:

    CONV32    32 maps of 3x3 kernels, padded so that the size stays; CONV32@5 has kernels of 5x5
    POOL      the largest of 2x2, step 2; POOL3 of 3x3, step 3
    FC10      10 units that read all that comes before
    RELU      or another activation by its name: TANH, SIGMOID, LEAKY_RELU …
    SOFTMAX   scores to probabilities. Networks here end in scores: losses and decoding take it from there
    [...]*2   what is inside, twice; groups may lie in groups

The pattern is the one that introductions to the field teach (Karpathy's course CS231n writes it so). `convnet` is the
family of that form; `models.trace` gives a pattern's table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import NamedTuple

from torch import nn

from sightline.errors import UsageError, nearest
from sightline.layers.activations import ACTIVATIONS
from sightline.layers.arithmetic import output_size, same_padding
from sightline.layers.initialise import initialise

Shape = tuple[int, ...]  # (c, h, w), or (units,) once a dense layer has read the maps
EXAMPLE = "such as [CONV32-RELU-POOL]*2-FC128-RELU-FC10"


class Step(NamedTuple):
    """A layer of a pattern: its words, its kind, the numbers behind it."""

    text: str
    kind: str
    number: int | None
    kernel: int | None


class Laid(NamedTuple):
    """A layer as it is built, and the shape of what comes out for one image."""

    module: nn.Module
    output: Shape


# ----------------------------------------------------------------------------------------------------------- patterns
_GROUP = re.compile(r"\[([^\[\]]*)\](?:\*(\d+))?")
_STEP = re.compile(r"([A-Z_]+)(\d+)?(?:@(\d+))?")


def steps(pattern: str) -> list[Step]:
    """The layers that a pattern names, repetitions written out. UsageError names what is no layer, and what is near."""
    written = "".join(pattern.split())
    while group := _GROUP.search(written):  # an innermost one
        again = "-".join([group[1]] * int(group[2] or 1))
        written = written[: group.start()] + again + written[group.end() :]
    if lost := re.search(r"[\[\]*]", written):
        raise UsageError(f"{lost[0]!r} in the pattern belongs to no group", EXAMPLE)
    return [_step(text) for text in written.split("-")]


def _step(text: str) -> Step:
    found = _STEP.fullmatch(text.upper())
    kind = found[1] if found else (re.findall("[A-Z_]+", text.upper()) or [""])[0]
    if kind not in _LAYERS:
        raise UsageError(f"{text!r} in the pattern is no layer", nearest(kind, _LAYERS) if kind else EXAMPLE)
    number, kernel = (int(digits) if digits else None for digits in (found[2], found[3])) if found else (0, 0)
    wrong = {
        "CONV": not number or kernel == 0,
        "POOL": number == 0 or kernel is not None,
        "FC": not number or kernel is not None,
    }
    if wrong.get(kind, number is not None or kernel is not None):
        meant = {"CONV": "CONV32 or CONV32@5", "POOL": "POOL or POOL3", "FC": "FC10"}.get(kind, kind)
        raise UsageError(f"{text!r} in the pattern is no layer", f"did you mean {meant}?")
    return Step(text, kind, number, kernel)


# ------------------------------------------------------------------------------------------------------------- layers
def laid(pattern: str, input: tuple[int, int, int]) -> list[Laid]:
    """The layers of a pattern for images (c, h, w), with their output sizes from the formulas.

    A flattening is put before the first dense layer. UsageError names the layer that cannot be there, or for which too
    few pixels are left, and the smallest image that would do.
    """
    if min(input) < 1:
        raise UsageError(f"an image of {'x'.join(map(str, input))} has no pixels", "input=(c, h, w), each at least 1")
    shape: Shape = input
    layers: list[Laid] = []
    named = steps(pattern)
    for number, step in enumerate(named, 1):
        _require_place(named, number, shape)
        if step.kind == "FC" and len(shape) == 3:
            shape = (math.prod(shape),)
            layers.append(Laid(nn.Flatten(), shape))
        layers.append(_LAYERS[step.kind](step, shape))
        shape = layers[-1].output
    return layers


def _require_place(named: list[Step], number: int, shape: Shape) -> None:
    """UsageError unless the layer of that number can read such an output of those before it."""
    step = named[number - 1]
    where = f"{step.text} (layer {number} of the pattern)"
    if step.kind in ("CONV", "POOL") and len(shape) == 1:
        raise UsageError(f"{where} needs maps, but a dense layer has read them", "put it before the first FC")
    if step.kind == "CONV" and (step.kernel or 3) % 2 == 0:
        raise UsageError(f"{where} has no equal padding on both sides", "use an odd kernel")
    if step.kind == "SOFTMAX" and (len(shape) == 3 or number < len(named)):
        raise UsageError(f"{where} turns scores into probabilities", "put it last, behind an FC")
    if step.kind == "POOL" and min(shape[1:]) < (step.number or 2):
        least = math.prod(each.number or 2 for each in named if each.kind == "POOL")
        raise UsageError(
            f"{where} needs {step.number or 2} pixels a side, and {shape[1]}x{shape[2]} are left",
            f"the pattern needs images of at least {least}x{least}",
        )


def _convolution(step: Step, shape: Shape) -> Laid:
    maps, kernel = step.number or 0, step.kernel or 3
    padding = same_padding(kernel)
    sides = (output_size(side, kernel, padding=padding) for side in shape[1:])
    return Laid(nn.Conv2d(shape[0], maps, kernel, padding=padding), (maps, *sides))


def _pool(step: Step, shape: Shape) -> Laid:
    window = step.number or 2
    sides = (output_size(side, window, stride=window) for side in shape[1:])
    return Laid(nn.MaxPool2d(window), (shape[0], *sides))


def _dense(step: Step, shape: Shape) -> Laid:
    units = step.number or 0
    return Laid(nn.Linear(shape[0], units), (units,))


def _activation(step: Step, shape: Shape) -> Laid:
    return Laid(ACTIVATIONS[step.kind.lower()](), shape)


def _softmax(step: Step, shape: Shape) -> Laid:
    return Laid(nn.Softmax(1), shape)


_LAYERS: dict[str, Callable[[Step, Shape], Laid]] = {
    "CONV": _convolution,
    "POOL": _pool,
    "FC": _dense,
    "SOFTMAX": _softmax,
    **{name.upper(): _activation for name in ACTIVATIONS},
}


def sequence(pattern: str, input: tuple[int, int, int]) -> nn.Sequential:
    """The network that a pattern names, for images (c, h, w); weights from He's Gaussian. UsageError as `laid`."""
    network = nn.Sequential(*(layer.module for layer in laid(pattern, input)))
    initialise(network, "he")
    return network
