"""Several labels for each image, and numbers, through every verb: train, kill, resume, evaluate, predict, report, verify."""

from __future__ import annotations

import csv
import json
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import sightline
import sightline.training.progress as actions
from sightline.errors import Stopped, UsageError
from sightline.runs.run import Run
from sightline.structures.batch import Batch
from sightline.structures.targets import Values
from sightline.tasks.multilabel import Multilabel
from sightline.tasks.regression import Regression
from tests.asking import called

KEYS = ["fit.threads=1", "fit.precision=fp32", "optim.name=adamw", "optim.lr=0.02"]
HEADLINE = {"multilabel": "map", "regression": "r2"}
TARGETS = {"multilabel": ("left", "right", "top"), "regression": ("light", "tilt")}


def write_labels(root: Path, count: int = 60) -> Path:
    """Images of 12 x 12: a bright edge at each place that the label names; one entry in ten is missing."""
    rng = np.random.default_rng(5)
    lines = ["path,left,right,top"]
    for i in range(count):
        marks = rng.integers(0, 2, 3)
        pixels = rng.integers(0, 90, (12, 12, 3))
        for there, place in zip(marks, (np.s_[:, :3], np.s_[:, -3:], np.s_[:3]), strict=True):
            pixels[place] += 150 * there
        _save(root / "img" / f"{i:02d}.png", pixels)
        cells = ["" if rng.uniform() < 0.1 else str(int(mark)) for mark in marks]
        lines.append(f"img/{i:02d}.png,{','.join(cells)}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def write_numbers(root: Path, count: int = 60) -> Path:
    """Images of 12 x 12 whose brightness and slope are the two targets, in units of their own."""
    rng = np.random.default_rng(6)
    lines = ["path,light,tilt"]
    for i in range(count):
        light, tilt = rng.uniform(40, 200), rng.uniform(-1, 1)
        pixels = light + 40 * tilt * np.linspace(-1, 1, 12)[None, :, None] + rng.normal(0, 4, (12, 12, 3))
        _save(root / "img" / f"{i:02d}.png", pixels)
        lines.append(f"img/{i:02d}.png,{1000 + 3 * light:.3f},{'' if i % 9 == 4 else f'{tilt / 50:.6f}'}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def _save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module", params=["multilabel", "regression"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Run]:
    folder = tmp_path_factory.mktemp(request.param)
    {"multilabel": write_labels, "regression": write_numbers}[request.param](folder / "data")
    return request.param, folder, train(folder, "run")


def train(folder: Path, name: str, **more: Any) -> Run:
    keys = [*KEYS, "augment.preset=none"]
    return sightline.train(folder / "data", keys, model="convnet", epochs=8, batch=16, out=folder / name, **more)


def ended(run: Run) -> dict[str, bytes]:
    names = ("model/model.safetensors", "history.csv", "metrics.jsonl", "metrics.json", "task.json")
    names += tuple(f"predictions/{split}.parquet" for split in ("train", "val", "test"))
    return {name: (run.folder / name).read_bytes() for name in names}


def test_a_run_learns_and_has_all_its_parts(trained: tuple[str, Path, Run]) -> None:
    kind, _, run = trained
    assert run.status["task"] == run.recipe.task.kind == kind
    assert run.classes == TARGETS[kind]
    assert run.recipe.fit.monitor == HEADLINE[kind]
    assert run.metrics["train"][HEADLINE[kind]] > 0.6
    facts = json.loads((run.folder / "task.json").read_text())
    if kind == "multilabel":
        assert 0 < facts["threshold"] < 1
    else:
        assert facts["mean"][0] == pytest.approx(1360, abs=60) and abs(facts["mean"][1]) < 0.01
        test = run.metrics["test"]
        assert test["mae"] < test["mae_of_mean"] and test["rmse"] < test["rmse_of_mean"]
    page = (run.folder / "report.html").read_text()
    for word in (
        *run.classes,
        "The worst answers",
        "Precision against recall" if kind == "multilabel" else "Residuals",
    ):
        assert word in page
    assert (run.folder / "README.md").read_text().startswith("# run")


def test_killed_and_resumed_is_bit_identical(trained: tuple[str, Path, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    _, folder, run = trained
    whole, calls = actions.rows_of, []

    def stop_in_the_third(task: Any, batches: Any, device: str, *, stop: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return whole(task, batches, device, stop=stop)

    monkeypatch.setattr(actions, "rows_of", stop_in_the_third)
    with pytest.raises(Stopped):
        train(folder, "killed")
    monkeypatch.setattr(actions, "rows_of", whole)
    assert ended(sightline.train(resume=folder / "killed")) == ended(run)


def test_evaluate_equals_what_training_measured(trained: tuple[str, Path, Run]) -> None:
    kind, folder, run = trained
    found = sightline.evaluate(run)
    assert found.judgement.metrics == pytest.approx(run.metrics["test"], abs=1e-9)
    others = sightline.evaluate(run, folder / "data" / "labels.csv", split="test")
    assert others.judgement.metrics == found.judgement.metrics
    mirrored = sightline.evaluate(run, tta=True).judgement.metrics[HEADLINE[kind]]
    assert mirrored != found.judgement.metrics[HEADLINE[kind]]
    code, said, _ = called("evaluate", str(run.folder))
    assert code == 0 and set(said["per_class"]) == set(TARGETS[kind])


def test_predict_in_json_csv_and_a_table(trained: tuple[str, Path, Run], tmp_path: Path) -> None:
    kind, folder, run = trained
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    paths = [*sorted((folder / "data" / "img").iterdir())[:3], broken]
    out = tmp_path / "out.csv"
    found = sightline.predict(run, paths, out=out)
    first = found.rows[0]
    lines = list(csv.DictReader(out.read_text().splitlines()))
    if kind == "multilabel":
        assert all(p >= first["threshold"] for p in first["labels"].values())
        assert [name for name, _ in first["top"]][: len(first["labels"])] == list(first["labels"])
        assert lines[0]["labels"] == "|".join(first["labels"])
        assert len(lines) == 4
    else:
        assert set(first["values"]) == set(TARGETS[kind]) and 900 < first["values"]["light"] < 1800
        assert [line["target"] for line in lines] == [*TARGETS[kind]] * 3 + [""]
        assert float(lines[0]["value"]) == pytest.approx(first["values"]["light"])
    assert "not-an-image" in found.rows[3]["error"] and "not-an-image" in lines[-1]["error"]


def test_report_and_verify(trained: tuple[str, Path, Run]) -> None:
    _, _, run = trained
    before = (run.folder / "report.html").read_text()
    sightline.report(run)
    assert (run.folder / "report.html").read_text() == before
    assert all(row["state"] == "good" for row in sightline.verify(run.folder)["files"])
    facts = run.folder / "task.json"
    kept = facts.read_bytes()
    facts.write_bytes(kept.replace(b"0.", b"1.", 1))
    with pytest.raises(sightline.errors.DamagedError, match=r"task\.json"):
        sightline.predict(run, run.folder / "samples" / "batch.png")
    facts.write_bytes(kept)


def test_an_export_predicts_the_same(trained: tuple[str, Path, Run], tmp_path: Path) -> None:
    kind, folder, run = trained
    facts = sightline.export(run, to="onnx", out=tmp_path / "onnx")
    assert facts["parity"]["images"] >= 60
    paths = sorted((folder / "data" / "img").iterdir())[:5]
    own, found = sightline.predict(run, paths).rows, sightline.predict(tmp_path / "onnx", paths).rows
    for one, other in zip(own, found, strict=True):
        if kind == "multilabel":
            assert dict(other["top"]) == pytest.approx(dict(one["top"]), abs=1e-4)
            assert list(other["labels"]) == list(one["labels"])
        else:
            assert other["values"] == pytest.approx(one["values"], rel=1e-4, abs=1e-5)
    with pytest.raises(UsageError, match="cannot be shown on a page yet"):
        sightline.export(run, to="html", out=tmp_path / "page")


class Own(nn.Module):
    """Twenty lines of a user's own."""

    def __init__(self, num_classes: int = 3) -> None:
        super().__init__()
        self.head = nn.Linear(3, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean((2, 3)))  # type: ignore[no-any-return]


def test_a_rehearsal_of_a_network_of_ones_own(trained: tuple[str, Path, Run], tmp_path: Path) -> None:
    kind, folder, _ = trained
    run = sightline.train(folder / "data", KEYS, model=Own, batch=16, out=tmp_path / "run", smoke=True)
    assert run.summary()["smoke"] and HEADLINE[kind] in run.metrics["test"]


# --------------------------------------------------------------------------------------------------- the kind that is named
def test_the_named_kind_reads_the_labels_in_its_own_way(tmp_path: Path) -> None:
    lines = ["path,stars"]
    for i in range(40):
        _save(tmp_path / "img" / f"{i}.png", np.random.default_rng(i).integers(0, 255, (8, 8, 3)))
        lines.append(f"img/{i}.png,{i % 4 + 1}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    for kind, classes in (
        ("regression", ("stars",)),
        ("classification", ("1", "2", "3", "4")),
        ("multilabel", ("1", "2", "3", "4")),
    ):
        keys = [*KEYS, f"task.kind={kind}"]
        run = sightline.train(tmp_path / "labels.csv", keys, model="linear", epochs=1, batch=16, out=tmp_path / kind)
        assert (run.status["task"], run.classes) == (kind, classes)
        assert (
            sightline.evaluate(run, tmp_path / "labels.csv", split="test").judgement.n == run.metrics["images"]["test"]
        )
    with pytest.raises(
        UsageError, match=r"task\.kind=segmentation does not fit the data, which are for classification"
    ):
        sightline.train(tmp_path / "labels.csv", ["task.kind=segmentation"], out=tmp_path / "no")


# --------------------------------------------------------------------------------------------------- losses
class _Fixed(nn.Module):
    def __init__(self, outputs: torch.Tensor) -> None:
        super().__init__()
        self.outputs = nn.Parameter(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.outputs


def _batch(value: list[list[float]]) -> Batch:
    n = len(value)
    image, frame = torch.zeros(n, 3, 2, 2, dtype=torch.uint8), torch.eye(3).expand(n, 3, 3)
    sizes = torch.full((n, 2), 2)
    return Batch.of_images(image, sizes, frame, sizes, torch.arange(n), torch.arange(n), Values.of(torch.tensor(value)))


def test_missing_labels_have_no_gradient() -> None:
    """Scores 0 and 2 of a present and an absent label cost log 2 and log(1 + e²); the mean of the three known entries."""
    task = Multilabel(_Fixed(torch.tensor([[0.0, 2.0], [0.0, 5.0]])))
    loss = task.loss(_batch([[1.0, 0.0], [0.0, float("nan")]]))
    assert float(loss.weight) == 3
    assert float(loss.total.detach()) == pytest.approx((2 * np.log(2) + np.log1p(np.exp(2))) / 3, rel=1e-6)
    loss.total.backward()
    gradient = task.model.outputs.grad
    assert isinstance(gradient, torch.Tensor) and float(gradient[1, 1]) == 0 and float(gradient[0, 1]) > 0


@pytest.mark.parametrize(
    ("loss", "wanted"), [("l2", (4 + 0.25 + 0) / 3), ("l1", (2 + 0.5) / 3), ("huber", (1.5 + 0.125) / 3)]
)
def test_losses_of_standardised_values(loss: Any, wanted: float) -> None:
    """Targets 10 and 15 ± 5 are 0 and 1; outputs of 2, 0.5 and 0."""
    outputs, mean, std = torch.tensor([[2.0], [0.5], [0.0], [9.0]]), torch.tensor([10.0]), torch.tensor([5.0])
    task = Regression(_Fixed(outputs), mean=mean, std=std, loss=loss)
    batch = _batch([[10.0], [15.0], [10.0], [float("nan")]])
    found = task.loss(batch)
    assert (float(found.total.detach()), float(found.weight)) == (pytest.approx(wanted), 3)
    mae, weight = found.parts["mae"]
    assert (float(mae), float(weight)) == (pytest.approx((10 + 2.5) / 3), 3)
    assert task.predict(batch).value[:, 0].tolist() == [20.0, 12.5, 10.0, 55.0]
