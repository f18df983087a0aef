"""Images answered and explained in groups that share their passes through the network."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from sightline.errors import DataError
from sightline.explanation.attribution.methods import Passes
from sightline.explanation.explain import Effort, Settings, explain_images, planned
from sightline.explanation.question import Choice, Question
from sightline.explanation.subject import Subject, counted
from sightline.kinds.catalogue import kind_of
from sightline.preprocessing.decoder import decode
from sightline.preprocessing.rejection import Rejected
from sightline.reports.explanation.content import Entry
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.storage.text import printable
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels, Target
from sightline.tasks.task import Task

from .inputs import Item

_BACK = 1.2  # passes forward that a backward pass to the pixels takes as long as


@dataclass(frozen=True)
class Query:
    """An image with the question about it."""

    name: str
    picture: Any
    frame: Any
    batch: Batch
    question: Question

    def shares(self, other: Query) -> bool:
        """Whether both can go through the network together."""
        same = self.question.subject == other.question.subject
        return same and self.batch.image.shape == other.batch.image.shape


@dataclass
class Explainer:
    """What is asked of every image, and how much is spent on its controls."""

    run: Run
    task: Task
    names: Sequence[str]
    choice: Choice
    effort: Effort | None
    settings: Settings
    device: str
    console: Console
    announced: bool = False

    def entries(self, items: Sequence[Item], total: int) -> list[tuple[Item, Entry | str]]:
        """Each image with its entry of the page, or with the error."""
        rows: list[tuple[Item, Query | str]] = [(item, self._ask(item)) for item in items]
        groups: list[list[Query]] = []
        for one in (row for _, row in rows if isinstance(row, Query)):
            if groups and groups[-1][0].shares(one):
                groups[-1].append(one)
            else:
                groups.append([one])
        found = iter([entry for group in groups for entry in self._explain(group, total)])
        return [(item, row if isinstance(row, str) else next(found)) for item, row in rows]

    def _ask(self, item: Item) -> Query | str:
        try:
            if item.error:
                return item.error
            return query(self.run, self.task, file_of(item), self.choice, self.device)
        except Rejected as error:
            return f"{error.reason}: {error.detail}"
        except DataError as error:
            return str(error)

    def _explain(self, group: Sequence[Query], total: int) -> list[Entry]:
        subject = group[0].question.subject
        pixels = torch.cat([one.batch.image.float() for one in group])
        height, width = int(pixels.shape[2]), int(pixels.shape[3])
        passes = planned(subject.network, height, width, self.names, self.effort, self.settings)
        if not self.announced:
            self._announce(subject, pixels[:1], passes, total)
        named = group[0].name if len(group) == 1 else f"{len(group)} images"
        with self.console.working(f"explaining {printable(named)}, passes", passes.forward * len(group)) as phase:

            def passed(n: int) -> None:
                if phase.done + n > phase.total:
                    phase.total = 0  # more than planned: how many is not known
                phase.at(phase.done + n)

            targets = torch.tensor([one.question.target for one in group], device=pixels.device)
            rows = explain_images(
                counted(subject, passed), pixels, targets, self.names, effort=self.effort, settings=self.settings
            )
        return [Entry(o.name, o.picture, o.frame, o.question, *row) for o, row in zip(group, rows, strict=True)]

    def _announce(self, subject: Subject, pixels: torch.Tensor, passes: Passes, total: int) -> None:
        """The cost, before it is spent."""
        self.announced = True
        began = time.perf_counter()
        with torch.no_grad():
            subject.scores(pixels)
        seconds = (time.perf_counter() - began) * (passes.forward + _BACK * passes.backward) * total
        images = "1 image" if total == 1 else f"{total:,} images"
        self.console.say(
            f"{images}, {len(self.names)} methods: {passes.forward:,} passes forward and {passes.backward:,} backward each"
            f"{'' if self.effort is None else ', most of them for controls' if self.effort.steps else ', controls included'}"
            f"; about {_duration(seconds)}"
        )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"


def file_of(item: Item) -> Path:
    """The file of an input that is no frame of a video."""
    assert isinstance(item.source, Path)
    return item.source


def query(run: Run, task: Task, file: Path, choice: Choice, device: str) -> Query:
    kind, preprocessing = kind_of(run), run.preprocessing
    assert kind.sensitivity is not None
    pixels, frame, decoded = preprocessing.prepare(file)
    colours = decode(file, background=preprocessing.background, depth=preprocessing.depth).pixels
    height, width, _ = pixels.shape
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None]  # (h, w, c) → (1, c, h, w)
    target: Target | None = kind.answers.unknown(height, width)
    batch = Batch.of_images(
        image,
        torch.tensor([[height, width]]),
        torch.from_numpy(frame)[None],
        torch.tensor([decoded.pixels.shape[:2]]),
        torch.tensor([0]),
        torch.tensor([0]),
        target if target is not None else Labels.of(torch.tensor([-1])),
    ).to(device)
    return Query(file.name, colours, frame, batch, kind.sensitivity.ask(task, batch, choice, run.classes))
