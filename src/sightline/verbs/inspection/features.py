"""`explain` without an image: what do the network's units respond to? A page, a contact sheet a method, and raw arrays."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.engine.devices import choose_device, compute_threads, repeatable
from sightline.errors import DataError, UsageError
from sightline.explanation.features.methods import FEATURES, features_named
from sightline.explanation.subject import Refused
from sightline.inference.naming import safe_stem
from sightline.kinds.networks import load_task
from sightline.reports.features.page import contact_sheet, features_page
from sightline.reports.features.topic import Topic
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.storage.files import make_folder, replace_file
from sightline.storage.text import json_text
from sightline.verbs.evaluate import select

from . import scores, units
from .outcome import Outcome
from .sample import Sample
from .units import Tick

IMAGES = 500  # of a split, at most
PAGE, RECORD, FOLDER = "features.html", "features.json", "features"
_WORK: Mapping[str, Callable[[Sample, Tick], Outcome]] = {
    "filters": units.filters,
    "templates": units.learned,
    "activations": units.activation_maps,
    "patches": units.patches,
    "class_images": scores.of_classes,
    "dream": scores.dreams,
    "neighbours": scores.nearest,
    "map": scores.plane,
    "positions": units.positions,
    "attention": scores.attention,
}


@dataclass(frozen=True)
class Features:
    """The folder that was written, and for each method its facts or the reason why it was left out."""

    run: Path
    folder: Path
    methods: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        return {
            "run": str(self.run), "folder": str(self.folder), "page": str(self.folder / PAGE),
            "methods": {name: dict(facts) for name, facts in self.methods.items()},
        }  # fmt: skip


@dataclass(frozen=True)
class Request:
    """What the user wants to see: `methods` by name, None the quick ones; `n` images at most, of `split` or of `data`."""

    methods: str | None = None
    layer: str | None = None
    target: int | None = None
    data: Any = None
    split: str | None = None
    n: int = 500
    seed: int = 0

    def command(self, run: str) -> str:
        words = ["sightline explain", run]
        for name, value in (
            ("method", self.methods),
            ("layer", self.layer),
            ("target", self.target),
            ("split", self.split),
        ):
            words += [f"--{name} {value}"] if value is not None else []
        words += [f"--data {self.data}"] if isinstance(self.data, str | Path) else []
        return " ".join([*words, *([f"--n {self.n}"] if self.n != IMAGES else [])])


def explain_features(
    run: Run, request: Request, folder: Path, *, device: str, allow_network: bool, console: Console, weights: str
) -> Features:
    """Write the page, the sheets and the arrays into the folder; `weights` is their hash.

    UsageError for an unknown method or layer, and where the only method has no meaning for this network.
    """
    names = features_named(request.methods)
    if request.n < 2:
        raise UsageError(f"--n is {request.n}", "use at least 2 images")
    chosen = choose_device(device)
    with compute_threads(run.recipe.fit.threads), repeatable(chosen):
        sample = _sample(run, request, chosen, allow_network, console, names)
        if request.layer is not None:
            _ = sample.shown  # a wrong name is known before minutes of work
        outcomes = {name: _outcome(name, sample, console) for name in names}
    if all(not outcome.topic.figures for outcome in outcomes.values()):
        raise Refused(next(iter(outcomes.values())).topic.refusal, "choose another method, or all")
    make_folder(folder)
    make_folder(folder / FOLDER)
    facts = {name: _written(folder / FOLDER, name, outcome, run, weights) for name, outcome in outcomes.items()}
    result = Features(run.folder, folder, facts)
    page = features_page(
        [outcome.topic for outcome in outcomes.values()], run=run.folder.name, model=str(run.recipe.model.name),
        summary=_summary(sample, outcomes), command=request.command(run.folder.name),
    )  # fmt: skip
    replace_file(folder / PAGE, page.encode())
    replace_file(folder / RECORD, (json_text(result.to_json()) + "\n").encode())
    return result


def _sample(
    run: Run, request: Request, device: torch.device | str, allow_network: bool, console: Console, names: Sequence[str]
) -> Sample:
    """Without images where the run has none of its own and none are named, if anything can be shown without."""
    task = load_task(run).to(device)
    sample = Sample(run, task, device, most=request.n, layer=request.layer, target=request.target, seed=request.seed)
    if not any(FEATURES[name].images for name in names) and request.data is None and request.split is None:
        return replace(sample, no_images="no images were read")
    try:
        data, split, ids = select(
            run, request.data, request.split, console, verb="explain", allow_network=allow_network
        )
    except (UsageError, DataError) as error:
        if request.data is not None or request.split is not None:
            raise
        console.warn(f"without images: {error.message} (name some with --data)")
        return replace(sample, no_images=error.message)
    return replace(sample, data=data, split=split, ids=ids)


def _outcome(name: str, sample: Sample, console: Console) -> Outcome:
    about = FEATURES[name]
    with console.working(about.title) as phase:
        try:
            outcome = _WORK[name](sample, phase.at)
        except Refused as error:
            console.say(f"{about.title}: left out, {error.message}", level=1)
            return Outcome(Topic(name, about.title, about.paper, about.reading, refusal=error.message))
    count = len(outcome.topic.figures)
    console.say(f"{about.title}: {count} picture{'s' if count > 1 else ''}")
    return outcome


def _written(folder: Path, name: str, outcome: Outcome, run: Run, weights: str) -> dict[str, Any]:
    if not outcome.topic.figures:
        return {"refused": outcome.topic.refusal}
    sheet = folder / f"{name}.png"
    replace_file(sheet, contact_sheet(outcome.topic))
    arrays = {}
    for key, values in outcome.arrays.items():
        path = folder / f"{safe_stem(key)}.npy"
        stream = io.BytesIO()
        np.save(stream, values.array)
        replace_file(path, stream.getvalue())
        sidecar = {
            "method": name, "shape": list(values.array.shape), "axes": values.axes, "unit": values.unit, "run": str(run.folder),
            "weights_sha256": weights, "array_sha256": hashlib.sha256(stream.getvalue()).hexdigest(),
        }  # fmt: skip
        replace_file(path.with_suffix(".json"), (json_text(sidecar) + "\n").encode())
        arrays[key] = str(path)
    topic = outcome.topic
    return {
        "sheet": str(sheet),
        "arrays": arrays,
        **outcome.facts,
        "notes": list(topic.notes),
        "warnings": list(topic.warnings),
    }


def _summary(sample: Sample, outcomes: Mapping[str, Outcome]) -> list[str]:
    lines = []
    if sample.no_images:
        lines.append(f"Without images: {sample.no_images}.")
    if sample.layer is None and any(name in outcomes for name in ("activations", "patches")):
        names = ", ".join(layer.name for layer in sample.shown)
        lines.append(f"Layers shown: {names}. Any other: --layer NAME, as sightline describe lists them.")
    lines += [warning for outcome in outcomes.values() for warning in outcome.topic.warnings]
    return lines
