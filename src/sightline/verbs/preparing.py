"""From what the user said to what a training needs: recipe, data, preprocessing. Says what it found on the way."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int

from sightline.data.dataset import Dataset, build_dataset
from sightline.data.formats.builtin import DATASETS
from sightline.data.loaders import Decoding, Images, Memory, Reading
from sightline.data.records.annotations import Objects
from sightline.data.splits import Fractions
from sightline.data.summary import data_hash
from sightline.data.targets import target_of
from sightline.errors import DataError, UsageError, nearest
from sightline.preprocessing.normalise import PixelStatistics
from sightline.preprocessing.saved import Preprocessing
from sightline.randomness.keyed import keys
from sightline.recipes.defaults import Facts, complete
from sightline.recipes.reading import make_recipe, merge, parse_overrides, read_values, shipped_recipes
from sightline.recipes.recipe import DataSection, Recipe
from sightline.runs.console import Teller
from sightline.runs.run import Run
from sightline.storage.caching import cache_folder

MEMORY = 2 << 30  # bytes of decoded images that "auto" keeps in memory
GREY = {"1", "L", "LA", "I;16", "I;16B", "I;16L"}  # modes of images without colour
PROBLEMS_SAID = 10
SMOKE = 64  # images a split, in a smoke run


def draft(what: str | Path, overrides: str | Sequence[str] | Mapping[str, Any], flags: Mapping[str, Any]) -> Recipe:
    """WHAT, `key=value` and flags → a recipe with gaps. The same key with two values raises UsageError."""
    what, overrides = str(what), [overrides] if isinstance(overrides, str) else overrides
    given: dict[str, Any] = {}
    merge(given, overrides if isinstance(overrides, Mapping) else parse_overrides(overrides))
    merge(given, {key: value for key, value in flags.items() if value is not None})
    values = _values(what)
    if values.keys() == {"data"}:  # WHAT is data, no recipe
        for key in ("path", "name"):
            if (said := given.get(f"data.{key}")) is not None and said != values["data"].get(key):
                raise UsageError(f"data.{key}={said!r} contradicts {what!r}", "name the data once")
    model = values.get("model", {})
    if "model.name" in given and (not isinstance(model, Mapping) or given["model.name"] != model.get("name")):
        values = {**values, "model": {}, "input": {}, "optim": {}}  # another model clears what was meant for the first
    recipe = make_recipe(values, given)
    if "augment.flip" in given and recipe.augment.flip and recipe.augment.preset == "none":
        raise UsageError("augment.preset=none flips nothing", "leave augment.flip out, or use augment.preset=light")
    return recipe


def _values(what: str) -> dict[str, Any]:
    """WHAT: a bare word is a shipped recipe or a built-in data set; a path has a separator or a suffix, or exists."""
    path = Path(what)
    if path.suffix in (".yaml", ".yml"):
        return read_values(what)
    if what in shipped_recipes():
        return read_values(what)
    if what in DATASETS:
        return {"data": {"name": what}}
    if os.sep in what or path.suffix or path.exists():
        return {"data": {"path": what}}
    raise UsageError(f"unknown data set or recipe {what!r}", nearest(what, {*DATASETS, *shipped_recipes()}))


def open_dataset(recipe: Recipe, teller: Teller, *, whole: bool = False) -> Dataset:
    """Find, audit and split the recipe's data; what was found is said. `whole`: for judging only, no split is needed."""
    source = recipe.data.path or recipe.data.name
    if source is None:
        raise UsageError("the recipe names no data", "set data.path or data.name")
    data = build_dataset(
        source,
        needs="images" if whole else "classes",
        leaks=recipe.data.leaks,
        max_quarantined=recipe.data.max_quarantined,
        fractions=_fractions(recipe.data),
        workers=max(recipe.data.workers, 1),
        cache_dir=cache_folder(),
    )
    given = sorted({r.split for r in data.records if r.split is not None})
    if given not in ([], ["train"]) and (recipe.data.val is not None or recipe.data.test is not None) and not whole:
        raise UsageError(f"the data give their splits ({', '.join(given)})", "leave data.val and data.test out")
    for note in data.notes:
        teller.say(note)
    said = len(data.problems) if teller.level > 0 else PROBLEMS_SAID
    for problem in data.problems[:said]:
        teller.warn(f"{problem.action}: {problem.file}: {problem.reason}")
    if more := len(data.problems[said:]):
        teller.warn(f"… and {more:,} more problems, which -v names{'' if whole else '; all are in data.json'}")
    return data


def require_watched(recipe: Recipe, data: Dataset) -> None:
    """UsageError where a rule waits for validations and there are no images for any."""
    if not len(data.ids("val")):
        for key, asked in (("fit.patience", recipe.fit.patience), ("schedule.name", recipe.schedule.name == "plateau")):
            if asked:
                raise UsageError(
                    f"{key} watches validations and there is no val split", "data.val=0.1, or leave it out"
                )


def _fractions(section: DataSection) -> Fractions | None:
    """The shares that the user set; None leaves them to the rule."""
    if section.val is None and section.test is None:
        return None
    val, test = section.val if section.val is not None else 0.15, section.test if section.test is not None else 0.15
    if val + test >= 1:
        raise UsageError(f"data.val={val:g} and data.test={test:g} leave nothing to train on", "such as 0.15 and 0.15")
    return Fractions(1.0 - val - test, val, test)


