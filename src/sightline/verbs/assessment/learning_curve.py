"""evaluate --learning-curve: trainings on parts of the training images, and what twice as many would give."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from sightline.errors import UsageError
from sightline.evaluation.diagnosis.power_law import Forecast, Point, forecast
from sightline.evaluation.diagnosis.stored import FOLDER
from sightline.kinds.catalogue import kind_of
from sightline.kinds.opening import require_there
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.storage.files import make_folder
from sightline.verbs.train import train

SHARES = (0.125, 0.25, 0.5)
FILE = f"{FOLDER}/learning_curve.json"
LEAST = 40  # training images of the smallest part


def learning_curve(run: Run, console: Console) -> dict[str, Any]:
    """Train the run's recipe on an eighth, a quarter and half of its training images, with as many steps as the run itself
    took, and write diagnosis/learning_curve.json: the points, and the forecast for twice the images.

    UsageError for an unfinished run, one whose headline is not between 0 and 1, or with too few images.
    """
    recipe, kind = run.recipe, kind_of(run)
    metrics = run.metrics
    split = "test" if metrics.get("test") else "val"
    headline = kind.scoring.headline if kind.scoring is not None else ""
    value = (metrics.get(split) or {}).get(headline)
    if not run.finished or value is None or not 0 <= value <= 1:
        raise UsageError(
            f"{run.folder} has no learning curve: it is not finished, or its headline is not between 0 and 1",
            "finish it with: sightline train --resume RUN",
        )
    require_there(recipe, "restore the data")
    count = _training_images(run)
    if count * SHARES[0] < LEAST:
        raise UsageError(f"{count} training images are too few for a learning curve", "use at least 320")
    seconds = run.summary().get("seconds") or 0.0
    console.warn(
        f"a learning curve trains {len(SHARES)} more networks, each with as many steps as the run: about "
        f"{len(SHARES) * seconds:,.0f} s"
    )
    tested = int((metrics.get("images") or {}).get(split) or 0)
    points = [Point(count, float(value), tested)]
    place = run.folder / FOLDER / "learning_curve"
    make_folder(place)
    try:
        for share in SHARES:
            points.insert(-1, _trained(run, share, count, split, headline, place, console))
    finally:
        shutil.rmtree(place, ignore_errors=True)
    chapter = kind.chapter.headline
    ahead = forecast(points, 2 * count, share=chapter is not None and chapter.of_images)
    found = to_json(points, ahead, headline, split)
    run.write_json(FILE, found)
    return found


def to_json(points: list[Point], ahead: Forecast, headline: str, split: str) -> dict[str, Any]:
    return {
        "format": 1, "metric": headline, "split": split,
        "points": [{"n": p.n, "value": p.value, "tested": p.tested} for p in points], "twice": ahead.to_json(),
    }  # fmt: skip


def _training_images(run: Run) -> int:
    splits = run.read_json("data.json").get("splits") or {}
    whole = int(splits.get("train") or 0)
    return round(whole * (run.recipe.data.share or 1.0))


def _trained(run: Run, share: float, count: int, split: str, headline: str, place: Path, console: Console) -> Point:
    """A training on that share of the run's images. The number of steps is the run's, so that only the images differ."""
    recipe = run.recipe
    changes = {"data.share": share * (recipe.data.share or 1.0), "fit.epochs": recipe.fit.epochs / share}
    console.say(f"training on {share:.3g} of the images")
    out = place / f"{share:g}"
    part = train(str(run.folder / "recipe.yaml"), changes, out=out, console=Console(level=-1))
    found = part.metrics
    return Point(round(count * share), float(found[split][headline]), int((found.get("images") or {}).get(split) or 0))
