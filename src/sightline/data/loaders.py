"""Samples → batches: from memory if all images fit, else decoded on the fly.

Both give the same bits, because memory is filled by the same decoder and geometry.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sightline.structures.batch import Batch, Sample, collate
from sightline.structures.inputs import Input
from sightline.structures.targets import Labels, Target

_CHUNK = 64  # images per task of a thread
Places, Loaded = TypeVar("Places"), TypeVar("Loaded")


class Reading(NamedTuple):
    """One image as it was read: `pixels` (h, w, c) uint8 in the network's frame, `frame` (3, 3) original → network,
    `natural` height and width of the original, its `target` of one where it is more than a class, and further inputs
    `beside` it by name."""

    pixels: UInt8[np.ndarray, "h w c"]
    frame: Float[np.ndarray, "3 3"]
    natural: tuple[int, int]
    target: Target | None = None
    beside: Mapping[str, Input] = MappingProxyType({})


Read = Callable[[int], Reading]  # by id


@dataclass(frozen=True)
class Memory:
    """All images of one split as (n, h, w, c) uint8: a batch is one gather, channels-last for free. `index` (n,) are
    their classes; `targets` replace these if images have other annotations. `beside` are further inputs of each."""

    image: UInt8[Tensor, "n h w c"]
    frame: Float[Tensor, "n 3 3"]
    natural: Int[Tensor, "n 2"]
    id: Int[Tensor, "n"]
    index: Int[Tensor, "n"]
    targets: tuple[Target, ...] = ()
    beside: tuple[Mapping[str, Input], ...] = ()

    def __len__(self) -> int:
        return len(self.id)

    def __call__(self, places: Int[Tensor, "b"], positions: Int[Tensor, "b"]) -> Batch:
        image = self.image[places].permute(0, 3, 1, 2)  # (b, h, w, c) → (b, c, h, w)
        size = torch.tensor(image.shape[2:]).expand(len(places), 2)
        if self.targets:
            target = type(self.targets[0]).join([self.targets[place] for place in places.tolist()])
        else:
            target = Labels.of(self.index[places])
        mine = [self.beside[place] for place in places.tolist()] if self.beside else [{}]
        beside = {name: type(one).join([inputs[name] for inputs in mine]) for name, one in mine[0].items()}
        return Batch.of_images(
            image, size, self.frame[places], self.natural[places], self.id[places], positions, target, beside
        )

    @classmethod
    def fill(cls, read: Read, ids: Int[np.ndarray, "n"], index: Int[np.ndarray, "n"], workers: int) -> Memory:
        """Read every image once, straight into its place."""
        first = read(int(ids[0]))
        image = np.empty((len(ids), *first.pixels.shape), dtype=np.uint8)
        frame = np.empty((len(ids), 3, 3), dtype=np.float32)
        natural = np.empty((len(ids), 2), dtype=np.int64)
        targets: list[Target | None] = [None] * len(ids)
        beside: list[Mapping[str, Input]] = [{}] * len(ids)

        def put(places: range) -> None:
            for place in places:
                image[place], frame[place], natural[place], targets[place], beside[place] = read(int(ids[place]))

        with ThreadPoolExecutor(max(workers, 1), "sightline-fill") as pool:
            list(pool.map(put, [range(start, min(start + _CHUNK, len(ids))) for start in range(0, len(ids), _CHUNK)]))
        image_, frame_, natural_, id_, index_ = map(torch.from_numpy, (image, frame, natural, ids, index))
        known = tuple(t for t in targets if t is not None)
        return cls(image_, frame_, natural_, id_, index_, known, tuple(beside) if first.beside else ())


@dataclass(frozen=True)
class Decoding:
    """Images of one split, read and decoded each time they are asked for."""

    read: Read
    id: Int[Tensor, "n"]
    index: Int[Tensor, "n"]

    def __len__(self) -> int:
        return len(self.id)

    def __call__(self, places: Int[Tensor, "b"], positions: Int[Tensor, "b"]) -> Batch:
        return collate([self._sample(int(place)) for place in places], positions.tolist())

    def _sample(self, place: int) -> Sample:
        pixels, frame, natural, target, beside = self.read(int(self.id[place]))
        image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)  # (h, w, c) → (c, h, w)
        target = target or Labels.of(self.index[place : place + 1])
        return Sample.of_image(
            image, int(self.id[place]), target, torch.from_numpy(frame).float(), torch.tensor(natural), beside
        )


Images = Memory | Decoding


def in_order(images: Images, size: int = 256, workers: int = 0) -> Iterator[Batch]:
    """Every image once, in order, in batches of `size`; `workers` threads read ahead."""
    return ahead(lambda places: images(places, places), torch.arange(len(images)).split(size), workers)


def ahead(load: Callable[[Places], Loaded], parts: Iterable[Places], workers: int = 0) -> Iterator[Loaded]:
    """`load` of each part, in order; `workers` threads work on the next ones meanwhile, at most two each."""
    if workers == 0:
        yield from map(load, parts)
        return
    with ThreadPoolExecutor(workers, "sightline-data") as pool:
        waiting: deque[Future[Loaded]] = deque()
        for part in parts:
            waiting.append(pool.submit(load, part))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
