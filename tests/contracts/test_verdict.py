"""The verdict says what is so, in the order in which to read it, and what it advises can be typed."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace

import pytest

from sightline.evaluation.intervals import wilson
from sightline.recipes.reading import make_draft, parse_overrides
from sightline.reports.finding import ClassFact, VerdictFacts
from sightline.reports.rules import learning as learning_rules
from sightline.reports.thresholds import Thresholds
from sightline.reports.wording import decimal, duration, join_words, percent, percent_range, quantity
from tests.verdicts import chapter_for, verdict

RECIPE = {
    "optim": {"lr": 0.01, "weight_decay": 0.001},
    "fit": {"epochs": 30.0, "batch": 64},
    "augment": {"preset": "light"},
    "task": {"label_smoothing": 0.0},
}


def course(losses: list[float]) -> tuple[dict[str, float | None], ...]:
    return tuple({"epoch": float(i + 1), "val_loss": loss} for i, loss in enumerate(losses))


FALLEN = course([2 * 0.8**i + 0.2 for i in range(21)] + [0.2185, 0.2186, 0.2186, 0.2186])  # down, then level
FALLING = course([2 * 0.9**i for i in range(20)])
GOOD = VerdictFacts(
    split="test",
    n=1000,
    metrics={
        "train": {"accuracy": 0.97, "ece": 0.01},
        "val": {"accuracy": 0.96},
        "test": {"accuracy": 0.955, "balanced_accuracy": 0.95, "ece": 0.02},
    },
    sizes={"train": 2000, "val": 1000, "test": 1000},
    history=FALLEN,
    majority=("cat", 0.2),
    classes=(ClassFact("cat", 0.96, 0.93, 0.98, 200, "dog", 5), ClassFact("dog", 0.95, 0.93, 0.97, 800, "cat", 40)),
    train_counts={"cat": 3000, "dog": 5000},
    mistakes=45,
    confident_mistakes=1,
    confidence=0.95,
    files=10_000,
    recipe=RECIPE,
    command="sightline train runs/pets/recipe.yaml",
)


def metrics(**by_split: float) -> dict[str, dict[str, float | None]]:
    return {split: {"accuracy": value, "ece": 0.02} for split, value in by_split.items()}


def titles(facts: VerdictFacts) -> list[str]:
    return [finding.title for finding in verdict(facts).findings]


def commands(facts: VerdictFacts) -> list[str]:
    return [t.command for finding in verdict(facts).findings for t in finding.try_next if t.command]


def test_a_good_run_is_called_good_and_nothing_more():
    conclusion = verdict(GOOD)
    assert [(f.severity, f.title) for f in conclusion.findings] == [
        ("good", "It has learned"),
        ("good", "It fits and generalises"),
    ]
    assert conclusion.limit == ""
    assert "95.5\u202f% of 1,000 test images" in conclusion.headline
    low, high = wilson(0.955, 1000, 1.96)
    assert f"between {100 * low:.1f} and {100 * high:.1f}" in conclusion.headline
    assert "“cat” would be right on 20.0\u202f%" in conclusion.findings[0].sentence


SCENARIOS = {
    "over-fit": (
        replace(GOOD, metrics=metrics(train=0.999, val=0.86, test=0.85)),
        "serious", "variance", "Overfitting", "13.9 points", ["augment.preset=standard", "optim.weight_decay=0.01"],
    ),
    "slightly over-fit": (
        replace(GOOD, metrics=metrics(train=0.99, val=0.93, test=0.93)),
        "warning", "variance", "Overfitting", "6.0 points", ["augment.preset=standard"],
    ),
    "under-fit": (
        replace(GOOD, metrics=metrics(train=0.7, val=0.69, test=0.69)),
        "serious", "bias", "Underfitting", "30.0\u202f% of the training images", ["fit.epochs=60", "optim.lr=0.03"],
    ),
    "still improving": (
        replace(GOOD, history=FALLING),
        "warning", "time", "It was still improving at the end", "still falling", ["fit.epochs=60"],
    ),
    "accuracy still rising": (
        replace(GOOD, history=tuple(row | {"val_accuracy": 0.5 + i / 50} for i, row in enumerate(FALLING))),
        "warning", "time", "It was still improving at the end", "still falling", ["fit.epochs=60"],
    ),
    "plateau": (
        replace(GOOD, history=course([1, 0.6, 0.4, 0.3, *[0.31] * 16])),
        "note", "run", "It had reached a plateau", "did not improve after epoch 4", ["fit.epochs=7"],
    ),
    "over-fits with time": (
        replace(GOOD, history=course([1, 0.5, 0.4, 0.45, 0.5, 0.6, 0.7, 0.8])),
        "warning", "variance", "It overfits with time", "rose again", ["fit.epochs=13", "optim.lr=0.003"],
    ),
    "conflicting labels": (
        replace(GOOD, conflicts=12),
        "warning", "noise", "Some labels may be wrong", "12 images occur with more than one label", [],
    ),
    "confident mistakes": (
        replace(GOOD, confident_mistakes=20),
        "note", "noise", "Some labels may be wrong", "20 of 45 mistakes were made", [],
    ),
    "harmless imbalance": (
        replace(GOOD, train_counts={"cat": 100, "dog": 2000}),
        "note", "data", "Classes are imbalanced, so far without harm", "20 times as many training images of “dog”", [],
    ),
    "imbalance": (
        replace(
            GOOD, train_counts={"cat": 100, "dog": 2000},
            metrics=dict(GOOD.metrics) | {"test": {"accuracy": 0.955, "balanced_accuracy": 0.8, "ece": 0.02}},
        ),
        "warning", "data", "Rare classes do worse", "20 times",
        ["data.balance=sample", "task.class_weight=balanced"],
    ),
    "weak class": (
        replace(GOOD, classes=(ClassFact("cat", 0.5, 0.43, 0.57, 200, "dog", 100), GOOD.classes[1])),
        "warning", "data", "Some classes are hard", "“cat” (recall 50.0\u202f%, n = 200)", [],
    ),
    "tiny test": (
        replace(GOOD, n=40, sizes={"train": 2000, "val": 1000, "test": 40}, metrics=metrics(train=0.9, val=0.9, test=0.9)),
        "warning", "result", "Few test images", "With 40 test images the 95 % interval of the accuracy is 77–96", [],
    ),
    "harder test": (
        replace(GOOD, metrics=metrics(train=0.97, val=0.96, test=0.85)),
        "warning", "data", "The test images are harder", "11.0 points lower on test", [],
    ),
    "no test": (
        replace(GOOD, split="val", metrics=metrics(train=0.97, val=0.96)),
        "note", "result", "There is no test split", "selected on the validation images", [],
    ),
    "over-confident": (
        replace(
            GOOD, confidence=0.99, ece_by_chance=0.03,
            metrics=dict(GOOD.metrics) | {"test": {"accuracy": 0.9, "ece": 0.09}},
        ),
        "warning", "confidence", "Probabilities are not calibrated", "overconfident", ["task.label_smoothing=0.1"],
    ),
    "under-confident": (
        replace(
            GOOD, confidence=0.7, ece_by_chance=0.03,
            metrics=dict(GOOD.metrics) | {"test": {"accuracy": 0.95, "ece": 0.25}},
        ),
        "warning", "confidence", "Probabilities are not calibrated", "underconfident", [],
    ),
    "near perfect": (
        replace(GOOD, metrics=metrics(train=1.0, val=0.999, test=0.999)),
        "note", "result", "Nearly perfect: is the test as hard as real use?", "leaves little room to improve", [],
    ),
    "worse than guessing": (
        replace(GOOD, majority=("cat", 0.999)),
        "serious", "result", "No better than guessing", "That is better.", ["optim.lr=0.003"],
    ),
    "no better than guessing": (
        replace(GOOD, majority=("cat", 0.95)),
        "serious", "result", "No better than guessing", "within chance", ["optim.lr=0.003"],
    ),
    "few unusable files": (
        replace(GOOD, quarantined=30),
        "note", "data", "Some files could not be used", "30 files of 10,000", [],
    ),
    "diverged": (
        replace(GOOD, status="diverged", metrics={}, n=0, split=""),
        "serious", "run", "Training diverged", "infinite or NaN", ["optim.lr=0.001"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(name):
    facts, severity, kind, title, words, advice = SCENARIOS[name]
    finding = next((f for f in verdict(facts).findings if f.title == title), None)
    assert finding is not None, titles(facts)
    assert (finding.severity, finding.kind) == (severity, kind)
    assert words in finding.sentence
    given = " ".join(t.command for t in finding.try_next)
    for change in advice:
        assert change in given
    assert title not in titles(GOOD)  # the rule is silent where all is well


@pytest.mark.parametrize(
    ("train", "val", "order"),
    [
        (0.74, 0.30, ["variance", "bias"]),  # both serious
        (0.70, 0.55, ["bias", "variance"]),
        (0.89, 0.82, ["bias", "variance"]),  # both to be improved
        (0.85, 0.60, ["variance", "bias"]),
    ],
)
def test_bias_and_variance_come_larger_first(train, val, order):
    conclusion = verdict(replace(GOOD, metrics=metrics(train=train, val=val, test=val)))
    assert [f.kind for f in conclusion.findings if f.kind in ("bias", "variance")] == order
    assert conclusion.limit.startswith(f"Limited by {order[0]}: ")


def test_a_gap_that_chance_explains_is_no_over_fitting():
    small = replace(
        GOOD, metrics=metrics(train=0.95, val=0.90, test=0.9), sizes={"train": 100, "val": 40, "test": 1000}
    )
    assert "Overfitting" not in titles(small)
    assert "Overfitting" in titles(replace(small, sizes={"train": 2000, "val": 2000, "test": 1000}))


def test_unusable_files_come_first_whatever_else_is_true():
    for other in (
        GOOD,
        replace(GOOD, status="diverged"),
        replace(GOOD, smoke=True),
        replace(GOOD, majority=("a", 0.99)),
    ):
        assert titles(replace(other, quarantined=501))[0] == "Many files could not be used"
        assert titles(replace(other, quarantined=500))[0] != "Many files could not be used"


def test_an_unfinished_run_says_so_before_its_figures():
    for status, title in (("stopped", "This run did not finish"), ("running", "This run has not ended yet")):
        findings = verdict(replace(GOOD, status=status, reason="SIGTERM")).findings
        assert [f.title for f in findings[:2]] == [title, "It has learned"]
        assert "SIGTERM" in findings[0].sentence
        assert findings[0].try_next[0].command.startswith("sightline train --resume")
    assert "It was still improving at the end" not in titles(
        replace(SCENARIOS["still improving"][0], status="stopped", metrics={})
    )


def test_a_loss_that_only_the_schedule_lowers_is_no_reason_to_train_longer():
    level = tuple(row | {"val_accuracy": 0.96 + i / 10_000} for i, row in enumerate(FALLING))
    assert "It was still improving at the end" not in titles(replace(GOOD, history=level))


def test_a_rehearsal_is_not_judged():
    conclusion = verdict(replace(SCENARIOS["under-fit"][0], smoke=True))
    assert [f.title for f in conclusion.findings] == ["This is a rehearsal"]
    assert "rehearsal" in conclusion.headline


def test_serious_before_warning_before_good_before_note():
    facts = replace(SCENARIOS["over-fit"][0], conflicts=3, quarantined=10, confident_mistakes=40)
    severities = [f.severity for f in verdict(facts).findings]
    assert severities[0] == "good"  # how good it is comes before what to do about it
    order = [("serious", "warning", "good", "note").index(s) for s in severities[1:]]
    assert order == sorted(order)


def test_every_command_can_be_typed():
    """Each advice names keys that a recipe has, with values that it takes."""
    seen = set()
    for facts, *_ in SCENARIOS.values():
        for command in commands(facts):
            program, verb, *rest = shlex.split(command)
            assert program == "sightline"
            if verb == "train" and rest[0] != "--resume":
                changes = parse_overrides(rest[1:])
                make_draft(RECIPE, changes)
                seen |= set(changes)
    assert len(seen) >= 7


def test_thresholds_are_all_explained_and_obeyed():
    own = chapter_for(GOOD)
    assert own.limits == Thresholds()
    assert len(own.threshold_rows(own.limits, GOOD.headline)) == len(Thresholds.__dataclass_fields__)
    facts = replace(GOOD, quarantined=500)
    assert verdict(facts, Thresholds(quarantined=0.049)).findings[0].title == "Many files could not be used"


def test_numbers_are_written_with_care():
    assert (percent(0.96875, 360), percent(0.96875, 20), percent(0.96875, 20_000)) == (
        "96.9\u202f%",
        "97\u202f%",
        "96.88\u202f%",
    )
    assert (percent(None), percent(float("nan"))) == ("–", "–")
    assert percent_range(0.946, 0.983, 360) == "94.6–98.3\u202f%"
    assert (quantity(1_234_567), quantity(61_706), quantity(9_999)) == ("1.23\u202fM", "61.7\u202fk", "9,999")
    assert (decimal(0.01234), decimal(123.4), decimal(0), decimal(1.5e-5)) == ("0.0123", "123", "0", "1.50e−5")
    assert (duration(8.24), duration(200), duration(7500)) == (
        "8.2\u202fs",
        "3\u202fmin 20\u202fs",
        "2\u202fh 5\u202fmin",
    )
    assert join_words(["a", "b", "c"]) == "a, b and c"


def test_nothing_is_advised_that_another_finding_calls_vain() -> None:
    """Underfitting asks for a longer run, unless the validation had long stopped to move."""
    poor = replace(GOOD, metrics=metrics(train=0.7, val=0.69, test=0.69))
    assert any("fit.epochs=60" in command for command in commands(poor))
    settled = replace(poor, history=course([1, 0.6, 0.4, 0.3, *[0.31] * 16]))
    assert {"Underfitting", "It had reached a plateau"} <= set(titles(settled))
    assert not any("fit.epochs=60" in command for command in commands(settled))
    assert any("optim.lr=0.03" in command for command in commands(settled))


def test_a_hinge_is_not_told_to_smooth_labels() -> None:
    facts, *_ = SCENARIOS["over-confident"]
    assert any("label_smoothing" in command for command in commands(facts))
    hinge = replace(facts, recipe=facts.recipe | {"task": {"loss": "hinge", "label_smoothing": 0.0}})
    assert not any("label_smoothing" in command for command in commands(hinge))


def test_a_rate_of_one_is_no_whole_number() -> None:
    """Adadelta's own: a third of it is 0.3, not 1 again."""
    facts = replace(GOOD, recipe=GOOD.recipe | {"optim": {"lr": 1.0}})
    assert learning_rules.scale_setting(facts, "optim.lr", 1 / 3) == "optim.lr=0.3"


