"""tune as a whole: trials are runs, a study goes on with the same ones, and what is chance is called that."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import sightline
from sightline.errors import DivergedError, UsageError
from sightline.runs.console import Console
from sightline.runs.run import open_run
from sightline.runs.study import Study, open_study
from sightline.verbs.studies import search
from tests.tiny_data import write_folder

SEARCHED = ["optim.lr=1e-4..1:log", "fit.batch=4,8"]
QUIET = Console(-1)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("data") / "photos", {"cat": 14, "dog": 14})


@pytest.fixture
def faked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any], int]]:
    """Trainings replaced by a formula: 1 − |lr − 0.1|, and a hundredth of noise from the seed."""
    seen: list[tuple[str, dict[str, Any], int]] = []

    def train(job: search.Job, place: str, values: dict[str, Any], seed: int, **_: Any) -> Any:
        job.recipe(values, seed)
        seen.append((place, dict(values), seed))
        if values.get("optim.lr", 0.1) > 0.9:
            raise DivergedError("not finite")
        return abs(values.get("optim.lr", 0.2) - 0.1) + (seed % 7) / 100

    monkeypatch.setattr(search.Job, "train", train)
    monkeypatch.setattr(search.Job, "value", lambda job, run: run)
    return seen


def tuned(photos: Path, out: Path, words: list[str] = SEARCHED, **options: Any) -> Study:
    settings: dict[str, Any] = {"model": "linear", "epochs": 1, "repeats": 0, "trials": 3, "console": QUIET}
    return sightline.tune(str(photos), words, out=out, **settings | options)


def listed(study: Study) -> list[tuple[Any, ...]]:
    return [(one["number"], one["values"], one["seed"], one["value"], one["state"]) for one in study.facts["trials"]]


def test_every_trial_is_a_run_and_more_trials_go_on(photos: Path, tmp_path: Path) -> None:
    study = tuned(photos, tmp_path / "s", trials=1)
    assert study.finished and (tmp_path / "s" / "study.html").is_file()
    assert open_study(tmp_path / "s").facts == study.facts
    (only,) = study.facts["trials"]
    run = open_run(tmp_path / "s" / only["run"])
    assert run.finished and run.recipe.seed == 0
    assert (run.recipe.optim.lr, run.recipe.fit.batch) == (only["values"]["optim.lr"], only["values"]["fit.batch"])
    assert only["value"] == run.metrics["val"][study.facts["metric"]]
    shutil.rmtree(run.folder / "predictions")  # a run that is finished is not trained again
    longer = tuned(photos, tmp_path / "s", trials=2)
    assert listed(longer)[:1] == listed(study) and len(longer.facts["trials"]) == 2
    assert [open_run(tmp_path / "s" / one["run"]).recipe.seed for one in longer.facts["runs"]] == [0, 1]
    with pytest.raises(UsageError, match="another study: other space"):
        tuned(photos, tmp_path / "s", ["optim.lr=0.1..0.2"])


def test_an_interruption_changes_no_trial(
    photos: Path, tmp_path: Path, faked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tuned(photos, tmp_path / "whole", trials=13)
    train = search.Job.train
    for dies_at in (2, 11):

        def dying(job: search.Job, place: str, values: Any, seed: int, number: int = dies_at, **more: Any) -> Any:
            if place == f"trials/{number:03d}":
                raise MemoryError
            return train(job, place, values, seed, **more)

        monkeypatch.setattr(search.Job, "train", dying)
        with pytest.raises(MemoryError):
            tuned(photos, tmp_path / "parts", trials=13)
        assert open_study(tmp_path / "parts").facts["state"] == "running"
    monkeypatch.setattr(search.Job, "train", train)
    assert listed(tuned(photos, tmp_path / "parts", trials=13)) == listed(whole)
    assert {state for *_, state in listed(whole)} == {"complete", "pruned"}, "some diverged"


def test_the_best_are_repeated_beside_the_control_and_the_recipe_as_it_is(
    photos: Path, tmp_path: Path, faked: list[tuple[str, dict[str, Any], int]]
) -> None:
    study = tuned(photos, tmp_path / "s", [*SEARCHED, "fit.monitor=loss"], trials=8, repeats=3, control=True)
    names = [one["name"] for one in study.facts["repeats"]]
    ranked = sorted((t for t in study.facts["trials"] if t["state"] == "complete"), key=lambda t: t["value"])
    assert names[:3] == [f"trial {one['number']}" for one in ranked[:3]]
    assert names[3:] == ["the best of the control", "the recipe as it is"]
    repeats = [(place, seed) for place, _, seed in faked if place.startswith("repeats")]
    assert len(repeats) == 15 and {seed for _, seed in repeats} == {10_000, 10_001, 10_002}
    assert not {seed for place, _, seed in faked if not place.startswith("repeats")} & {10_000, 10_001, 10_002}
    assert [values for place, values, _ in faked if "as-is" in place] == [{}] * 3
    assert "not distinguishable" in study.facts["verdict"], "the seeds' noise is larger than what the best differ by"
    page = (tmp_path / "s" / "study.html").read_text()
    assert "the recipe as it is" in page and "The control: values at random" in page


def test_settings_that_do_not_fit_are_refused_before_anything_is_written(photos: Path, tmp_path: Path) -> None:
    for words, options, message in (
        (["optim.lr=-1..1"], {}, "optim.lr=-1"),
        (["fit.batch=4,100000"], {}, "fit.batch|batch"),
        (["optim.lrr=1,2"], {}, "unknown recipe key 'optim.lrr'"),
        (SEARCHED, {"prune": "median"}, "--prune median"),
        (SEARCHED, {"trials": 0}, "--trials is 0"),
        (SEARCHED, {"storage": "trials.db"}, "no address of a database"),
        (SEARCHED, {"storage": "postgresql://me:secret@host/db"}, "is on host"),
        (["data.val=0.0", "optim.lr=1,2"], {}, "validation images"),
    ):
        with pytest.raises(UsageError, match=message):
            tuned(photos, tmp_path / "s", words, **options)
    assert not (tmp_path / "s" / "study.json").exists()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    with pytest.raises(UsageError, match="occupied"):
        tuned(photos, tmp_path / "other")


def test_the_default_space_is_what_the_recipe_leaves_open(photos: Path, tmp_path: Path, faked: list[Any]) -> None:
    space = tuned(photos, tmp_path / "a", [], trials=1).facts["space"]
    assert list(space) == ["optim.lr", "optim.weight_decay", "fit.batch", "augment.preset"]
    space = tuned(photos, tmp_path / "b", ["optim.lr=0.1", "augment.preset=light"], trials=1).facts["space"]
    assert list(space) == ["optim.weight_decay", "fit.batch"]


CALL = """
import sys, sightline
from sightline.runs.console import Console
sightline.tune(sys.argv[1], ["optim.lr=1e-4..1:log", "fit.batch=4,8"], out=sys.argv[2], model="linear", epochs=40, trials=4,
               repeats=0, console=Console(0))
