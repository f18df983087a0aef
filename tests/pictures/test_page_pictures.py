"""What a reader does with the page: open a picture, find the files behind a doubt, read a wide table on a phone."""

from __future__ import annotations

import base64
import io
import json
import re
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.drawing.png import grid, png_bytes
from sightline.evaluation.intervals import wilson
from sightline.kinds.reporting import build_report, content_of
from sightline.reports.parts.suspects import SHOWN, suspects
from sightline.reports.thresholds import Thresholds
from tests.contracts.test_report_safety import check
from tests.fake_dense import DenseFake, write_dense
from tests.fake_runs import Fake, image_lookup, trained, write_run

CONFLICTS = tuple(
    {
        "file": f"cats & dogs/<{i}>.jpg",
        "line": "",
        "reason": f'label-conflict: labelled cat, but dogs/{i}.jpg has the same pixels and is labelled "dog"',
        "fix": "correct one",
        "action": "quarantined",
    }
    for i in range(8)
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    fake = Fake(problems=CONFLICTS, data={"conflicts": 8})
    return write_run(tmp_path_factory.mktemp("page") / "run", fake, trained())


@pytest.fixture(scope="module")
def page(folder) -> str:
    return build_report(folder, load_image=image_lookup(trained()))


def attributes(page: str, tag: str) -> list[dict[str, str]]:
    """The attributes of every such element, in order."""
    found = re.findall(rf"<{tag}((?: [\w-]+(?:=\"[^\"]*\")?)*)>", page)
    return [dict((k, v) for k, _, v in re.findall(r' ([\w-]+)(="([^"]*)")?', text)) for text in found]


def picture(source: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))


def test_every_picture_opens_by_a_button_and_closes_by_another(page):
    check(page)  # no script, no handler, no address outside
    images, buttons = attributes(page, "img"), attributes(page, "button")
    popovers = [a for a in attributes(page, "div") if "popover" in a]
    assert len(images) == len(popovers) == 24  # 23 mistakes and the batch
    assert len({a["id"] for a in popovers}) == len(popovers)
    opening = [b for b in buttons if "popovertargetaction" not in b]
    closing = [b for b in buttons if b.get("popovertargetaction") == "hide"]
    for of in (opening, closing):
        assert [b["popovertarget"] for b in of] == [a["id"] for a in popovers]
        assert all(b["type"] == "button" for b in of)
    assert all(b["aria-label"].startswith("Enlarge: ") and len(b["aria-label"]) > 12 for b in opening)
    assert all(b["aria-label"] == "Close" for b in closing)
    assert all(a["alt"] for a in images)


def test_each_picture_is_in_the_page_once_and_in_the_size_that_it_says(page):
    images = attributes(page, "img")
    assert len({a["src"] for a in images}) == len(images)
    for a in images:
        assert picture(a["src"]).size == (int(a["width"]), int(a["height"]))


def test_photographs_and_noise_keep_the_page_small(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (700, 900, 3), np.uint8)
    own = write_run(tmp_path / "run", Fake(), trained())
    (own / "samples/batch.png").write_bytes(png_bytes(grid([noise] * 8, columns=4, most=640)))
    whole = build_report(own, load_image=lambda name: noise)
    assert len(whole) < 5_000_000
    assert max(int(a["width"]) for a in attributes(whole, "img") if "predicted as" in a["alt"]) >= 200


def test_examples_are_large_enough_to_read_their_labels(tmp_path):
    folder = write_dense(tmp_path / "run", DenseFake("detection"))
    about = json.loads((folder / "samples/examples.json").read_text())
    panel = np.full((320, 416, 3), 90, np.uint8)
    for item in about["items"]:
        (folder / item["file"]).write_bytes(png_bytes(grid([panel] * 3, columns=3, least=1, most=640)))
    found = attributes(build_report(folder, load_image=lambda name: None), "img")
    examples = [a for a in found if a["alt"].startswith("image, ground truth and prediction")]
    assert {a["width"] for a in examples} == {str(3 * 416 + 8)}  # not shrunk


def test_files_that_may_be_labelled_wrongly_are_named(folder, page):
    named = suspects(content_of(folder), Thresholds())
    assert [s.file for s in named[:8]] == [p["file"] for p in CONFLICTS]
    assert named[0].why == 'labelled cat, but dogs/0.jpg has the same pixels and is labelled "dog"'
    finding = page[page.index("Some labels may be wrong") :].split("</ol>")[0]
    assert "Files to check" in finding
    assert finding.count("cats &amp; dogs/&lt;") == len([s for s in named if s.file.startswith("cats")])
    visible = finding.split("<details>")[0]
    assert visible.count('<span class="file">') == SHOWN