@pytest.mark.parametrize("value", [0.5, 0.52])  # the second is above guessing, within chance
@pytest.mark.parametrize(("rate", "advised"), [(0.01, "optim.lr=0.003"), (1e-5, "optim.lr=0.0001")])
def test_steps_are_advised_in_one_direction(rate: float, advised: str, value: float) -> None:
    """A network that guesses is under-fitting too: its two findings must not pull apart."""
    recipe = {**RECIPE, "optim": {"lr": rate}}
    facts = replace(GOOD, majority=("cat", 0.5), recipe=recipe, metrics=metrics(train=value, val=value, test=value))
    assert {"No better than guessing", "Underfitting"} <= set(titles(facts))
    assert set(re.findall(r"optim\.lr=\S+", " ".join(commands(facts)))) == {advised}


@pytest.mark.parametrize("section", [{"data": {"balance": "sample"}}, {"task": {"class_weight": "balanced"}}])
def test_what_is_set_already_is_not_advised(section: dict[str, dict[str, str]]) -> None:
    facts, *_ = SCENARIOS["imbalance"]
    assert "balance" in " ".join(commands(facts))
    assert "balance" not in " ".join(commands(replace(facts, recipe={**RECIPE, **section})))


def test_a_few_images_without_a_mistake_are_no_failure() -> None:
    facts = replace(
        GOOD, n=25, majority=("cat", 0.96), mistakes=0, metrics=metrics(train=1.0, val=1.0, test=1.0),
        sizes={"train": 200, "val": 25, "test": 25},
    )  # fmt: skip
    finding = next(f for f in verdict(facts).findings if f.kind == "result")
    assert finding.severity == "note"
    assert "too few images to tell the two apart" in finding.sentence
    assert "No better than guessing" not in titles(facts)
