"""An export for torch: proved like the others, loaded by programs of the user, never by sightline."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sightline import runtime
from sightline.errors import CheckError, UsageError
from sightline.exports import assemble, torch_program
from sightline.exports.plan import Graph
from sightline.preprocessing.saved import Preprocessing
from sightline.runs.run import Run
from sightline.verbs.export import export
from sightline.verbs.predict import predict

from .tiny_runs import QUIET, request_for, tiny_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return tiny_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def exported(run: Run) -> Path:
    return Path(export(run, to="torch", console=QUIET)["folder"])


def test_a_program_of_the_user_predicts_what_the_run_predicts(run: Run, exported: Path) -> None:
    facts = json.loads((exported / "export.json").read_text())
    assert facts["parity"]["images"] == 64 and facts["parity"]["disagreements"] == 0
    assert facts["parity"]["max_logit_difference"] <= 1e-4
    assert {path.name for path in exported.iterdir()} == {
        "model.pt2", "export.json", "preprocessing.json", "LICENSE.txt", "manifest.json",
    }  # fmt: skip
    picture = run.folder.parent / "data" / "cat" / "0.png"
    preprocessing = Preprocessing.from_json(json.loads((exported / "preprocessing.json").read_text()))
    pixels, _, _ = preprocessing.prepare(picture)
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].repeat(3, 1, 1, 1)
    scores = torch.export.load(exported / "model.pt2").module()(image)
    (row,) = predict(run, [picture], console=QUIET).rows
    probabilities = dict(zip(facts["classes"], scores.softmax(-1)[2].tolist(), strict=True))
    assert probabilities[row["label"]] == pytest.approx(row["probability"], abs=1e-5)


def test_sightline_itself_loads_none(run: Run, exported: Path) -> None:
    picture = run.folder.parent / "data" / "cat" / "0.png"
    for use in (lambda: runtime.open(exported), lambda: predict(exported, picture, console=QUIET)):
        with pytest.raises(UsageError, match="can run code"):
            use()


class _Off(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x) + 0.01


def test_another_network_is_refused_and_nothing_stays(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes in the file are what is compared: here they are of another network than the run's."""
    whole = torch_program.to_program

    def other(graph: Graph, example: Any) -> bytes:
        return whole(replace(graph, module=_Off(graph.module)), example)

    monkeypatch.setattr(assemble, "to_program", other)
    with pytest.raises(CheckError, match=r"differs by 0\.01"):
        assemble.export_folder(request_for(run), "torch", tmp_path / "export")
    assert list(tmp_path.iterdir()) == []
