"""Trials in a database that processes share, and what to try next. The only file that imports optuna.

Optuna's samplers carry a generator whose state dies with the process. Here each value is drawn by a new one, seeded by (seed,
trial, key), so that a trial's values depend on nothing but these and the trials that were finished when it began: a search
that was killed goes on with the very trials that it would have had.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

from sightline.errors import ResourceError, UsageError
from sightline.randomness.keyed import reference_hash
from sightline.tracking.tracker import first_line

from .space import Choices, Values

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

Sampler = Literal["tpe", "random"]
Prune = Literal["none", "halving", "percentile"]
State = Literal["running", "complete", "pruned", "failed"]
FIRST = 10  # trials at random before TPE has something to learn from
PERCENTILE = 75.0  # of the trials so far, by their values after the same validation: the rest is stopped
WAIT = 60  # seconds for a database that another process is writing to


@dataclass(frozen=True)
class Tried:
    """`values` by recipe key; `value` of the metric, None where there is none; `steps` are the validations so far."""

    number: int
    values: Mapping[str, Any]
    state: State
    value: float | None
    steps: int


@dataclass(frozen=True)
class Rules:
    """What a search is: equal for all processes that share it."""

    space: Mapping[str, Values]
    sampler: Sampler
    prune: Prune
    seed: int
    lower: bool


def require_optuna() -> None:
    """ResourceError naming the extra, where the package is not installed."""
    if find_spec("optuna") is None:
        raise ResourceError("tune needs optuna, which is not installed", "install it: pip install 'sightline[tune]'")


class Trials:
    """The trials of one search in the database at `url`, under `name`."""

    def __init__(self, url: str, name: str, rules: Rules) -> None:
        self.rules = rules
        self._study = _opened(url, name, rules)

    def all(self) -> list[Tried]:
        """In the order of their numbers."""
        return [
            Tried(t.number, self._values(t.params), _state(t.state.name), t.value, len(t.intermediate_values))
            for t in self._study.get_trials(deepcopy=False)
        ]

    def begin(self) -> int:
        """A new trial, running; its number."""
        return int(self._study.ask().number)

    def values(self, number: int) -> dict[str, Any]:
        """The values of a running trial. Asked again, also after an interruption, they are the same."""
        trial = self._trial(number)
        for key, values in self.rules.space.items():
            _suggest(trial, key, values)
        return self._values(trial.params)

    def report(self, number: int, step: int, value: float) -> None:
        """The metric after a validation, from 1."""
        if step not in self._study.get_trials(deepcopy=False)[number].intermediate_values:
            self._trial(number).report(value, step)

    def hopeless(self, number: int) -> bool:
        """Whether the last value that was reported is too far behind other trials to go on."""
        return bool(self._trial(number).should_prune())

    def end(self, number: int, value: float | None, *, pruned: bool = False) -> None:
        """The result. Without a value the trial counts among the worst, as a training that diverges does."""
        from optuna.trial import TrialState

        state = TrialState.PRUNED if pruned or value is None else TrialState.COMPLETE
        self._study.tell(number, None if state is TrialState.PRUNED else value, state=state, skip_if_finished=True)

    def importance(self) -> dict[str, float]:
        """The share of the results' variance that each key explains (functional ANOVA, Hutter et al. 2014), largest first;
        empty with fewer than four complete trials, or where all results are equal."""
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        done = [t.value for t in self.all() if t.state == "complete"]
        if len(done) < 4 or len(set(done)) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = get_param_importances(self._study, evaluator=FanovaImportanceEvaluator(seed=0))
        return {key: float(share) for key, share in found.items()}

    def _trial(self, number: int) -> Trial:
        from optuna import Trial

        return Trial(self._study, self._study.get_trials(deepcopy=False)[number]._trial_id)

    def _values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {key: self.rules.space[key].stored(params[key]) for key in self.rules.space if key in params}


def _opened(url: str, name: str, rules: Rules) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            options = {"connect_args": {"timeout": WAIT}} if url.startswith("sqlite") else {}
            storage = optuna.storages.RDBStorage(url, engine_kwargs=options)
        except Exception as error:  # of the database's own package, which may be absent
            raise UsageError(
                f"the storage {without_password(url)} cannot be opened: {first_line(error)}",
                "name a database such as sqlite:///trials.db or postgresql://user@host/name, and install its driver",
            ) from error
        return optuna.create_study(
            study_name=name, storage=storage, load_if_exists=True, direction="minimize" if rules.lower else "maximize",
            sampler=_keyed(rules), pruner=_pruner(rules.prune),
        )  # fmt: skip


def without_password(url: str) -> str:
    """The address as it may be shown and stored."""
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}{rest.rpartition('@')[2]}" if mark else url


def _keyed(rules: Rules) -> BaseSampler:
    """A sampler without a state of its own."""
    from optuna import samplers

    class Keyed(samplers.BaseSampler):
        def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
            return {}

        def sample_relative(self, study: Any, trial: Any, search_space: Any) -> dict[str, Any]:
            return {}

        def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
            seed = reference_hash(rules.seed, f"tune-{param_name}", trial.number) & 0xFFFFFFFF
            inner: BaseSampler
            if rules.sampler == "random":
                inner = samplers.RandomSampler(seed=seed)
            else:
                inner = samplers.TPESampler(seed=seed, n_startup_trials=FIRST)
            return inner.sample_independent(study, trial, param_name, param_distribution)

    return Keyed()


def _pruner(prune: Prune) -> BasePruner:
    from optuna import pruners

    if prune == "halving":
        return pruners.SuccessiveHalvingPruner()
    return pruners.PercentilePruner(PERCENTILE) if prune == "percentile" else pruners.NopPruner()


def _suggest(trial: Trial, key: str, values: Values) -> None:
    if isinstance(values, Choices):
        trial.suggest_categorical(key, [json.dumps(one) for one in values.options])
    elif values.whole:
        trial.suggest_int(key, int(values.low), int(values.high), log=values.log)
    else:
        trial.suggest_float(key, values.low, values.high, log=values.log)


def _state(name: str) -> State:
    states: dict[str, State] = {"COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}
    return states.get(name, "running")