def require_there(recipe: Recipe, way_out: str) -> None:
    """DataError where the run's own data is not where it was: its path is as it was given, from where it was given."""
    path = recipe.data.path
    if path is not None and not os.path.lexists(path):
        hint = way_out if os.path.isabs(path) else f"start from the folder in which it was trained, or {way_out}"
        raise DataError(f"the run's data {path} is not there", hint)


def same_data(run: Run, data: Dataset) -> None:
    """Raises DataError when the run's data is no longer what it was trained on: ids would name other images."""
    if run.status.get("data") != data_hash(data):
        raise DataError(
            "the run's data changed since it was trained", "give the data to judge on: evaluate RUN DATA --split test"
        )


def facts_of(data: Dataset) -> Facts:
    train = data.ids("train")
    heights, widths = data.size[train, 0], data.size[train, 1]
    aspects = widths / heights
    return Facts(
        n=len(train),
        height=int(np.median(heights)),
        width=int(np.median(widths)),
        grey={data.audit.mode[i] for i in train} <= GREY,
        one_aspect=bool(aspects.max() <= 1.02 * aspects.min()),
        classes=len(data.classes),
        question=data.question,
        small_object=_small_object(data, train),
    )


def _small_object(data: Dataset, ids: Int[np.ndarray, "n"]) -> float:
    """The side that a quarter of the objects of the smallest class are below, as a share of the image's (roots of areas)."""
    shares: dict[int, list[float]] = {}
    for i in choose(ids, 500).tolist() if data.question in ("detection", "instances") else ():
        truth = data.truth(i)
        if isinstance(truth, Objects):
            sides = np.sqrt((truth.boxes[:, 2:] - truth.boxes[:, :2]).prod(1) / data.size[i].prod())
            for label, side in zip(truth.label.tolist(), sides.tolist(), strict=True):
                shares.setdefault(label, []).append(side)
    return min((float(np.quantile(of, 0.25)) for of in shares.values() if len(of) >= 5), default=0.1)


@dataclass(frozen=True)
class Reader:
    """id → pixels in the network's frame, the frame, and what is known: the one way from a file to a batch."""

    data: Dataset
    preprocessing: Preprocessing
    kind: str
    judging: bool

    def __call__(self, id: int) -> Reading:
        pixels = self.data.pixels(id, channels=self.preprocessing.channels)
        height, width, _ = pixels.shape
        geometry, natural = self.preprocessing.geometry, (height, width)
        image, frame = geometry.apply(pixels)
        if self.kind == "classification":
            return Reading(image, frame, natural)
        truth, outlines = self.data.truth(id), self.kind == "instances"
        target = target_of(truth, geometry, natural, frame, outlines=outlines, judging=self.judging)
        return Reading(image, frame, natural, target)


def load(
    data: Dataset, ids: Int[np.ndarray, "n"], preprocessing: Preprocessing, recipe: Recipe, *, judging: bool
) -> Images:
    """The images of these ids, in memory where they fit and may be kept. `judging` also keeps the truth in the original
    frame, which training has no use for."""
    kind = recipe.task.kind
    read = Reader(data, preprocessing, kind, judging)
    index = data.index[ids].astype(np.int64)
    needed = bytes_held(data, ids, preprocessing, kind, judging=judging)
    if recipe.data.cache == "memory" or (recipe.data.cache == "auto" and needed <= MEMORY):
        return Memory.fill(read, ids.astype(np.int64), index, recipe.data.workers)
    return Decoding(read, torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(index))


def bytes_held(
    data: Dataset, ids: Int[np.ndarray, "n"], preprocessing: Preprocessing, kind: str, *, judging: bool
) -> int:
    """What these images and what is known of them take in memory: of each pixel a class, or a plane an object, and for
    judging the same in the original frame."""
    pixels = np.full(len(ids), preprocessing.geometry.height * preprocessing.geometry.width)  # (n,)
    natural = data.size[ids].prod(axis=1) if judging else np.zeros_like(pixels)  # (n,)
    known = np.zeros_like(pixels)
    if kind == "segmentation":
        known = 8 * pixels + natural
    elif kind == "instances" and data.audit.amount is not None:
        known = data.audit.amount[ids].sum(axis=1) * (pixels + natural)
    return int((pixels * preprocessing.channels + known).sum())


def statistics(images: Images, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel of the training images, from at most 10,000 of them chosen by hash."""
    gathered = PixelStatistics(channels)
    for places in torch.from_numpy(choose(np.arange(len(images)), 10_000)).split(256):
        gathered.add(images(places, places).image)
    return gathered.mean(), gathered.std()


def choose(ids: Int[np.ndarray, "n"], limit: int) -> Int[np.ndarray, "m"]:
    """At most `limit` of the ids, by hash of the id: the same ones whatever the seed; in ascending order."""
    if len(ids) <= limit:
        return ids
    order = keys(0, "subset", torch.from_numpy(ids.astype(np.int64))).numpy().argsort(kind="stable")
    return np.sort(ids[order[:limit]])


def completed(recipe: Recipe, data: Dataset) -> Recipe:
    return complete(recipe, facts_of(data))
