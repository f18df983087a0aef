"""What a kind of task says about its export: the graphs, the decoding of their outputs, and when two predictions agree."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from sightline.structures.predictions import Prediction
from sightline.tasks.task import Task

Arrays = Mapping[str, np.ndarray]
Shape = tuple[int, int, int]  # channels, height, width of the network's frame
Row = Mapping[str, Any]  # a prediction as `predict` prints it; "pixels": its mask, where it has one

IMAGE = "image"  # the input of the first graph: uint8 (b, c, h, w) in the network's frame


class Difference(NamedTuple):
    """How far two predictions for one image are apart: a figure, and why they do not agree; "" if they do."""

    figure: float
    reason: str


@dataclass(frozen=True)
class Graph:
    """One graph. `module` takes tensors in the order of `inputs` and returns one or a tuple in that of `outputs`.

    inputs, outputs   by name → the name of the first dimension if it varies ("batch", "regions"), else None
    logits            outputs that must be equal up to the tolerance; in them, classes follow from the order of values
    """

    module: nn.Module
    inputs: Mapping[str, str | None]
    outputs: Mapping[str, str | None]
    logits: tuple[str, ...]


@dataclass(frozen=True)
class Export:
    """decoding     its name in `runtime`
    graphs       task, shape of the input → the graphs by name, in the order in which they run
    settings     task, number of classes → the settings of the decoding
    prediction   outputs of the decoding → the prediction of the task, for measuring an export by the run's own metrics
    difference   the run's row, the export's row, settings → how far apart they are
    figure       what `Difference.figure` is, as a key of the parity record
    page         whether the page for browsers can show its predictions
    allowed      points of the headline metric that a reduced precision may lose
    """

    decoding: str
    graphs: Callable[[Task, Shape], dict[str, Graph]]
    settings: Callable[[Task, int], dict[str, Any]]
    prediction: Callable[[Arrays], Prediction]
    difference: Callable[[Row, Row, Mapping[str, Any]], Difference]
    figure: str
    allowed: float = 0.5
    page: bool = True
