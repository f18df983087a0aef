"""From a request to a complete recipe: the draft, the data, the kind of task, the defaults."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int

from sightline.data.dataset import Dataset, build_dataset
from sightline.data.fetching.addresses import is_address
from sightline.data.folds import Fold
from sightline.data.formats.builtin import DATASETS
from sightline.data.formats.passed.sources import is_passed
from sightline.data.formats.sniff import open_data
from sightline.data.groups import grouped
from sightline.data.mirrors import mirrored_pair
from sightline.data.near import with_near_groups
from sightline.data.records.annotations import Objects
from sightline.data.records.source import Source
from sightline.data.split_rules import Cuts, Fractions
from sightline.data.summary import has_hash
from sightline.errors import DataError, UsageError
from sightline.recipes.arguments import require_options
from sightline.recipes.assembly import check
from sightline.recipes.augmenting import check_augment
from sightline.recipes.defaults import Traits
from sightline.recipes.loading import choose
from sightline.recipes.names import require_what, shipped_recipes
from sightline.recipes.reading import lists_yolo_data, make_draft, merge, parse_overrides, read_values
from sightline.recipes.recipe import DataSection, Draft, Recipe, completed
from sightline.recipes.solving import is_solved
from sightline.recipes.transforms import use_transform
from sightline.runs.console import Console
from sightline.runs.run import Run
from sightline.storage.caching import cache_folder

from .catalogue import KINDS, kind_named
from .kind import Kind

GREY = {"1", "L", "LA", "I;16", "I;16B", "I;16L"}  # modes of images without colour
PROBLEMS_SHOWN = 10


def draft(what: str | Path, overrides: str | Sequence[str] | Mapping[str, Any], flags: Mapping[str, Any]) -> Draft:
    """WHAT, `key=value` and flags → a draft recipe. UsageError if a key has two values."""
    what, overrides = str(what), [overrides] if isinstance(overrides, str) else overrides
    given: dict[str, Any] = {}
    merge(given, overrides if isinstance(overrides, Mapping) else parse_overrides(overrides))
    merge(given, {key: value for key, value in flags.items() if value is not None})
    use_transform(given)
    values = _values(what)
    if values.keys() == {"data"}:  # WHAT names data, not a recipe
        for key in ("path", "name"):
            if (other := given.get(f"data.{key}")) is not None and other != values["data"].get(key):
                raise UsageError(f"data.{key}={other!r} contradicts {what!r}", "name the data once")
    values = _without_unfit(values, given)
    recipe = make_draft(values, given)
    if "augment.flip" in given and recipe.augment.flip and recipe.augment.preset == "none":
        raise UsageError(
            "augment.flip=true has no effect with augment.preset=none",
            "leave augment.flip out, or use augment.preset=light",
        )
    return recipe


def _without_unfit(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without the settings that do not fit what the user asks for: for another kind of task only its data remain, for
    another network all but the network's, for a pipeline that is solved whatever is about descent."""
    model, task = values.get("model", {}), values.get("task", {})
    own = task.get("kind", next(iter(KINDS))) if isinstance(task, Mapping) else None
    if "model" in values and given.get("task.kind", own) != own:
        return {name: section for name, section in values.items() if name == "data"}
    if "model.name" in given and (not isinstance(model, Mapping) or given["model.name"] != model.get("name")):
        if is_solved(given["model.name"]):
            return {name: section for name, section in values.items() if name in ("data", "seed")}
        return {**values, "model": {}, "input": {}, "optim": {}}
    return dict(values)


def _values(what: str) -> dict[str, Any]:
    """WHAT as recipe values. A bare word is a built-in recipe or data set; a path has a separator or a suffix, or exists."""
    if is_passed(what):
        return {"data": {"name": what}}
    path = Path(what)
    if path.suffix in (".yaml", ".yml"):
        return {"data": {"path": what}} if lists_yolo_data(path) else read_values(what)
    if what in shipped_recipes():
        return read_values(what)
    if what in DATASETS:
        return {"data": {"name": what}}
    require_what(what)
    return {"data": {"path": what}}


def require_known_network(recipe: Draft) -> None:
    """UsageError for a network or an option that does not exist, before any data are read. A kind that builds its networks
    itself takes any name."""
    if recipe.task is None or kind_named(recipe.task.kind).output is not None:
        require_options(recipe)