def test_confident_mistakes_are_named_with_both_classes(folder):
    strict = Thresholds(confident=0.6)
    content = content_of(folder)
    rows, mistakes = trained().rows["test"], [s for s in suspects(content, strict) if s.file.startswith("digits/")]
    predicted = rows.probability.argmax(1)
    wrong = (predicted != rows.target) & (rows.probability.max(1) >= 0.6)
    assert {s.file for s in mistakes} == {f"digits/{i:04d}.png" for i in rows.id[wrong]}
    first = next(row for row, i in enumerate(rows.id) if mistakes[0].file == f"digits/{i:04d}.png")
    names = content.evaluation.classes
    start = f"labelled {names[rows.target[first]]}, predicted {names[predicted[first]]} with a probability of"
    assert mistakes[0].why.startswith(start)


def test_calibration_has_the_wilson_interval_of_each_bin(folder, page):
    svg = next(s for s in re.findall(r"<svg .*?</svg>", page, re.DOTALL) if "<title>Reliability</title>" in s)
    root = xml.fromstring(svg)
    bars = [s.attrib for s in root.iter("line") if s.attrib["class"] == "c-error"]
    dots = [c.attrib for c in root.iter("circle")]
    curve = content_of(folder).evaluation.judgement.reliability
    filled = np.flatnonzero(curve.samples)
    assert len(bars) == 3 * len(dots) == 3 * len(filled)  # a bar and its two ends
    assert not [s for s in root.iter("line") if s.attrib["class"] == "c-stem"]
    ys = {float(s.attrib["y1"]) for s in root.iter("line") if s.attrib["class"] == "c-grid"}
    top, bottom = min(ys), max(ys)
    for bar, i in zip(bars[::3], filled, strict=True):
        low, high = wilson(float(curve.accuracy[i]), int(curve.samples[i]), Thresholds().z)
        assert float(bar["y1"]) == pytest.approx(bottom - low * (bottom - top), abs=0.02)
        assert float(bar["y2"]) == pytest.approx(bottom - high * (bottom - top), abs=0.02)


def test_every_table_scrolls_inside_and_keeps_its_first_column(page):
    css = page.split("<style>")[1].split("</style>")[0]
    tables = [m.start() for m in re.finditer("<table", page)]
    assert len(tables) >= 4
    for start in tables:
        assert page.rfind('<div class="scroll" tabindex="0">', 0, start) > page.rfind("</table>", 0, start)
    rules = dict(
        re.findall(r"([^{}]+?)\s*\{([^{}]*)\}", re.sub(r"/\*.*?\*/", "", css.split("@media (max")[0], flags=re.DOTALL))
    )
    rules = {name.strip(): body for name, body in rules.items()}
    assert "overflow-x: auto" in rules[".scroll"]
    sticky = rules[".scroll tr > :first-child"]
    assert "position: sticky" in sticky
    assert "left: 0" in sticky
    assert "background: var(--paper)" in sticky  # what slides below must not shine through
    assert "border-collapse: separate" in rules["table"]  # collapsed borders do not stay with a sticky cell


def test_top5_has_an_interval_and_runs_that_call_it_otherwise_open(folder, tmp_path, page):
    judged = content_of(folder).evaluation.judgement
    assert judged.metrics["top5_accuracy"] is not None
    low, high = judged.intervals["top5_accuracy"]
    assert low <= judged.metrics["top5_accuracy"] <= high
    assert "top-5 accuracy" in page
    older = write_run(tmp_path / "run", Fake(), trained())
    metrics = json.loads((older / "metrics.json").read_text())
    for split in ("train", "val", "test"):
        metrics[split]["top5"] = metrics[split].pop("top5_accuracy")
    (older / "metrics.json").write_text(json.dumps(metrics))
    again = build_report(older, load_image=lambda name: None)
    assert again.count(">top-5 accuracy<") == 1
    assert ">top5<" not in again  # its old name is the same row, with its values of training and validation
    assert '>top-5 accuracy</th><td class="num">–</td>' not in again
    for split in ("train", "val", "test"):
        del metrics[split]["top5"]
    (older / "metrics.json").write_text(json.dumps(metrics))
    assert '>top-5 accuracy</th><td class="num">–</td>' in build_report(older, load_image=lambda name: None)
