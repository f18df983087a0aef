"""predict: the class, the mask or the objects of every image that is named."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from sightline.errors import UsageError
from sightline.inference.answering import Answering, answering_export, answering_run
from sightline.inference.drawer import Drawer
from sightline.inference.inputs import Inputs, Skipped
from sightline.inference.naming import require_elsewhere
from sightline.inference.stream import Predicted, Stream, choice_of
from sightline.inference.texts.inputs import TextInputs
from sightline.inference.video import CAMERA
from sightline.inference.writing import RowWriter, checked_place, made_folder, replacing
from sightline.kinds.catalogue import kind_of
from sightline.kinds.kind import Answers
from sightline.kinds.pretrained import open_run_or_model
from sightline.models.own import Builder
from sightline.runs.console import Console
from sightline.runs.run import Run, open_run
from sightline.runtime.folder import is_exported

from .assessment.ensemble import ensemble_task

Row = dict[str, Any]
Each = Callable[[Row], None]


@dataclass(frozen=True)
class Predictions:
    """What was predicted. `folder` is that of the run or the export; `rows`, one for every image in the given order, are the
    predictions or errors, none where they were handed on one by one; `n` counts them, `failed` those with an error, of which
    `first` is the first."""

    folder: Path
    answers: Answers
    rows: tuple[Row, ...]
    n: int
    failed: int
    first: Row | None = None

    def to_json(self) -> dict[str, Any]:
        return {"run": str(self.folder), "n": self.n, "failed": self.failed, "predictions": list(self.rows)}

    def failure_note(self) -> str:
        """How many images failed, and the first of them with its error; "" if none did."""
        if self.first is None:
            return ""
        return f"{self.failed:,} of {self.n:,} images failed; first: {self.first['path']}: {self.first['error']}"


def predict(  # noqa: PLR0913 - options are what a verb is for
    run: Run | str | Path | Sequence[Run | str | Path],
    paths: str | Path | Sequence[str | Path],
    *,
    out: str | Path | None = None,
    draw: str | Path | None = None,
    conf: float | None = None,
    classes: str | Sequence[str] | None = None,
    labels: str | None = None,
    every: int = 1,
    device: str = "auto",
    allow_network: bool = False,
    model: str | nn.Module | Builder | None = None,
    each: Callable[[Answers, Row], None] | None = None,
    console: Console | None = None,
) -> Predictions:
    """Predict every image of `paths`: files, folders and archives (searched recursively), patterns such as `photos/*.jpg`, .txt
    lists with one path per line, addresses, videos, or `camera:0`. In a folder, files without an image suffix are skipped and
    reported.

    A run that reads texts predicts every text: those of .txt files and of tables, and whatever else `paths` names.

    run      a run, its folder, a folder that `export` wrote, whose runtime then predicts, a network with published weights,
             or several runs, whose predictions are averaged. Run folders among `paths` count among them
    out      a .csv or .jsonl file; for segmentation a .jsonl file, or a folder, which also gets a PNG for each image whose
             pixel values are class indexes
    draw     a folder that gets each image with its prediction on it
    conf     objects below this score are left out; classes below it are marked `uncertain`. By default objects are reported
             from the score of best F1 on the run's validation images, classes always
    classes  names of classes; predictions of others are left out
    labels   of a run of kind contrastive: prompts and labels to choose from, such as "a photo of a {}: cat, dog"
    every    of a video, predict every n-th frame
    model    the network where it is code of your own, as it was given to `train`
    allow_network  fetch images at addresses that are not in the cache
    each     gets (answers, row) of every image as it is ready; the result then holds no rows, and memory stays flat

    An image that cannot be read gets a row with its error. UsageError for a path that is not there, before anything is loaded;
    DataError if there are no images at all.
    """
    console = console or Console()
    if every < 1:
        raise UsageError(f"--every {every} is below 1", "use 1 for every frame")
    members, images = _members(run, [paths] if isinstance(paths, str | Path) else list(paths))
    inputs = TextInputs(images) if _reads_texts(members) else Inputs(images, every, allow_network)
    for option, folder in (("--draw", draw), ("--out", out)):
        if folder is not None and not Path(folder).suffix:
            require_elsewhere(Path(folder), inputs.roots, option)
    items = inputs.first()
    answering = _opened(members, device, model, labels)
    answers = answering.answers
    choice = choice_of(answering, conf, classes)
    if conf is None and answering.score is not None:
        score, origin = answering.score
        console.say(f"objects are reported from a score of {score:.2f}, {origin}; --conf sets another")
    place = checked_place(Path(out), answers) if out is not None else None
    masks = place if place is not None and not place.suffix else None
    stream = Stream(answering, items, choice, masks, keep=draw is not None)
    rows: list[Row] = []
    tally = _Tally()
    with (
        _written(place, answers, inputs.moving) as write,
        _drawn(draw, answering, every) as drawn,
        console.working("images predicted") as phase,
        _ended_by_interrupt(inputs),
    ):
        for predicted in stream:
            write(predicted.row)
            drawn(predicted)
            tally.count(predicted.row)
            phase.at(tally.n)
            if each is None:
                rows.append(predicted.row)
            else:
                each(answers, predicted.row)
    result = Predictions(answering.folder, answers, tuple(rows), tally.n, tally.failed, tally.first)
    _report(console, result, inputs.skipped, out, draw)
    return result


def _members(
    run: Run | str | Path | Sequence[Run | str | Path], paths: list[str | Path]
) -> tuple[list[Run | str | Path], list[str | Path]]:
    """The runs, and the images: a folder with a run.json is a run."""
    named = [run] if isinstance(run, Run | str | Path) else list(run)
    runs = [path for path in paths if os.path.isfile(Path(path) / "run.json")]
    return [*named, *runs], [path for path in paths if path not in runs]


def _reads_texts(members: Sequence[Run | str | Path]) -> bool:
    """Whether a run is asked about texts instead of images."""
    if len(members) != 1 or (not isinstance(members[0], Run) and not os.path.isfile(Path(members[0]) / "run.json")):
        return False
    return kind_of(open_run(members[0]) if not isinstance(members[0], Run) else members[0]).answers.texts is not None


def _opened(
    members: Sequence[Run | str | Path], device: str, model: str | nn.Module | Builder | None, labels: str | None
) -> Answering:
    if len(members) == 1:
        return open_answering(members[0], device=device, model=model, labels=labels)
    if labels is not None:
        raise UsageError("--labels does not apply to several runs", "name one")
    for one in members:
        if not isinstance(one, Run) and is_exported(one):
            raise UsageError(f"{one} is an export, and only runs can be averaged", "name the runs that were exported")
    runs = [one if isinstance(one, Run) else open_run_or_model(one, model) for one in members]
    return answering_run(runs[0], device, ensemble_task(runs))


def open_answering(
    run: Run | str | Path,
    *,
    device: str = "auto",
    model: str | nn.Module | Builder | None = None,
    labels: str | None = None,
) -> Answering:
    """The model of a run, of an exported folder, or of published weights."""
    if not isinstance(run, Run) and is_exported(run):
        if labels is not None:
            raise UsageError("--labels does not apply to an export", "name the run")
        return answering_export(run, device)
    return answering_run(run if isinstance(run, Run) else open_run_or_model(run, model), device, labels=labels)


@dataclass
class _Tally:
    n: int = 0
    failed: int = 0
    first: Row | None = None

    def count(self, row: Row) -> None:
        self.n += 1
        if "error" in row:
            self.failed += 1
            self.first = self.first or row


@contextmanager
def _ended_by_interrupt(inputs: Inputs | TextInputs) -> Iterator[None]:
    """A camera has no end: Ctrl-C is its end, after which everything is written as usual."""
    try:
        yield
    except KeyboardInterrupt:
        if not any(root.startswith(CAMERA) for root in inputs.roots):
            raise


@contextmanager
def _written(place: Path | None, answers: Answers, moving: bool) -> Iterator[Each]:
    if place is None:
        yield lambda row: None
        return
    file = place if place.suffix else place / "predictions.jsonl"
    with replacing(file) as opened:
        yield RowWriter(opened, file.suffix.lower() == ".csv", answers, moving).add


@contextmanager
def _drawn(draw: str | Path | None, answering: Answering, every: int) -> Iterator[Callable[[Predicted], object]]:
    if draw is None:
        yield lambda predicted: None
        return
    painter = answering.answers.draw
    if painter is None:
        raise UsageError(f"predictions of {answering.kind} cannot be drawn", "leave out --draw")
    folder = made_folder(Path(draw), "--draw")
    drawer = Drawer(folder, painter, answering.classes, answering.preprocessing.depth, every)
    with ExitStack() as stack:
        stack.callback(drawer.abandon)
        yield lambda predicted: drawer.add(*predicted)
        drawer.close()


def _report(
    console: Console, result: Predictions, skipped: Skipped, out: str | Path | None, draw: str | Path | None
) -> None:
    if note := skipped.note():
        console.say(note)
    if skipped.unreadable:
        console.warn(f"{len(skipped.unreadable)} folders cannot be read; first: {skipped.unreadable[0]}")
    if out is not None:
        console.say(f"{result.n:,} predictions, {result.failed:,} failed, in {out}")
    if draw is not None:
        console.say(f"pictures in {draw}")
    if failures := result.failure_note():
        console.warn(failures)
