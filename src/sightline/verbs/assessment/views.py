"""Several views of each image, whose answers are averaged: what they gain over one view, and what they cost.

flips      the image and its mirror image
ten-crop   the image at 8/7 of the input's size, of which the four corners and the centre are answered, each also mirrored
           (Krizhevsky, Sutskever & Hinton 2012, section 4.1, where 224 of 256 pixels are 7/8)
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sightline.augmentation.views import ten_crop, two_flips
from sightline.errors import UsageError, nearest
from sightline.evaluation.comparing.ensembles import mean_rows
from sightline.evaluation.comparing.paired import difference
from sightline.evaluation.splits import rows_of
from sightline.kinds.kind import Kind
from sightline.preprocessing.saved import Preprocessing
from sightline.structures.batch import Batch
from sightline.tasks.task import Task

VIEWS = {"flips": 2, "ten-crop": 10}
LARGER = 8 / 7  # of the image from which the network's input is cropped


def views_named(tta: bool | str, kind: Kind) -> str | None:
    """The name of the views that `evaluate` was asked for, None without any. UsageError for an unknown name, and for kinds of
    task whose answers have no mean over views."""
    name = "flips" if tta is True else tta or None
    if name is None:
        return None
    if name not in VIEWS:
        raise UsageError(f"unknown views {name!r}", nearest(name, VIEWS))
    if kind.scoring is None or not kind.scoring.views:
        raise UsageError(f"--tta and --views do not work for {kind.name}", "leave them out")
    return name


@dataclass(frozen=True)
class Viewed:
    """The mean rows, and what is said of them: `views`, how many, the headline's score with one view and with all, its `gain`
    with a paired 95 % interval, and `cost`, the time as a multiple of that of one view."""

    rows: Any
    facts: dict[str, Any]


def over_views(
    name: str,
    task: Task,
    kind: Kind,
    load: Callable[[Preprocessing], Iterable[Batch]],
    preprocessing: Preprocessing,
    plain: Any,
    classes: Sequence[str],
    *,
    device: str,
    seconds: float,
) -> Viewed:
    """Answer all views of the images that `load` reads, and compare with the rows `plain` of one view, which took `seconds`."""
    own = preprocessing
    if name == "ten-crop":
        height, width = (round(side * LARGER) for side in (own.geometry.height, own.geometry.width))
        own = replace(own, geometry=replace(own.geometry, height=height, width=width))
    side = preprocessing.geometry
    begun = time.perf_counter()
    parts = [rows_of(task, _view(name, load(own), i, side.height, side.width), device) for i in range(VIEWS[name])]
    took = time.perf_counter() - begun
    rows, scoring = mean_rows(parts), kind.scoring
    assert scoring is not None and scoring.per_image is not None
    scores = [scoring.per_image(one, scoring.rows.judge(one, classes)) for one in (rows, plain)]
    gap = difference(scores[0].value, scores[1].value, share=scores[0].share)
    facts = {
        "views": name, "n": VIEWS[name], "score": scores[0].name, "one": gap.second, "all": gap.first, "gain": gap.gain,
        "interval": gap.interval, "p": gap.p, "cost": took / max(seconds, 1e-9),
    }  # fmt: skip
    return Viewed(rows, facts)


def _view(name: str, batches: Iterable[Batch], number: int, height: int, width: int) -> Iterator[Batch]:
    """View `number` of every batch."""
    for batch in batches:
        views = two_flips(batch.image) if name == "flips" else ten_crop(batch.image, height, width)
        size = batch.pixels.size.new_tensor([height, width]).expand(len(batch), 2)
        yield batch.with_pixels(image=views[:, number], size=size)
