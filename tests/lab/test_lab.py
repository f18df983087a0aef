"""The laboratory: experiments are listed, run with typed parameters, written as pages, and fail where a claim does not hold."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import torch
from pydantic import Field
from typer.testing import CliRunner

import sightline
from sightline.cli.main import app
from sightline.errors import UsageError
from sightline.lab.catalogue import TOPICS, Entry, entries, find, load
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.page import experiment_page, index_page, number_text
from sightline.lab.running import run
from sightline.recipes.reading import parse_overrides

ROOT = Path(sightline.__file__).parent / "lab" / "experiments"


@dataclass(frozen=True)
class Parameters:
    limit: Annotated[int, Field(ge=1, le=10)] = 5


def draws(parameters: Parameters, seed: int) -> Result:
    value = torch.rand(()).item() * parameters.limit
    return Result(
        claims=[Claim("A draw stays below its limit.", value < 5, f"{value:.3f} < 5")],
        numbers={"draw": value},
        pictures=[Picture(np.zeros((4, 4, 3), np.uint8), "Nothing <b>"), Picture(b"GIF89a", "Moving")],
        tables=[Table(("name", "value"), [("first", 1.23456), ("second", None)])],
    )


EXPERIMENT = Experiment(
    run=draws,
    parameters=Parameters(),
    notice=("It is random.",),
    formulas=(Formula("x < y\ny < z", "a source"),),
    code=(draws,),
    variations=(Variation("limit=10", "Half of the draws fail."),),
)
ENTRY = Entry("draws", "Chance", "Draws stay low", "Do they?", __name__)


def test_seeds_give_runs_of_their_own_and_leave_torch_as_it_was() -> None:
    torch.manual_seed(5)
    before, threads = torch.random.get_rng_state(), torch.get_num_threads()
    outcome, again = (run(ENTRY, EXPERIMENT, {}, seeds=(0, 1, 2)) for _ in range(2))
    values = [r.numbers["draw"] for r in outcome.results]
    assert len(set(values)) == 3
    assert values == [r.numbers["draw"] for r in again.results]
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.get_num_threads() == threads
    assert outcome.holds
    assert outcome.to_json()["claims"][0]["holds"] == [True, True, True]


def test_a_claim_that_fails_for_one_seed_does_not_hold() -> None:
    outcome = run(ENTRY, EXPERIMENT, {"limit": 10}, seeds=(0, 1, 2, 3, 4, 5))
    held = outcome.to_json()["claims"][0]["holds"]
    assert {True, False} <= set(held)
    assert not outcome.holds
    page = experiment_page(outcome)
    assert "Does not hold" in page
    assert f"{sum(held)} of 6 seeds" in page


def test_an_experiment_without_chance_runs_once() -> None:
    still = Experiment(run=draws, parameters=Parameters(), notice=(), random=False)
    assert run(ENTRY, still, {}, seeds=(0, 1, 2)).seeds == (0,)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [("limt=3", "did you mean 'limit'?"), ("limit=0", "greater than or equal to 1"), ("limit=many", "valid integer")],
)
def test_a_parameter_that_does_not_fit_is_named(overrides: str, words: str) -> None:
    with pytest.raises(UsageError, match=overrides.split("=")[0]) as caught:
        run(ENTRY, EXPERIMENT, parse_overrides([overrides]))
    assert words in str(caught.value)


def test_the_page_shows_everything_and_loads_nothing() -> None:
    page = experiment_page(run(ENTRY, EXPERIMENT, {"limit": 4}), index=True)
    for words in ("Draws stay low", "Do they?", "Holds", "3 of 3 seeds", "1.235",
                  "It is random.", "x &lt; y\ny &lt; z", "a source", "def draws(", "sightline lab draws limit=4",
                  "lab draws limit=10", "Nothing &lt;b&gt;"):  # fmt: skip
        assert words in page, words
    assert "<script" not in page
    assert "http" not in page.replace("http-equiv", "")
    assert 'href="index.html"' in page


def test_the_index_names_what_fails() -> None:
    row = {"topic": "Chance", "name": "draws", "title": "Draws", "question": "?", "holds": True, "claims": 1}
    assert "all hold" in index_page([row])
    assert "does not hold" in index_page([row, row | {"holds": False}])


@pytest.mark.parametrize(
    ("value", "text"), [(3.0, "3"), (61706, "61,706"), (0.123456, "0.1235"), (-2.5, "−2.5"), (float("inf"), "inf")]
)
def test_numbers_as_text(value: float, text: str) -> None:
    assert number_text(value) == text


def called(*arguments: str) -> tuple[int, dict[str, object]]:
    done = CliRunner().invoke(app, [*arguments, "--json"])
    return done.exit_code, json.loads(done.stdout.splitlines()[-1])


def test_the_verb(tmp_path: Path) -> None:
    code, listed = called("lab")
    assert code == 0
    assert [row["name"] for row in listed["experiments"]] == list(entries())  # type: ignore[attr-defined]
    code, error = called("lab", "decision-bondary")
    assert code == 2
    assert "'decision-boundary'" in error["error"]["hint"]  # type: ignore[index]
    code, result = called(
        "lab", "decision-boundary", "steps=1", "points=20", "--seeds", "0", "--out", str(tmp_path / "x")
    )
    assert code == 5  # one step teaches nothing: the claim fails
    assert not result["holds"]
    assert (tmp_path / "x" / "decision-boundary.html").is_file()
    words = CliRunner().invoke(
        app, ["lab", "decision-boundary", "steps=1", "points=20", "--seeds", "0", "--out", str(tmp_path)]
    )
    assert "default parameters; here with steps=1 points=20." in words.stdout
    (tmp_path / "file").write_text("")
    assert called("lab", "decision-boundary", "steps=1", "--out", str(tmp_path / "file"))[0] == 2
    assert called("lab", "decision-boundary", "--seeds", "0,0")[0] == 2
    assert called("lab", "all", "steps=1")[0] == 2


def test_listing_needs_no_torch() -> None:
    modules = "import sys; from sightline.lab.catalogue import list_experiments as l; assert l(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", modules], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_every_topic_has_its_chapter() -> None:
    assert {p.name for p in ROOT.iterdir() if p.is_dir() and not p.name.startswith("_")} == set(TOPICS)


@pytest.mark.parametrize("name", list(entries()))
def test_experiments_are_documented(name: str) -> None:
    entry = find(name)
    assert entry.title
    assert entry.question.endswith("?"), entry.question
    experiment = load(entry)
    assert is_dataclass(experiment.parameters)
    assert experiment.notice
    assert experiment.code
    known = {f.name for f in fields(experiment.parameters)}
    for variation in experiment.variations:
        assert set(parse_overrides(variation.overrides.split())) <= known
    for formula in experiment.formulas:
        assert formula.source
    path = Path(sys.modules[entry.module].__file__ or "")
    assert len(path.read_text().splitlines()) <= 150, "an experiment is one short file: what is more belongs to a room"
    assert ast.get_docstring(ast.parse(path.read_text()))
