"""The gate is tested itself: six mutations of an export, each of which it must refuse."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from sightline.errors import CheckError, DamagedError, UsageError
from sightline.exports import assemble
from sightline.exports.assemble import Built, Request, build, folder_files
from sightline.exports.parity import Parity, measure_parity
from sightline.exports.plan import Graph
from sightline.kinds import KINDS
from sightline.kinds.classification import CLASSIFICATION
from sightline.runtime.folder import FACTS, PREPROCESSING
from sightline.runtime.model import open_model
from sightline.storage.folders import commit_folder
from sightline.verbs.export import export
from sightline.verbs.predict import predict

from .tiny_runs import QUIET, request_for, tiny_run

pytest.importorskip("onnx", reason="exports need the extra 'export'")
pytest.importorskip("onnxruntime", reason="exports need the extra 'export'")

Edit = Callable[[dict[str, Any]], None]


@pytest.fixture(scope="module")
def request_(tmp_path_factory: pytest.TempPathFactory) -> Request:
    return request_for(tiny_run(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def built(request_: Request) -> Built:
    return build(request_, "onnx", "trace")


def parity(
    request: Request, built: Built, folder: Path, facts: Edit | None = None, preprocessing: Edit | None = None
) -> Parity:
    """The gate's figures for the export, whose JSON files may be edited first."""
    files, _ = folder_files(request, built, {})
    for name, edit in ((FACTS, facts), (PREPROCESSING, preprocessing)):
        if edit is not None:
            value = json.loads(files[name])
            edit(value)
            files[name] = json.dumps(value).encode()
    folder.mkdir(exist_ok=True)
    model = open_model(commit_folder(folder / "export", files, {}))
    return measure_parity(model, request.export, request.graphs, request.reference)


def mutated(request: Request, change: Callable[[nn.Module], nn.Module | None]) -> Built:
    """The export of a changed copy of the network."""
    task = copy.deepcopy(request.task)
    task.model = change(task.model) or task.model
    return build(replace(request, task=task), "onnx", "trace")


def test_an_export_of_the_run_itself_passes(request_: Request, built: Built, tmp_path: Path) -> None:
    figures = parity(request_, built, tmp_path)
    assert figures.reason == "" and figures.images == 64
    assert 0 < figures.logit_difference < 1e-4


class _Swapped(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(x.flip(1))


def _one_buffer(model: nn.Module) -> None:
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    norm.running_mean[0] += 0.05  # type: ignore[index]


def _other_mean(model: nn.Module) -> None:
    model.normalise.mean *= 1.01  # type: ignore[operator, union-attr]


@pytest.mark.parametrize("change", [_Swapped, _one_buffer, _other_mean], ids=["BGR", "one buffer", "mean"])
def test_a_changed_network_is_refused(request_: Request, change: Any, tmp_path: Path) -> None:
    assert "differs" in parity(request_, mutated(request_, change), tmp_path).reason


def test_another_placement_of_the_image_is_refused(request_: Request, built: Built, tmp_path: Path) -> None:
    def crop(stored: dict[str, Any]) -> None:
        stored["geometry"] |= {"fit": "crop", "share": 0.8}

    def larger(stored: dict[str, Any]) -> None:
        stored["geometry"] |= {"height": 20, "width": 20}

    assert "differs" in parity(request_, built, tmp_path / "1", preprocessing=crop).reason
    assert "fails" in parity(request_, built, tmp_path / "2", preprocessing=larger).reason


def test_a_batch_that_became_a_constant_is_refused(request_: Request, tmp_path: Path) -> None:
    graph = request_.graphs["model"]
    fixed = Graph(graph.module, dict.fromkeys(graph.inputs), dict.fromkeys(graph.outputs), graph.logits)
    plan = replace(request_.export, graphs=lambda task, shape: {"model": fixed})
    built = build(replace(request_, export=plan), "onnx", "trace")
    assert "fails" in parity(request_, built, tmp_path).reason


def test_another_order_of_classes_is_refused(request_: Request, built: Built, tmp_path: Path) -> None:
    figures = parity(request_, built, tmp_path, facts=lambda facts: facts["classes"].reverse())
    assert "classes" in figures.reason
    assert figures.disagreements > 64  # the labels of rows differ as well


def test_what_the_gate_refuses_is_not_written(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 5, both exporters named, and neither a folder nor a temporary one left."""
    wrong = copy.deepcopy(request_.task)
    _one_buffer(wrong)
    others = request_.export.graphs(wrong, request_.shape)
    original = assemble.to_onnx
    monkeypatch.setattr(assemble, "to_onnx", lambda graph, example, _: original(others["model"], example, "trace"))
    with pytest.raises(CheckError, match=r"dynamo: .*differs.*trace: .*differs") as error:
        assemble.export_folder(request_, "onnx", tmp_path / "export")
    assert error.value.exit_code == 5
    assert list(tmp_path.iterdir()) == []


def test_the_other_exporter_takes_over_and_says_so(
    request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original = assemble.to_onnx

    def failing(graph: Any, example: Any, exporter: Any) -> Any:
        if exporter == "dynamo":
            raise RuntimeError("no such operator")
        return original(graph, example, exporter)

    monkeypatch.setattr(assemble, "to_onnx", failing)
    facts = assemble.export_folder(replace(request_, console=type(QUIET)(level=0)), "onnx", tmp_path / "export")
    assert facts["graphs"]["model"]["exporter"] == "trace"
    assert facts["rejected"] == ["dynamo: RuntimeError: no such operator"]
    assert "no such operator" in capsys.readouterr().err


def test_a_kind_without_a_plan_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tiny_run(tmp_path)
    monkeypatch.setitem(KINDS, "classification", replace(CLASSIFICATION, export=None))
    with pytest.raises(UsageError, match="cannot be exported"):
        export(run, console=QUIET)


def test_the_verb_and_what_its_folder_predicts(tmp_path: Path) -> None:
    """By dynamo where it is installed: the rows of the export are those of the run, from files, bytes and pixels."""
    pytest.importorskip("onnxscript", reason="dynamo needs it")
    run = tiny_run(tmp_path)
    facts = export(run, out=tmp_path / "export", console=QUIET)
    assert facts["graphs"]["model"]["exporter"] == "dynamo" and facts["rejected"] == []
    assert {"static_ms", "dynamic_ms", "batch_8_ms"} == facts["graphs"]["model"]["latency"].keys()
    images = sorted((tmp_path / "data" / "cat").glob("*.png"))[:9]
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    expected = predict(run, [*images, tmp_path / "broken.png"], console=QUIET).rows
    found = predict(tmp_path / "export", [*images, tmp_path / "broken.png"], console=QUIET).rows
    assert [row.get("label") for row in found] == [row.get("label") for row in expected]
    assert [row["path"] for row in found] == [row["path"] for row in expected]
    assert found[-1] == expected[-1] and "error" in found[-1]
    for a, b in zip(found[:-1], expected[:-1], strict=True):
        assert a.keys() == b.keys() and abs(a["probability"] - b["probability"]) < 1e-5
    with pytest.raises(UsageError, match="exists"):
        export(run, out=tmp_path / "export", console=QUIET)
    _flip_a_bit(tmp_path / "export" / "model.onnx")
    with pytest.raises(DamagedError, match=r"model\.onnx"):
        open_model(tmp_path / "export")


def _flip_a_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
