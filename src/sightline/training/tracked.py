"""A training that is tracked: its settings, figures and sample pictures, for the listener in `tracking`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from sightline.drawing.png import grid
from sightline.engine.predicting import predictions
from sightline.engine.state import State
from sightline.errors import Stopped
from sightline.kinds.kind import Picture, plain
from sightline.recipes.loading import choose
from sightline.recipes.recipe import Recipe
from sightline.tracking.opening import open_tracker
from sightline.tracking.sink import Value
from sightline.tracking.tracker import lines_of

from .progress import Training

SHOWN = 8  # validation images in the picture of each validation
THRESHOLD = 0.5  # score from which boxes are drawn: the run's own is known only after the last step
SIDE = 256  # pixels of an image in it, at most


@contextmanager
def tracked(training: Training) -> Iterator[None]:
    """Within the context figures are tracked as the recipe says."""
    run, status = training.run, "failed"
    experiment = f"{training.data.name} {run.status['task']}"
    training.tracker = open_tracker(training.recipe.track, run.folder, experiment, training.console)
    training.draw = partial(_val_picture, training)
    try:
        yield
        status = "finished"
    except (Stopped, KeyboardInterrupt):
        status = "stopped"
        raise
    finally:
        training.tracker.close(status)


def begin_tracking(training: Training, state: State) -> None:
    """Tell the listener where the training stands."""
    scoring = training.kind.scoring
    results = [f"final/{split}_{scoring.headline}" for split in ("val", "test") if split in training.images and scoring]
    training.tracker.begin(settings(training.recipe), results, lines_of(training.metrics_log.path), state.history)


def settings(recipe: Recipe) -> dict[str, Value]:
    """The keys of a recipe that have a value, without those of tracking itself."""
    return dict(_flat(recipe.model_dump(mode="json", exclude={"track"}), ""))


def _flat(values: Mapping[str, Any], above: str) -> Iterator[tuple[str, Value]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        elif value is not None:
            yield f"{above}{name}", value if isinstance(value, str | int | float) else str(value)


def _val_picture(training: Training) -> Picture | None:
    """Some validation images with their truth and what the network predicts: drawn side by side, or written below."""
    images, kind = training.images.get("val"), training.kind
    if images is None or kind.scoring is None:
        return None
    classes, drawings = training.data.classes, kind.drawings
    pictures, captions = [], []
    for place in choose(torch.arange(len(images)).numpy(), SHOWN).tolist():
        at = torch.tensor([place])
        ((batch, prediction),) = predictions(training.task, [images(at, at)], training.device)
        if drawings.answer is not None:
            pair = [drawings.truth(batch, 0, classes), drawings.answer(batch, 0, classes, prediction, THRESHOLD)]
            pictures.append(grid(pair, columns=2, least=1, most=SIDE))
            continue
        (row,) = kind.answers.of(training.task, batch, prediction, classes, lambda id, mask: None)
        pictures.append(plain(batch, 0))
        truth = drawings.label(batch.target, 0, classes) if batch.target is not None else None
        captions.append(" ".join(filter(None, (f"{truth}:" if truth else None, *kind.answers.cells(row)))))
    return grid(pictures, columns=2 if drawings.answer else 4, most=2 * SIDE, captions=captions)
