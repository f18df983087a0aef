"""The gate: an exported folder, opened from disk, must predict what the run predicts.

Real images go through the export's own reader, preprocessing, graphs and decoding, in batches of 1, 3 and 8. Two things
are compared: the logits of every graph with those of torch, and the rows with those of `predict`. Whatever differs
between them (the order of channels, one buffer, the normalisation, the size, a batch baked into the graph, the order of
classes) shows in one of the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sightline.errors import CheckError
from sightline.preprocessing.saved import Preprocessing
from sightline.runtime.decodings import Arrays
from sightline.runtime.model import Model, Prepared, Source, stack

from .agreement import TOLERANCE
from .plan import IMAGE, Export, Graph, Row
from .torch_graph import Call, RecordedGraphs, TorchGraphs

BATCHES = (1, 3, 8)
IMAGES = 64
_CHUNK = 24  # images at a time: a multiple of every batch


@dataclass(frozen=True)
class Reference:
    """What an export is compared with.

    sources         the images; `origin` says where they are from
    preprocessing   the run's
    rows            the run's own predictions, in order; those with a mask have it as "pixels"
    classes         of the run
    """

    sources: Sequence[Source]
    origin: str
    preprocessing: Preprocessing
    rows: Sequence[Row]
    classes: Sequence[str]


@dataclass
class Parity:
    """The figures of a comparison. `reason` is the first disagreement; "" if there is none."""

    figure: str
    images: int = 0
    logit_difference: float = 0.0
    worst: float = 0.0
    disagreements: int = 0
    reason: str = ""
    origin: str = ""
    batches: tuple[int, ...] = field(default=BATCHES)

    def add(self, reason: str) -> None:
        self.disagreements += 1
        self.reason = self.reason or reason

    def to_json(self) -> dict[str, Any]:
        return {
            "images": self.images, "origin": self.origin, "batches": list(self.batches),
            "max_logit_difference": self.logit_difference, "tolerance": TOLERANCE, self.figure: self.worst,
            "disagreements": self.disagreements,
        }  # fmt: skip


def require_parity(model: Model, export: Export, graphs: dict[str, Graph], reference: Reference) -> Parity:
    """The figures. Raises CheckError for the first disagreement."""
    parity = measure_parity(model, export, graphs, reference)
    if parity.reason:
        raise CheckError(
            f"the export does not predict what the run predicts: {parity.reason} "
            f"({parity.disagreements:,} differences, {parity.images} images)",
            "nothing was written; try another --to, and please report the network",
        )
    return parity


def measure_parity(model: Model, export: Export, graphs: dict[str, Graph], reference: Reference) -> Parity:
    """Compare without an error: whatever goes wrong, in a graph too, becomes the reason."""
    parity = Parity(export.figure, origin=reference.origin)
    if tuple(model.classes) != tuple(reference.classes):
        parity.add(f"its classes are {list(model.classes)[:3]} …, not {list(reference.classes)[:3]} …")
    torch_graphs = TorchGraphs(graphs)
    for start in range(0, len(reference.sources), _CHUNK):
        part = slice(start, start + _CHUNK)
        sources, rows = reference.sources[part], reference.rows[part]
        try:
            expected = [_prepared(source, reference.preprocessing) for source in sources]
            found = [model.prepare(source) for source in sources]
            calls = _torch_calls(model, torch_graphs, expected)
            _compare_later_graphs(parity, model, graphs, calls)
            for size in BATCHES:
                _compare_images(parity, model, export, graphs, calls, rows, found, size, start)
        except CheckError:
            raise
        except Exception as error:  # a graph that cannot run: each runtime has its own errors
            parity.add(f"it fails: {str(error).strip().splitlines()[0][:200]}")
        parity.images += len(sources)
    return parity


def _prepared(source: Source, preprocessing: Preprocessing) -> Prepared:
    """The image as the run's own preprocessing gives it."""
    pixels, frame, decoded = preprocessing.prepare(source)
    height, width, _ = decoded.pixels.shape
    return Prepared(pixels, frame.astype(np.float32), (height, width))


def _torch_calls(model: Model, torch_graphs: TorchGraphs, images: Sequence[Prepared]) -> list[Call]:
    """Every call that the decoding makes of torch's graphs for these images."""
    torch_graphs.calls.clear()
    for first in range(0, len(images), BATCHES[-1]):
        model.decoding.run(torch_graphs.by_name, stack(images[first : first + BATCHES[-1]]))
    return list(torch_graphs.calls)


def _compare_later_graphs(parity: Parity, model: Model, graphs: dict[str, Graph], calls: Sequence[Call]) -> None:
    """Graphs behind the first, each on what torch's graphs gave it: a tie in suppression cannot hide or feign a difference."""
    for call in calls:
        if IMAGE not in call.inputs:
            found = model.graphs[call.graph](**call.inputs)
            _compare(parity, call.graph, graphs[call.graph].logits, call.outputs, found)


def _compare_images(
    parity: Parity,
    model: Model,
    export: Export,
    graphs: dict[str, Graph],
    calls: Sequence[Call],
    rows: Sequence[Row],
    images: Sequence[Prepared],
    size: int,
    first: int,
) -> None:
    """Images through the whole export in batches of `size`: the logits of its first graph, and its rows."""
    settings, recorded = model.facts["decoding"]["settings"], RecordedGraphs(model.graphs)
    for start in range(0, len(images), size):
        part, masks = images[start : start + size], dict[int, np.ndarray]()
        outputs = model.decoding.run(recorded.by_name, stack(part))
        for place, row in enumerate(model.decode(outputs, part, masks.__setitem__)):  # type: ignore[arg-type]
            row = {**row, "pixels": masks[place]} if place in masks else row
            difference = export.difference(rows[start + place], row, settings)
            parity.worst = max(parity.worst, difference.figure)
            if difference.reason:
                parity.add(f"image {first + start + place}, batch {size}: {difference.reason}")
    expected, found = _of_images(calls), _of_images(recorded.calls)
    for name in expected:
        logits = graphs[name].logits
        _compare(parity, name, logits, _joined(expected[name], logits), _joined(found[name], logits))


def _of_images(calls: Sequence[Call]) -> dict[str, list[Call]]:
    """The calls of graphs that take images, by graph."""
    names = dict.fromkeys(call.graph for call in calls if IMAGE in call.inputs)
    return {name: [call for call in calls if call.graph == name] for name in names}


def _joined(calls: Sequence[Call], names: Sequence[str]) -> Arrays:
    return {name: np.concatenate([call.outputs[name] for call in calls]) for name in names}


def _compare(parity: Parity, graph: str, logits: Sequence[str], expected: Arrays, found: Arrays) -> None:
    for name in logits:
        if expected[name].shape != found[name].shape:
            parity.add(f"{name} of {graph} has the shape {found[name].shape} instead of {expected[name].shape}")
            continue
        gap = float(np.abs(expected[name] - found[name]).max(initial=0.0))
        parity.logit_difference = max(parity.logit_difference, gap)
        if not gap <= TOLERANCE:  # also NaN
            parity.add(f"{name} of {graph} differs by {gap:.3g}, more than {TOLERANCE:g}")
