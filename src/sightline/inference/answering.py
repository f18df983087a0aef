"""Rows of predictions from a run or an exported folder, one image after the other, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from sightline.data.loaders import Decoding, Reading, ahead
from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.engine.predicting import predictions
from sightline.errors import UsageError
from sightline.kinds.catalogue import kind_named, kind_of
from sightline.kinds.kind import Answers, Keep
from sightline.kinds.networks import load_task
from sightline.preprocessing.rejection import Rejected
from sightline.preprocessing.saved import Preprocessing
from sightline.runs.run import Run
from sightline.runtime.model import Model, Source, open_model
from sightline.structures.batch import Batch
from sightline.tasks.ensemble import Ensemble
from sightline.tasks.task import Task

from .operating import operating_score
from .texts.inputs import batch_of_texts

Row = dict[str, Any]
Item = TypeVar("Item")


@dataclass(frozen=True)
class Answering:
    """A model at work, of a run or of an export.

    rows        (sources, keep) → the row of each, in order; {"error": …} for one that cannot be read
    score       the score from which objects are reported by default, and where it is from; None where there are none
    """

    folder: Path
    kind: str
    answers: Answers
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    rows: Callable[[Iterable[Source], Keep], Iterator[Row]]
    score: tuple[float, str] | None


def answering_run(run: Run, device: str = "auto", task: Task | None = None, labels: str | None = None) -> Answering:
    """The run's kept weights on a device; `task` where it is loaded already. `labels` are those to choose from, where the kind
    of task can choose among any (`Answers.zero_shot`)."""
    kind = kind_of(run)
    answers = kind.answers
    if labels is not None and answers.zero_shot is None:
        raise UsageError(f"--labels does not apply to {kind.name}", "leave it out, or name a run of kind contrastive")
    loaded = task or load_task(run)
    if labels is not None and answers.zero_shot is not None:
        answers = answers.zero_shot(answers, loaded, labels)

    def rows(sources: Iterable[Source], keep: Keep) -> Iterator[Row]:
        return answers_of(run, loaded, sources, keep, device, answers)

    choose_device(device)
    score = operating_score(run, kind)
    return Answering(run.folder, kind.name, answers, run.classes, run.preprocessing, rows, score)


def answering_export(folder: str | Path, device: str = "auto") -> Answering:
    """An exported folder, whose session runs on the CPU."""
    if device not in ("auto", "cpu"):
        raise UsageError(f"{folder} is an export, which predicts on the CPU only", "leave out --device")
    model: Model = open_model(folder)
    kind, score = model.facts["task"], None if model.threshold is None else (model.threshold, "of the export")
    answers = kind_named(kind).answers
    return Answering(Path(folder), kind, answers, model.classes, model.preprocessing, model.answers, score)


def answers_of(
    run: Run,
    task: Task,
    sources: Iterable[Source],
    keep: Keep,
    device: str = "auto",
    answers: Answers | None = None,
) -> Iterator[Row]:
    """The run's prediction for each image, in order; {"error": …} for one that cannot be read. Nothing is held but the
    batches that are being read ahead."""
    recipe, answers, classes = run.recipe, answers or kind_of(run).answers, run.classes
    reader, name = _Reader(run.preprocessing, answers), choose_device(device)
    workers, threads = recipe.data.workers, recipe.fit.threads
    batches = ahead(reader.batch, _parts(enumerate(sources), answers.batch), workers)

    def unless_failed(i: int, mask: np.ndarray) -> str | None:
        return None if i in reader.errors else keep(i, mask)

    computed = predictions(task, batches, name)
    speaker = task.first if isinstance(task, Ensemble) else task
    for batch, prediction in within(lambda: _settings(threads, name), computed):
        rows = answers.of(speaker, batch, prediction, classes, unless_failed)
        for i, row in zip(batch.id.tolist(), rows, strict=True):
            yield {"error": reader.errors.pop(i)} if i in reader.errors else row


class _Reader:
    """Reads batches; `errors` are those of images that failed, by number, until their rows are taken."""

    def __init__(self, preprocessing: Preprocessing, answers: Answers) -> None:
        self.preprocessing, self.answers = preprocessing, answers
        self.errors: dict[int, str] = {}

    def batch(self, part: list[tuple[int, Source]]) -> Batch:
        if self.answers.texts is not None:
            return batch_of_texts(part, self.answers.texts)
        sources = dict(part)
        ids = torch.tensor(list(sources))
        images = Decoding(lambda i: self._read(i, sources[i]), ids, torch.full_like(ids, -1))
        places = torch.arange(len(ids))
        return images(places, places)

    def _read(self, i: int, source: Source) -> Reading:
        geometry = self.preprocessing.geometry
        nothing = self.answers.unknown(geometry.height, geometry.width)
        try:
            pixels, frame, decoded = self.preprocessing.prepare(source)
        except Rejected as error:
            self.errors[i] = f"{error.reason}: {error.detail}"
            black = np.zeros((geometry.height, geometry.width, self.preprocessing.channels), np.uint8)
            return Reading(black, np.eye(3), (geometry.height, geometry.width), nothing)
        height, width, _ = decoded.pixels.shape
        return Reading(pixels, frame, (height, width), nothing)


def _parts(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    for _ in count():
        part = list(islice(items, size))
        if not part:
            return
        yield part


@contextmanager
def _settings(threads: int, device: str) -> Iterator[None]:
    with compute_threads(threads), repeatable(device):
        yield


def within(context: Callable[[], AbstractContextManager[Any]], items: Iterator[Item]) -> Iterator[Item]:
    """The items, each computed within the context, which whoever takes them does not see."""
    for _ in count():
        with context():
            try:
                item = next(items)
            except StopIteration:
                return
        yield item
