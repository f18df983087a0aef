"""Before the first step: the complete recipe, the networks, the images, and the files that describe them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sightline.data.dataset import Dataset
from sightline.data.loaders import Images
from sightline.engine.devices import choose_device, choose_precision, choose_threads, require_compiler
from sightline.errors import DamagedError, UsageError
from sightline.kinds.kind import Kind, Networks, Setting
from sightline.kinds.networks import MAIN, config_file, write_configs
from sightline.kinds.opening import GREY, check_recipe, complete, require_validations, traits_of
from sightline.models.describe import describe
from sightline.models.options import model_options
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.assembly import (
    build_geometry,
    build_schedule,
    check_batch,
    check_norms,
    head_names,
    load_start,
    normalisation_of,
    steps_of,
)
from sightline.recipes.fine_tuning import FineTuning, fine_tuning
from sightline.recipes.loading import choose, share_of
from sightline.recipes.recipe import Draft, Recipe, completed
from sightline.recipes.solving import require_solvable
from sightline.recipes.trunks import load_trunk
from sightline.runs.console import Console
from sightline.runs.run import FACTS, Run

from .progress import Training
from .solving import solving_of

SMOKE_IMAGES, SMOKE_STEPS = 64, 2  # images a split, and steps, of a rehearsal
START_IMAGES = 2000  # that a network's start is computed from
SMOKE_PIXELS = 96 * 128  # of its inputs, where answers are pixels or boxes: at full size, judging takes minutes


def resolve(draft: Draft, kind: Kind, data: Dataset) -> Recipe:
    """The complete recipe, with precision and threads chosen for this machine."""
    recipe = complete(draft, kind, traits_of(data))
    check_recipe(recipe, kind)
    check_batch(recipe, len(data.ids("train")))
    require_validations(recipe, kind, data)
    if recipe.fit.compile:
        require_compiler()
    networks, shapes = kind.networks(recipe, len(data.classes)), kind.inputs(recipe)
    for network in networks.values():
        require_solvable(draft, recipe, network, able=kind.solves)
    described = [describe(network, input=shapes[name]) for name, network in networks.items()]
    for rows in described:
        check_norms(recipe, rows["layers"])
    work = sum(rows["multiply_adds"] for rows in described)
    precision = choose_precision(recipe.fit.precision, choose_device(recipe.fit.device), work)
    return completed(recipe, fit={"precision": precision, "threads": choose_threads(recipe.fit.threads, work)})


@dataclass(frozen=True)
class Start:
    """The networks that a training starts with, the record of their weights, and notes for the user."""

    networks: Networks
    weights: dict[str, Any] | None = None
    notes: Sequence[str] = ()


def start_of(recipe: Recipe, kind: Kind, data: Dataset, out: str | Path | None, console: Console) -> Start:
    """The networks with their starting weights. These are read before the run folder is made, so that an error leaves none
    behind, and not again once there is a checkpoint."""
    networks = kind.networks(recipe, len(data.classes))
    if recipe.model.start is None:
        return Start(networks)
    if MAIN not in networks or (kind.output is None and kind.trunk is None):
        raise UsageError(
            f"model.weights needs a single network, and {kind.name} has {', '.join(networks)}",
            "leave model.weights out",
        )
    run = Run(Path(out or "."))
    if out is not None and (run.folder / config_file(MAIN)).exists() and any(run.folder.glob("checkpoints/step-*")):
        return Start(networks, run.read_json(config_file(MAIN)).get("weights"))
    console.say(f"loading the weights {recipe.model.weights}")
    if kind.trunk is not None:
        fit = load_trunk(recipe, networks[MAIN], kind.trunk)
    else:
        fit = load_start(recipe, networks[MAIN], data.classes, kind.output or "")
    return Start(networks, fit.record(), fit.lines())


def _depth(run: Run, data: Dataset) -> int | None:
    """The depth of the data; for a training that goes on, the one that it began with."""
    if not (run.folder / "preprocessing.json").exists():
        return data.audit.depth
    try:
        return Preprocessing.from_json(run.read_json("preprocessing.json")).depth
    except DamagedError:  # it is written again
        return data.audit.depth


def _with_small_inputs(recipe: Recipe, kind: Kind, console: Console) -> Recipe:
    """The recipe of a rehearsal: smaller inputs of the same shape for a kind with annotations. The run's own recipe keeps
    the full ones, with which it is then trained for real."""
    given = recipe.input
    shrink = (SMOKE_PIXELS / (given.size * given.width)) ** 0.5
    fixed = kind.output is None or "image_size" in model_options(recipe.model.name)  # built for inputs of one size
    if kind.truths is None or shrink >= 1 or fixed:
        return recipe
    size, width = (max(round(side * shrink / 32), 1) * 32 for side in (given.size, given.width))
    console.say(f"a rehearsal: inputs of {size}x{width} instead of {given.size}x{given.width}")
    return completed(recipe, input={"size": size, "width": width})


def prepare(
    run: Run, recipe: Recipe, kind: Kind, data: Dataset, start: Start, console: Console, *, smoke: bool
) -> Training:
    """Load the images, measure the training split, build the task, and write what describes them."""
    ids = {split: data.ids(split) for split in ("train", "val", "test") if len(data.ids(split))}
    ids["train"] = share_of(ids["train"], data.index[ids["train"]], recipe.data.share)
    if smoke:
        ids = {split: choose(some, SMOKE_IMAGES) for split, some in ids.items()}
        recipe = _with_small_inputs(recipe, kind, console)
    channels, geometry = recipe.input.channels, build_geometry(recipe)
    raw = Preprocessing(geometry, (0.0,) * channels, (1.0,) * channels, channels, depth=_depth(run, data))
    images = {}
    for split, some in ids.items():
        with console.working(f"reading {len(some):,} {data.audit.source.items} of the {split} split"):
            images[split] = kind.load(data, some, raw, recipe, truths=kind.truths, judging=split != "train")
    known = normalisation_of(start.weights, start.networks.get(MAIN), channels)
    mean, std = known or kind.statistics(images["train"], channels)
    preprocessing = replace(raw, mean=mean, std=std)
    networks = {
        name: network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        for name, network in start.networks.items()
    }
    if start.weights is None:
        _start_from_images(networks, images["train"], preprocessing)
    facts = kind.facts(data, ids["train"], recipe)
    steps, per_epoch = (SMOKE_STEPS, SMOKE_STEPS) if smoke else steps_of(recipe, len(ids["train"]))
    solving = solving_of(networks, images["train"], preprocessing, recipe, len(data.classes), smoke=smoke)
    if solving is not None:
        steps, per_epoch = len(solving), solving.between
    task = kind.task(networks, Setting(recipe, preprocessing, data.amounts()[:, 0], facts, steps))
    tuning = FineTuning()
    if MAIN in networks and (kind.output is not None or (kind.trunk is not None and start.weights is not None)):
        tuning = fine_tuning(recipe, networks[MAIN], _new(recipe, kind, data, start), steps)
        task.frozen = tuning.frozen
    run.write_json("preprocessing.json", preprocessing.to_json())
    if facts:
        run.write_json(FACTS, facts)
    grey = {data.audit.mode[i] for i in data.ids("train")} <= GREY
    record = {**tuning.record, "grey": grey} if tuning.record else None
    described = write_configs(run, kind, recipe, data.classes, start.weights, record)
    for line in (*start.notes, *tuning.lines):
        console.say(line)
    parameters = sum(network["parameters"] for network in described.values())
    what = {"numbers": "targets", "columns": "answers"}.get(data.knows, "classes")
    classes = f" of {len(data.classes)} {what}" if data.classes else ""
    items = data.audit.source.items
    size = f" at {geometry.height}x{geometry.width}" if items == "images" else ""
    work = f"{steps:,} {'step' if steps == 1 else 'steps'} of {recipe.fit.batch}"
    work = work if solving is None else f"solved in {steps:,} {'chunk' if steps == 1 else 'chunks'}"
    console.say(
        f"{recipe.model.name} ({parameters:,} parameters) on {len(ids['train']):,} {items}{classes}{size}: "
        f"{work}, {recipe.fit.precision}, in {run.folder}"
    )
    if kind.scoring is not None and "val" not in images:
        console.say("no val split: nothing chooses among the weights, the last ones are kept")
    return Training(
        run=run,
        recipe=recipe,
        kind=kind,
        data=data,
        preprocessing=preprocessing,
        images=images,
        networks=networks,
        task=task,
        console=console,
        device=choose_device(recipe.fit.device),
        fine_tuning=tuning,
        solving=solving,
        steps=steps,
        per_epoch=per_epoch,
        schedule=build_schedule(recipe, steps, len(ids["train"]) / recipe.fit.batch),
    )


def _start_from_images(networks: Mapping[str, nn.Module], images: Images, preprocessing: Preprocessing) -> None:
    """Let networks with a method `start_from` set what depends on the training images, such as a whitened first layer. The
    images are the same ones for every seed, and again when a run is resumed."""
    for network in networks.values():
        if callable(start_from := getattr(network, "start_from", None)):
            places = torch.linspace(0, len(images) - 1, min(len(images), START_IMAGES)).long()
            start_from(preprocessing.normaliser()(images(places, places).image))


def _new(recipe: Recipe, kind: Kind, data: Dataset, start: Start) -> set[str]:
    """The names of parameters that did not come with weights: the head, and for pixels whatever is not the encoder."""
    if start.weights is not None:
        return {*start.weights["head"], *start.weights["missing"]}
    return head_names(recipe, len(data.classes), kind.output or "")
