"""A metric on images that were changed without asking the network: corruptions and controlled change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from .changes import CHANGES, change
from .corruptions.catalogue import CORRUPTIONS, SEVERITIES, corrupt
from .draws import Ids
from .figure import Measure
from .scores import predicted
from .share import Share
from .subject import Subject

Alter = Callable[[UInt8[np.ndarray, "h w c"], int], UInt8[np.ndarray, "h w c"]]  # image, id → image
Over = Callable[..., Iterable[Any]]
M = TypeVar("M", bound=Measure)


def altered(images: UInt8[Tensor, "n c h w"], ids: Ids, alter: Alter) -> UInt8[Tensor, "n c h w"]:
    """All images changed, on the CPU."""
    rows = zip(images.permute(0, 2, 3, 1).cpu().numpy(), ids.tolist(), strict=True)
    return torch.stack([torch.from_numpy(np.ascontiguousarray(alter(image, i))).permute(2, 0, 1) for image, i in rows])


def accuracy(subject: Subject, images: torch.Tensor) -> Share:
    index = predicted(subject.scores, images.float().to(subject.images.device), subject.batch)
    return Share(int((index == subject.labels).sum()), len(subject))


def corruption_curves(measure: Callable[[Alter], M], seed: int, over: Over) -> dict[str, list[M]]:
    """Name → the metric by severity, 1 to 5."""

    def measured(name: str, severity: int) -> M:
        return measure(lambda image, id: corrupt(image, name, severity, seed=seed, id=id))

    return {
        name: [measured(name, severity) for severity in SEVERITIES] for (name,) in over([(n,) for n in CORRUPTIONS])
    }


def change_curves(
    measure: Callable[[Alter], M], seed: int, over: Over, names: Sequence[str] = tuple(CHANGES)
) -> dict[str, list[tuple[float, M]]]:
    """Name → (strength, metric) in the order of strengths."""

    def measured(name: str, strength: float) -> M:
        return measure(lambda image, id: change(image, name, strength, seed=seed, id=id))

    return {
        name: [(strength, measured(name, strength)) for strength in CHANGES[name].strengths]
        for (name,) in over([(n,) for n in names])
    }
