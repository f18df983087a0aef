"""The rate range test: the rates, the smoothing, the suggestion, and that it stops once the loss explodes."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest

from sightline.errors import UsageError
from sightline.runs.console import Console
from sightline.verbs.studies.rate_range import HIGH, LOW, rate_range, smoothed, steepest


def test_smoothing_corrects_its_start() -> None:
    assert smoothed([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    assert smoothed([1.0, 0.0])[1] == pytest.approx(0.9 * 0.1 / (1 - 0.81))


def test_the_steepest_fall_before_the_minimum() -> None:
    rates = [10.0**-k for k in range(6, 0, -1)]
    assert steepest(rates, [2.0, 1.9, 1.2, 0.6, 0.5, 3.0]) == rates[2]
    assert steepest(rates, [1.0, 1.1, 1.2, 1.3, 1.4, 1.5]) is None


def test_a_network_on_digits(tmp_path: Path) -> None:
    keys = [
        "model.name=linear",
        "fit.batch=32",
        "fit.threads=1",
        "fit.precision=fp32",
        "fit.ema=0",
        "optim.name=sgd",
        "optim.lr=0.1",
    ]
    found = rate_range("digits", keys, steps=60, out=tmp_path / "rates", console=Console(-1))
    rates, losses = found["rates"], found["losses"]
    assert len(rates) == len(losses) <= 60 and rates[0] == pytest.approx(LOW)
    assert losses[0] == pytest.approx(math.log(10), abs=0.7)  # before any step, ten classes
    assert max(b / a for a, b in pairwise(rates)) == pytest.approx((HIGH / LOW) ** (1 / 59), rel=1e-6)
    assert 1e-4 < found["suggestion"] < 10 and min(losses) < 1.9
    assert json.loads((tmp_path / "rates" / "rate-range.json").read_text())["suggestion"] == found["suggestion"]
    page = (tmp_path / "rates" / "rate-range.html").read_text()
    assert "falls fastest" in page and "<svg" in page


def test_too_few_steps_are_refused() -> None:
    with pytest.raises(UsageError, match="3 steps show no curve"):
        rate_range("digits", steps=3, console=Console(-1))
