"""Images, several methods: their maps, and beside each the controls without which it means little.

Work is shared where it can be: methods of one pass explain all images of a call together, and a randomised network is made
once for all methods and images. `planned` says beforehand how many passes it will be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn

from .attribution.methods import METHODS, Passes
from .controls import baselines
from .controls.faithfulness import FILLS, curves, scores_of
from .controls.randomisation import layers_of, randomised, stages
from .controls.similarity import spearman, ssim
from .results import Areas, Controls, Explanation, Map, Stage
from .subject import Attribution, Refused, Subject

Settings = Mapping[str, Mapping[str, Any]]  # method → settings
_SAME = 1e-5  # of the largest value: below it two maps are the same
_MAPS = ("edges", "centre", "random")


@dataclass(frozen=True)
class Effort:
    """How much is spent on controls.

    stages   of cascading randomisation
    draws    of a random head, for methods of a single pass; the others have one
    steps    of deletion and insertion; 0 leaves them out
    """

    stages: int
    draws: int
    steps: int


Level = Literal["none", "quick", "full"]
EFFORTS: dict[Level, Effort | None] = {"none": None, "quick": Effort(2, 3, 0), "full": Effort(5, 5, 8)}


def planned(
    network: nn.Module, height: int, width: int, methods: Sequence[str], effort: Effort | None, settings: Settings
) -> Passes:
    """Passes of one image, if no method is refused and none needs more than it asks for at first."""
    total = Passes()
    rounds = len(stages(network, effort.stages)) if effort else 0
    for name in methods:
        method, own = METHODS[name], dict(settings.get(name, {}))
        total += method.cost(height, width, own)
        if effort is not None and rounds:
            maps = rounds - 1 + effort.draws if method.single else rounds + 1
            total += method.cost(height, width, {**own, **method.quick}) * maps
    if effort is not None and effort.steps:
        total += Passes(2 * effort.steps * len(FILLS)) * (len(methods) + len(_MAPS))
    return total


def explain_images(
    subject: Subject,
    pixels: Float[Tensor, "b c h w"],
    targets: Int[Tensor, "b"],
    methods: Sequence[str],
    *,
    effort: Effort | None = EFFORTS["quick"],
    seed: int = 0,
    settings: Settings | None = None,
) -> list[tuple[list[Explanation], Controls | None]]:
    """For each image the methods in order, and the controls without effort None; a method that has no meaning here is there
    with the reason."""
    settings = settings or {}
    rows: dict[str, list[Explanation]] = {}
    for name in methods:
        try:
            maps = _attributions(name, subject, pixels, targets, settings.get(name, {}))
            rows[name] = [Explanation(name, one) for one in maps]
        except Refused as error:
            rows[name] = [Explanation(name, refusal=error.message)] * len(pixels)
    controls: list[Controls | None] = [None] * len(pixels)
    if effort is not None:
        _randomise(rows, subject, pixels, targets, effort, seed, settings)
        controls = [
            _beside(rows, i, subject, pixels[i : i + 1], targets[i : i + 1], effort, seed) for i in range(len(pixels))
        ]
    return [(_with_equals_named([rows[name][i] for name in methods]), controls[i]) for i in range(len(pixels))]


def _attributions(
    name: str, subject: Subject, pixels: Tensor, targets: Tensor, settings: Mapping[str, Any]
) -> list[Attribution]:
    """One for each image. Methods of many passes fill their batches with one image, the others with all."""
    method = METHODS[name]
    if not method.single:
        return [method.explain(subject, pixels[i : i + 1], targets[i : i + 1], **settings) for i in range(len(pixels))]
    rows = []
    for image, target in zip(pixels.split(subject.batch), targets.split(subject.batch), strict=True):
        every = method.explain(subject, image, target, **settings)
        rows += [replace(every, values=every.values[i : i + 1]) for i in range(len(image))]
    return rows


def _randomise(
    rows: dict[str, list[Explanation]],
    subject: Subject,
    pixels: Tensor,
    targets: Tensor,
    effort: Effort,
    seed: int,
    settings: Settings,
) -> None:
    """Put the stages of cascading randomisation into the rows. Each random network is made once."""
    names = [name for name, row in rows.items() if row[0].attribution is not None]
    quick = {name: {**settings.get(name, {}), **METHODS[name].quick} for name in names}
    originals = {
        name: [_map(one.attribution) for one in rows[name]] if METHODS[name].single
        else [_map(one) for one in _attributions(name, subject, pixels, targets, quick[name])]
        for name in names
    }  # fmt: skip
    found: dict[str, list[list[Stage]]] = {name: [[] for _ in pixels] for name in names}
    last: dict[str, list[Map]] = {}
    within = (
        layers_of(subject, pixels, targets) if subject.dense else None
    )  # a detector's last layer is not the score's
    for number, (title, modules) in enumerate(stages(subject.network, effort.stages, within)):
        draws: dict[str, list[list[Map]]] = {name: [] for name in names}
        for draw in range(effort.draws if number == 0 else 1):
            with randomised(modules, seed + draw):
                for name in names:
                    if draw == 0 or METHODS[name].single:
                        maps = _attributions(name, subject, pixels, targets, quick[name])
                        draws[name].append([_map(one) for one in maps])
        for name in names:
            last[name] = draws[name][-1]
            for i, stage in enumerate(found[name]):
                stage.append(_compared(title, originals[name][i], [maps[i] for maps in draws[name]]))
    for name in names:
        rows[name] = [
            replace(one, randomised=last[name][i], stages=tuple(found[name][i]) if originals[name][i].any() else ())
            for i, one in enumerate(rows[name])
        ] if last else rows[name]  # fmt: skip


def _map(one: Attribution | None) -> Map:
    assert one is not None
    return one.map[0].cpu().numpy()


def _compared(title: str, original: Map, others: Sequence[Map]) -> Stage:
    likeness = float(np.mean([ssim(original, other) for other in others]))
    return Stage(title, tuple(spearman(original, other) for other in others), likeness)


def _beside(
    rows: dict[str, list[Explanation]],
    i: int,
    subject: Subject,
    pixels: Tensor,
    index: Tensor,
    effort: Effort,
    seed: int,
) -> Controls:
    """The control maps of one image; with steps also the areas, of the methods in their rows too."""
    maps = {
        "edges": baselines.edges(pixels),
        "centre": baselines.centre(pixels),
        "random": baselines.noise(pixels, seed),
    }
    areas: dict[str, Areas] = {}
    if effort.steps:
        for row in rows.values():
            attribution = row[i].attribution
            if attribution is not None:
                row[i] = replace(row[i], areas=_areas(subject, pixels, index, attribution.map, effort.steps))
        areas = {name: _areas(subject, pixels, index, one, effort.steps) for name, one in maps.items()}
    return Controls({name: one[0].cpu().numpy() for name, one in maps.items()}, areas)


def _areas(subject: Subject, pixels: Tensor, index: Tensor, maps: Tensor, steps: int) -> Areas:
    found = {fill: scores_of(curves(subject, pixels, index, maps, fill=fill, steps=steps)) for fill in FILLS}
    return {fill: {measure: float(area[0]) for measure, area in areas.items()} for fill, areas in found.items()}


def _with_equals_named(explanations: Sequence[Explanation]) -> list[Explanation]:
    """The same with a note where two methods give the same map: nobody shall take one finding for two."""
    notes: dict[str, list[str]] = {}
    for first, second in combinations([e for e in explanations if e.attribution is not None], 2):
        a, b = first.map, second.map
        assert a is not None and b is not None
        if np.abs(a).max() > 0 and np.abs(a - b).max() <= _SAME * np.abs(a).max():
            for one, other in ((first, second), (second, first)):
                notes.setdefault(one.method, []).append(f"the same map as {METHODS[other.method].title}")
    return [
        replace(e, attribution=e.attribution.noted(*notes[e.method])) if e.attribution and e.method in notes else e
        for e in explanations
    ]
