"""Real trainings made ill on purpose: the verdict names the illness and advises what the course supports. By meaning, not by
sentence; benchmarks/verdicts.py has eight, longer ones."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sightline.evaluation.skill import confidence_separates, skill_of
from sightline.reports.finding import Finding, VerdictFacts
from sightline.reports.rules.steps import exploded
from tests.contracts.test_verdict import GOOD, course, metrics, titles
from tests.verdicts import verdict

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "verdicts.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_verdicts", BENCHMARK)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["too short", "majority class", "diverged", "label noise"])
def test_an_ill_training_is_diagnosed(name: str, tmp_path: Path) -> None:
    benchmark = load()
    found, log = benchmark.run_case(benchmark.CASES[name], tmp_path)
    assert benchmark.faults(benchmark.CASES[name], found) == []
    told = [line for line in log if "diverged: the learning rate is too high" in line]
    assert len(told) == (name == "diverged")  # while it trains, and once
    assert ("diverged" in found.headline) == (name == "diverged")


# ------------------------------------------------------------------------------------------------ by hand
def finding(facts: VerdictFacts, word: str) -> Finding:
    return next(f for f in verdict(facts).findings if word in f.title)


def test_what_ranks_well_has_learned_whatever_its_accuracy() -> None:
    """37 images, nearly all of one class: the accuracy is the majority's, the ranking is far from chance."""
    target = np.array([0] * 30 + [1] * 7)
    score = np.where(target == 1, 0.45, 0.2) + np.linspace(0, 0.1, 37)
    probability = np.stack([1 - score, score], 1)
    skill = skill_of(target, probability, mcc=0.0, auc=1.0)
    assert skill is not None and skill.p < 0.01
    share = 30 / 37
    sick = replace(
        GOOD, n=37, majority=("cat", share), sizes={"train": 200, "val": 37, "test": 37},
        metrics=metrics(train=share, val=share, test=share),
    )  # fmt: skip
    assert "No better than guessing" in titles(sick)
    found = finding(replace(sick, skill=skill), "it has learned")
    assert found.severity == "warning"
    assert "“cat”" in found.title and "AUC 1.00 (0.5 by chance)" in found.sentence
    assert "No better than guessing" not in titles(replace(sick, skill=skill))
    luck = skill_of(target, probability[np.random.default_rng(0).permutation(37)], mcc=0.0, auc=0.5)
    assert luck is not None and luck.p > 0.05
    assert "No better than guessing" in titles(replace(sick, skill=luck))


def test_the_permutation_test_keeps_its_level() -> None:
    """Of 100 classifiers that know nothing about one in twenty is called skilled."""
    draw = np.random.default_rng(np.random.randint(1 << 31))
    called = 0
    for _ in range(100):
        target, raw = draw.integers(0, 3, 25), draw.random((25, 3))
        skill = skill_of(target, raw / raw.sum(1, keepdims=True), mcc=None, auc=None)
        called += skill is not None and skill.p < 0.05
    assert called <= 13
    assert skill_of(np.zeros(9, np.int64), np.full((9, 2), 0.5), mcc=None, auc=None) is None


def test_a_few_steps_are_told_to_train_longer_and_nothing_else() -> None:
    poor = replace(GOOD, metrics=metrics(train=0.4, val=0.4, test=0.4), history=course([1.3]), steps=3)
    conclusion = verdict(poor)
    found = finding(poor, "too briefly")
    assert found.kind == "time" and "3 steps" in found.sentence
    assert [t.what for t in found.try_next] == ["Train longer."]
    advice = " ".join(t.what for f in conclusion.findings for t in f.try_next)
    assert not {"larger network", "learning rate", "Augment"} & {
        w for w in ("larger network", "learning rate", "Augment") if w in advice
    }
    assert "Underfitting" in titles(replace(poor, steps=5000))
    assert "too briefly" not in " ".join(titles(replace(poor, metrics=metrics(train=0.97, val=0.96, test=0.96))))


def test_what_is_still_improving_is_not_told_to_grow() -> None:
    falling = course([2 * 0.9**i for i in range(20)])
    poor = replace(GOOD, metrics=metrics(train=0.7, val=0.69, test=0.69), history=falling, steps=5000)
    advice = [t.what for f in verdict(poor).findings for t in f.try_next]
    assert advice[0] == "Train longer."
    assert not any("larger network" in what for what in advice)


def test_a_loss_that_exploded_and_never_came_back_diverged() -> None:
    def rows(*losses: float | None) -> list[dict[str, float | None]]:
        return [{"epoch": i + 1.0, "train_loss": loss} for i, loss in enumerate(losses)]

    assert exploded(rows(2.0, 1.0, 0.5), 2, 10) is None
    assert exploded(rows(50.0, 3.0, 0.1), 2, 10) is None  # it came back
    assert exploded(rows(0.7, 50.0, 60.0), 2, 10) == 1
    assert exploded(rows(None, None), 2, 10) == 0
    assert exploded([{"epoch": 1.0}], 2, 10) is None
    sick = replace(
        GOOD, metrics=metrics(train=0.5, val=0.5, test=0.5), history=rows(4e5, 2e5, 1e5), majority=("cat", 0.5),
        recipe={**GOOD.recipe, "optim": {"name": "adamw", "lr": 1000.0}},
    )  # fmt: skip
    conclusion = verdict(sick)
    assert "diverged" in conclusion.headline and "learning rate" in conclusion.headline
    assert conclusion.findings[0].title == "Training diverged"
    assert conclusion.findings[0].try_next[0].command.endswith("optim.lr=0.002")
    assert "Underfitting" not in titles(sick)
    assert sum(bool(f.try_next) for f in conclusion.findings) == 1  # one advice


def test_wrong_labels_are_known_by_mistakes_as_sure_as_right_answers() -> None:
    draw = np.random.default_rng(np.random.randint(1 << 31))
    right, sure = draw.random(400) < 0.8, draw.uniform(0.7, 0.9, 400)
    noisy = replace(
        GOOD, metrics=metrics(train=0.81, val=0.8, test=0.8), mistakes=80, confident_mistakes=0,
        separation=confidence_separates(sure, right),
    )  # fmt: skip
    assert finding(noisy, "labels may be wrong").severity == "warning"
    assert verdict(noisy).limit == "Limited by label noise."
    assert "Underfitting" not in titles(noisy)
    unsure = np.where(right, sure, sure - draw.uniform(0, 0.3, 400))
    hard = replace(noisy, separation=confidence_separates(unsure, right))
    assert "Some labels may be wrong" not in titles(hard)
    assert "Underfitting" in titles(hard)
