"""What comes of explaining an image: each method's map with its controls, and what a set of images says about a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from .controls.sanity import Sanity, judged
from .subject import Attribution

Map = Float[np.ndarray, "h w"]
Areas = Mapping[str, Mapping[str, float]]  # fill → measure → area


@dataclass(frozen=True)
class Stage:
    """A map after part of the network was randomised, compared with the original.

    spearman   of each draw of random weights; signed, so that the mean of unrelated maps is 0
    ssim       the mean over the draws
    """

    name: str
    spearman: tuple[float, ...]
    ssim: float

    @property
    def mean(self) -> float:
        return float(np.mean(self.spearman))


@dataclass(frozen=True)
class Explanation:
    """One method on one image. Without `attribution` it was refused, for the reason `refusal`.

    randomised   its map on the network whose weights are all random; None without controls
    stages       cascading randomisation, the head first; empty without controls, and for a map that is 0 everywhere
    areas        under deletion and insertion, by fill
    """

    method: str
    attribution: Attribution | None = None
    refusal: str = ""
    randomised: Map | None = None
    stages: tuple[Stage, ...] = ()
    areas: Areas = field(default_factory=dict)

    @property
    def map(self) -> Map | None:
        return None if self.attribution is None else self.attribution.map[0].cpu().numpy()

    @property
    def without_evidence(self) -> bool:
        values = self.map
        return values is not None and not bool((values > 0).any())


@dataclass(frozen=True)
class Controls:
    """Maps that know nothing of the network, and their areas."""

    maps: Mapping[str, Map]
    areas: Mapping[str, Areas]


def sanity_of(images: Sequence[Sequence[Explanation]]) -> dict[str, Sanity]:
    """What randomising the head does to each method's maps, over all images."""
    rows: dict[str, list[tuple[float, ...]]] = {}
    for explanations in images:
        for one in explanations:
            if one.stages:
                rows.setdefault(one.method, []).append(one.stages[0].spearman)
    return {method: judged(draws) for method, draws in rows.items()}
