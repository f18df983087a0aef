"""`predict`: what is found, in which order, how it is named, chosen and written, and how little of it is alive at a time.

A made-up model stands in for the network: the classes of its answers are the brightness of an image, and every answer of the
kind "pixels" has a mask.
"""

from __future__ import annotations

import csv
import gc
import json
import os
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sightline.errors import DataError, UsageError
from sightline.inference.answering import Answering
from sightline.inference.drawer import Drawer
from sightline.inference.inputs import Inputs, Item
from sightline.inference.naming import place_of, require_elsewhere
from sightline.inference.stream import Stream, choice_of
from sightline.inference.writing import RowWriter, replacing
from sightline.kinds.classification import CLASSIFICATION
from sightline.kinds.detection import DETECTION
from sightline.kinds.kind import Keep, Kind
from sightline.kinds.segmentation import SEGMENTATION
from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.saved import Preprocessing
from sightline.runtime.choosing import Choice
from sightline.runtime.model import Source

CLASSES = ("sky", "road", "tree")
AHEAD = 8  # images that the made-up model reads before it answers the first
PREPROCESSING = Preprocessing(Geometry(8, 8, "stretch"), (0.0,) * 3, (1.0,) * 3)


def model(kind: Kind, score: float | None = None) -> Answering:
    def rows(sources: Iterable[Source], keep: Keep) -> Iterator[dict[str, Any]]:
        waiting: list[int] = []
        for number, _ in enumerate(sources):
            waiting.append(number)
            if len(waiting) == AHEAD:
                yield from (answer(kind, i, keep) for i in waiting)
                waiting = []
        yield from (answer(kind, i, keep) for i in waiting)

    found = None if score is None else (score, "of a test")
    return Answering(Path("model"), kind.name, kind.answers, CLASSES, PREPROCESSING, rows, found)


def answer(kind: Kind, number: int, keep: Keep) -> dict[str, Any]:
    if kind is CLASSIFICATION:
        return {"label": "road", "probability": 0.6, "top": [["road", 0.6], ["sky", 0.3], ["tree", 0.1]]}
    if kind is DETECTION:
        boxes = [{"label": n, "score": s, "xyxy": [1.0, 2.0, 30.0, 40.0]} for n, s in (("road", 0.9), ("sky", 0.4))]
        return {"boxes": boxes}
    mask = np.full((20, 30), 1, np.uint8)
    mask[:5] = 0
    return {"mask": keep(number, mask), "shares": {"road": 0.75, "sky": 0.25}}


def image(path: Path, height: int = 60, width: int = 80) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((height, width, 3), 120, np.uint8)).save(path)
    return path


def places(*paths: str | Path) -> list[str]:
    return [item.place for item in Inputs(list(paths))]


def test_few_images_and_masks_are_alive_at_a_time() -> None:
    """Neither the items, nor their pixels, nor their masks outlive their rows; only what is read ahead waits."""
    alive: weakref.WeakSet[Any] = weakref.WeakSet()

    class Pixels(np.ndarray):
        __hash__ = object.__hash__  # type: ignore[assignment]

    def items() -> Iterator[Item]:
        for number in range(300):
            pixels = np.zeros((20, 30, 3), np.uint8).view(Pixels)
            alive.add(pixels)
            yield Item(f"{number}.png", pixels, f"{number}.png")

    stream, most = Stream(model(SEGMENTATION), items(), keep=True), 0
    masks: list[weakref.ref[np.ndarray]] = []
    for predicted in stream:
        assert predicted.mask is not None
        masks.append(weakref.ref(predicted.mask))
        most = max(most, len(alive), len(stream.waiting), sum(mask() is not None for mask in masks[-50:]))
    gc.collect()
    assert len(masks) == 300
    assert 1 < most <= AHEAD + 2


