"""A search: trials one after the other, each an ordinary run, by as many processes as share its database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.data.dataset import Dataset
from sightline.errors import DivergedError, SightlineError
from sightline.recipes.recipe import Draft
from sightline.runs.console import Console
from sightline.runs.folder import with_run_settings
from sightline.runs.run import Run, open_run
from sightline.verbs.train import train_on

from .claims import Claims
from .optuna_study import Trials, Tried


@dataclass(frozen=True)
class Job:
    """What every training of a study shares. `recipe` makes a draft of the values of some keys and a seed; `metric` of the
    validation decides, the lowest where `lower`; `own`: nobody outside of this folder writes to the database."""

    folder: Path
    data: Dataset
    recipe: Callable[[Mapping[str, Any], int], Draft]
    metric: str
    lower: bool
    seed: int
    claims: Claims
    console: Console
    own: bool

    def train(
        self, place: str, values: Mapping[str, Any], seed: int, *, enough: Callable[..., bool] | None = None
    ) -> Run:
        """The finished run in `place`, trained or resumed unless it is there."""
        folder = self.folder / place
        if (folder / "run.json").is_file() and (run := open_run(folder)).finished:
            return run
        draft = with_run_settings(self.recipe(values, seed), folder)
        quiet = Console(self.console.level - 1)
        return train_on(draft, self.data, folder, console=quiet, enough=enough)

    def value(self, run: Run) -> float | None:
        """The metric on validation of the kept weights."""
        values = run.metrics["val"]
        found = None if values is None else values.get(self.metric)
        return None if found is None else float(found)

    def better(self, value: float, than: float) -> bool:
        return value < than if self.lower else value > than


@dataclass(frozen=True)
class Search:
    """One search of a study: `name` is that of its folder ("trials" or "control"), whose seeds begin at `first_seed`."""

    job: Job
    trials: Trials
    name: str
    first_seed: int

    def seed(self, number: int) -> int:
        return self.first_seed + number

    def place(self, number: int) -> str:
        return f"{self.name}/{number:03d}"

    def work(self, wanted: int, note: Callable[[], object]) -> bool:
        """Take trials until there are `wanted`; `note` is called after each. False where other processes still work on some."""
        while True:
            with ExitStack() as stack:
                number = self._claim(wanted, stack)
                if number is None:
                    break
                self._run(number, wanted)
            note()
        return not any(one.state == "running" for one in self.trials.all())

    def _claim(self, wanted: int, stack: ExitStack) -> int | None:
        """The number of a trial that this process now works on: one that was interrupted, else a new one; None if there
        is none."""
        claims = self.job.claims
        with claims.alone():
            known = self.trials.all()
            for one in known:
                part = self._part(one.number)
                ours = self.job.own or claims.known(part)  # a trial of another machine is in a folder of its own
                if one.state == "running" and ours and claims.take(part, stack):
                    return one.number
            if len(known) >= wanted:
                return None
            number = self.trials.begin()
            claims.take(self._part(number), stack)
            return number

    def _part(self, number: int) -> str:
        return f"{self.name}-{number}"

    def _run(self, number: int, wanted: int) -> None:
        values, console = self.trials.values(number), self.job.console
        title = f"{self.name.rstrip('s')} {number} of {wanted}"
        words = ", ".join(f"{key}={value}" for key, value in values.items())
        pruned = self._hopeless(number)

        def enough(row: Mapping[str, Any]) -> bool:
            nonlocal pruned
            value = row.get(f"val_{self.job.metric}")
            if value is not None:
                self.trials.report(number, int(row["step"]), float(value))
                pruned = self._hopeless(number)
            return pruned

        value: float | None = None
        try:
            with console.working(f"{title}: {words}"):
                value = self.job.value(self.job.train(self.place(number), values, self.seed(number), enough=enough))
        except DivergedError:
            words = f"{words}; diverged"
        self.trials.end(number, value, pruned=pruned)
        result = "no value" if value is None else f"{self.job.metric.replace('_', ' ')} {value:.4f}"
        console.say(f"{title}  {result}{', stopped early' if pruned else ''}  {words}")

    def _hopeless(self, number: int) -> bool:
        return self.trials.rules.prune != "none" and self.trials.hopeless(number)

    def facts(self) -> list[dict[str, Any]]:
        """Each trial, ready for JSON, with what its run has cost."""
        return [self._fact(one) for one in self.trials.all()]

    def _fact(self, one: Tried) -> dict[str, Any]:
        epochs, value = None, one.value
        try:
            run = open_run(self.job.folder / self.place(one.number))
            if run.finished:
                recipe = run.recipe
                steps = run.fields("run.json").whole("step")
                epochs = round(steps * recipe.fit.batch / len(self.job.data.ids("train")), 3)
                value = self.job.value(run) if one.state != "running" else None
        except SightlineError:  # of another machine, or diverged
            pass
        return {
            "run": self.place(one.number), "number": one.number, "seed": self.seed(one.number), "values": dict(one.values),
            "state": one.state, "value": value, "epochs": epochs,
        }  # fmt: skip

    def best(self, count: int) -> list[Tried]:
        """The best complete trials with different values, best first."""
        found = [one for one in self.trials.all() if one.state == "complete" and one.value is not None]
        found.sort(key=lambda one: (one.value or 0.0) * (1 if self.job.lower else -1))
        distinct: list[Tried] = []
        for one in found:
            if all(dict(one.values) != dict(other.values) for other in distinct):
                distinct.append(one)
        return distinct[:count]
