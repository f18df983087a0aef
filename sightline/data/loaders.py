"""Samples → batches: gathered from memory where everything fits, decoded on the way where it does not.

Both give the same bits; the memory is filled by the same decoder and the same geometry.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from sightline.structures.batch import Batch, Sample, collate
from sightline.structures.targets import Labels

_CHUNK = 64  # images that a thread reads at a time
Read = Callable[[int], tuple[UInt8[np.ndarray, "h w c"], Float[np.ndarray, "3 3"]]]  # id → pixels in frame, frame


@dataclass(frozen=True)
class Memory:
    """All images of one split as (n, h, w, c) uint8: a batch is one gather, channels-last for free."""

    image: UInt8[Tensor, "n h w c"]
    frame: Float[Tensor, "n 3 3"]
    id: Int[Tensor, "n"]
    index: Int[Tensor, "n"]

    def __len__(self) -> int:
        return len(self.id)

    def __call__(self, places: Int[Tensor, "b"], positions: Int[Tensor, "b"]) -> Batch:
        image = self.image[places].permute(0, 3, 1, 2)  # (b, h, w, c) → (b, c, h, w)
        size = torch.tensor(image.shape[2:]).expand(len(places), 2)
        return Batch(image, size, self.frame[places], self.id[places], positions, Labels.of(self.index[places]))

    @classmethod
    def fill(cls, read: Read, ids: Int[np.ndarray, "n"], index: Int[np.ndarray, "n"], workers: int) -> Memory:
        """Read every image once, straight into its place."""
        first = read(int(ids[0]))[0]
        image = np.empty((len(ids), *first.shape), dtype=np.uint8)
        frame = np.empty((len(ids), 3, 3), dtype=np.float32)

        def put(places: range) -> None:
            for place in places:
                image[place], frame[place] = read(int(ids[place]))

        with ThreadPoolExecutor(max(workers, 1), "sightline-fill") as pool:
            list(pool.map(put, [range(start, min(start + _CHUNK, len(ids))) for start in range(0, len(ids), _CHUNK)]))
        return cls(torch.from_numpy(image), torch.from_numpy(frame), torch.from_numpy(ids), torch.from_numpy(index))


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
        pixels, frame = self.read(int(self.id[place]))
        image = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)  # (h, w, c) → (c, h, w)
        target = Labels.of(self.index[place : place + 1])
        return Sample(image, int(self.id[place]), target, torch.from_numpy(frame).float())


Images = Memory | Decoding


def in_order(images: Images, size: int = 256, workers: int = 0) -> Iterator[Batch]:
    """Every image once, in order, in batches of `size`; `workers` threads read ahead."""
    chunks = torch.arange(len(images)).split(size)
    if workers == 0:
        yield from (images(places, places) for places in chunks)
        return
    with ThreadPoolExecutor(workers, "sightline-data") as pool:
        ahead: deque[Future[Batch]] = deque()
        for places in chunks:
            ahead.append(pool.submit(images, places, places))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
