"""Data set + preprocessing → batches: the one path from a file to the input of a network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8

from sightline.data.dataset import Dataset
from sightline.data.loaders import Decoding, Images, Memory, Reading
from sightline.preprocessing.normalise import PixelStatistics
from sightline.preprocessing.saved import Preprocessing
from sightline.randomness.keyed import keys
from sightline.structures.batch import PLACES
from sightline.structures.frames import inverse, move_boxes
from sightline.structures.inputs import Input, Places
from sightline.structures.targets import Target

from .recipe import Recipe

MEMORY = 2 << 30  # bytes of decoded images that "auto" keeps in memory


@dataclass(frozen=True)
class Truths:
    """How annotations other than labels become targets.

    target   (data set, id, preprocessing, natural (height, width), frame (3, 3), judging) → the target of that image;
             `judging` also keeps the original, in whose frame metrics are computed
    memory   (data set, ids, pixels (n,) of the network's frame, pixels (n,) of the originals or 0) → bytes (n,) held
    """

    target: Callable[[Dataset, int, Preprocessing, tuple[int, int], Float[np.ndarray, "3 3"], bool], Target]
    memory: Callable[[Dataset, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


Propose = Callable[[UInt8[np.ndarray, "h w c"]], Float[np.ndarray, "n 4"]]  # pixels → boxes that may hold an object


@dataclass(frozen=True)
class Reader:
    """id → pixels in the network's frame, the frame, the target, and where objects may be."""

    data: Dataset
    preprocessing: Preprocessing
    truths: Truths | None
    judging: bool
    propose: Propose | None = None

    def __call__(self, id: int) -> Reading:
        pixels = self.data.pixels(id, channels=self.preprocessing.channels, depth=self.preprocessing.depth)
        height, width, _ = pixels.shape
        image, frame = self.preprocessing.geometry.apply(pixels)
        beside: dict[str, Input] = {}
        if self.propose is not None:
            boxes = move_boxes(self.propose(image), inverse(frame))
            beside[PLACES] = Places(torch.from_numpy(boxes).float(), torch.tensor([len(boxes)]))
        if self.truths is None:
            return Reading(image, frame, (height, width), None, beside)
        target = self.truths.target(self.data, id, self.preprocessing, (height, width), frame, self.judging)
        return Reading(image, frame, (height, width), target, beside)


def load(
    data: Dataset,
    ids: Int[np.ndarray, "n"],
    preprocessing: Preprocessing,
    recipe: Recipe,
    *,
    truths: Truths | None = None,
    judging: bool,
    propose: Propose | None = None,
) -> Images:
    """The images of these ids, in memory if they fit and the recipe allows it; with labels if `truths` is None, and with
    `Places` beside them if something proposes them."""
    read = Reader(data, preprocessing, truths, judging, propose)
    index = data.index[ids].astype(np.int64)
    needed = memory_needed(data, ids, preprocessing, truths, judging=judging)
    if recipe.data.cache == "memory" or (recipe.data.cache == "auto" and needed <= MEMORY):
        return Memory.fill(read, ids.astype(np.int64), index, recipe.data.workers)
    return Decoding(read, torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(index))


def memory_needed(
    data: Dataset, ids: Int[np.ndarray, "n"], preprocessing: Preprocessing, truths: Truths | None, *, judging: bool
) -> int:
    """Bytes that these images and their targets take."""
    geometry = preprocessing.geometry
    pixels = np.full(len(ids), geometry.height * geometry.width)  # (n,)
    natural = data.size[ids].prod(axis=1) if judging else np.zeros_like(pixels)  # (n,)
    targets = truths.memory(data, ids, pixels, natural) if truths is not None else np.zeros_like(pixels)
    return int((pixels * preprocessing.channels + targets).sum())


def statistics(images: Images, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel, from at most 10,000 training images chosen by hash."""
    gathered = PixelStatistics(channels)
    for places in torch.from_numpy(choose(np.arange(len(images)), 10_000)).split(256):
        gathered.add(images(places, places).image)
    return gathered.mean(), gathered.std()


def choose(ids: Int[np.ndarray, "n"], limit: int) -> Int[np.ndarray, "m"]:
    """At most `limit` of the ids in ascending order, chosen by hash: the same ones for every seed."""
    if len(ids) <= limit:
        return ids
    order = keys(0, "subset", torch.from_numpy(ids.astype(np.int64))).numpy().argsort(kind="stable")
    return np.sort(ids[order[:limit]])


def share_of(ids: Int[np.ndarray, "n"], index: Int[np.ndarray, "n"], share: float | None) -> Int[np.ndarray, "m"]:
    """That share of the ids in ascending order, of every class the same, at least one; chosen by hash, so that a smaller
    share is part of a larger one."""
    if share is None:
        return ids
    parts = [ids[index == c] for c in np.unique(index)]
    return np.sort(np.concatenate([choose(part, max(1, round(share * len(part)))) for part in parts]))
