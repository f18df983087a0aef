"""An exported model: images in, the rows of `sightline predict` out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from sightline.errors import DamagedError, UsageError
from sightline.preprocessing.rejection import Rejected
from sightline.preprocessing.saved import Preprocessing

from .answers import AnswerValues, LabelScores, NumberValues
from .choosing import ALL, Choice
from .classes import ClassScores
from .decodings import Arrays, Decoding, Frames, Graph, Keep
from .folder import Exported, read_exported
from .onnx_session import OnnxGraph
from .openvino_session import OpenVinoGraph
from .pixels import PixelScores
from .places import Places
from .regions import Regions
from .vectors import NearestIdentities

Source = bytes | Path | np.ndarray  # an encoded file, its path, or pixels (h, w), (h, w, 1), (h, w, 3), (h, w, 4)
DECODINGS: dict[str, type[Decoding]] = {
    "class scores": ClassScores,
    "label scores": LabelScores,
    "numbers": NumberValues,
    "answers": AnswerValues,
    "pixel scores": PixelScores,
    "places": Places,
    "regions": Regions,
    "nearest identities": NearestIdentities,
}
BATCH = 8  # images of one pass through the graphs


class Prepared(NamedTuple):
    """An image in the network's frame: `pixels` (h, w, c), `frame` (3, 3) original → network, and the original's size."""

    pixels: UInt8[np.ndarray, "h w c"]
    frame: Float[np.ndarray, "3 3"]
    natural: tuple[int, int]


def _keep_at(keep: Keep, places: Sequence[int], row: int, mask: np.ndarray) -> str | None:
    return keep(places[row], mask)


def _nowhere(place: int, mask: np.ndarray) -> None:
    return None


class Model:
    """An exported model. Open one with `runtime.open`."""

    def __init__(self, exported: Exported, graphs: Mapping[str, Graph]) -> None:
        self.facts: Mapping[str, Any] = exported.facts
        self.classes: tuple[str, ...] = tuple(exported.facts["classes"])
        self.preprocessing: Preprocessing = exported.preprocessing
        self.graphs = graphs
        decoding = exported.facts["decoding"]
        self.decoding = DECODINGS[decoding["name"]](decoding["settings"])

    @property
    def threshold(self) -> float | None:
        """The score from which predictions are reported by default, that of best F1 on val; None where all are."""
        return float(self.facts.get("threshold") or 0.5) if self.decoding.scored else None

    def choose(self, row: dict[str, Any], choice: Choice) -> dict[str, Any]:
        """The part of a row that is reported, from `threshold` on where the choice states no score."""
        if choice.conf is None and self.threshold is not None:
            choice = Choice(self.threshold, choice.classes)
        return row if choice == ALL else self.decoding.choose(row, choice)

    def predict(self, image: Source | str) -> dict[str, Any]:
        """The prediction for one image, ready for JSON. Raises `Rejected` for one that cannot be read."""
        return self.rows([self.prepare(image)])[0]

    def predict_batch(self, images: Sequence[Source | str]) -> list[dict[str, Any]]:
        """The prediction of each image; for one that cannot be read, {"error": …}."""
        return list(self.answers(images))

    def answers(self, images: Iterable[Source | str], keep: Keep = _nowhere) -> Iterator[dict[str, Any]]:
        """As `predict_batch`, one by one, without holding what has been yielded; `keep` gets the place and the mask of each
        image, where there are masks."""
        images, start = iter(images), 0
        while part := [self._read(image) for image in islice(images, BATCH)]:
            places = [place for place, one in enumerate(part, start) if isinstance(one, Prepared)]
            start += len(part)
            read = [one for one in part if isinstance(one, Prepared)]
            rows = iter(self.rows(read, partial(_keep_at, keep, places)))
            yield from (
                {"error": f"{one.reason}: {one.detail}"} if isinstance(one, Rejected) else next(rows) for one in part
            )

    def _read(self, image: Source | str) -> Prepared | Rejected:
        try:
            return self.prepare(image)
        except Rejected as error:
            return error

    def prepare(self, image: Source | str) -> Prepared:
        """The image in the network's frame. Raises `Rejected`."""
        source = Path(image) if isinstance(image, str) else image
        pixels, frame, decoded = self.preprocessing.prepare(source)
        height, width, _ = decoded.pixels.shape
        return Prepared(pixels, frame.astype(np.float32), (height, width))

    def outputs(self, images: Sequence[Prepared]) -> Arrays:
        """The raw outputs of the graphs for a batch of prepared images."""
        return self.decoding.run(self.graphs, stack(images))

    def rows(self, images: Sequence[Prepared], keep: Keep = _nowhere) -> list[dict[str, Any]]:
        """The predictions for a batch of prepared images; `keep` gets the mask of each, where there are masks."""
        if not images:
            return []
        return self.decode(self.outputs(images), images, keep)

    def decode(self, outputs: Arrays, images: Sequence[Prepared], keep: Keep = _nowhere) -> list[dict[str, Any]]:
        frames = Frames(np.stack([one.frame for one in images]), tuple(one.natural for one in images))
        return self.decoding.rows(outputs, frames, self.classes, keep)


def stack(images: Sequence[Prepared]) -> UInt8[np.ndarray, "b c h w"]:
    """The pixels of a batch, which all have one size."""
    return np.ascontiguousarray(np.stack([one.pixels for one in images]).transpose(0, 3, 1, 2))


def open_model(folder: str | Path, *, threads: int = 0) -> Model:
    """The model in an exported folder; `threads` of the session, 0 for as many as there are cores.

    Every file is checked against its hash first. UsageError where the folder is no export, DamagedError where a file
    differs or refers to data outside itself, ResourceError where the runtime is not installed.
    """
    exported = read_exported(folder)
    try:
        graphs = {name: _graph(exported, name, threads) for name in exported.facts["graphs"]}
        return Model(exported, graphs)
    except KeyError as error:
        raise DamagedError(f"{folder}/export.json has no {error}", "export the run again") from error


def _graph(exported: Exported, name: str, threads: int) -> Graph:
    facts = exported.facts["graphs"][name]
    data = exported.files[facts["file"]]
    if facts["file"].endswith(".pt2"):
        raise UsageError(
            f"{exported.folder} is an export for torch, and loading such a file can run code that it brings along",
            "predict with the run or an ONNX export; in a program of your own: torch.export.load(FILE).module()",
        )
    if facts["file"].endswith(".onnx"):
        return OnnxGraph(data, facts, threads)
    return OpenVinoGraph(data, exported.files[facts["weights"]], facts, threads)
