"""Outputs of graphs → predictions, by the name under which an export stores its decoding.

A decoding runs the graphs of a folder on a batch of images in the network's frame, and turns what they return into the
rows that `sightline predict` prints. Classes and pixels take one graph, regions two or three with suppression between.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from .choosing import Choice

Arrays = dict[str, np.ndarray]
Graph = Callable[..., Arrays]  # inputs by name → outputs by name
Keep = Callable[[int, np.ndarray], str | None]  # (place in the batch, class of each pixel) → the file it was written to


class Frames(NamedTuple):
    """What a batch of images was: `frame` (b, 3, 3) original → network, float32 as in training, and `natural` (b, 2), height
    and width of the originals."""

    frame: Float[np.ndarray, "b 3 3"]
    natural: tuple[tuple[int, int], ...]


class Decoding(ABC):
    """`settings` are those that the export stored.

    choose  row, choice → the row that is reported
    scored  whether predictions below the score of best F1 are left out by default
    """

    choose: ClassVar[staticmethod[[Mapping[str, Any], Choice], dict[str, Any]]]
    scored: ClassVar[bool] = False

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.settings = settings

    @abstractmethod
    def run(self, graphs: Mapping[str, Graph], image: UInt8[np.ndarray, "b c h w"]) -> Arrays:
        """The raw outputs for a batch."""

    @abstractmethod
    def rows(self, outputs: Arrays, frames: Frames, classes: Sequence[str], keep: Keep) -> list[dict[str, Any]]:
        """The prediction of each image, ready for JSON."""


def softmax(x: Float[np.ndarray, "*n k"]) -> Float[np.ndarray, "*n k"]:
    """Over the last axis, in float32."""
    power = np.exp(x - x.max(-1, keepdims=True))
    return power / power.sum(-1, keepdims=True)


def sigmoid(x: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """In float32; exp of a large negative number overflows to infinity, whose reciprocal is the right 0."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x))
