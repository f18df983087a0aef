"""Reports of segmentations, detectors and instance masks: whole, with parts missing, and with hostile names."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sightline.drawing.png import png_bytes
from sightline.kinds.reporting import build_card, build_report, chapter_of, content_of
from sightline.reports.facts import facts_of
from sightline.reports.finding import VerdictFacts
from tests.contracts.test_report_safety import BREAKS, VECTORS, check, read_as_markdown
from tests.fake_dense import CLASSES, SIZES, DenseFake, scenes, write_dense
from tests.verdicts import headline_of

KINDS = ("detection", "instances", "segmentation")


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    return {kind: write_dense(tmp_path_factory.mktemp(kind) / "runs" / "scenes", DenseFake(kind)) for kind in KINDS}


def gone(index: int) -> None:
    return None


def words_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))


def facts(folder: Path) -> VerdictFacts:
    return facts_of(content_of(folder), chapter_of(folder))


@pytest.mark.parametrize("kind", KINDS)
def test_page_tells_everything(runs, kind):
    page = build_report(runs[kind], load_image=gone)
    own = "Confusion matrix" if kind == "segmentation" else "Mistakes by kind and size"
    for part in ("Metrics", "Learning curves", own, "Class by class", "Examples: image, ground truth, prediction",
                 "A training batch as the network sees it", "Data", "Model", "Run it again"):  # fmt: skip
        assert f"<h2>{part}" in page
    summary, text = facts(runs[kind]), words_of(page)
    value, interval = summary.value, summary.interval
    assert value is not None
    assert interval is not None
    assert interval[0] < value < interval[1]
    name = headline_of(kind)
    assert f"It reaches {name.article} {name.name} of {100 * value:.1f} % on 24 test images" in text
    assert f"between {100 * interval[0]:.1f} and {100 * interval[1]:.1f} %" in text
    assert "n = 24" in text
    assert "sightline train runs/scenes/recipe.yaml" in text
    assert page.count('alt="image, ground truth and prediction of images/') == 6
    check(page)


def test_only_its_own_sections(runs):
    for kind in KINDS:
        page = build_report(runs[kind], load_image=gone)
        assert ('id="confusions"' in page) == (kind == "segmentation")
        assert ('id="objects"' in page) == (kind != "segmentation")
        assert 'id="trust"' not in page
        assert 'id="mistakes"' not in page
        targets = re.findall(r'href="#(\w+)"', page)
        assert len(targets) == len(set(targets))
        assert set(targets) <= set(re.findall(r' id="(\w+)"', page))


def test_the_assignment_and_the_speed_are_shown_where_they_are_there(runs, tmp_path):
    assert 'id="assignment"' not in build_report(runs["detection"], load_image=gone)
    folder = Path(shutil.copytree(runs["detection"], tmp_path / "run"))
    shutil.copy(folder / "samples/batch.png", folder / "samples/assignment.png")
    (folder / "samples/assignment.json").write_text('{"names": ["1.jpg"], "meaning": "squares <b>are</b> places"}')
    speed = {"fps": 41.37, "ms": 24.17, "device": "cpu", "threads": 1, "height": 416, "width": 320}
    (folder / "speed.json").write_text(json.dumps(speed))
    page = build_report(folder, load_image=gone)
    check(page)
    assert 'id="assignment"' in page and "squares &lt;b&gt;are&lt;/b&gt; places" in page
    assert "41.4 frames a second (24.2 ms each): single images of 416 x 320 pixels" in words_of(page)
    assert "(cpu, 1 thread)" in words_of(page)
    (folder / "speed.json").write_text('{"fps": "fast", "ms": null}')
    (folder / "samples/assignment.png").write_bytes(b"no picture")
    page = build_report(folder, load_image=gone)
    assert 'id="assignment"' not in page and 'id="speed"' not in page
    assert "samples/assignment.png was left out" in words_of(page)


def test_pixels_are_those_of_the_rows(runs):
    summary = facts(runs["segmentation"])
    rows = scenes("segmentation")["test"]
    confusion = rows.confusion.sum(0)
    assert summary.pixels is not None
    wrong = confusion - np.diag(np.diag(confusion))
    true, predicted = np.unravel_index(wrong.argmax(), wrong.shape)
    first = summary.pixels.confusions[0]
    assert (first.target, first.predicted) == (CLASSES[true], CLASSES[predicted])
    assert first.of_class == pytest.approx(wrong[true, predicted] / confusion[true].sum())
    assert first.of_wrong == pytest.approx(wrong[true, predicted] / wrong.sum())
    pole = next(c for c in summary.classes if c.name == "pole")
    assert pole.value == pytest.approx(confusion[3, 3] / (confusion[3].sum() + confusion[:, 3].sum() - confusion[3, 3]))
    assert summary.majority is not None
    share = confusion.sum(1).max() / confusion.sum()
    assert summary.majority[1] == pytest.approx(share / 4)  # IoU of the commonest class, 0 of three others
    page = words_of(build_report(runs["segmentation"], load_image=gone))
    assert "predicted as tree" in page
    assert f"{confusion.sum() / 1000:.1f} k pixels" in page


def test_objects_are_those_of_the_rows(runs):
    summary = facts(runs["detection"])
    rows = scenes("detection")["test"]
    assert summary.objects is not None
    assert summary.objects.objects == len(rows.true_label)
    assert summary.objects.threshold is not None
    assert summary.objects.boxes == (rows.score >= summary.objects.threshold).sum()
    false = sum(n for kind, n in summary.objects.errors.items() if kind != "missed")
    assert summary.objects.correct == summary.objects.boxes - false
    side = rows.true_boxes[:, 2] - rows.true_boxes[:, 0]
    assert summary.objects.sizes["small"][0] == (side <= 32).sum()
    page = words_of(build_report(runs["detection"], load_image=gone))
    assert (
        f"finds {100 * summary.objects.correct / summary.objects.objects:.1f} % of {summary.objects.objects} objects"
        in page
    )


PARTS = (
    "metrics.json", "history.csv", "data.json", "model/config.json", "samples/batch.png", "samples/batch.json",
    "samples/examples.json", "predictions/test.parquet", "recipe.yaml", "environment.json",
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        *(("detection", part) for part in PARTS),
        *((kind, part) for kind in KINDS for part in ("ALL", "predictions/test.parquet")),
    ],
)
def test_a_run_without_a_part_is_still_told(runs, tmp_path, kind, missing):
    folder = Path(shutil.copytree(runs[kind], tmp_path / "run"))
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != "run.json" and missing in (name, "ALL"):
            path.unlink()
    page = build_report(folder, load_image=gone)
    card = build_card(folder)
    assert "<h2>Run it again" in page
    assert card.startswith("# scenes")
    if missing == "samples/examples.json":
        assert "samples/examples.json: no images with predictions were saved." in words_of(page)
    if missing == "predictions/test.parquet":
        assert "24 validation images" in page
    if missing == "ALL":
        assert f"The {headline_of(kind).name} has not been measured." in page


@pytest.mark.parametrize("name", [*PARTS, "run.json"])
@pytest.mark.parametrize(
    "content", [b"\x00\xff<b>", b'{"splits": 7, "items": [3, {"file": "../x.png"}], "amounts": 5}']
)
def test_a_damaged_part_costs_only_itself(runs, tmp_path, name, content):
    folder = Path(shutil.copytree(runs["detection"], tmp_path / "run"))
    (folder / name).write_bytes(content)
    page = build_report(folder, load_image=gone)
    expected = "24 validation images" if name == "predictions/test.parquet" else "24 test images"
    assert expected in page  # also without run.json: the recipe says of what kind the rows are
    check(page)


def test_rows_of_another_kind_are_left_out(runs, tmp_path):
    folder = Path(shutil.copytree(runs["detection"], tmp_path / "run"))
    other = (runs["segmentation"] / "predictions/test.parquet").read_bytes()
    for split in ("val", "test"):
        (folder / f"predictions/{split}.parquet").write_bytes(other)
    page = words_of(build_report(folder, load_image=gone))
    assert "predictions/test.parquet could not be used." in page
    assert "It reaches an AP50 of" in page  # metrics.json still knows


def test_pictures_are_the_folders_own_and_encoded_anew(runs, tmp_path):
    folder = Path(shutil.copytree(runs["segmentation"], tmp_path / "run"))
    secret = png_bytes(np.full((40, 50, 3), 77, np.uint8))
    (tmp_path / "secret.png").write_bytes(secret)
    about = json.loads((folder / "samples/examples.json").read_text())
    for file in ("../secret.png", "/etc/passwd", str(tmp_path / "secret.png"), "samples/examples/../../../secret.png"):
        about["items"][0]["file"] = file
        (folder / "samples/examples.json").write_text(json.dumps(about))
        page = build_report(folder, load_image=gone)
        assert page.count('alt="image, ground truth and prediction of images/') == 5
        assert "names a file outside samples/examples" in page
    name = about["items"][1]["file"]
    original = (folder / name).read_bytes()
    (folder / name).write_bytes(original + b"<script>secret</script>")
    assert all(b"secret" not in item.png for item in content_of(folder).examples.items)
    (folder / name).write_bytes(original[:200])
    assert f"{name} was left out" in words_of(build_report(folder, load_image=gone))


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_names_leave_the_elements_as_they_were(tmp_path, kind):
    def built(place: str, text: str) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        fake = DenseFake(
            kind,
            name=text,
            classes=tuple(f"{text}{i}" for i in range(4)),
            file=f"{text}.png",
            run={"status": "stopped", "stopped": text},
            data={"name": text, "kind": text, "notes": [text], "question": text},
        )
        folder = write_dense(tmp_path / place, fake)
        about = json.loads((folder / "data.json").read_text())
        about["amounts"]["unit"] = text
        (folder / "data.json").write_text(json.dumps(about))
        return check(build_report(folder, load_image=gone)).tags, read_as_markdown(build_card(folder)).tags

    expected = built("plain", "plain")
    draw = {"segmentation": 0, "detection": 1, "instances": 2}[kind]  # each kind meets others of them
    draw = {"segmentation": 0, "detection": 1, "instances": 2}[kind]  # each kind meets others of them
    payloads = [way + VECTORS[i] for i, way in enumerate(BREAKS)][draw::4] + list(VECTORS[12 + draw :: 40])
    for i, payload in enumerate(payloads):
        assert built(f"run{i}", payload) == expected, payload


def test_many_classes_fold(tmp_path):
    rows = scenes("segmentation")
    k, names = 40, tuple(f"class {i}" for i in range(40))
    wide = {}
    for split, part in rows.items():
        confusion = np.zeros((len(part), k, k), np.int64)
        confusion[:, :4, :4] = part.confusion
        confusion[:, np.arange(4, k), np.arange(4, k)] = 100
        wide[split] = replace(part, confusion=confusion)
    folder = write_dense(tmp_path / "run", DenseFake("segmentation", classes=names), wide)
    page = build_report(folder, load_image=gone)
    assert "The 20 classes with most confusions are shown; the other 20 share one row and one column." in page
    assert "16 more classes" in page


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_found_and_nothing_there(tmp_path, kind):
    """A detector without a box, a segmentation with one class and no wrong pixel: still a page."""
    rows = dict(scenes(kind))
    for split, part in rows.items():
        if kind == "segmentation":
            confusion = np.zeros_like(part.confusion)
            confusion[:, 0, 0] = 100
            rows[split] = replace(part, confusion=confusion, boundary=np.zeros_like(part.boundary))
        else:
            none = {"boxes": np.zeros((0, 4)), "label": np.zeros(0, np.int64), "score": np.zeros(0)}
            rows[split] = replace(part, **none, image=np.zeros(0, np.int64), found_rle=())
    folder = write_dense(tmp_path / "run", DenseFake(kind), rows)
    page = words_of(build_report(folder, load_image=gone))
    expected = "It was evaluated on one class only" if kind == "segmentation" else "It finds almost nothing"
    assert expected in page
    assert build_card(folder)


def test_sizes_are_those_that_were_measured(runs):
    assert facts(runs["detection"]).sizes == SIZES
