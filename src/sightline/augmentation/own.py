"""A pipeline of the user's own as one operation: of torchvision's v2, Kornia or Albumentations, or any function of an image.

What it is given, one image at a time, without padding:

    torchvision, functions   uint8 (c, h, w) on the CPU
    Kornia                   float32 (1, c, h, w) in 0 to 1
    Albumentations           `image=` a uint8 array (h, w, c)

and it answers in the same form and size. All random numbers that it draws from torch, numpy or `random` are seeded with
(seed, position of the sample), so that resuming and the number of workers change nothing; Albumentations, which keeps a
generator of its own, is seeded as well. Targets do not move: it is for labels and numbers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from sightline.errors import UsageError
from sightline.randomness.keyed import reference_hash, seed_torch
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels, Pairs, Several, Target, Values

from .operation import Operation

_PURPOSE = "augmentation/own"


@dataclass(frozen=True)
class Own(Operation):
    """`transform` is the pipeline, `label` its name in errors."""

    transform: Callable[..., Any]
    label: str
    name: ClassVar[str] = "own"

    def __call__(self, batch: Batch, seed: int) -> Batch:
        if not _stays(batch.target):
            raise UsageError(
                f"augment.transform={self.label} changes pixels only, and {type(batch.target).__name__.lower()} move with them",
                "leave it out",
            )
        image = batch.image.clone()
        with _states_kept():
            for row, (position, (height, width)) in enumerate(
                zip(batch.position.tolist(), batch.size.tolist(), strict=True)
            ):
                self._seed(seed, position)
                own = self._answer(batch.image[row, :, :height, :width].cpu())
                image[row, :, :height, :width] = own.to(image.device)
        return batch.with_pixels(image=image)

    def _seed(self, seed: int, position: int) -> None:
        seed_torch(seed, _PURPOSE, position)
        key = reference_hash(seed, _PURPOSE, position)
        np.random.seed(key & 0xFFFFFFFF)
        random.seed(key)
        if hasattr(self.transform, "set_random_seed"):  # Albumentations
            self.transform.set_random_seed(key & 0x7FFFFFFF)

    def _answer(self, image: UInt8[Tensor, "c h w"]) -> UInt8[Tensor, "c h w"]:
        library = type(self.transform).__module__.partition(".")[0]
        if library == "albumentations":
            pixels = np.ascontiguousarray(image.permute(1, 2, 0).numpy())
            answer = torch.from_numpy(np.atleast_3d(self.transform(image=pixels)["image"])).permute(2, 0, 1)
        elif library == "kornia":
            answer = self.transform(image[None].float() / 255)[0]
        else:
            answer = self.transform(image)
        if not isinstance(answer, Tensor) or answer.shape != image.shape:
            shape = "x".join(map(str, getattr(answer, "shape", ()))) or type(answer).__name__
            raise UsageError(
                f"augment.transform={self.label} made {shape} of an image of {'x'.join(map(str, image.shape))}",
                "end it with a resize to the size of its input, and without a conversion to other types or channels",
            )
        return (answer * 255).round().clamp(0, 255).to(torch.uint8) if answer.is_floating_point() else answer


def _stays(target: Target) -> bool:
    parts = target.by_name.values() if isinstance(target, Several) else (target,)
    return all(isinstance(part, Labels | Values | Pairs) for part in parts)


@contextmanager
def _states_kept() -> Iterator[None]:
    """Afterwards all global generators are where they were."""
    plain, arrays = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(plain)
            np.random.set_state(arrays)