def choose_kind(recipe: Draft, source: Source) -> Kind:
    """The kind of task that the recipe names, or else the first that fits the data. UsageError if the named kind does not
    fit."""
    if recipe.task is None:
        return usual_kind(source)
    kind = kind_named(recipe.task.kind)
    if not kind.accepts(source):
        usual = usual_kind(source)
        raise UsageError(
            f"task.kind={kind.name} does not fit the data, which are for {usual.name}",
            f"leave it out, or set task.kind={usual.name}",
        )
    return kind


def as_named(recipe: Draft, source: Source) -> Source:
    """The data as the kind of task reads them that the recipe names: what is written may be a class or a number."""
    if recipe.task is None:
        return source
    kind = kind_named(recipe.task.kind)
    if kind.accepts(source) or (found := kind.reads(source)) is None:
        return source
    first = f"{kind.name}, as task.kind says: {found.reading}"
    return replace(found, notes=(*source.notes, first))


def usual_kind(source: Source) -> Kind:
    """The kind of task that is chosen for such data by default. UsageError where none is for them."""
    kinds = sorted(KINDS.values(), key=lambda kind: not kind.automatic)
    fitting = next((kind for kind in kinds if kind.accepts(source)), None)
    if fitting is None:
        raise UsageError(f"no kind of task is for {source.items} like these", "choose one with task.kind=NAME")
    return fitting


def open_dataset(recipe: Draft, console: Console, *, whole: bool = False, cuts: Cuts | None = None) -> Dataset:
    """Find, audit and split the recipe's data; notes and problems go to the console. `whole`: for evaluation only, where
    neither splits nor a kind of task are needed. `cuts`: those of a run, whose images keep their splits. Of a run's own data
    (a complete recipe) notes and problems were said when it began; -v repeats them."""
    known = int(isinstance(recipe, Recipe))
    where = recipe.data.path or recipe.data.name
    if where is None:
        raise UsageError("the recipe names no data", "set data.path or data.name")
    fold = None if whole or recipe.data.fold is None else Fold.of(recipe.data.fold)
    if fold is not None and (recipe.data.val is not None or recipe.data.test is not None):
        raise UsageError("data.val and data.test have no effect with data.fold", "leave both out")
    with console.working(f"reading {where}") as phase:
        found = open_data(where, allow_network=recipe.data.allow_network, label=recipe.data.label, strict=not whole)
        found = grouped(found, recipe.data.group)
        if recipe.data.near == "group" and not whole:
            found = with_near_groups(found, max(recipe.data.workers, 1))
        source = as_named(recipe, found)
        data = build_dataset(
            source,
            needs="images" if whole else choose_kind(recipe, source).needs,
            leaks="keep" if fold else recipe.data.leaks,  # copies stay in one fold
            max_quarantined=recipe.data.max_quarantined,
            fractions=_fractions(recipe.data),
            rule=fold or cuts or recipe.data.split_rule or "class",
            workers=max(recipe.data.workers, 1),
            cache_dir=cache_folder(),
            progress=phase.at,
        )
    given = sorted({r.split for r in data.records if r.split is not None})
    if given not in ([], ["train"]) and (recipe.data.val is not None or recipe.data.test is not None) and not whole:
        raise UsageError(
            f"data.val or data.test is set, but the data have their own splits ({', '.join(given)})", "leave both out"
        )
    for note in data.notes:
        console.say(note, level=known)
    shown = len(data.problems) if console.level > 0 else PROBLEMS_SHOWN
    for problem in data.problems[:shown]:
        console.say(f"{problem.action}: {problem.file}: {problem.reason}", level=known if known else -1)
    if more := len(data.problems[shown:]):
        rest = f"… and {more:,} more problems; -v lists them{'' if whole else ', and data.json'}"
        console.say(rest, level=known if known else -1)
    return data


def _fractions(section: DataSection) -> Fractions | None:
    """The shares that the user set; None: by the default rule."""
    if section.val is None and section.test is None:
        return None
    val, test = section.val if section.val is not None else 0.15, section.test if section.test is not None else 0.15
    if val + test >= 1:
        raise UsageError(
            f"data.val={val:g} and data.test={test:g} leave nothing to train on", "set for example 0.15 and 0.15"
        )
    return Fractions(1.0 - val - test, val, test)


def require_there(recipe: Recipe, way_out: str) -> None:
    """DataError if the run's data are gone. The path is the one that the user typed, relative to where training started."""
    path = recipe.data.path
    if path is not None and not is_address(path) and not os.path.lexists(path):
        hint = way_out if os.path.isabs(path) else f"start in the folder in which it was trained, or {way_out}"
        raise DataError(f"the run's data {path} are not there", hint)


