"""Pairs of images: do they show the same class? A sample is two images, and what is measured is a distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow
import pyarrow.parquet
import torch
from torch import Tensor, nn

from sightline.data.dataset import Dataset
from sightline.data.loaders import Images
from sightline.drawing.png import grid
from sightline.kinds.kind import Answers, Drawings, Keep, Kind, Networks, Picture, Scoring, Setting
from sightline.preprocessing.saved import Preprocessing
from sightline.randomness.keyed import integers, torch_seeded
from sightline.recipes.defaults import Filled, Traits
from sightline.recipes.loading import load, statistics
from sightline.recipes.recipe import Draft, Recipe, TaskSection
from sightline.reports.chapter import Chapter
from sightline.reports.headline import Headline
from sightline.reports.split_evaluation import RowsFormat
from sightline.structures.batch import Batch
from sightline.structures.inputs import Pixels
from sightline.structures.predictions import Embeddings, Prediction
from sightline.structures.targets import Labels, Target
from sightline.tasks.task import Loss, Task

from .dying import maybe_die

SIDE, MARGIN = 8, 1.0


class PairsSection(TaskSection):
    kind: Literal["toy_pairs"] = "toy_pairs"


@dataclass(frozen=True)
class PairedImages:
    """Each image beside another of its split: whose is a function of its place in the stream."""

    single: Any

    @property
    def id(self) -> Tensor:
        return self.single.id

    @property
    def index(self) -> Tensor:
        return self.single.index

    def __len__(self) -> int:
        return len(self.single)

    def __call__(self, places: Tensor, positions: Tensor) -> Batch:
        others = integers(len(self), 0, "partner", positions)
        first, second = self.single(places, positions), self.single(others, positions)
        assert isinstance(first.target, Labels) and isinstance(second.target, Labels)
        same = Labels.of((first.target.index == second.target.index).long())
        inputs = {"first": first.pixels, "second": second.pixels}
        return Batch(inputs, first.id, positions, same)


def _load(data: Dataset, ids: np.ndarray, preprocessing: Preprocessing, recipe: Recipe, **options: Any) -> Any:
    return PairedImages(load(data, ids, preprocessing, recipe, **options))


def _image(batch: Batch, name: str) -> Tensor:
    pixels = batch.inputs[name]
    assert isinstance(pixels, Pixels)
    return pixels.image


@dataclass(frozen=True)
class PairRows:
    """`id` (n,), `same` (n,) 0 or 1, `distance` (n,)"""

    id: np.ndarray
    same: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        return len(self.id)

    @classmethod
    def join(cls, parts: list[PairRows]) -> PairRows:
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


class Siamese(Task):
    """Contrastive loss, Hadsell et al. 2006."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def _distance(self, batch: Batch) -> Tensor:
        left, right = (self.model(_image(batch, name)) for name in ("first", "second"))  # (b, 2) each
        return ((left - right).square().sum(1) + 1e-6).sqrt()

    def loss(self, batch: Batch, turn: str) -> Loss:
        maybe_die()
        assert isinstance(batch.target, Labels)
        same, distance = batch.target.index.float(), self._distance(batch)
        total = (same * distance.square() + (1 - same) * (MARGIN - distance).clamp(min=0).square()).mean()
        return Loss(total, torch.tensor(float(len(batch))), {"loss": total.detach()})

    def predict(self, batch: Batch) -> Prediction:
        """The distance of each pair; of single images where the network puts them."""
        return Embeddings(self._distance(batch)[:, None] if "first" in batch.inputs else self.model(batch.image))

    def rows(self, batch: Batch, prediction: Prediction) -> PairRows:
        assert isinstance(prediction, Embeddings) and isinstance(batch.target, Labels)
        distance = prediction.vector[:, 0].cpu().double().numpy()
        return PairRows(batch.id.cpu().numpy(), batch.target.index.cpu().numpy(), distance)

    def metrics(self, rows: PairRows) -> dict[str, float | None]:
        return _metrics(rows)


def _metrics(rows: PairRows) -> dict[str, float | None]:
    right = (rows.distance < MARGIN / 2) == (rows.same == 1)
    return {"pair_accuracy": float(right.mean())}


@dataclass(frozen=True)
class PairJudgement:
    n: int
    metrics: dict[str, float | None]
    intervals: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"n": self.n, "metrics": self.metrics, "intervals": self.intervals, "per_class": {}}


def _judge(rows: PairRows, classes: Sequence[str]) -> PairJudgement:
    return PairJudgement(len(rows), _metrics(rows), {"pair_accuracy": None})


def _write(path: Path, rows: PairRows, *, names: Sequence[str], classes: Sequence[str]) -> None:
    columns = {field.name: getattr(rows, field.name) for field in fields(rows)}
    pyarrow.parquet.write_table(pyarrow.table({**columns, "name": list(names)}), path)


def _read(path: Path) -> tuple[PairRows, list[str], list[str]]:
    table = pyarrow.parquet.read_table(path)
    rows = PairRows(*(table[field.name].to_numpy() for field in fields(PairRows)))
    return rows, table["name"].to_pylist(), []


def _networks(recipe: Recipe, classes: int) -> dict[str, nn.Module]:
    with torch_seeded(recipe.seed, "initialise"):
        return {"model": nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, 8), nn.Tanh(), nn.Linear(8, 2))}


def _defaults(draft: Draft, traits: Traits) -> Filled:
    return {
        "model": {"name": "toy_siamese"},
        "input": {"size": SIDE, "width": SIDE, "channels": 3, "fit": "stretch"},
        "augment": {"preset": "none", "flip": False},
        "optim": {"name": "sgd", "lr": draft.optim.lr or 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.0},
        "fit": {"batch": draft.fit.batch or 4, "epochs": draft.fit.epochs or 10},
    }


def _task(networks: Networks, setting: Setting) -> Siamese:
    return Siamese(setting.normalised(networks["model"]))


def _answers(
    task: Task, batch: Batch, prediction: Prediction, classes: Sequence[str], keep: Keep
) -> list[dict[str, Any]]:
    assert isinstance(prediction, Embeddings)
    return [{"vector": row} for row in prediction.vector.tolist()]


def _cells(row: Mapping[str, Any]) -> tuple[str, str]:
    return ", ".join(f"{value:.3f}" for value in row["vector"]), ""


def _side_by_side(batch: Batch, row: int, classes: Sequence[str]) -> Picture:
    two = [_image(batch, name)[row].permute(1, 2, 0).cpu().numpy() for name in ("first", "second")]
    return grid(two, columns=2)


def _words(target: Target, row: int, classes: Sequence[str]) -> str | None:
    assert isinstance(target, Labels)
    return ("different", "same")[int(target.index[row])]


def _statistics(images: Images, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    single: Any = images
    return statistics(single.single, channels)


PAIRS = Kind(
    name="toy_pairs",
    section=PairsSection,
    accepts=lambda source: source.annotations is None,
    automatic=False,
    defaults=_defaults,
    networks=_networks,
    task=_task,
    load=_load,
    statistics=_statistics,
    scoring=Scoring(
        rows=RowsFormat(_write, _read, _judge),
        monitors=("pair_accuracy",),
        headline="pair_accuracy",
        validation_loss=False,
    ),
    answers=Answers(of=_answers, columns=("vector",), heads=("vector", ""), cells=_cells),
    drawings=Drawings(truth=_side_by_side, label=_words),
    chapter=Chapter(headline=Headline("pair_accuracy", "pair accuracy", of_images=True)),
)