"""


def started(photos: Path, out: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", CALL, str(photos), str(out)], stderr=subprocess.DEVNULL)


@pytest.mark.slow
def test_kill_and_two_processes(photos: Path, tmp_path: Path) -> None:
    """SIGKILL in the middle of trainings changes neither trials nor results; two processes share a study."""
    assert started(photos, tmp_path / "whole").wait() == 0
    whole = open_study(tmp_path / "whole")
    for number in range(3):
        process = started(photos, tmp_path / "killed")
        folder = tmp_path / "killed" / "trials" / f"{number:03d}" / "checkpoints"
        while process.poll() is None and not any(folder.glob("step-*")):
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert started(photos, tmp_path / "killed").wait() == 0
    killed = open_study(tmp_path / "killed")
    assert listed(killed) == listed(whole)
    for one in whole.facts["runs"]:
        files = [
            (tmp_path / study / one["run"] / "model" / "model.safetensors").read_bytes()
            for study in ("whole", "killed")
        ]
        assert files[0] == files[1]
    both = [started(photos, tmp_path / "shared") for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    shared = open_study(tmp_path / "shared")
    assert shared.finished and [one["number"] for one in shared.facts["trials"]] == [0, 1, 2, 3]
    assert listed(shared) == listed(whole), "fewer than ten trials are at random, whoever draws them"
    assert json.loads((tmp_path / "shared" / "study.json").read_text())["state"] == "finished"
