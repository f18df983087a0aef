"""Which metric should decide: the examples of the textbooks, and the data's own imbalance."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sightline import api
from sightline.errors import UsageError
from sightline.kinds.catalogue import KINDS
from sightline.kinds.questions.advice import _OTHERS, advise
from sightline.runs.console import Console


@pytest.mark.parametrize(
    ("question", "worse", "metric", "word"),
    [
        ("is there a tumour?", "miss", "balanced_accuracy", "recall"),
        ("does this passenger carry a weapon?", "miss", "balanced_accuracy", "recall"),
        ("is she pregnant?", "miss", "balanced_accuracy", "recall"),
        ("is this mail spam?", "false-alarm", "macro_f1", "precision"),
        ("is this satellite picture worth sending down?", "false-alarm", "macro_f1", "precision"),
    ],
)
def test_what_costs_more_decides(question: str, worse: Any, metric: str, word: str) -> None:
    advice = advise("classification", worse, (500, 500))
    assert advice is not None
    assert advice.metric == metric and word in advice.beside and advice.threshold


def test_without_a_worse_mistake_imbalance_decides() -> None:
    even, odd = advise("classification", "neither", (100, 120)), advise("classification", "neither", (990, 10))
    assert even is not None and odd is not None
    assert even.metric == "accuracy"
    assert odd.metric == "balanced_accuracy" and "99%" in odd.reason


def test_every_advised_metric_is_one_that_its_kind_monitors() -> None:
    cases = [*_OTHERS, *(("classification", worse) for worse in ("miss", "false-alarm", "neither"))]
    for kind, worse in cases:
        scoring, advice = KINDS[kind].scoring, advise(kind, worse, (9, 1))  # type: ignore[arg-type]
        assert scoring is not None and advice is not None and advice.metric in scoring.monitors


def test_the_audit_gives_advice(tmp_path: Path) -> None:
    for i in range(12):
        path = tmp_path / ("fraud" if i < 2 else "fine") / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(path)
    found = api.audit(tmp_path, worse="miss", console=Console(-1))
    assert (
        found["advice"]["key"] == "fit.monitor=balanced_accuracy" and "a miss costs more" in found["advice"]["reason"]
    )
    assert "83%" in api.audit(tmp_path, worse="neither", console=Console(-1))["advice"]["reason"]
    assert "advice" not in api.audit(tmp_path, console=Console(-1))
    with pytest.raises(UsageError, match="--worse mis is unknown"):
        api.audit(tmp_path, worse="mis", console=Console(-1))
