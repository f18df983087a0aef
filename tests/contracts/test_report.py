"""The report tells every run, finished or not, whole or damaged, and tells it right."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sightline.errors import DamagedError
from sightline.evaluation.intervals import wilson
from sightline.kinds.reporting import build_card, build_report, chapter_of, content_of
from sightline.reports.facts import facts_of
from tests.fake_runs import Fake, image_lookup, trained, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("all") / "runs" / "digits-mlp", Fake(), trained())


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))


def test_report_tells_everything(run):
    page = build_report(run, load_image=image_lookup(trained()))
    text = words_of(page)
    for part in ("Metrics", "Learning curves", "Confusion matrix", "Class by class", "The worst mistakes", "Probabilities and",
                 "A training batch as the network sees it", "Data", "Model", "Run it again"):  # fmt: skip
        assert f"<h2>{part}" in page
    rows = trained().rows["test"]
    right = (rows.probability.argmax(1) == rows.target).mean()
    assert f"It is right on {100 * right:.1f} % of 400 test images" in text
    assert "sightline train runs/digits-mlp/recipe.yaml" in text
    mistakes = int((rows.probability.argmax(1) != rows.target).sum())
    assert page.count('<img class="tiny"') == min(mistakes, 24)
    assert "1,810" in text
    assert page.count("<svg") >= 6 + 10


def test_report_is_a_pure_function_of_the_folder(run):
    before = sorted((p, p.stat().st_mtime_ns) for p in run.rglob("*"))
    pages = {build_report(run, load_image=image_lookup(trained())) for _ in range(2)}
    assert len(pages) == 1
    assert sorted((p, p.stat().st_mtime_ns) for p in run.rglob("*")) == before


def test_facts_are_those_of_the_rows(run):
    content = content_of(run)
    facts = facts_of(content, chapter_of(run))
    rows = trained().rows["test"]
    predicted, top = rows.probability.argmax(1), rows.probability.max(1)
    assert (facts.split, facts.n) == ("test", 400)
    assert facts.mistakes == (predicted != rows.target).sum()
    assert facts.confident_mistakes == ((predicted != rows.target) & (top >= 0.95)).sum()
    assert facts.confidence == pytest.approx(top.mean())
    counts = np.bincount(rows.target, minlength=10)
    assert facts.majority == (Fake().classes[counts.argmax()], counts.max() / 400)
    worst = min(facts.classes, key=lambda c: c.value)
    index = Fake().classes.index(worst.name)
    lost = np.bincount(predicted[(rows.target == index) & (predicted != index)], minlength=10)
    assert (worst.confused_with, worst.confusions) == (Fake().classes[lost.argmax()], lost.max())
    assert facts.interval is not None
    assert facts.interval[0] < facts.metric("test", "accuracy") < facts.interval[1]


def test_all_right_still_has_an_interval(tmp_path):
    rows = trained().rows["test"]
    perfect = replace(rows, probability=np.eye(10)[rows.target])
    digits = replace(trained(), rows=dict(trained().rows) | {"test": perfect})
    folder = write_run(tmp_path / "run", Fake(), digits)
    facts = facts_of(content_of(folder), chapter_of(folder))
    assert facts.interval == pytest.approx(wilson(1.0, 400, 1.96))
    assert facts.interval[0] < 0.995
    assert (
        "Intervals: of proportions by Wilson, of other metrics by the bootstrap over images, 1,000 resamples."
        in words_of(build_report(folder, load_image=image_lookup(digits)))
    )


def test_worst_mistakes_are_the_surest(run):
    page = build_report(run, load_image=lambda index: None)
    assert "no image" in page
    files = re.findall(r'<span class="file"><bdi>(digits/\d+\.png)</bdi></span></figcaption>', page)
    rows = trained().rows["test"]
    wrong = np.flatnonzero(rows.probability.argmax(1) != rows.target)
    margin = rows.probability[wrong].max(1) - rows.probability[wrong, rows.target[wrong]]
    expected = [f"digits/{rows.id[wrong[i]]:04d}.png" for i in np.argsort(-margin)]
    assert files == expected[:24]


PARTS = (
    "metrics.json", "history.csv", "data.json", "model/config.json", "samples/batch.png", "samples/batch.json",
    "predictions/test.parquet", "recipe.yaml", "environment.json",
)  # fmt: skip
# the report names these if they are missing
NAMED_IF_MISSING = ("metrics.json", "history.csv", "data.json", "model/config.json", "samples/batch.png")


@pytest.mark.parametrize("missing", [*PARTS, "ALL"])
def test_a_run_without_a_part_is_still_told(run, tmp_path, missing):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    (folder / "run.json").write_text('{"status": "running", "name": "digits-mlp"}')
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != "run.json" and missing in (name, "ALL"):
            path.unlink()
    page = build_report(folder, load_image=lambda i: None)
    assert "This run has not ended yet" in page
    assert ("Missing from this report" in page) == (missing in (*NAMED_IF_MISSING, "ALL"))
    if missing == "ALL":
        assert "The accuracy has not been measured yet" in page
        assert build_card(folder).startswith("# digits-mlp")


@pytest.mark.parametrize("name", [*PARTS, "run.json"])
@pytest.mark.parametrize(
    "content", [b"\x00\xff<b>", b'{"a": [1, {"b": ', b'{"splits": 7, "layers": {"a": 1}, "train": []}']
)
def test_a_damaged_part_costs_only_itself(run, tmp_path, name, content):
    folder = Path(shutil.copytree(run, tmp_path / "run"))
    (folder / name).write_bytes(content)
    page = build_report(folder, load_image=lambda i: None)
    assert "<h2>Run it again" in page
    expected = "of 397 validation images" if name == "predictions/test.parquet" else "of 400 test images"
    assert expected in page
    if content.startswith(b"\x00") and not name.endswith(".csv"):
        assert f"{name}" in words_of(page)


def test_a_test_less_run_is_judged_on_validation(tmp_path):
    page = words_of(
        build_report(write_run(tmp_path / "run", Fake(splits=("train", "val")), trained()), load_image=lambda i: None)
    )
    assert "of 397 validation images" in page
    assert "There is no test split" in page


def test_many_classes_stay_readable(tmp_path):
    k, n = 60, 600
    draw = np.random.default_rng(5)
    rows = {}
    for split, start in (("train", 0), ("val", 1000), ("test", 2000)):
        target = draw.integers(0, k, n)
        scores = draw.normal(size=(n, k)) + 4 * np.eye(k)[target]
        probability = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
        rows[split] = replace(trained().rows["test"], id=np.arange(n) + start, target=target, probability=probability)
    fake = Fake(classes=tuple(f"species {i}" for i in range(k)))
    folder = write_run(tmp_path / "run", fake, replace(trained(), rows=rows))
    page = build_report(folder, load_image=lambda i: None)
    assert "The 20 classes with most confusions are shown; the other 40 share one row and one column." in page
    assert "36 more classes" in page
    assert len(re.findall(r'<td class="(?:hit|miss|mixed) h\d"', page)) == 21 * 21


def test_no_run_is_refused(tmp_path):
    with pytest.raises(DamagedError, match="is not a run folder"):
        build_report(tmp_path, load_image=lambda i: None)


def test_quarantine_opens_page_and_card(tmp_path):
    problem = {
        "file": "a.jpg",
        "line": None,
        "reason": "truncated: ends early",
        "fix": "copy it again",
        "action": "quarantined",
    }
    fake = Fake(problems=(problem,) * 250, data={"n": 2047, "quarantined": 250})
    folder = write_run(tmp_path / "run", fake, trained())
    page = words_of(build_report(folder, load_image=lambda i: None))
    assert "Fix first · data".replace(" · ", " ") in page.replace("·", "")
    assert page.index("Many files could not be used") < page.index("It has learned")
    assert "50 more are in data.json." in page
    card = build_card(folder)
    assert card.index("Many files could not be used") < card.index("It has learned")
    conflict = [dict(problem, reason="label-conflict: labelled a, but b has the same pixels")] * 4
    data = json.loads((folder / "data.json").read_text()) | {"problems": conflict, "conflicts": None}
    (folder / "data.json").write_text(json.dumps(data))
    assert facts_of(content_of(folder), chapter_of(folder)).conflicts == 4
