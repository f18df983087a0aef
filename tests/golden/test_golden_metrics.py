"""Numbers of the lecture about evaluation, each computed by the product. `metrics.json` holds the rows as given; where
the lecture is wrong the row's right value is expected, and the printed one must not come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.metrics.counts import Counts, or_none, rate
from sightline.metrics.ranking import area_under, at_ranks

ROWS: dict[str, dict[str, Any]] = {
    row["id"]: row for row in json.loads(Path(__file__).with_name("metrics.json").read_text())
}
TABLE = ["mcc-table-a1", "mcc-table-b1", "mcc-table-b2", "mcc-table-b3", "mcc-table-c2", "mcc-table-c3"]


def counts(inputs: dict[str, float]) -> Counts:
    return Counts(*(np.array([float(inputs.get(name, 0))]) for name in ("tp", "fp", "fn", "tn")))


def value(name: str, inputs: dict[str, float], **options: float) -> float | None:
    return or_none(rate(name, counts(inputs), **options)[0])


def close(got: object, row: dict[str, Any]) -> None:
    assert got == pytest.approx(row["expected"], abs=row["tolerance"], rel=0)


def test_every_row_is_tested() -> None:
    assert set(ROWS) == {
        "ap-area", "ap-rank10-counts", "ap-recall", "f1-two-forms", "fbeta", "tpr-formula",
        "tumour-accuracy", "tumour-all-metrics", *TABLE,
    }  # fmt: skip


def test_ap_area() -> None:
    row = ROWS["ap-area"]
    ranks = at_ranks(np.array(row["inputs"]["correct"]), row["inputs"]["n_gt"])
    close({name: area_under(ranks.precision, ranks.recall, name) for name in row["expected"]}, row)


def test_ap_rank10_counts() -> None:
    row = ROWS["ap-rank10-counts"]
    ranks = at_ranks(np.array(row["inputs"]["correct"]), row["inputs"]["n_gt"])
    for name, place in (("rank10", 9), ("rank5", 4)):
        got = [float(column[place]) for column in ranks]
        assert got == pytest.approx(row["expected"][name], abs=row["tolerance"], rel=0)


def test_ap_recall() -> None:
    row = ROWS["ap-recall"]
    got = at_ranks(np.array(row["inputs"]["correct"]), row["inputs"]["n_gt"]).recall
    assert got.tolist() == pytest.approx(row["expected"], abs=row["tolerance"], rel=0)


def test_f1_two_forms() -> None:
    row = ROWS["f1-two-forms"]
    precision, recall = value("precision", row["inputs"]), value("recall", row["inputs"])
    assert precision is not None
    assert recall is not None
    close([2 * precision * recall / (precision + recall), value("f_beta", row["inputs"])], row)


def test_fbeta() -> None:
    row = ROWS["fbeta"]
    inputs = {"tp": 8, "fp": 2, "fn": 4}  # have the row's precision and recall
    assert value("precision", inputs) == pytest.approx(row["inputs"]["pr"], abs=1e-15)
    assert value("recall", inputs) == pytest.approx(row["inputs"]["rc"], abs=1e-15)
    got = [value("f_beta", inputs, beta=float(beta)) for beta in row["inputs"]["beta"]]
    close(got, row)
    assert all(abs(g - p) > 0.1 for g, p in zip(got, row["lecture_printed"], strict=True))


@pytest.mark.parametrize("id", TABLE)
def test_mcc_table(id: str) -> None:
    row = ROWS[id]
    names = ("accuracy", "recall", "precision", "f_beta", "mcc")
    got = [value(name, row["inputs"]) for name in names]
    for g, expected in zip(got, row["expected"], strict=True):
        if expected is None:
            assert g is None
        else:
            assert g == pytest.approx(expected, abs=row["tolerance"], rel=0)


def test_tpr_formula() -> None:
    row = ROWS["tpr-formula"]
    got = value("recall", row["inputs"])
    close(got, row)
    assert got != pytest.approx(row["lecture_printed"])


def test_tumour_accuracy() -> None:
    row = ROWS["tumour-accuracy"]
    assert value("accuracy", row["inputs"]) == pytest.approx(row["expected"], abs=row["tolerance"], rel=0)


def test_tumour_all_metrics() -> None:
    row = ROWS["tumour-all-metrics"]
    ours = {"f1": "f_beta", "FDR": "fdr", "FOR": "for", "NPV": "npv", "LRp": "lr_plus", "LRm": "lr_minus", "DOR": "dor"}
    close({name: value(ours.get(name, name), row["inputs"]) for name in row["expected"]}, row)
