"""Accuracy on images that were changed without asking the network: corruptions and controlled change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8

from sightline.metrics.proportions import wilson

from .changes import CHANGES, change
from .corruptions.catalogue import CORRUPTIONS, SEVERITIES, corrupt
from .robustness import Z
from .scores import predicted
from .subject import Subject

Alter = Callable[[UInt8[np.ndarray, "h w c"], int], UInt8[np.ndarray, "h w c"]]  # image, id → image
Over = Callable[..., Iterable[Any]]


@dataclass(frozen=True)
class Share:
    """Of n images `right` are right."""

    right: int
    n: int

    @property
    def accuracy(self) -> float:
        return self.right / self.n

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.accuracy, self.n, Z)

    def to_json(self) -> dict[str, Any]:
        return {"right": self.right, "n": self.n, "accuracy": self.accuracy, "interval": list(self.interval)}


def altered(subject: Subject, alter: Alter) -> torch.Tensor:
    """All images changed (n, c, h, w), uint8."""
    rows = zip(subject.images.permute(0, 2, 3, 1).cpu().numpy(), subject.ids.tolist(), strict=True)
    return torch.stack([torch.from_numpy(np.ascontiguousarray(alter(image, i))).permute(2, 0, 1) for image, i in rows])


def accuracy(subject: Subject, images: torch.Tensor) -> Share:
    index = predicted(subject.scores, images.float().to(subject.images.device), subject.batch)
    return Share(int((index == subject.labels).sum()), len(subject))


def corruption_accuracies(subject: Subject, seed: int, over: Over) -> dict[str, list[Share]]:
    """Name → accuracy by severity, 1 to 5."""

    def measured(name: str, severity: int) -> Share:
        def alter(image: np.ndarray, id: int) -> np.ndarray:
            return corrupt(image, name, severity, seed=seed, id=id)

        return accuracy(subject, altered(subject, alter))

    return {
        name: [measured(name, severity) for severity in SEVERITIES] for (name,) in over([(n,) for n in CORRUPTIONS])
    }


def change_accuracies(subject: Subject, seed: int, over: Over) -> dict[str, list[tuple[float, Share]]]:
    """Name → (strength, accuracy) in the order of strengths."""

    def measured(name: str, strength: float) -> Share:
        def alter(image: np.ndarray, id: int) -> np.ndarray:
            return change(image, name, strength, seed=seed, id=id)

        return accuracy(subject, altered(subject, alter))

    return {
        name: [(strength, measured(name, strength)) for strength in CHANGES[name].strengths]
        for (name,) in over([(n,) for n in CHANGES])
    }