def same_data(run: Run, data: Dataset) -> None:
    """DataError if the run's data have changed since training: ids would then mean other images."""
    if not has_hash(data, run.status.get("data")):
        raise DataError(
            "the run's data have changed since training", "name the data: sightline evaluate RUN DATA --split test"
        )


def traits_of(data: Dataset) -> Traits:
    """The properties of the training images that the default rules use."""
    train = data.ids("train")
    heights, widths = data.size[train, 0], data.size[train, 1]
    aspects, objects = widths / heights, _objects(data, train)
    return Traits(
        n=len(train),
        height=int(np.median(heights)),
        width=int(np.median(widths)),
        grey={data.audit.mode[i] for i in train} <= GREY,
        one_aspect=bool(aspects.max() <= 1.02 * aspects.min()),
        classes=len(data.classes),
        knows=data.knows,
        small_object=_small_object(objects),
        mirrored=mirrored_pair(data.classes) is not None,
        objects=tuple((width, height, aspect) for _, width, height, aspect in objects),
    )


def _objects(data: Dataset, ids: Int[np.ndarray, "n"]) -> list[tuple[int, float, float, float]]:
    """Of the boxes of at most 500 images: class, width and height as shares of the image, and its width / height."""
    found = []
    for i in choose(ids, 500).tolist() if data.knows in ("boxes", "outlines") else ():
        truth, (height, width) = data.truth(i), data.size[i].tolist()
        if isinstance(truth, Objects):
            shares = (truth.boxes[:, 2:] - truth.boxes[:, :2]) / (width, height)
            found += [
                (label, *share, width / height)
                for label, share in zip(truth.label.tolist(), shares.tolist(), strict=True)
                if min(share) > 0
            ]
    return found


def _small_object(objects: list[tuple[int, float, float, float]]) -> float:
    """The first quartile of the object sides in the class with the smallest objects, as a share of the image's side (roots
    of areas)."""
    shares: dict[int, list[float]] = {}
    for label, width, height, _ in objects:
        shares.setdefault(label, []).append(math.sqrt(width * height))
    return min((float(np.quantile(of, 0.25)) for of in shares.values() if len(of) >= 5), default=0.1)


def complete(recipe: Draft, kind: Kind, traits: Traits) -> Recipe:
    """The recipe with open keys filled by the rules of its kind; keys that the user set are kept."""
    filled = kind.defaults(recipe, traits)
    headline = kind.scoring.headline if kind.scoring is not None else None
    filled["fit"]["monitor"] = recipe.fit.monitor or headline
    data = recipe.data.model_copy(update={"split_rule": recipe.data.split_rule or "class"})
    section, own = recipe.task or kind.section(kind=kind.name), filled.pop("task", {})
    return completed(recipe, data=data, task=section.model_copy(update=own), **filled)


def check_recipe(recipe: Recipe, kind: Kind) -> None:
    """Raises UsageError for values that contradict each other or the kind of task, before anything is written."""
    scoring = kind.scoring
    has_loss = scoring is not None and scoring.validation_loss
    kind.check(recipe)
    check_augment(recipe.augment, kind.composites, kind.name)
    if recipe.data.balance != "none" and (kind.truths is not None or kind.needs == "images"):
        raise UsageError("data.balance=sample works for classification only", "leave it out")
    monitors = (*(("loss",) if has_loss else ()), *(scoring.monitors if scoring is not None else ()))
    if recipe.fit.monitor is not None and recipe.fit.monitor not in monitors:
        known = f"use {', '.join(monitors)}" if monitors else "leave it out: there are none"
        raise UsageError(f"fit.monitor={recipe.fit.monitor} is not a metric of {kind.name}", known)
    check(recipe, validation_loss=has_loss)


def require_validations(recipe: Recipe, kind: Kind, data: Dataset) -> None:
    """UsageError for settings that need validations if there are none."""
    if len(data.ids("val")) and kind.scoring is not None:
        return
    for key, set_ in (("fit.patience", recipe.fit.patience), ("schedule.name", recipe.schedule.name == "plateau")):
        if set_ and kind.scoring is None:
            raise UsageError(f"{key} needs validations, and {kind.name} has none", "leave it out")
        if set_:
            raise UsageError(
                f"{key} needs validations, and the data have no val split", "set data.val=0.1, or leave it out"
            )