def test_rows_are_written_while_images_come(tmp_path: Path) -> None:
    """After 100 of an endless number of rows 100 lines are written, beside the file whose place they take at the end."""
    path = tmp_path / "rows.jsonl"
    path.write_text("old")
    with replacing(path) as file:
        writer = RowWriter(file, False, CLASSIFICATION.answers, False)
        for predicted, _ in zip(
            Stream(model(CLASSIFICATION), (Item("a", b"", "a.png") for _ in iter(int, 1))), range(100), strict=False
        ):
            writer.add(predicted.row)
        file.flush()
        (beside,) = (p for p in tmp_path.iterdir() if p != path)
        assert path.read_text() == "old"
        assert len(beside.read_text().splitlines()) == 100
    assert [json.loads(line)["label"] for line in path.read_text().splitlines()] == ["road"] * 100
    with pytest.raises(RuntimeError), replacing(path) as file:
        raise RuntimeError
    assert [p.name for p in tmp_path.iterdir()] == ["rows.jsonl"]


def test_a_folder_is_walked_in_order_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b.jpg", "a/2.png", "a/10.PNG", "c/d/e.webp", ".hidden/x.png", "a/.y.png"):
        image(tmp_path / name)
    (tmp_path / "a" / "note.txt").write_text("x")
    (tmp_path / "a" / "empty.png").mkdir()
    inputs = Inputs([tmp_path])
    assert [item.place for item in inputs] == ["a/10.PNG", "a/2.png", "b.jpg", "c/d/e.webp"]
    assert [Path(item.path) for item in Inputs([tmp_path])] == sorted(
        p for p in tmp_path.rglob("*") if p.is_file() and "/." not in str(p) and p.suffix != ".txt"
    )
    assert inputs.skipped.words() == ".txt ×1"


def test_one_naming_rule_for_pictures_and_masks(tmp_path: Path) -> None:
    for name in ("in/a/b.jpg", "in/c.tif", "in/d.png", "in/d.jpg", "in/d.tif", "other/a/b.jpg", "in/deep.name.jpeg"):
        image(tmp_path / name)

    def written(*paths: Path, mask: bool = False) -> list[str]:
        out = tmp_path / "out"
        return [place_of(out, item, mask=mask).relative_to(out).as_posix() for item in Inputs(list(paths))]

    folder = tmp_path / "in"
    assert written(folder) == ["a/b.jpg", "c.png", "d.jpg", "d.png", "d.tif.png", "deep.name.jpeg"]
    assert written(folder, mask=True) == ["a/b.png", "c.png", "d.jpg.png", "d.png", "d.tif.png", "deep.name.png"]
    assert written(folder / "a", tmp_path / "other" / "a") == ["a/b.jpg", "a-2/b.jpg"]
    one, other = folder / "a" / "b.jpg", tmp_path / "other" / "a" / "b.jpg"
    assert written(one, other, one) == ["b.jpg", "b-2.jpg", "b-3.jpg"]
    frame = Item("clip.mp4", np.zeros((2, 2, 3), np.uint8), "clip.mp4", frame=12, time_s=0.5)
    assert place_of(tmp_path / "out", frame, mask=True).relative_to(tmp_path).as_posix() == "out/clip/000012.png"


