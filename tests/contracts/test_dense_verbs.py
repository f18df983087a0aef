"""Masks, boxes and instances from a folder to a report: the same verbs, the same run folder."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import sightline
from sightline.cli.main import app
from sightline.cli.wording import summary_text
from sightline.errors import UsageError
from sightline.runs.run import Run
from sightline.storage.text import json_text
from tests.faults.runs import TASKS, write_masks

KINDS = ["segmentation", "detection", "instances", "localisation"]
HEADLINE = {"segmentation": "mean_iou", "detection": "ap50", "instances": "mask_ap50", "localisation": "localised"}
OTHER = {"segmentation": "pixel_accuracy", "detection": "ap", "instances": "ap", "localisation": "accuracy"}
TIMED = ("detection", "instances")
COLUMN = {"localisation": "recall"}  # of the table by class; of the others precision


@pytest.fixture(scope="module", params=KINDS)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, Run]:
    folder = tmp_path_factory.mktemp(request.param)
    write, network, keys = TASKS[request.param]
    write(folder / "data")
    given = [key for key in keys if not key.startswith("fit.epochs")]
    run = sightline.train(
        str(folder / "data"), [*given, "fit.threads=1", "fit.precision=fp32"], model=network, epochs=1,
        out=folder / "run",
    )  # fmt: skip
    return request.param, folder, run


def test_a_run_has_all_its_parts(trained: tuple[str, Path, Run]) -> None:
    kind, _, run = trained
    assert run.status["task"] == run.recipe.task.kind == kind
    metrics = run.metrics
    splits = ("train", "val", "test")
    assert set(metrics) == {*splits, "images"}
    for split in splits:
        assert 0 <= metrics[split][HEADLINE[kind]] <= 1
    data = json.loads((run.folder / "data.json").read_text())
    assert metrics["images"] == data["splits"]
    assert run.recipe.fit.monitor == HEADLINE[kind]
    about = json.loads((run.folder / "samples/examples.json").read_text())
    assert about["items"]
    for item in about["items"]:
        assert Image.open(run.folder / item["file"]).width > 300
    page = (run.folder / "report.html").read_text()
    for name in run.classes:
        assert name in page
    assert (run.folder / "README.md").read_text().startswith("# ")


def test_evaluate_gives_what_training_measured(trained: tuple[str, Path, Run]) -> None:
    kind, _, run = trained
    found = sightline.evaluate(run)
    said = json.loads(json_text(found.to_json()))
    assert said["split"] == "test"
    assert set(said["per_class"]) == set(run.classes)
    assert ("speed" in said) == (run.folder / "speed.json").exists() == (kind in TIMED)
    if kind in TIMED:
        assert said["speed"]["fps"] == pytest.approx(1000 / said["speed"]["ms"])
        assert (said["speed"]["threads"], said["speed"]["device"]) == (1, "cpu")
        assert "frames a second" in (run.folder / "report.html").read_text()
    stored = run.metrics["test"]
    for name in (HEADLINE[kind], OTHER[kind]):
        assert said["metrics"][name] == pytest.approx(stored[name], abs=1e-9)
    if (known := said["intervals"][HEADLINE[kind]]) is not None:  # boxes of so short a training are all wrong
        assert known[0] <= said["metrics"][HEADLINE[kind]] <= known[1] or kind != "segmentation"
    assert known is not None or kind not in ("segmentation", "localisation")


def test_predict_answers_in_the_original_frame(trained: tuple[str, Path, Run], tmp_path: Path) -> None:
    kind, folder, run = trained
    images = sorted((folder / "data" / "images").iterdir())[:3]
    wide = tmp_path / "wide.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 90, 3), dtype=np.uint8)).save(wide)
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no image")
    found = sightline.predict(run, [*images, wide, broken])
    assert found.failed == 1
    rows = found.to_json()["predictions"]
    assert "error" in rows[-1]
    for row, (height, width) in zip(rows[:-1], [(64, 64)] * 3 + [(40, 90)], strict=True):
        if kind == "segmentation":
            assert row["mask"] is None
            assert sum(row["shares"].values()) == pytest.approx(1)
            continue
        for box in row["boxes"]:
            x0, y0, x1, y1 = box["xyxy"]
            assert 0 <= x0 <= x1 <= width
            assert 0 <= y0 <= y1 <= height
            assert box["label"] in run.classes
            assert ("rle" in box) == (kind == "instances")
            if kind == "instances":
                assert box["rle"]["size"] == [height, width]


def test_predictions_are_written(trained: tuple[str, Path, Run], tmp_path: Path) -> None:
    kind, folder, run = trained
    images = sorted((folder / "data" / "images").iterdir())[:2]
    if kind == "segmentation":
        with pytest.raises(UsageError, match=r"cannot write predictions as '\.csv'"):
            sightline.predict(run, images, out=tmp_path / "x.csv")
        rows = sightline.predict(run, images, out=tmp_path / "masks").rows
        for row in rows:
            mask = np.asarray(Image.open(row["mask"]))
            assert mask.shape == (64, 64)
            assert mask.max() < len(run.classes)
        assert len((tmp_path / "masks" / "predictions.jsonl").read_text().splitlines()) == 2
        return
    sightline.predict(run, images, out=tmp_path / "x.csv")
    lines = list(csv.reader((tmp_path / "x.csv").open()))
    assert lines[0] == ["path", "label", "score", "x1", "y1", "x2", "y2", "error"]
    assert {line[0] for line in lines[1:]} == {str(path) for path in images}


def test_a_task_that_the_data_do_not_answer(tmp_path: Path) -> None:
    write_masks(tmp_path / "data", 12)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"task.kind": "detection"}, "task.kind=detection does not fit the data, which are for segmentation"),
        ({"model.name": "resnet18"}, "resnet18 outputs class scores, and the task needs pixel scores"),
        ({"fit.monitor": "accuracy"}, "fit.monitor=accuracy is not a metric of segmentation"),
        ({"data.balance": "sample"}, "data.balance=sample works for classification only"),
        ({"task.kind": "segmentation", "task.label_smoothing": 0.1}, "task.label_smoothing is not a key of"),
        ({"task.los": "dice"}, "unknown recipe key 'task.los'"),
    ]
    for keys, message in cases:
        with pytest.raises(UsageError, match=message):
            sightline.train(str(tmp_path / "data"), keys, out=tmp_path / "run")


@pytest.mark.parametrize("json_asked", [False, True])
def test_the_command_says_it(
    trained: tuple[str, Path, Run], tmp_path: Path, capsys: pytest.CaptureFixture[str], json_asked: bool
) -> None:
    """Every verb about a run, for a person and for a program."""
    kind, folder, run = trained
    picture = sorted((folder / "data" / "images").iterdir())[0]
    out = tmp_path / ("masks" if kind == "segmentation" else "found.csv")
    flags = ["--json"] if json_asked else []

    def said(*words: object) -> str:
        with pytest.raises(SystemExit) as ended:
            app([*map(str, words), "--quiet", *flags], standalone_mode=False)
        assert ended.value.code == 0, capsys.readouterr().err
        return capsys.readouterr().out

    evaluated, predicted = said("evaluate", run.folder), said("predict", run.folder, picture, "--out", out)
    assert out.exists()
    said("report", run.folder)
    if json_asked:
        assert HEADLINE[kind] in json.loads(evaluated)["metrics"]
        assert json.loads(predicted)["predictions"][0]["path"] == str(picture)
        return
    assert all(name in evaluated for name in (*run.classes, HEADLINE[kind], COLUMN.get(kind, "precision")))
    header, row = predicted.splitlines()
    assert header.split()[:2] == ["path", "shares" if kind == "segmentation" else "objects"]
    assert row.startswith(str(picture))
    first = OTHER if kind == "localisation" else HEADLINE
    assert first[kind].replace("_", " ") in summary_text(run.summary())
