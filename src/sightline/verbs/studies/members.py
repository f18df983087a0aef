"""One recipe trained several times, on folds or with seeds: its results with the interval of their mean."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.data.dataset import Dataset
from sightline.data.folds import Fold, assign_fold
from sightline.data.formats.passed.sources import name_of_data
from sightline.data.summary import data_hash
from sightline.errors import ResourceError, UsageError
from sightline.kinds.opening import choose_kind, complete, draft, open_dataset, require_known_network, traits_of
from sightline.models.own import name_of
from sightline.recipes.recipe import Draft, identity
from sightline.reports.pages.members import members_page
from sightline.runs.console import Console
from sightline.runs.folder import with_run_settings
from sightline.runs.run import Run, open_run
from sightline.runs.study import Study, begin_study, require_place_of_study, write_study
from sightline.storage.files import replace_file
from sightline.verbs.train import train_on

from .claims import Claims
from .repeats import mean_interval

PAGE = "study.html"
MOST = 50  # trainings


def cross_validate(  # noqa: PLR0913 - as on the command line
    what: Any,
    overrides: str | Sequence[str] | Mapping[str, Any] = (),
    *,
    folds: int | None = None,
    seeds: int | None = None,
    model: str | None = None,
    epochs: float | None = None,
    batch: int | None = None,
    lr: float | None = None,
    seed: int | None = None,
    device: str | None = None,
    precision: str | None = None,
    out: str | Path | None = None,
    allow_network: bool = False,
    console: Console | None = None,
) -> Study:
    """Train one recipe `folds` times, each on all folds but one, which is its test split; or `seeds` times, with the seeds
    `seed`, `seed` + 1 …. The runs are in OUT/1, OUT/2 …; OUT/study.json and OUT/study.html have the mean of each metric with
    its 95 % interval.

    Copies of an image, and images of one group (`data.group`), lie in one fold. Folds have no validation images. The same call
    goes on where it was stopped. UsageError for settings that do not fit.
    """
    console = console or Console()
    name, count = _count(folds, seeds)
    flags = {
        "model.name": None if model is None else name_of(model), "fit.epochs": epochs, "fit.batch": batch, "optim.lr": lr,
        "seed": seed, "fit.device": device, "fit.precision": precision,
        "data.allow_network": allow_network or None, "model.allow_network": allow_network or None,
    }  # fmt: skip
    given = draft(name_of_data(what), overrides, flags)
    require_known_network(given)
    if given.data.fold is not None:
        raise UsageError(f"data.fold={given.data.fold} has no effect: every fold is held out in turn", "leave it out")
    folder = (
        Path(out)
        if out is not None
        else Path("runs") / f"{Path(given.data.path or given.data.name or 'data').name}-{name}"
    )
    require_place_of_study(folder)
    data = open_dataset(_member(given, name, 1, count), console)
    kind = choose_kind(given, data.audit.source)
    if kind.scoring is None:
        raise UsageError(f"{kind.name} has no metrics to average", "train it once")
    usual = complete(given, kind, traits_of(data))
    settings: dict[str, Any] = {
        "recipe": json.loads(json.dumps(identity(usual), sort_keys=True)),
        "data": data_hash(replace(data, split=data.split * 0)),
        "count": count,
    }  # fmt: skip
    study, claims = begin_study(folder, name, settings), Claims(folder)
    split = "test" if len(data.ids("test")) else "val"
    with ExitStack() as stack:
        if not claims.take("all", stack):
            raise ResourceError(f"{folder} is in use by another process", "wait for it, or choose another --out")
        runs = []
        for i in range(1, count + 1):
            console.say(f"{name.rstrip('s')} {i} of {count}")
            runs.append(
                _trained(_member(given, name, i, count), _held_out(data, name, i, count), folder / str(i), console)
            )
            facts = {**study.facts, **_facts(name, runs, split, kind.scoring.headline), "data": data.name, "task": kind.name,
                     "name": folder.name, "model": usual.model.name, "count": count}  # fmt: skip
            study = write_study(folder, facts)
        study = write_study(folder, {**study.facts, "state": "finished"})
    console.say(f"page: {write_members_page(study)}")
    return study


def _count(folds: int | None, seeds: int | None) -> tuple[str, int]:
    if (folds is None) == (seeds is None):
        raise UsageError("a study has folds or seeds", "give one of them: --folds 5, or --seeds 5")
    name, count = ("folds", folds) if folds is not None else ("seeds", seeds)
    assert count is not None
    if not 2 <= count <= MOST:
        raise UsageError(f"--{name} is {count}", f"use 2 to {MOST}")
    return name, count


def _member(given: Draft, name: str, i: int, count: int) -> Draft:
    if name == "seeds":
        return given.model_copy(update={"seed": given.seed + i - 1})
    return given.model_copy(update={"data": given.data.model_copy(update={"fold": f"{i}/{count}"})})


def _held_out(data: Dataset, name: str, i: int, count: int) -> Dataset:
    return data if name == "seeds" else replace(data, split=assign_fold(data.audit, Fold(i, count)).split)


def _trained(given: Draft, data: Dataset, place: Path, console: Console) -> Run:
    if (place / "run.json").is_file() and (run := open_run(place)).finished:
        return run
    return train_on(with_run_settings(given, place), data, place, console=console)


def _facts(name: str, runs: Sequence[Run], split: str, headline: str) -> dict[str, Any]:
    """Means and intervals of the metrics of these runs."""
    every = [run.metrics[split] or {} for run in runs]
    shared = 1 / (len(runs) - 1) if name == "folds" and len(runs) > 1 else 0.0
    metrics: dict[str, Any] = {}
    for metric in dict.fromkeys(metric for one in every for metric in one):
        values = [one.get(metric) for one in every]
        mean, interval = mean_interval([v for v in values if v is not None], shared=shared)
        metrics[metric] = {"mean": mean, "interval": interval, "values": values}
    role = name.rstrip("s")
    members = [
        {"role": role, "run": run.folder.name, "seed": run.recipe.seed, "value": one.get(headline)}
        for run, one in zip(runs, every, strict=True)
    ]
    return {
        "runs": members,
        "split": split,
        "metric": headline,
        "metrics": metrics,
        "verdict": _verdict(name, headline, metrics),
    }


def _verdict(name: str, headline: str, metrics: Mapping[str, Any]) -> str:
    found = metrics.get(headline)
    if found is None or found["mean"] is None:
        return f"No result in {headline.replace('_', ' ')}."
    span = "" if found["interval"] is None else f" ({found['interval'][0]:.4f} to {found['interval'][1]:.4f})"
    return f"{headline.replace('_', ' ')} {found['mean']:.4f}{span} over {len(found['values'])} {name}"


def write_members_page(study: Study) -> Path:
    page = study.folder / PAGE
    replace_file(page, members_page(study.facts, str(study.folder)).encode())
    return page
