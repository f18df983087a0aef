"""What newcomers type who know another program: each mistake is answered with the right command."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from sightline.cli.hints import hint_for
from sightline.cli.main import app
from sightline.errors import UsageError
from sightline.kinds.classification import CLASSIFICATION
from sightline.recipes.names import require_match, require_network
from sightline.verbs.predict import Predictions


@pytest.mark.parametrize(
    ("message", "words", "hint"),
    [
        ("No such command 'val'.", "val runs/x", "use sightline evaluate RUN"),
        ("No such command 'test'.", "test runs/x", "use sightline evaluate RUN"),
        ("No such command 'infer'.", "infer runs/x a.jpg", "use sightline predict RUN PATH"),
        ("No such command 'detect'.", "detect runs/x a.jpg", "use sightline predict RUN PATH"),
        ("No such command 'fit'.", "fit digits", "use sightline train DATA"),
        ("No such command 'trian'.", "trian digits", "did you mean sightline train DATA?"),
        ("No such option: --imgsz", "train digits --imgsz 640", "train DATA input.size=640"),
        ("No such option: --img", "train digits --img=320", "use input.size=320"),
        ("No such option: --image-size", "train digits --image-size 96", "use input.size=96"),
        ("No such option: --batch-size", "train digits --batch-size", "use fit.batch=64"),
        ("No such option: --data (Possible options: --batch)", "train --data photos", "sightline train photos"),
        ("No such option: --data", "evaluate runs/x --data photos", "sightline evaluate RUN photos"),
        ("No such option: --project", "train digits --project a", "use --out FOLDER"),
        (
            "No such option: --methd (Possible options: --method, --seed)",
            "attack r --methd pgd",
            "did you mean --method?",
        ),
        (
            "No such option: --taget (Possible options: --data, --target)",
            "explain r --taget a",
            "did you mean --target?",
        ),
        ("No such option: --save-dir", "explain r --save-dir a", "did you mean --out?"),
        ("No such option: --zzz", "explain r --zzz", "see sightline explain --help"),
        ("No such option: --epohcs (Possible options: --epochs)", "train d --epohcs 3", "did you mean --epochs?"),
        ("--out has an empty value", "explain r --out", "leave it out"),
        ("Missing argument 'RUN'.", "evaluate", ""),
    ],
)
def test_hints(message: str, words: str, hint: str) -> None:
    answer = hint_for(message, words.split())
    assert hint in answer
    assert bool(answer) == bool(hint)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["explain", "r", "a.png", "--n", "0"], "'--n'"),
        (["attack", "r", "--seed", "-1"], "'--seed'"),
        (["attack", "r", "--steps", "0"], "'--steps'"),
        (["predict", "r", "a.mp4", "--every", "0"], "'--every'"),
        (["serve", "r", "--port", "70000"], "'--port'"),
        (["train", "digits", "--seed", "-1"], "'--seed'"),
        (["explain", "r", "--out", ""], "--out has an empty value"),
        (["report", ""], "an argument is empty"),
        (["attack", "r", "--out="], "--out has an empty value"),
        (["label-errors", "d", "--out", " "], "--out has an empty value"),
    ],
)
def test_values_that_mean_nothing_are_refused_before_anything_starts(words: list[str], complaint: str) -> None:
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2 and complaint in done.output, done.output


@pytest.mark.parametrize("name", ["yolov8n", "yolo11n", "rtdetr-l", "ssd300"])
def test_other_detectors_lead_to_those_here(name: str) -> None:
    with pytest.raises(UsageError) as error:
        require_network(name)
    assert "faster_rcnn_resnet18_fpn" in error.value.hint


def test_a_pattern_without_a_match_gets_the_nearest_names() -> None:
    with pytest.raises(UsageError, match="no model matches 'resent") as error:
        require_match("resent*")
    assert "'resnet*'" in error.value.hint
    assert require_match("lenet5") == ["lenet5"]


def test_failed_predictions_are_counted_and_named(tmp_path) -> None:
    good = {"path": "a.png", "label": "cat", "probability": 0.9, "top": []}
    bad = [{"path": f"{name}.png", "error": "damaged: no image data"} for name in "bc"]
    assert Predictions(tmp_path, CLASSIFICATION.answers, (good,), 1, 0).failure_note() == ""
    note = Predictions(tmp_path, CLASSIFICATION.answers, (good, *bad), 3, 2, bad[0]).failure_note()
    assert note == "2 of 3 images failed; first: b.png: damaged: no image data"
