"""tune: search for better values of recipe keys, each trial an ordinary run, and say how much of the gain is chance."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

from sightline.data.dataset import Dataset
from sightline.data.formats.passed.sources import name_of_data
from sightline.data.summary import data_hash
from sightline.errors import Stopped, UsageError
from sightline.kinds.kind import Kind
from sightline.kinds.opening import choose_kind, complete, draft, open_dataset, require_known_network, traits_of
from sightline.models.own import name_of
from sightline.recipes.recipe import Draft, Recipe, identity
from sightline.reports.pages.tuning import tuning_page
from sightline.runs.console import Console
from sightline.runs.study import Study, begin_study, require_place_of_study, write_study
from sightline.storage.files import replace_file
from sightline.training.prepare import resolve

from .claims import Claims
from .optuna_study import Prune, Rules, Sampler, Trials, Tried, require_optuna, without_password
from .repeats import Contestant, repeat, verdict_of
from .search import Job, Search
from .space import Values, default_space, parse_space, space_text

PAGE = "study.html"
DATABASE = "trials.sqlite3"
CONTROL_SEEDS = 100_000  # the first seed of the control's trials, counted from the study's
REPEATED = 3  # trials
AS_IS = "the recipe as it is"


def tune(  # noqa: PLR0913 - as on the command line
    what: Any,
    overrides: str | Sequence[str] | Mapping[str, Any] = (),
    *,
    trials: int = 20,
    model: str | None = None,
    epochs: float | None = None,
    sampler: Sampler = "tpe",
    prune: Prune = "none",
    control: bool = False,
    repeats: int = 3,
    seed: int = 0,
    storage: str | None = None,
    out: str | Path | None = None,
    device: str | None = None,
    allow_network: bool = False,
    console: Console | None = None,
) -> Study:
    """Search recipe keys for the best metric on validation, and write OUT/study.json and OUT/study.html.

    WHAT and `overrides` are those of `train`; a key with a span (`optim.lr=1e-4..1e-1:log`) or choices (`fit.batch=16,32,64`)
    is searched. Without any, learning rate, weight decay, batch size and augmentation are, as far as they are open.

    Trial i is a run in OUT/trials/i, trained with the seed `seed` + i. `sampler` is Optuna's TPE or "random"; `prune` stops
    trials that are behind others ("halving", "percentile"). `control` adds a random search of equal cost. The best three are
    trained with `repeats` other seeds, beside the recipe as it is; 0: not.

    The same call goes on where it was stopped, with the same trials. Other processes that make the same call share the work: on
    this machine by OUT, on others by `storage`, a database's address. UsageError for settings that do not fit; Stopped after a
    signal.
    """
    console = console or Console()
    require_optuna()
    _check(trials, repeats, sampler, prune, storage, allow_network)
    flags = {
        "model.name": None if model is None else name_of(model), "fit.epochs": epochs, "fit.device": device,
        "data.allow_network": allow_network or None, "model.allow_network": allow_network or None,
    }  # fmt: skip
    where, (fixed, space) = name_of_data(what), parse_space(overrides)
    given = draft(where, fixed, flags)
    require_known_network(given)
    folder = Path(out) if out is not None else Path("runs") / f"tune-{_slug(given)}"
    require_place_of_study(folder)
    data = open_dataset(given, console)
    kind = choose_kind(given, data.audit.source)
    usual = complete(given, kind, traits_of(data))
    metric = _metric(usual, kind, data)
    space = space or default_space(given, usual)

    def recipe(values: Mapping[str, Any], trial_seed: int) -> Draft:
        return draft(where, {**fixed, **values, "seed": trial_seed}, flags)

    _require_valid(recipe, space, kind, data)
    claims = Claims(folder)
    url = storage or f"sqlite:///{(folder / DATABASE).resolve()}"
    rules = Rules(space, sampler, prune, seed, metric == "loss")
    job = Job(folder, data, recipe, metric, rules.lower, seed, claims, console, storage is None)
    with claims.alone():
        study = begin_study(folder, "tune", _settings(usual, data, rules, metric))
        names = folder.name, f"{folder.name}-control"
        search = Search(job, Trials(url, names[0], rules), "trials", seed)
        random = Rules(space, "random", "none", seed + 1, rules.lower)
        beside = Search(job, Trials(url, names[1], random), "control", seed + CONTROL_SEEDS)
    about = {
        "name": folder.name, "data": data.name, "task": kind.name, "model": usual.model.name, "metric": metric,
        "lower": rules.lower, "epochs": usual.fit.epochs, "sampler": sampler, "prune": prune, "seed": seed,
        "space": space_text(space), "storage": None if storage is None else without_password(storage),
    }  # fmt: skip
    try:
        return _Conduct(job, study, about, search, beside).go(trials, control, repeats)
    except Stopped as error:
        raise Stopped(
            f"{error.message} (of the training under way)",
            "the same command goes on from there",
            signal=error.exit_code - 128,
        ) from error


class _Conduct:
    """The stages of a study, and its file between them."""

    def __init__(self, job: Job, study: Study, about: Mapping[str, Any], search: Search, control: Search) -> None:
        self.job, self.study, self.about, self.search, self.control = job, study, about, search, control
        self.later: dict[str, Any] = {}

    def go(self, trials: int, control: bool, repeats: int) -> Study:
        if not self.search.work(trials, self.note):
            return self._elsewhere()
        if control and not self.control.work(self._equal(), self.note):
            return self._elsewhere()
        with ExitStack() as stack:
            if not self.job.claims.take("end", stack):
                return self._elsewhere()
            if repeats:
                self.later["repeats"] = repeat(self.job, self._contestants(), repeats)
            self.later["importance"] = self.search.trials.importance()
            return self.note("finished")

    def _elsewhere(self) -> Study:
        self.job.console.say("other processes are still at work on this study; the last of them finishes it")
        return self.note()

    def _equal(self) -> int:
        """Trials of the control: as many full trainings as the search's epochs pay for."""
        spent = sum(one["epochs"] or 0.0 for one in self.search.facts())
        return max(math.ceil(spent / self.about["epochs"] - 0.5), 1)

    def _contestants(self) -> list[Contestant]:
        found = [
            Contestant(f"trial {one.number}", f"repeats/{one.number:03d}", one.values)
            for one in self.search.best(REPEATED)
        ]
        if best := self.control.best(1):
            found.append(Contestant("the best of the control", f"repeats/control-{best[0].number:03d}", best[0].values))
        return [*found, Contestant(AS_IS, "repeats/as-is", {})]

    def note(self, state: str = "running") -> Study:
        """Write study.json, and the page once there is something to show."""
        trials, control = self.search.facts(), self.control.facts()
        repeated = self.later.get("repeats", [])
        best = self.search.best(1)
        members = [{"role": "trial", **one} for one in trials if one["epochs"] is not None]
        members += [{"role": "control", **one} for one in control if one["epochs"] is not None]
        members += [
            {"role": "repeat", "run": run, "of": one["name"], "value": value}
            for one in repeated
            for run, value in zip(one["runs"], one["results"], strict=False)
        ]
        head = {key: self.study.facts[key] for key in ("format", "version", "kind")}
        facts = {
            **head, "state": state, "settings": self.study.facts["settings"], "given": self.study.facts["given"], **self.about,
            "verdict": self._verdict(repeated, best),
            "best": None if not best else {"number": best[0].number, "values": dict(best[0].values), "value": best[0].value},
            "trials": trials, "control": control, "repeats": repeated, "importance": self.later.get("importance", {}),
            "runs": members,
        }  # fmt: skip
        study = write_study(self.job.folder, facts)
        if state == "finished":
            write_page(study)
            self.job.console.say(f"page: {study.folder / PAGE}")
        return study

    def _verdict(self, repeated: Sequence[Mapping[str, Any]], best: Sequence[Tried]) -> str:
        if not repeated:
            return _single(best, self.about)
        return verdict_of(repeated, self.about["metric"], lower=self.job.lower)


