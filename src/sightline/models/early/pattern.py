"""Networks from patterns: [CONV-RELU-POOL]*N-[FC-RELU]*K-FC.

A pattern names its layers in order, separated by hyphens:

    CONV32    32 maps of 3x3 kernels with same padding; CONV32@5 has 5x5 kernels
    POOL      2x2 max-pooling at stride 2; POOL3 is 3x3 at stride 3
    FC10      a dense layer of 10 units
    RELU      or another activation by its name: TANH, SIGMOID, LEAKY_RELU …
    SOFTMAX   scores to probabilities. Networks usually end in scores, as losses and decoding expect
    [...]*2   a group, repeated twice; groups may be nested

The notation is that of introductory courses (Karpathy's CS231n). `convnet` is the family of that form; `models.trace`
gives the table of a pattern.
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
EXAMPLE = "write for example [CONV32-RELU-POOL]*2-FC128-RELU-FC10"


class Step(NamedTuple):
    """A layer of a pattern: its text, its kind, and the numbers after it."""

    text: str
    kind: str
    number: int | None
    kernel: int | None


class BuiltLayer(NamedTuple):
    """A layer, and the shape of its output for one image."""

    module: nn.Module
    output: Shape


# ----------------------------------------------------------------------------------------------------------- patterns
_GROUP = re.compile(r"\[([^\[\]]*)\](?:\*(\d+))?")
_STEP = re.compile(r"([A-Z_]+)(\d+)?(?:@(\d+))?")


def steps(pattern: str) -> list[Step]:
    """The layers of a pattern, with groups expanded. UsageError for an unknown layer, with the nearest known one."""
    expanded = "".join(pattern.split())
    while group := _GROUP.search(expanded):  # an innermost one
        repeated = "-".join([group[1]] * int(group[2] or 1))
        expanded = expanded[: group.start()] + repeated + expanded[group.end() :]
    if stray := re.search(r"[\[\]*]", expanded):
        raise UsageError(f"{stray[0]!r} in the pattern belongs to no group", EXAMPLE)
    return [_step(text) for text in expanded.split("-")]


def _step(text: str) -> Step:
    parts = _STEP.fullmatch(text.upper())
    kind = parts[1] if parts else (re.findall("[A-Z_]+", text.upper()) or [""])[0]
    if kind not in _LAYERS:
        raise UsageError(f"{text!r} in the pattern is no layer", nearest(kind, _LAYERS) if kind else EXAMPLE)
    number, kernel = (int(digits) if digits else None for digits in (parts[2], parts[3])) if parts else (0, 0)
    wrong = {
        "CONV": not number or kernel == 0,
        "POOL": number == 0 or kernel is not None,
        "FC": not number or kernel is not None,
    }
    if wrong.get(kind, number is not None or kernel is not None):
        example = {"CONV": "CONV32 or CONV32@5", "POOL": "POOL or POOL3", "FC": "FC10"}.get(kind, kind)
        raise UsageError(f"{text!r} in the pattern is no layer", f"did you mean {example!r}?")
    return Step(text, kind, number, kernel)


# ------------------------------------------------------------------------------------------------------------- layers
def build_layers(pattern: str, input: tuple[int, int, int]) -> list[BuiltLayer]:
    """The layers of a pattern for images (c, h, w), with their output sizes computed from formulas.

    A Flatten is inserted before the first dense layer. UsageError for a layer in the wrong place, or with too few pixels
    left, with the smallest image that is large enough.
    """
    if min(input) < 1:
        raise UsageError(
            f"an image of {'x'.join(map(str, input))} has no pixels", "pass input=(c, h, w), each at least 1"
        )
    shape: Shape = input
    layers: list[BuiltLayer] = []
    sequence_steps = steps(pattern)
    for number, step in enumerate(sequence_steps, 1):
        _require_place(sequence_steps, number, shape)
        if step.kind == "FC" and len(shape) == 3:
            shape = (math.prod(shape),)
            layers.append(BuiltLayer(nn.Flatten(), shape))
        layers.append(_LAYERS[step.kind](step, shape))
        shape = layers[-1].output
    return layers


def _require_place(sequence_steps: list[Step], number: int, shape: Shape) -> None:
    """UsageError unless layer `number` of the pattern can read an output of this shape."""
    step = sequence_steps[number - 1]
    where = f"{step.text} (layer {number} of the pattern)"
    if step.kind in ("CONV", "POOL") and len(shape) == 1:
        raise UsageError(f"{where} needs maps, but follows a dense layer", "put it before the first FC")
    if step.kind == "CONV" and (step.kernel or 3) % 2 == 0:
        raise UsageError(f"{where} cannot be padded equally on both sides", "use an odd kernel")
    if step.kind == "SOFTMAX" and (len(shape) == 3 or number < len(sequence_steps)):
        raise UsageError(f"{where} turns scores into probabilities", "put it last, behind an FC")
    if step.kind == "POOL" and min(shape[1:]) < (step.number or 2):
        least = math.prod(each.number or 2 for each in sequence_steps if each.kind == "POOL")
        raise UsageError(
            f"{where} needs {step.number or 2} pixels a side, and {shape[1]}x{shape[2]} are left",
            f"use images of at least {least}x{least}",
        )


def _convolution(step: Step, shape: Shape) -> BuiltLayer:
    maps, kernel = step.number or 0, step.kernel or 3
    padding = same_padding(kernel)
    sides = (output_size(side, kernel, padding=padding) for side in shape[1:])
    return BuiltLayer(nn.Conv2d(shape[0], maps, kernel, padding=padding), (maps, *sides))


def _pool(step: Step, shape: Shape) -> BuiltLayer:
    window = step.number or 2
    sides = (output_size(side, window, stride=window) for side in shape[1:])
    return BuiltLayer(nn.MaxPool2d(window), (shape[0], *sides))


def _dense(step: Step, shape: Shape) -> BuiltLayer:
    units = step.number or 0
    return BuiltLayer(nn.Linear(shape[0], units), (units,))


def _activation(step: Step, shape: Shape) -> BuiltLayer:
    return BuiltLayer(ACTIVATIONS[step.kind.lower()](), shape)


def _softmax(step: Step, shape: Shape) -> BuiltLayer:
    return BuiltLayer(nn.Softmax(1), shape)


_LAYERS: dict[str, Callable[[Step, Shape], BuiltLayer]] = {
    "CONV": _convolution,
    "POOL": _pool,
    "FC": _dense,
    "SOFTMAX": _softmax,
    **{name.upper(): _activation for name in ACTIVATIONS},
}


def sequence(pattern: str, input: tuple[int, int, int]) -> nn.Sequential:
    """The network of a pattern for images (c, h, w), with He's initialisation. UsageError as in `build_layers`."""
    network = nn.Sequential(*(layer.module for layer in build_layers(pattern, input)))
    initialise(network, "he")
    return network
