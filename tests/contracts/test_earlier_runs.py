"""Runs of an earlier version open, answer, evaluate, verify, report and go on, as if it had never been replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import sightline
from sightline.runs.folder import environment
from tests.earlier_runs import KINDS, lay_out


@pytest.fixture(scope="module", params=KINDS)
def earlier(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp(request.param)
    return request.param, folder, lay_out(request.param, folder)


def same_machine(expected: dict[str, Any]) -> bool:
    """Bits are promised for one kind of processor and one torch."""
    now, then = environment(), expected["environment"]
    keys = ("cpu", "cpu_capability", "machine")
    return all(now[key] == then[key] for key in keys) and now["packages"]["torch"] == then["packages"]["torch"]


def close(found: Any, expected: Any, tolerance: float) -> None:
    """Equal structure; numbers within the tolerance; run lengths of masks only where bits are promised."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key in expected:
            if key != "counts" or not tolerance:
                close(found[key], expected[key], tolerance)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            close(one, other, tolerance)
    elif isinstance(expected, float) and tolerance:
        assert found == pytest.approx(expected, abs=tolerance)
    else:
        assert found == expected


def without_intervals(evaluation: dict[str, Any]) -> dict[str, Any]:
    """What a version measures; how it computes intervals may improve, and reasons for missing ones, slices, the
    temperature, what fixing each kind of error would gain, crowds, the sizes of objects and the speed came later."""
    rows = {
        name: {key: value for key, value in row.items() if key not in ("intervals", "reasons")}
        for name, row in evaluation["per_class"].items()
    }
    later = ("intervals", "reasons", "slices", "temperature", "ap50_gains", "crowding", "sizes", "speed")
    rest = {key: value for key, value in evaluation.items() if key not in later}
    return {**rest, "per_class": rows}


def test_it_opens_predicts_evaluates_verifies_and_reports(
    earlier: tuple[str, Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, folder, expected = earlier
    monkeypatch.chdir(folder)
    torch.set_num_threads(1)
    run = sightline.open_run("finished")
    assert run.recipe.task.kind == kind
    tolerance = 0.0 if same_machine(expected) else 1e-3
    conf = 0.0 if kind in ("detection", "instances") else None  # it reported every box
    found = sightline.predict(run, expected["images"], conf=conf)
    close(found.to_json()["predictions"], expected["predictions"], tolerance)
    evaluation = json.loads(json.dumps(sightline.evaluate(run).to_json()))
    close(without_intervals(evaluation), without_intervals(expected["evaluation"]), tolerance)
    for name, ends in evaluation["intervals"].items():
        assert ends is None or ends[0] <= evaluation["metrics"][name] <= ends[1]
    assert {m for m, ends in expected["evaluation"]["intervals"].items() if ends} <= {
        m for m, ends in evaluation["intervals"].items() if ends
    }
    assert sightline.verify(run)["ok"]
    assert sightline.report(run).read_text().startswith("<!doctype html>")


def test_it_goes_on_to_the_same_end(earlier: tuple[str, Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    _, folder, expected = earlier
    monkeypatch.chdir(folder)
    run = sightline.train(resume="begun")
    assert run.finished
    if same_machine(expected):
        whole = json.loads((folder / "finished/manifest.json").read_text())["files"]
        again = json.loads((folder / "begun/manifest.json").read_text())["files"]
        same = set(whole) - {"environment.json", "metrics.json", "model/config.json"}  # these may say more today
        assert {name: again[name] for name in same} == {name: whole[name] for name in same}
        metrics = json.loads((folder / "begun/metrics.json").read_text())
        assert {k: v for k, v in metrics.items() if k != "images"} == json.loads(
            (folder / "finished/metrics.json").read_text()
        )
