"""Images that a network makes while it trains, always from the same noise; and those beside them in the training set."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from sightline.data.loaders import Images, in_order
from sightline.drawing.png import grid, png_bytes
from sightline.engine.ema import Ema
from sightline.engine.state import State
from sightline.metrics.distributions import nearest
from sightline.metrics.generation.copies import copies
from sightline.preprocessing.signed import to_signed
from sightline.recipes.loading import choose
from sightline.runs.run import Run
from sightline.sampling.chunks import CHUNK, sample_images
from sightline.sampling.marks import artificial
from sightline.sampling.plan import Request
from sightline.storage.files import make_folder, replace_file
from sightline.tasks.generative.cells import NAME, cells

from .progress import Training

FOLDER = "samples/progress"
WATCHED, COLUMNS = 2 * CHUNK, 8  # images of a sheet
SEED = 0  # of the noise: the same in all runs
COMPARED, SHOWN = 512, 12  # made images that are compared with the training images, and pairs that are shown
MOST = 60_000  # training images that are searched for neighbours
FACTS = "samples/generation.json"


def every(training: Training) -> int:
    """Steps between two sheets; 0 where the kind makes no images, or none while it trains."""
    sampling = training.kind.sampling
    return 0 if sampling is None or not sampling.watched else max(training.steps // sampling.watched, 1)


def write_sheet(training: Training, state: State) -> None:
    """samples/progress/<step>.png: images of the weights as they are now, averaged where averages are kept."""
    sampling = training.kind.sampling
    assert sampling is not None
    made = _with(training.ema, lambda: sample_images(sampling, training.task, _request(training, WATCHED)))
    folder = training.run.folder / FOLDER
    make_folder(folder)
    sheet = grid(list(made), columns=COLUMNS, gap=2, least=1, most=128)
    replace_file(folder / f"{state.step:08d}.png", png_bytes(sheet, _mark(training.run, state.step)))


def _with(ema: Ema | None, make: Any) -> Any:
    if ema is None:
        return make()
    with ema.applied():
        return make()


def _request(training: Training, n: int) -> Request:
    sampling = training.kind.sampling
    steps = sampling.preview if sampling is not None else None
    return Request(torch.arange(n), SEED, len(training.data.classes), steps=steps)


def _mark(run: Run, step: int | None) -> dict[str, str]:
    return artificial(f"{run.folder.name} {run.identity()['recipe'][:12]}", seed=SEED, step=step)


def write_neighbours(training: Training, held_out: Images) -> float | None:
    """samples/neighbours.png: made images above their nearest training images; samples/generation.json. The share of made
    images that repeat a training image (`metrics.generation.copies`)."""
    sampling, run, data = training.kind.sampling, training.run, training.data
    if sampling is None or not sampling.watched or len(training.images["train"]) < 2:
        return None
    with training.console.working("searching the nearest training images"):
        made = sample_images(sampling, training.task, _request(training, COMPARED))
        pixels = torch.from_numpy(np.ascontiguousarray(made.transpose(0, 3, 1, 2)))  # (n, h, w, c) → (n, c, h, w)
        features = cells(to_signed(pixels)).numpy()
        ids = choose(training.images["train"].id.numpy(), MOST)
        kind = training.kind
        known = kind.load(data, ids, training.preprocessing, training.recipe, truths=kind.truths, judging=True)
        train, real = _features(known), _features(held_out)
        repeats = copies(features, train, real)
        found = nearest(features, train)
    closest = np.argsort(found.distance, kind="stable")[:SHOWN]
    beside = [_image(known, int(found.reference[i])) for i in closest]
    sheet = grid([*made[closest], *beside], columns=SHOWN, gap=2, least=56, most=128)
    replace_file(run.folder / "samples" / "neighbours.png", png_bytes(sheet, _mark(run, None)))
    pairs = [
        {"index": int(i), "name": data.records[int(ids[found.reference[i]])].name, "distance": float(found.distance[i])}
        for i in closest
    ]
    share = float(repeats.mean())
    about = {
        "format": 1, "seed": SEED, "n": COMPARED, "train": len(ids), "held_out": len(real), "features": NAME,
        "memorised": share, "pairs": pairs,
    }  # fmt: skip
    run.write_json(FACTS, about)
    return share


def _features(images: Images) -> np.ndarray:
    return np.concatenate([cells(to_signed(batch.image)).numpy() for batch in in_order(images, 256)])


def _image(images: Images, place: int) -> np.ndarray:
    at = torch.tensor([place])
    return images(at, at).image[0].permute(1, 2, 0).numpy()  # (c, h, w) → (h, w, c)
