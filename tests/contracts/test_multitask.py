"""Several questions about each image through every verb: train, kill, resume, evaluate, predict, explain, export, report."""

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
from sightline.data.formats.tables import read_table
from sightline.errors import DataError, Stopped, UsageError
from sightline.metrics.answers import answer_metrics, losses, skills
from sightline.runs.run import Run
from sightline.structures.batch import Batch
from sightline.structures.heads import Head, side_by_side
from sightline.structures.targets import Values
from sightline.tasks.multitask import Multitask, Uncertainty
from tests.asking import called

KEYS = ["fit.threads=1", "fit.precision=fp32", "optim.name=adamw", "optim.lr=0.02", "augment.preset=none"]
KEYS += ["data.label=light,edge,marks", "task.kind=multitask", "task.conflict_every=2", "task.balance=uncertainty"]
NAN = float("nan")
HEADS = side_by_side(
    [Head("age", "number", ("age",)), Head("sex", "class", ("f", "m")), Head("on", "labels", ("a", "b"))]
)


def write(root: Path, count: int = 72) -> Path:
    """Images of 12 x 12: their brightness, which third has a bright spot, which sides are dark. Some answers are missing."""
    rng = np.random.default_rng(7)
    lines = ["path,light,edge,marks,extra"]
    (root / "img").mkdir(parents=True)
    for i in range(count):
        light, edge, marks = rng.uniform(40, 160), rng.integers(0, 3), rng.integers(0, 2, 2)
        pixels = np.full((12, 12, 3), light) + rng.normal(0, 4, (12, 12, 3))
        pixels[(slice(0, 2), slice(5, 7), slice(10, 12))[edge]] += 90
        for there, side in zip(marks, (np.s_[:, :2], np.s_[:, -2:]), strict=True):
            pixels[side] -= 40 * there
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / "img" / f"{i:02d}.png")
        names = "|".join(name for name, there in zip(("west", "east"), marks, strict=True) if there) or "[]"
        answers = ("" if i % 9 == 4 else f"{light:.2f}", "" if i % 4 == 0 else "tmb"[edge], "" if i % 7 == 3 else names)
        lines.append(f"img/{i:02d}.png,{','.join(answers)},{'xy'[i % 2]}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Run]:
    folder = tmp_path_factory.mktemp("multitask")
    write(folder / "data")
    return folder, train(folder, "run")


def train(folder: Path, name: str) -> Run:
    return sightline.train(folder / "data", KEYS, model="convnet", epochs=6, batch=16, out=folder / name)


def ended(run: Run) -> dict[str, bytes]:
    names = ("model/model.safetensors", "model/balance.safetensors", "history.csv", "metrics.jsonl", "metrics.json")
    names += ("task.json", *(f"predictions/{split}.parquet" for split in ("train", "val", "test")))
    return {name: (run.folder / name).read_bytes() for name in names}


# --------------------------------------------------------------------------------------------------- the data
def test_columns_are_read_as_questions(trained: tuple[Path, Run]) -> None:
    folder, run = trained
    source = read_table(folder / "data" / "labels.csv", "light,edge,marks")
    table: Any = source.annotations
    assert [(h.name, h.kind) for h in table.heads] == [("light", "number"), ("edge", "class"), ("marks", "labels")]
    assert source.classes == run.classes == ("light", "edge=b", "edge=m", "edge=t", "marks=east", "marks=west")
    assert source.columns == ("extra",)
    values = np.stack([table.truth(record) for record in source.records])
    assert np.isnan(values[4, 0]) and np.isnan(values[0, 1:4]).all() and np.isnan(values[3, 4:]).all()
    assert (np.nansum(values[:, 1:4], 1)[np.arange(72) % 4 > 0] == 1).all()
    for columns, words in (("light,nothing", "no column 'nothing'"), ("light,light", "a column twice")):
        with pytest.raises(DataError, match=words):
            read_table(folder / "data" / "labels.csv", columns)


# --------------------------------------------------------------------------------------------------- through every verb
def test_a_run_learns_every_question(trained: tuple[Path, Run]) -> None:
    _, run = trained
    train = run.metrics["train"]
    assert run.status["task"] == "multitask" and run.recipe.fit.monitor == "skill"
    assert train["light.skill"] > 0.5 and train["edge.skill"] > 0.3 and train["marks.skill"] > 0.2
    assert train["skill"] == pytest.approx(np.mean([train[f"{n}.skill"] for n in ("light", "edge", "marks")]))
    history = (run.folder / "history.csv").read_text()
    assert "train_light.edge.cosine" in history and "train_marks.weight" in history
    page = (run.folder / "report.html").read_text()
    for words in ("Do the questions help each other?", "Learned weights", "Worst answers", "light: residuals", "edge"):
        assert words in page
    facts = json.loads((run.folder / "task.json").read_text())
    assert 0 < facts["thresholds"]["marks"] < 1 and facts["share"][1] == pytest.approx(0.75, abs=0.1)


def test_killed_and_resumed_is_bit_identical(trained: tuple[Path, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, run = trained
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


def test_evaluate_equals_what_training_measured(trained: tuple[Path, Run]) -> None:
    folder, run = trained
    found = sightline.evaluate(run)
    assert found.judgement.metrics == pytest.approx(run.metrics["test"], abs=1e-9)
    assert found.judgement.intervals["skill"] is not None
    others = sightline.evaluate(run, folder / "data" / "labels.csv", split="test")
    assert others.judgement.metrics == found.judgement.metrics
    assert sightline.evaluate(run, tta=True).judgement.metrics["skill"] != found.judgement.metrics["skill"]
    code, said, _ = called("evaluate", str(run.folder))
    assert code == 0 and set(said["per_class"]) == set(said["questions"]) == {"light", "edge", "marks"}


def test_predict_explain_and_report(trained: tuple[Path, Run], tmp_path: Path) -> None:
    folder, run = trained
    paths, out = sorted((folder / "data" / "img").iterdir())[:2], tmp_path / "out.csv"
    first = sightline.predict(run, paths, out=out).rows[0]["answers"]
    assert 20 < first["light"]["value"] < 180 and first["edge"]["label"] in "tmb"
    assert all(p >= first["marks"]["threshold"] for p in first["marks"]["labels"].values())
    lines = list(csv.DictReader(out.read_text().splitlines()))
    assert [line["question"] for line in lines] == ["light", "edge", "marks"] * 2
    assert float(lines[0]["answer"]) == pytest.approx(first["light"]["value"])
    drawn = sightline.predict(run, paths, draw=tmp_path / "drawn", classes="edge=t")
    assert set(drawn.rows[0]["answers"]) == {"edge"} and any((tmp_path / "drawn").rglob("*.png"))
    code, _, _ = called("explain", str(run.folder), str(paths[0]), "--target", "edge=t", "--out", str(tmp_path / "why"))
    assert code == 0
    before = (run.folder / "report.html").read_text()
    sightline.report(run)
    assert (run.folder / "report.html").read_text() == before
    assert all(row["state"] == "good" for row in sightline.verify(run.folder)["files"])


def test_an_export_answers_the_same(trained: tuple[Path, Run], tmp_path: Path) -> None:
    folder, run = trained
    assert sightline.export(run, to="onnx", out=tmp_path / "onnx")["parity"]["images"] >= 60
    paths = sorted((folder / "data" / "img").iterdir())[:4]
    for one, other in zip(
        sightline.predict(run, paths).rows, sightline.predict(tmp_path / "onnx", paths).rows, strict=True
    ):
        own, found = one["answers"], other["answers"]
        assert found["light"]["value"] == pytest.approx(own["light"]["value"], rel=1e-4)
        assert found["edge"]["label"] == own["edge"]["label"]
        assert dict(found["marks"]["top"]) == pytest.approx(dict(own["marks"]["top"]), abs=1e-4)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (["task.weights=[1,2]", "task.balance=fixed"], "2 numbers for 3 questions"),
        (["task.weights=[1,2,3]"], "no effect with task.balance=uncertainty"),
        (["data.label=light"], "does not fit the data"),
    ],
)
def test_contradictions_are_refused(trained: tuple[Path, Run], tmp_path: Path, key: list[str], words: str) -> None:
    names = {part.split("=")[0] for part in key}
    keys = [part for part in KEYS if part.split("=")[0] not in names] + key
    with pytest.raises(UsageError, match=words):
        sightline.train(trained[0] / "data", keys, model="linear", epochs=1, out=tmp_path / "no")


# --------------------------------------------------------------------------------------------------- the loss
class _Fixed(nn.Module):
    """A trunk of one weight below five outputs."""

    def __init__(self, outputs: torch.Tensor) -> None:
        super().__init__()
        self.outputs, self.trunk = nn.Parameter(outputs), nn.Parameter(torch.ones(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.trunk
        return self.outputs * torch.stack([first, second, first, second, first])


def _batch(value: list[list[float]], start: int = 0) -> Batch:
    n = len(value)
    image, frame, sizes = (
        torch.zeros(n, 3, 2, 2, dtype=torch.uint8),
        torch.eye(3).expand(n, 3, 3),
        torch.full((n, 2), 2),
    )
    place = torch.arange(start, start + n)
    return Batch.of_images(image, sizes, frame, sizes, place, place, Values.of(torch.tensor(value)))


def _task(outputs: list[list[float]], **more: Any) -> Multitask:
    share = more.pop("share", torch.ones(3))
    mean, std = torch.tensor([30.0, 0.5, 0.5, 0.2, 0.6]), torch.tensor([10.0, 1.0, 1.0, 1.0, 1.0])
    weight = torch.tensor([1.0, 2.0, 1.0])
    return Multitask(_Fixed(torch.tensor(outputs)), HEADS, mean=mean, std=std, share=share, weight=weight, **more)


ALL = [[40.0, 1.0, 0.0, 0.0, 1.0], [20.0, 0.0, 1.0, 1.0, 1.0]]


def test_an_unknown_answer_has_no_gradient() -> None:
    """The second image knows only its class, the third nothing, and the first not its class."""
    known = [[40.0, NAN, NAN, 0.0, NAN], [NAN, 0.0, 1.0, NAN, NAN], [NAN] * 5]
    task = _task([[0.3, 1.0, 2.0, 3.0, 4.0]] * 3, balance=Uncertainty(3))
    loss = task.loss(_batch(known))
    assert float(loss.weight) == 2
    loss.total.backward()
    gradient = task.model.outputs.grad
    assert isinstance(gradient, torch.Tensor)
    there = torch.tensor([[1, 0, 0, 1, 0], [0, 1, 1, 0, 0], [0, 0, 0, 0, 0]], dtype=torch.bool)
    assert torch.equal(gradient != 0, there) and torch.equal(gradient[~there], torch.zeros(11))
    nothing = task.loss(_batch([[NAN] * 5] * 3))
    assert float(nothing.total.detach()) == float(nothing.weight) == 0
    task.zero_grad()
    nothing.total.backward()
    assert all(p.grad is None or not p.grad.any() for p in task.parameters())


def test_the_loss_is_the_weighted_sum_of_each() -> None:
    """Standardised ages ±1 against 0.5 and 0, two classes of equal scores, labels of score 0: (0.25 + 1) / 2, log 2, log 2."""
    task = _task([[0.5, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]])
    loss = task.loss(_batch(ALL))
    assert float(loss.total.detach()) == pytest.approx(0.625 + 2 * np.log(2) + np.log(2), rel=1e-6)
    assert float(loss.parts["age.loss"][0]) == pytest.approx(0.625)
    assert torch.allclose(task.predict(_batch(ALL)).value[0], torch.tensor([35.0, 0.5, 0.5, 0.5, 0.5]))


@pytest.mark.parametrize("learned", [False, True])
def test_a_batch_in_parts_has_the_loss_of_the_whole(learned: bool) -> None:
    known = [*ALL, [NAN, 1.0, 0.0, NAN, 1.0], [35.0, NAN, NAN, NAN, NAN], [NAN] * 5]
    outputs = [[0.1 * i, 0.2, -0.3 * i, 0.4, -0.5] for i in range(5)]
    more = {"balance": Uncertainty(3)} if learned else {}
    more["share"] = torch.tensor([0.75, 0.75, 0.5])
    whole = _task(outputs, **more).loss(_batch(known))
    parts = [_task(outputs[a:b], **more).loss(_batch(known[a:b])) for a, b in ((0, 1), (1, 5))]
    joined = sum(part.total * part.weight for part in parts) / sum(part.weight for part in parts)
    assert float(joined.detach()) == pytest.approx(float(whole.total.detach()), rel=1e-6)


def test_uncertainty_weighs_as_published() -> None:
    """exp(-s) L + s / 2 of classes and labels, ½ exp(-s) L + s / 2 of squared errors."""
    balance = Uncertainty(3)
    with torch.no_grad():
        balance.log_variance.copy_(torch.tensor([0.4, -0.2, 0.0]))
    task = _task([[0.5, 0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0]], balance=balance)
    loss, log2 = task.loss(_batch(ALL)), np.log(2)
    wanted = 0.5 * np.exp(-0.4) * 0.625 + 0.2 + np.exp(0.2) * log2 - 0.1 + log2
    assert float(loss.total.detach()) == pytest.approx(wanted, rel=1e-6)
    loss.total.backward()
    gradient = balance.log_variance.grad
    assert gradient is not None and float(gradient[2]) == pytest.approx(0.5 - log2, rel=1e-5)
    assert float(loss.parts["sex.weight"]) == pytest.approx(np.exp(0.2), rel=1e-6)


def test_the_conflict_of_gradients() -> None:
    """On the trunk (t, u) age pulls at t only and sex at u and t; their cosine is that of the two gradients."""
    task = _task([[0.5, 1.0, -1.0, 0.0, 0.0]] * 2, conflict_every=2)
    task.shared = (task.model.trunk,)
    found = task.loss(_batch(ALL)).parts["age.sex.cosine"]
    one, other = (
        torch.autograd.grad(
            task._losses(task.model(_batch(ALL).image), Values.of(torch.tensor(ALL)))[0][i], task.model.trunk
        )[0]
        for i in (0, 1)
    )
    assert float(found[0]) == pytest.approx(float(torch.cosine_similarity(one, other, dim=0)), abs=1e-6)
    assert abs(float(found[0])) > 0.1 and float(found[1]) == 1
    assert float(task.loss(_batch(ALL, start=2)).parts["age.sex.cosine"][1]) == 0  # the next batch is not measured
    unknown = task.loss(_batch([[NAN, *row[1:]] for row in ALL])).parts["age.sex.cosine"]
    assert float(unknown[1]) == 0


# --------------------------------------------------------------------------------------------------- the metrics
def test_skill_is_what_the_guess_gets_wrong_and_the_answer_does_not() -> None:
    task = _task([[0.5, 3.0, 0.0, -9.0, 9.0], [-1.0, 3.0, 0.0, 9.0, 9.0]])
    with torch.no_grad():
        rows = task.rows(_batch(ALL), task.predict(_batch(ALL)))
    own = answer_metrics(rows)
    # ages 35 and 20 for 40 and 20, against 30: 1 - 25 / 200; class f for f and m as the guess; labels all right, guess (0, 1)
    assert own["age.skill"] == pytest.approx(1 - 25 / 200) and own["sex.skill"] == 0 and own["on.skill"] == 1
    assert own["skill"] == pytest.approx((0.875 + 0 + 1) / 3)
    assert own["age.mae"] == pytest.approx(2.5) and own["sex.accuracy"] == 0.5 and own["on.map"] == 1
    loss = task.loss(_batch(ALL))
    assert own["loss"] == pytest.approx(float(loss.parts["loss"][0]), rel=1e-5)
    twice = np.array([[2.0, 0.0]])
    assert skills(rows, twice)[0, 0] == pytest.approx(1 - 25 / 100) and np.isnan(skills(rows, twice)[0, 1])
    assert losses(rows, twice)[0, 0] == pytest.approx(0.25)
