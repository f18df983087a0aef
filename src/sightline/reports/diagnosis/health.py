"""The health of layers while training: `diagnosis/health.jsonl` and `norms.json` as facts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from sightline.reports.reading import RunFiles, as_integer, as_mapping, as_number

from .stored import FOLDER

MOST_LINES = 2_000
MOST_LAYERS = 400
LAST = 5  # samples that "at the end" means


@dataclass(frozen=True)
class LayerCourse:
    """A layer over the sampled steps: (step, value) of each measurement that is known."""

    name: str
    courses: Mapping[str, Sequence[tuple[int, float]]]

    def last(self, what: str) -> float | None:
        """The median of the last samples."""
        values = [v for _, v in self.courses.get(what, ())][-LAST:]
        return median(values) if values else None

    def middle(self, what: str) -> float | None:
        """The median of the first half of the samples without the first: before a schedule lowers the rate, after the start."""
        values = [v for _, v in self.courses.get(what, ())]
        values = values[1 : max(2, (len(values) + 1) // 2)] or values
        return median(values) if values else None


@dataclass(frozen=True)
class NormGap:
    """The headline on n training images with the running statistics, and with those of batches of `of` images."""

    running: float
    batch: float
    n: int
    of: int


@dataclass(frozen=True)
class Health:
    """The layers in the order of the network."""

    layers: tuple[LayerCourse, ...] = ()
    norms: NormGap | None = None

    @property
    def ratio(self) -> float | None:
        """The median over the layers of their update-to-weight ratio in the first half of the training."""
        known = [r for layer in self.layers if (r := layer.middle("ratio")) is not None]
        return median(known) if known else None

    @property
    def deadest(self) -> tuple[str, float] | None:
        """The layer whose inputs have the largest share of dead units at the end, and that share."""
        known = [(d, layer.name) for layer in self.layers if (d := layer.last("dead")) is not None]
        return (max(known)[1], max(known)[0]) if known else None


def read_health(folder: RunFiles) -> Health | None:
    """None where there is neither."""
    layers = _layers(folder.text(f"{FOLDER}/health.jsonl"))
    norms = _norms(as_mapping(folder.json(f"{FOLDER}/norms.json")))
    return Health(layers, norms) if layers or norms else None


def _layers(text: str) -> tuple[LayerCourse, ...]:
    courses: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for line in text.splitlines()[-MOST_LINES:]:
        try:
            row = as_mapping(json.loads(line))
        except (ValueError, RecursionError):
            continue
        for name, raw in list(as_mapping(row.get("layers")).items())[:MOST_LAYERS]:
            for what, value in as_mapping(raw).items():
                if (known := as_number(value)) is not None:
                    courses.setdefault(name, {}).setdefault(what, []).append((as_integer(row.get("step")), known))
    return tuple(LayerCourse(name, of) for name, of in courses.items())


def _norms(raw: Mapping[str, Any]) -> NormGap | None:
    running, batch = as_number(raw.get("running")), as_number(raw.get("batch"))
    if running is None or batch is None:
        return None
    return NormGap(running, batch, as_integer(raw.get("n")), as_integer(raw.get("of")))