def test_patterns_are_for_whoever_quotes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("p/1.jpg", "p/2.png", "p/q/3.jpg", "p/q/r/4.jpg", "p/.h/5.jpg"):
        image(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert places("p/*.jpg") == ["1.jpg"]
    assert places("p/**/*.jpg") == ["1.jpg", "q/3.jpg", "q/r/4.jpg"]
    assert places("p/q*") == ["q/3.jpg", "q/r/4.jpg"]
    assert [item.path for item in Inputs(["*/[12].*"])] == ["p/1.jpg", "p/2.png"]
    image(tmp_path / "p" / "a[1].jpg")
    assert places("p/a[1].jpg") == ["a[1].jpg"]  # a name that is there is no pattern
    with pytest.raises(UsageError, match=r"nothing matches p/\*\.bmp"):
        Inputs(["p/*.bmp"])


@pytest.mark.parametrize("name", ["gone.png", "gone/", "gone.txt", "link.png"])
def test_a_missing_path_is_named_before_anything_is_loaded(tmp_path: Path, name: str) -> None:
    os.symlink(tmp_path / "nothing", tmp_path / "link.png")
    with pytest.raises(UsageError, match=r"there is no|a link to nothing") as error:
        Inputs([str(tmp_path / name)])
    assert error.value.exit_code == 2


def test_lists_keep_lines_that_are_missing(tmp_path: Path) -> None:
    image(tmp_path / "a.png")
    (tmp_path / "list.txt").write_text("a.png\ngone.png\n")
    assert places(tmp_path / "list.txt") == ["a.png", "gone.png"]
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(DataError, match="no images in"):
        Inputs([tmp_path / "empty.txt"]).first()


def test_pictures_never_replace_the_images(tmp_path: Path) -> None:
    one = image(tmp_path / "in" / "a.jpg")
    for folder, roots in (
        (one.parent, [str(one)]),
        (one.parent, [str(one.parent)]),
        (one.parent / "out", [str(one.parent)]),
    ):
        with pytest.raises(UsageError, match="which would be replaced"):
            require_elsewhere(folder, roots, "--draw")
    require_elsewhere(one.parent / "out", [str(one)], "--draw")
    require_elsewhere(tmp_path / "in-2", [str(one.parent)], "--draw")


def chosen(kind: Kind, choice: Choice) -> dict[str, Any]:
    (predicted,) = Stream(model(kind), [Item("a.png", b"", "a.png")], choice, keep=True)
    return {**predicted.row, "pixels": predicted.mask}


def test_conf_and_classes_choose_what_is_reported() -> None:
    sky = frozenset({"sky"})
    assert [b["label"] for b in chosen(DETECTION, Choice(0.5))["boxes"]] == ["road"]
    assert [b["label"] for b in chosen(DETECTION, Choice(0.9))["boxes"]] == ["road"]
    assert [b["label"] for b in chosen(DETECTION, Choice(None, sky))["boxes"]] == ["sky"]
    assert chosen(DETECTION, Choice(0.95))["boxes"] == []
    assert chosen(CLASSIFICATION, Choice(0.7))["uncertain"] is True
    assert "uncertain" not in chosen(CLASSIFICATION, Choice(0.6))
    other = chosen(CLASSIFICATION, Choice(None, sky))
    assert (other["label"], other["probability"], other["top"]) == (None, None, [["sky", 0.3]])
    pixels = chosen(SEGMENTATION, Choice(None, sky))
    assert pixels["shares"] == {"sky": 0.25}
    assert set(np.unique(pixels["pixels"])) == {0, 255}
    assert (pixels["pixels"] == 0).mean() == 0.25


def test_a_choice_that_means_nothing_is_refused() -> None:
    detector = model(DETECTION, 0.43)
    assert choice_of(detector, None, None) == Choice(0.43, None)
    assert choice_of(detector, 0.0, "road, tree") == Choice(0.0, frozenset({"road", "tree"}))
    with pytest.raises(UsageError, match="'raod' is not a class") as error:
        choice_of(detector, None, "raod")
    assert "'road'" in error.value.hint
    with pytest.raises(UsageError, match="--conf does not apply to segmentation"):
        choice_of(model(SEGMENTATION), 0.5, None)
    with pytest.raises(UsageError, match=r"--conf 1\.5 is no confidence"):
        choice_of(detector, 1.5, None)


@pytest.mark.parametrize("kind", [CLASSIFICATION, DETECTION, SEGMENTATION], ids=lambda kind: kind.name)
@pytest.mark.parametrize("size", [(20, 30), (400, 600)])
def test_pictures_are_of_the_original(kind: Kind, size: tuple[int, int], tmp_path: Path) -> None:
    """As wide as the image, or a whole multiple of a small one; what is predicted changes it, the rest stays as it was."""
    if kind is SEGMENTATION and size != (20, 30):
        return
    image(tmp_path / "in" / "a.png", *size)
    drawer = Drawer(tmp_path / "out", kind.answers.draw, CLASSES, None)  # type: ignore[arg-type]
    for predicted in Stream(model(kind), Inputs([tmp_path / "in"]), keep=True):
        drawer.add(*predicted)
    pixels = np.asarray(Image.open(tmp_path / "out" / "a.png"))
    factor = 11 if size == (20, 30) else 1
    assert pixels.shape[1] == size[1] * factor
    drawn = pixels[: size[0] * factor]
    changed = (drawn != 120).any(2)
    if kind is CLASSIFICATION:
        assert not changed.any()  # the classes stand below
        assert pixels.shape[0] > drawn.shape[0]
    elif kind is SEGMENTATION:
        assert changed.all()
    else:
        assert changed[2 * factor + 1, 10 * factor]
        assert not changed[: 2 * factor, 31 * factor :].any()


def test_errors_are_rows_and_are_not_drawn(tmp_path: Path) -> None:
    drawer = Drawer(tmp_path, DETECTION.answers.draw, CLASSES, None)  # type: ignore[arg-type]
    assert drawer.add(Item("a", Path("gone"), "a.png"), {"path": "a", "error": "missing"}, None) is None
    path = tmp_path / "rows.csv"
    with replacing(path) as file:
        writer = RowWriter(file, True, DETECTION.answers, True)
        writer.add({"path": "=a", "error": "missing: no such file"})
        writer.add(
            {"path": "clip.mp4", "frame": 3, "time_s": 0.25, "boxes": answer(DETECTION, 0, lambda *_: None)["boxes"]}
        )
        writer.add({"path": "clip.mp4", "frame": 4, "time_s": 0.5, "boxes": []})
    lines = list(csv.DictReader(path.open()))
    assert lines[0]["path"].startswith("'=")
    assert [(line["frame"], line["label"], line["error"]) for line in lines] == [
        ("", "", "missing: no such file"), ("3", "road", ""), ("3", "sky", ""), ("4", "", "")
    ]  # fmt: skip


def test_every_n_th_frame_of_a_video(tmp_path: Path) -> None:
    """Twenty frames that grow brighter; the annotated film has their number, size and speed."""
    av = pytest.importorskip("av")
    from fractions import Fraction

    from sightline.inference.video import VideoWriter, frames_of, rate_of

    clip = tmp_path / "clip.mp4"
    writer = VideoWriter(clip, Fraction(10))
    for number in range(20):
        writer.add(np.full((61, 80, 3), 40 + 10 * number, np.uint8))
    writer.close()
    frames = list(frames_of(str(clip), 5))
    assert [number for number, _, _ in frames] == [0, 5, 10, 15]
    assert [time for _, time, _ in frames] == pytest.approx([0, 0.5, 1.0, 1.5])
    assert [int(pixels.mean()) for _, _, pixels in frames] == pytest.approx([40, 90, 140, 190], abs=4)
    drawer = Drawer(tmp_path / "out", DETECTION.answers.draw, CLASSES, None, 5)  # type: ignore[arg-type]
    (tmp_path / "out").mkdir()
    rows = []
    for predicted in Stream(model(DETECTION), Inputs([clip], 5)):
        drawer.add(*predicted)
        rows.append((predicted.row["frame"], predicted.row["time_s"]))
    assert not (tmp_path / "out" / "clip.mp4").exists()
    drawer.close()
    assert rows == [(0, 0.0), (5, 0.5), (10, 1.0), (15, 1.5)]
    with av.open(str(tmp_path / "out" / "clip.mp4")) as film:
        stream = film.streams.video[0]
        shapes = {(frame.height, frame.width) for frame in film.decode(stream)}
        assert stream.frames == 4
    assert rate_of(str(tmp_path / "out" / "clip.mp4")) == 2
    assert len(shapes) == 1
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    with pytest.raises(DataError, match="cannot be read"):
        list(Inputs([tmp_path / "bad.mp4"]))