def write_page(study: Study) -> Path:
    page = study.folder / PAGE
    replace_file(page, tuning_page(study.facts, str(study.folder)).encode())
    return page


def _single(best: Sequence[Tried], about: Mapping[str, Any]) -> str:
    if not best:
        return "No trial has a result yet."
    return (
        f"trial {best[0].number} has the best {about['metric'].replace('_', ' ')} on validation, {best[0].value:.4f}, with one "
        "seed: without repeats nothing says how much of its lead is chance."
    )


def _check(trials: int, repeats: int, sampler: str, prune: str, storage: str | None, allow_network: bool) -> None:
    for name, value, known in (("sampler", sampler, get_args(Sampler)), ("prune", prune, get_args(Prune))):
        if value not in known:
            raise UsageError(f"--{name} {value} is unknown", f"use {', '.join(known)}")
    if not 1 <= trials <= 10_000:
        raise UsageError(f"--trials is {trials}", "use 1 to 10000")
    if not 0 <= repeats <= 100:
        raise UsageError(f"--repeats is {repeats}", "use 0 to 100")
    if storage is None:
        return
    if "://" not in storage:
        raise UsageError(f"--storage {storage} is no address of a database", "write for example sqlite:///trials.db")
    if not storage.startswith("sqlite") and not allow_network:
        where = urlsplit(storage).hostname or "a server"
        raise UsageError(f"--storage is on {where}", "add --allow-network to send the trials there")


def _metric(recipe: Recipe, kind: Kind, data: Dataset) -> str:
    """The metric of validation that decides. UsageError where there is none."""
    if kind.scoring is None or recipe.fit.monitor is None:
        raise UsageError(f"{kind.name} has no metric to choose by", "compare its runs by eye")
    if not len(data.ids("val")):
        raise UsageError("tune chooses by validation images, and there are none", "set data.val=0.15")
    return recipe.fit.monitor


def _require_valid(recipe: Any, space: Mapping[str, Values], kind: Kind, data: Dataset) -> None:
    """UsageError for a value that a recipe cannot have, before anything is trained: both ends of spans, every choice."""
    first = {key: values.ends()[0] for key, values in space.items()}
    for key, values in space.items():
        for value in values.ends():
            resolve(recipe({**first, key: value}, 0), kind, data)


def _settings(usual: Recipe, data: Dataset, rules: Rules, metric: str) -> dict[str, Any]:
    """What two processes, or two starts, must agree on."""
    same: dict[str, Any] = json.loads(json.dumps(identity(usual), sort_keys=True))
    return {
        "recipe": same, "data": data_hash(data), "space": space_text(rules.space), "sampler": rules.sampler,
        "prune": rules.prune,
        "seed": rules.seed, "metric": metric,
    }  # fmt: skip


def _slug(given: Draft) -> str:
    words = Path(given.data.path or given.data.name or "data").name
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in words).strip("-") or "data"
