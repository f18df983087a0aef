"""Trials are a function of the seed, their number and the results before them: also when the process died in between."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from sightline.errors import ResourceError, UsageError
from sightline.verbs.studies import optuna_study
from sightline.verbs.studies.optuna_study import FIRST, Prune, Rules, Sampler, Trials, require_optuna, without_password
from sightline.verbs.studies.space import Choices, Span

SPACE = {
    "optim.lr": Span(1e-4, 1.0, True, False),
    "fit.batch": Choices((16, 32, 64)),
    "fit.clip": Span(1, 9, False, True),
}
ENOUGH = FIRST + 4  # trials, of which the last four are TPE's


def opened(folder: Path, *, sampler: Sampler = "tpe", prune: Prune = "none", seed: int = 3) -> Trials:
    return Trials(f"sqlite:///{folder / 'trials.sqlite3'}", "study", Rules(SPACE, sampler, prune, seed, True))


def cost(values: dict[str, Any]) -> float:
    """Lowest at a rate of 0.03 and a batch of 32."""
    return abs(values["optim.lr"] - 0.03) + (values["fit.batch"] != 32) + values["fit.clip"] / 100


def listed(trials: Trials) -> list[tuple[Any, ...]]:
    return [(t.number, dict(t.values), t.state, t.value) for t in trials.all()]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Any, ...]]:
    trials = opened(tmp_path_factory.mktemp("whole"))
    for _ in range(ENOUGH):
        number = trials.begin()
        trials.end(number, cost(trials.values(number)))
    return listed(trials)


def test_a_search_of_many_processes_one_after_the_other_has_the_same_trials(
    tmp_path: Path, uninterrupted: list[tuple[Any, ...]]
) -> None:
    """Each dies at another place: with a trial that has no values, some of its values, or all of them but no result."""
    for i in range(ENOUGH):
        trials = opened(tmp_path)
        number = trials.begin()
        if i % 3 == 1:
            trials._trial(number).suggest_float("optim.lr", 1e-4, 1.0, log=True)
        elif i % 3 == 2:
            trials.values(number)
        again = opened(tmp_path)
        assert again.all()[-1].state == "running"
        again.end(number, cost(again.values(number)))
    assert listed(opened(tmp_path)) == uninterrupted


def test_trials_learn_and_differ_by_seed(tmp_path: Path, uninterrupted: list[tuple[Any, ...]]) -> None:
    rates = [values["optim.lr"] for _, values, _, _ in uninterrupted]
    assert len(set(rates)) == ENOUGH
    other = opened(tmp_path, seed=4)
    number = other.begin()
    assert other.values(number)["optim.lr"] != rates[0]
    at_random = opened(tmp_path.joinpath("random").parent, sampler="random", seed=4)
    assert at_random.values(number) == other.values(number), "the first trials are at random"


def test_importance_names_what_matters(tmp_path: Path) -> None:
    trials = opened(tmp_path, sampler="random")
    assert trials.importance() == {}
    for _ in range(12):
        number = trials.begin()
        trials.end(number, float(trials.values(number)["fit.batch"] != 32))
    found = trials.importance()
    assert next(iter(found)) == "fit.batch" and found["fit.batch"] > 0.8


def test_a_trial_far_behind_is_hopeless_and_one_that_diverged_counts_among_the_worst(tmp_path: Path) -> None:
    trials = opened(tmp_path, prune="percentile")
    for i in range(6):
        number = trials.begin()
        trials.values(number)
        trials.report(number, 1, float(i))
        trials.report(number, 1, 99.0)  # the first stays
        trials.end(number, float(i))
    good, bad = trials.begin(), trials.begin()
    for number, value in ((good, -1.0), (bad, 50.0)):
        trials.values(number)
        trials.report(number, 1, value)
    assert not trials.hopeless(good)
    assert trials.hopeless(bad)
    trials.end(bad, 50.0, pruned=True)
    trials.end(good, None)
    assert [one.state for one in trials.all()[-2:]] == ["pruned", "pruned"]


def test_without_optuna_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna_study, "find_spec", lambda name: None)
    with pytest.raises(ResourceError, match="tune needs optuna") as caught:
        require_optuna()
    assert "sightline[tune]" in caught.value.hint


def test_a_storage_that_cannot_be_opened_is_an_error_without_its_password(tmp_path: Path) -> None:
    assert without_password("postgresql://me:secret@host/db") == "postgresql://host/db"
    with pytest.raises(UsageError, match="cannot be opened") as caught:
        Trials(f"sqlite:///{tmp_path}/none/such.db", "study", Rules(SPACE, "tpe", "none", 0, True))
    assert "Traceback" not in caught.value.message and sys.exc_info()[0] is None
