"""One image, several methods: their maps, and beside each the controls without which it means little."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from .attribution.methods import METHODS, Method
from .controls import baselines
from .controls.faithfulness import FILLS, curves, scores_of
from .controls.randomisation import RESEMBLES, forgotten, stages
from .controls.similarity import spearman, ssim
from .subject import Attribution, Refused, Subject

Map = Float[np.ndarray, "h w"]
Areas = Mapping[str, Mapping[str, float]]  # fill → measure → area

_QUICK: dict[str, dict[str, Any]] = {  # fewer passes on shuffled networks, whose maps are only compared
    "integrated_gradients": {"steps": 20, "most": 20},
    "smoothgrad": {"samples": 20},
    "rise": {"masks": 400},
}
_STEPS = 8  # of deletion and insertion of one image
_SAME = 1e-5  # of the largest value: below it two maps are the same


@dataclass(frozen=True)
class Stage:
    """A map after part of the network was forgotten, compared with the original."""

    name: str
    spearman: float
    ssim: float


@dataclass(frozen=True)
class Explained:
    """One method on one image. Without `attribution` it was refused, for the reason `refusal`.

    randomised   its map on the network whose weights are all shuffled; None without controls
    stages       cascading randomisation, the head first
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
    def ignores_the_head(self) -> bool:
        """Whether the map stays the same although the head was shuffled."""
        return bool(self.stages) and abs(self.stages[0].spearman) > RESEMBLES

    @property
    def without_evidence(self) -> bool:
        found = self.map
        return found is not None and not bool((found > 0).any())


@dataclass(frozen=True)
class Controls:
    """Maps that know nothing of the network, and their areas."""

    maps: Mapping[str, Map]
    areas: Mapping[str, Areas]


def explain_image(
    subject: Subject,
    pixels: Float[Tensor, "1 c h w"],
    target: int,
    methods: Sequence[str],
    *,
    controls: bool = True,
    seed: int = 0,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> tuple[list[Explained], Controls | None]:
    """The methods on one image, in order; a method that has no meaning here is there with the reason."""
    index = torch.tensor([target], device=pixels.device)
    explained = []
    for name in methods:
        method, own = METHODS[name], dict((settings or {}).get(name, {}))
        try:
            attribution = method.explain(subject, pixels, index, **own)
        except Refused as error:
            explained.append(Explained(name, refusal=error.message))
            continue
        one = Explained(name, attribution)
        explained.append(_controlled(one, subject, pixels, index, method, own, seed) if controls else one)
    explained = _with_equals_named(explained)
    return explained, _controls(subject, pixels, index, seed) if controls else None


def _controlled(
    one: Explained,
    subject: Subject,
    pixels: Float[Tensor, "1 c h w"],
    index: Int[Tensor, "1"],
    method: Method,
    settings: Mapping[str, Any],
    seed: int,
) -> Explained:
    assert one.attribution is not None
    quick = _QUICK.get(one.method, {}) | {k: v for k, v in settings.items() if k not in _QUICK.get(one.method, {})}
    there = stages(subject.network)
    if method.costly and len(there) > 2:
        there = [there[0], there[-1]]
    rows, randomised, original = [], None, one.attribution.map[0].cpu().numpy()
    for name, modules in there:
        with forgotten(modules, seed):
            randomised = method.explain(subject, pixels, index, **quick).map[0].cpu().numpy()
        rows.append(Stage(name, spearman(original, randomised), ssim(original, randomised)))
    return replace(
        one, randomised=randomised, stages=tuple(rows), areas=_areas(subject, pixels, index, one.attribution.map)
    )


def _controls(subject: Subject, pixels: Float[Tensor, "1 c h w"], index: Int[Tensor, "1"], seed: int) -> Controls:
    maps = {
        "edges": baselines.edges(pixels),
        "centre": baselines.centre(pixels),
        "random": baselines.noise(pixels, seed),
    }
    areas = {name: _areas(subject, pixels, index, one) for name, one in maps.items()}
    return Controls({name: one[0].cpu().numpy() for name, one in maps.items()}, areas)


def _areas(
    subject: Subject, pixels: Float[Tensor, "1 c h w"], index: Int[Tensor, "1"], maps: Float[Tensor, "1 h w"]
) -> Areas:
    found = {fill: scores_of(curves(subject, pixels, index, maps, fill=fill, steps=_STEPS)) for fill in FILLS}
    return {fill: {measure: float(area[0]) for measure, area in areas.items()} for fill, areas in found.items()}


def _with_equals_named(explained: Sequence[Explained]) -> list[Explained]:
    """The same with a note where two methods give the same map: nobody shall take one finding for two."""
    notes: dict[str, list[str]] = {}
    for first, second in combinations([e for e in explained if e.attribution is not None], 2):
        a, b = first.map, second.map
        assert a is not None and b is not None
        if np.abs(a).max() > 0 and np.abs(a - b).max() <= _SAME * np.abs(a).max():
            for one, other in ((first, second), (second, first)):
                notes.setdefault(one.method, []).append(f"the same map as {METHODS[other.method].title}")
    return [
        replace(e, attribution=e.attribution.noted(*notes[e.method])) if e.attribution and e.method in notes else e
        for e in explained
    ]
