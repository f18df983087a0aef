"""What an annotation file or an image does not say of itself: units, frames, ranges, values, what stands beside a label; and
that an object which cannot be used is never background."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.data.dataset import Dataset, build_dataset
from sightline.data.formats.annotated.units import is_share, upright_around
from sightline.data.records.annotations import Objects
from sightline.data.records.upright import Stored, frame_of, upright_boxes
from sightline.data.summary import data_hash, has_hash
from sightline.data.targets import target_of
from sightline.errors import DamagedError, DataError
from sightline.metrics.matching import FALSE, HIT, IGNORED, match_rows
from sightline.models.boxes.sampling import Draw, draw
from sightline.preprocessing.decoder import decode
from sightline.preprocessing.depth import DEPTHS, depth_of
from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.pixels import orient
from sightline.preprocessing.saved import Preprocessing
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.regions import RegionTargets
from sightline.structures.targets import Boxes
from tests.handmade import png_of, tiff, tiff_of, tiff_tags
from tests.tiny_annotated import (
    annotation,
    coco,
    coco_folder,
    mask_png,
    masked,
    picture,
    save,
    voc,
    voc_xml,
    write_json,
)

HIGH, WIDE = 60, 80


def looked(what: Path, **options: Any) -> Dataset:
    return build_dataset(str(what), needs="images", **options)


def objects(dataset: Dataset, id: int = 0) -> Objects:
    truth = dataset.truth(id)
    assert isinstance(truth, Objects)
    return truth


def boxes_in(root: Path, boxes: list[list[float]], *, sized: bool = True, side: tuple[int, int] = (HIGH, WIDE)) -> Path:
    """A COCO set with one box an image, bbox as given."""
    entries = []
    for i in range(len(boxes)):
        picture(root / "images" / f"{i}.png", i, *side)
        entries.append({"id": i, "file_name": f"{i}.png", **({"height": side[0], "width": side[1]} if sized else {})})
    write_json(root / "all.json", coco(entries, [annotation(i, i, bbox=box) for i, box in enumerate(boxes)]))
    return root


def some_boxes(rng: np.random.Generator, n: int) -> np.ndarray:
    """Boxes xyxy inside the image, at least 4 pixels wide."""
    low = rng.uniform(0, (WIDE - 5, HIGH - 5), (n, 2))
    high = low + rng.uniform(4, 30, (n, 2))
    return np.concatenate([low, np.minimum(high, (WIDE, HIGH))], axis=1)


# ------------------------------------------------------------------------------------------------ units
def test_shares_are_refused_and_pixels_are_not(tmp_path: Path) -> None:
    """60 sets: as pixels they are read to the bit, as shares refused by name; COCO, VOC and outlines."""
    rng = np.random.default_rng(2)
    for case in range(20):
        pixels = some_boxes(rng, 6)
        share = pixels / (WIDE, HIGH, WIDE, HIGH)
        sides = [[b[0], b[1], b[2] - b[0], b[3] - b[1]] for b in pixels.tolist()]
        dataset = looked(boxes_in(tmp_path / f"{case}p", sides))
        np.testing.assert_allclose([objects(dataset, i).boxes[0] for i in range(6)], pixels)
        wrong = [[b[0], b[1], b[2] - b[0], b[3] - b[1]] for b in share.tolist()]
        with pytest.raises(DataError, match="all 6 boxes lie between 0 and 1: shares of the image"):
            looked(boxes_in(tmp_path / f"{case}s", wrong))
        pages = {
            str(i): voc_xml([("cat", tuple(np.round(box, 4)))], (HIGH, WIDE)) for i, box in enumerate(share.tolist())
        }
        with pytest.raises(DataError, match="boxes lie between 0 and 1"):
            looked(voc(tmp_path / f"{case}v", pages))
        ring = [[float(v) for v in share[0][[0, 1, 2, 1, 2, 3, 0, 3]]]]
        with pytest.raises(DataError, match="outlines lie between 0 and 1"):
            looked(
                coco_folder(
                    tmp_path / f"{case}o", [annotation(1, segmentation=ring), annotation(2, 2, segmentation=ring)]
                )
            )


def test_a_single_share_among_pixels_is_named_and_ignored(tmp_path: Path) -> None:
    dataset = looked(boxes_in(tmp_path, [[10, 10, 20, 20], [0.2, 0.3, 0.25, 0.5], [1, 1, 1, 1], [0, 0, 1, 1]]))
    assert [p.reason.split(":")[0] for p in dataset.problems] == ["share"]
    assert [objects(dataset, i).ignore.tolist() for i in range(4)] == [[False], [True], [False], [False]]
    assert objects(dataset, 1).boxes.tolist() == [[0, 0, WIDE, HIGH]]  # its place is unknown
    assert is_share([0.1, 0.2, 1.0]) and not is_share([0, 0, 1, 1]) and not is_share([0.5, 3])


def test_two_corners_where_sides_are_meant_are_refused(tmp_path: Path) -> None:
    """12 sets of twelve boxes, right and wrong: every wrong one is refused, no right one."""
    rng = np.random.default_rng(3)
    for case in range(12):
        pixels = some_boxes(rng, 12)
        pixels[0] = (WIDE / 2, HIGH / 2, WIDE - 1, HIGH - 1)
        pixels[1] = (WIDE / 2, 4, WIDE - 2, HIGH - 2)
        right = [[b[0], b[1], b[2] - b[0], b[3] - b[1]] for b in pixels.tolist()]
        assert not looked(boxes_in(tmp_path / f"{case}r", right, sized=case % 2 == 0)).problems
        with pytest.raises(DataError, match=r"of 12 boxes leave their images as \[x, y, width, height\]"):
            looked(boxes_in(tmp_path / f"{case}w", pixels.tolist(), sized=case % 2 == 0))
        pages = {
            str(i): voc_xml([("cat", tuple(np.round(b, 2)))], (HIGH, WIDE) if case % 2 else None)
            for i, b in enumerate(right)
        }
        if sum(b[2] < b[0] or b[3] < b[1] for b in right) >= 2:
            with pytest.raises(DataError, match="end before they begin"):
                looked(voc(tmp_path / f"{case}v", pages))


def test_pixels_of_another_copy_are_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    pixels = some_boxes(rng, 40)
    sides = np.concatenate([pixels[:, :2], pixels[:, 2:] - pixels[:, :2]], axis=1)
    notes = {
        scale: looked(boxes_in(tmp_path / str(scale), (sides * scale).tolist(), sized=False)).notes
        for scale in (0.5, 1, 2)
    }
    assert any("no box of the set reaches beyond 60 % of its image" in note for note in notes[0.5])
    assert not any("copy" in note for note in notes[1])
    assert any("boxes leave these images" in note for note in notes[2])
    stated = boxes_in(tmp_path / "stated", sides.tolist(), side=(2 * HIGH, 2 * WIDE))
    text = (stated / "all.json").read_text().replace('"height": 120, "width": 160', '"height": 60, "width": 80')
    (stated / "all.json").write_text(text)
    with pytest.raises(DataError, match=r"none of 40 images can be used.*size-mismatch: annotated as 80 x 60"):
        looked(stated)


def test_frames_follow_the_rule() -> None:
    """All orientations, stated and not: the stored frame, unless only the upright one has the stated size."""
    count = 0
    for orientation in range(1, 9):
        for height, width in ((30, 50), (50, 30), (40, 40)):
            image = Stored(height, width, orientation)
            for stated in (None, image.size, image.oriented, (width, height), (31, 50)):
                frame = frame_of(stated, image)
                count += 1
                if stated not in (None, image.size, image.oriented):
                    assert frame is None
                elif stated is not None and stated != image.size:
                    assert frame == (*image.oriented, 1, False)
                else:
                    tells = stated is not None and image.size != image.oriented
                    assert frame == (*image.size, orientation, orientation > 1 and not tells)
    assert count == 8 * 3 * 5
    assert frame_of(None, Stored(30, 50, 6), (45, 20)) == (50, 30, 1, False)  # fits the upright image alone


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_a_half_turn_is_of_the_stored_pixels_and_noted(tmp_path: Path, orientation: int) -> None:
    pixels = np.zeros((HIGH, WIDE, 3), np.uint8)
    pixels[5:15, 10:40] = 200
    save(tmp_path / "images" / "a.png", pixels, orientation)
    entry = {"id": 1, "file_name": "a.png", "height": HIGH, "width": WIDE}
    write_json(tmp_path / "all.json", coco([entry], [annotation(1, bbox=(10, 5, 30, 10))]))
    dataset = looked(tmp_path)
    upright = dataset.pixels(0)[..., 0] == 200
    left, top, right, bottom = objects(dataset).boxes[0].astype(int)
    assert upright[top:bottom, left:right].all() and upright.sum() == (bottom - top) * (right - left)
    assert any(
        "does not tell whether it counts stored or upright pixels; taken as stored: 1 images" in n
        for n in dataset.notes
    )
    wanted = upright_boxes(np.array([[10.0, 5, 40, 15]]), HIGH, WIDE, orientation)
    np.testing.assert_array_equal(objects(dataset).boxes, wanted)


# ------------------------------------------------------------------------------------------------ beside a label
def test_turned_boxes_get_the_upright_box_around_them(tmp_path: Path) -> None:
    """500 random ones against their four corners; COCO's rotation, in attributes too, and VOC's robndbox."""
    rng = np.random.default_rng(6)
    for _ in range(500):
        x, y, w, h, angle = rng.uniform((-9, -9, 1, 1, -7), (9, 9, 9, 9, 7))
        corners = np.array([(-w, -h), (w, -h), (w, h), (-w, h)]) / 2
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        turned = corners @ turn.T + (x, y)
        np.testing.assert_allclose(upright_around((x, y), (w, h), angle), [*turned.min(0), *turned.max(0)], atol=1e-9)
    for place, more in enumerate(({"rotation": 90}, {"attributes": {"rotation": 90.0}}, {"angle": "90"})):
        root = boxes_in(tmp_path / str(place), [[10, 20, 20, 10]])
        text = (root / "all.json").read_text()
        entry = annotation(0, 0, bbox=[10, 20, 20, 10], **more)
        write_json(root / "all.json", coco([{"id": 0, "file_name": "0.png"}], [entry]))
        dataset = looked(root)
        np.testing.assert_allclose(objects(dataset).boxes, [[15, 15, 25, 35]])
        assert any("boxes that are turned" in note and note.endswith(": 1") for note in dataset.notes), text
    page = voc_xml([("cat", (1, 1, 5, 5))], (HIGH, WIDE)).replace(
        "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>5</xmax><ymax>5</ymax></bndbox>",
        f"<robndbox><cx>20</cx><cy>25</cy><w>20</w><h>10</h><angle>{math.pi / 2}</angle></robndbox>",
    )
    root = voc(tmp_path / "voc", {"a": page})
    picture(root / "JPEGImages" / "a.png", 1, HIGH, WIDE)
    dataset = looked(root)
    np.testing.assert_allclose(objects(dataset).boxes, [[15, 15, 25, 35]])
    assert any("boxes that are turned" in note for note in dataset.notes) and not dataset.problems


def test_fields_that_are_not_used_are_listed(tmp_path: Path) -> None:
    dataset = looked(coco_folder(tmp_path, [annotation(1, keypoints=[1, 2, 2], score=0.5), annotation(2, area=3)]))
    assert "all.json: fields of annotations that are not used: keypoints, score" in dataset.notes
    for name in ("iscrowd", "ignore", "difficult", "IsGroupOf"):
        dataset = looked(coco_folder(tmp_path, [annotation(1), annotation(2, bbox=(5, 5, 2, 2), **{name: "1"})]))
        assert objects(dataset).ignore.tolist() == [False, True]


@pytest.mark.parametrize("bands", range(1, 7))
@pytest.mark.parametrize("extra", [None, 0, 1, 2])
@pytest.mark.parametrize("bits", [8, 16])
def test_bands_of_a_tiff_are_used_or_named(bands: int, extra: int | None, bits: int) -> None:
    """1 to 6 bands of 8 and 16 bits; the ones beyond the colours are called nothing, unspecified or alpha, or are refused."""
    rng = np.random.default_rng(bands)
    samples = rng.integers(0, 1 << bits, (7, 9, bands) if bands > 1 else (7, 9))
    colours = 3 if bands >= 3 else 1
    tags = tiff_tags(9, 7, [bits] * bands, 2 if colours == 3 else 1)
    if extra is not None and bands > colours:
        tags[338] = (3, [extra, *[0] * (bands - colours - 1)])
    data, refusal = tiff(tags, samples.astype(f"<u{bits // 8}").tobytes()), ""
    try:
        decoded = decode(data)
    except DataError as error:
        refusal = str(error)
    if refusal:
        assert "header cannot be read" in refusal or "not supported" in refusal
        assert bands not in (1, 3)
        assert not (bits == 8 and extra == 0)
        return
    named = "extra-bands-unused" in decoded.notes
    alpha = bands > colours and extra in (1, 2)
    assert named == (bands > colours + alpha)
    assert ("alpha-composited" in decoded.notes) == alpha
    if not alpha:
        colour = np.atleast_3d(samples)[..., :colours]
        wanted = colour if bits == 8 else (colour // 256 if colours == 3 else (colour * 255 + 32767) // 65535)
        np.testing.assert_array_equal(decoded.pixels, np.broadcast_to(wanted, (7, 9, 3)))


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_alpha_of_masks_is_not_dropped(tmp_path: Path, mode: str) -> None:
    root = masked(tmp_path, {"train": 3})
    values = np.zeros((12, 16), np.uint8)
    values[6:] = 1
    for place, alpha in enumerate((255, 128)):
        layers = [values] * (len(mode) - 1) + [np.full_like(values, alpha)]
        Image.fromarray(np.stack(layers, 2), mode).save(root / "masks" / f"train{place}.png")
    dataset = looked(root)
    assert [p.reason.split(": ")[0] for p in dataset.problems] == ["bad-mask"]
    assert "transparent pixels" in dataset.problems[0].reason and dataset.problems[0].fix.startswith("export")
    np.testing.assert_array_equal(dataset.truth(0), np.where(values == 1, 1, 0))


# ------------------------------------------------------------------------------------------------ values of masks
@pytest.mark.parametrize("values", [(0, 1), (0, 255), (0, 1, 255), (0,), (255,), (1, 255), (0, 2), (0, 128, 255)])
@pytest.mark.parametrize("listed", [1, 2, 3])
def test_255_is_what_the_masks_make_of_it(tmp_path: Path, values: tuple[int, ...], listed: int) -> None:
    """24 combinations: 255 is the second of two classes where the masks hold only it and 0; else ignored, with the evidence."""
    rng = np.random.default_rng(9)
    for i in range(8):
        picture(tmp_path / "images" / f"{i}.png", i)
        mask_png(tmp_path / "masks" / f"{i}.png", np.array(values)[(np.arange(192) + i).reshape(12, 16) % len(values)])
    (tmp_path / "classes.txt").write_text("\n".join(["background", "lesion", "scar"][:listed]))
    second = listed == 2 and 255 in values and set(values) <= {0, 255}
    if listed == 1 and set(values) == {0, 255}:
        with pytest.raises(DataError, match="names one class, and the masks hold 0 and 255"):
            looked(tmp_path)
        return
    if listed == 1 and not set(values) & {0, 255}:
        with pytest.raises(DataError, match="none of 8 images"):
            looked(tmp_path)
        return
    dataset = looked(tmp_path)
    assert any("255 is lesion" in note for note in dataset.notes) == second
    truth = dataset.truth(0)
    assert isinstance(truth, np.ndarray)
    meant = {v: v if v < listed else 255 for v in values} | ({255: 1} if second else {})
    raw = np.array(values)[np.arange(192).reshape(12, 16) % len(values)]
    np.testing.assert_array_equal(truth, np.vectorize(meant.get)(raw))
    odd = [v for v in range(listed) if v not in values] and [v for v in values if v >= listed or v == 255]
    assert any("no mask holds the listed values" in note for note in dataset.notes) == bool(odd and not second), rng


def test_a_mask_that_breaks_the_rule_is_named(tmp_path: Path) -> None:
    for i in range(80):
        picture(tmp_path / "images" / f"{i:02}.png", i)
        mask_png(tmp_path / "masks" / f"{i:02}.png", np.full((12, 16), 1 if i == 77 else 255))
    (tmp_path / "classes.txt").write_text("background\nlesion\n")
    dataset = looked(tmp_path)
    told = [p for p in dataset.problems if "unknown-value" in p.reason]
    assert [p.file for p in told] == ["masks/77.png"] or not any("255 is lesion" in note for note in dataset.notes)


# ------------------------------------------------------------------------------------------------ range
@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    "kind", ["png grey", "png colour", "png with alpha", "tiff grey", "tiff colour", "tiff packed"]
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_set_is_read_by_the_depth_of_its_content(tmp_path: Path, depth: int, kind: str, order: str) -> None:
    """Of 8 to 16 bits in files of 16: nearest level of 255, in both byte orders; the copies are those of all bits."""
    rng, top = np.random.default_rng(depth), (1 << depth) - 1
    for i in range(4):
        samples = rng.integers(0, top + 1, (9, 11) if "grey" in kind else (9, 11, 3))
        samples[0, 0] = top - i
        if kind == "png with alpha":
            samples = np.concatenate([samples, np.full((9, 11, 1), 65535)], axis=2)
        if kind.startswith("png"):
            data = png_of(
                samples, 16, {2: 0, 3: 2}.get(samples.ndim, 2) if samples.shape[-1] != 4 else 6, interlace=i == 1
            )
        else:
            more = {"compression": 8} if kind == "tiff packed" else {}
            data = tiff_of(samples, 1 if samples.ndim == 2 else 2, bits=16, order=order, **more)
        place = tmp_path / "ab"[i % 2] / f"{i}.{kind[:3]}"
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(data)
        (place.parent / f"copy{place.name}").write_bytes(data)
    dataset = looked(tmp_path)
    assert dataset.audit.depth == depth and len(dataset.duplicates) == 4
    assert any(f"read as {depth} bits, where {top:,} is white" in note for note in dataset.notes) == (depth < 16)
    colour = samples[..., :3] if samples.ndim == 3 else samples[..., None]
    exact = (colour.astype(np.int64) * 255 + top // 2) // top
    wanted = colour // 256 if depth == 16 and samples.ndim == 3 else exact
    last = next(r.id for r in dataset.records if r.name.endswith(f"/3.{kind[:3]}"))
    np.testing.assert_array_equal(dataset.pixels(last), np.broadcast_to(wanted, (9, 11, 3)))
    saved = Preprocessing(Geometry(9, 11), (0.0,) * 3, (1.0,) * 3, depth=dataset.audit.depth)
    again = Preprocessing.from_json(saved.to_json())
    assert again == saved
    np.testing.assert_array_equal(again.prepare(place)[0], dataset.pixels(last))


def test_low_bits_decide_what_is_a_copy(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    base = rng.integers(1000, 1008, (4, 4))
    for i in range(16):
        samples = base.copy()
        samples[i // 4, i % 4] += 1
        (tmp_path / "ab"[i % 2] / f"{i}.png").write_bytes(png_of(samples, 16, 0))
    dataset = looked(tmp_path)
    assert not dataset.duplicates and len(set(dataset.audit.exact)) == 16 > len(set(dataset.audit.digest))
    eight = looked_8_bits(tmp_path / "eight", base)
    assert len(eight.duplicates) == 1  # v · 257 in 16 bits is the same as v in 8


def looked_8_bits(root: Path, base: np.ndarray) -> Dataset:
    for name, data in (("a", png_of(base % 256, 8, 0)), ("b", png_of(base % 256 * 257, 16, 0))):
        (root / name).mkdir(parents=True)
        (root / name / "x.png").write_bytes(data)
    return looked(root)


def test_one_bright_file_does_not_change_the_depth_in_silence(tmp_path: Path) -> None:
    for i in range(12):
        samples = np.random.default_rng(i).integers(0, 4000, (6, 6))
        samples[0, 0] = 60_000 if i == 5 else 0
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        (tmp_path / "ab"[i % 2] / f"{i}.png").write_bytes(png_of(samples, 16, 0))
    dataset = looked(tmp_path)
    assert dataset.audit.depth == 16
    assert any("nearly all use 12 of them, but b/5.png reaches 60,000" in note for note in dataset.notes)


def test_runs_of_before_keep_their_range(tmp_path: Path) -> None:
    samples = np.random.default_rng(2).integers(0, 4096, (6, 6))
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.png").write_bytes(png_of(samples, 16, 0))
    stored = Preprocessing(Geometry(6, 6), (0.0,) * 3, (1.0,) * 3).to_json()
    assert "depth" not in stored  # as 0.1.0 wrote it
    old = Preprocessing.from_json(stored)
    wanted = np.broadcast_to(((samples * 255 + 32767) // 65535)[..., None], (6, 6, 3))
    np.testing.assert_array_equal(old.prepare(tmp_path / "a" / "x.png")[0], wanted)
    dataset = looked(tmp_path)
    np.testing.assert_array_equal(dataset.pixels(0, depth=old.depth), wanted)
    assert has_hash(dataset, data_hash(dataset)) and has_hash(dataset, data_hash(dataset, exact=False))
    assert data_hash(dataset) != data_hash(dataset, exact=False) and not has_hash(dataset, "")
    for wrong in (7, "12", 12.0, True, [12]):
        with pytest.raises(DamagedError, match="depth"):
            Preprocessing.from_json({**stored, "depth": wrong})
    bright = np.full((6, 6), 65535)
    decoded = decode(png_of(bright, 16, 0), depth=12)
    assert (decoded.pixels == 255).all() and "beyond-depth" in decoded.notes
    assert [depth_of(peak) for peak in (0, 255, 256, 1023, 4095, 4096, 16383, 16384, 65535)] == [
        8,
        8,
        10,
        10,
        12,
        14,
        14,
        16,
        16,
    ]


def test_all_bits_turn_with_their_image() -> None:
    samples = np.random.default_rng(3).integers(0, 4096, (5, 7))
    for orientation in range(1, 9):
        decoded = decode(tiff_of(samples, 1, bits=16, orientation=orientation), keep_samples=True)
        assert decoded.samples is not None
        np.testing.assert_array_equal(decoded.samples[..., 0], orient(samples[..., None], orientation)[..., 0])


# ------------------------------------------------------------------------------------------------ never background
SPOILED: list[dict[str, Any]] = [
    {"segmentation": [[1, 2, 3, 4]]}, {"segmentation": "x"}, {"segmentation": {"size": [1, 1], "counts": [1]}},
    {"segmentation": [[1, 2, 3, 4, 5]]}, {"category_id": 99}, {"category_id": None}, {"iscrowd": "perhaps"},
    {"bbox": [40, 20, -20, 15]}, {"bbox": [20, 20, "x", 15]}, {"bbox": "all"}, {"bbox": [20, 20, 20, 0]}, {"bbox": [20, 20]},
    {"bbox": [0.3, 0.3, 0.2, 0.2]}, {"bbox": None, "segmentation": None},
]  # fmt: skip


@pytest.mark.parametrize("outlines", [False, True])
@pytest.mark.parametrize("row", range(len(SPOILED)))
def test_an_unusable_object_is_neither_right_nor_wrong(tmp_path: Path, row: int, outlines: bool) -> None:
    """A box on it counts nowhere when the answers are judged, and is never drawn as background when training; one elsewhere
    still does, unless nobody knows where the object is. In every class, if its own is unknown."""
    ring = [[20, 20, 40, 20, 40, 35, 20, 35]]
    good = annotation(
        1, bbox=[60, 40, 10, 10], **({"segmentation": [[60, 40, 70, 40, 70, 50, 60, 50]]} if outlines else {})
    )
    bad = {**annotation(2, bbox=[20, 20, 20, 15], **({"segmentation": ring} if outlines else {})), **SPOILED[row]}
    picture(tmp_path / "images" / "1.png", 1, HIGH, WIDE)
    write_json(tmp_path / "all.json", coco([{"id": 1, "file_name": "1.png"}], [good, bad]))
    dataset = looked(tmp_path)
    assert len(dataset.problems) == 1 and "annotation 2" in dataset.problems[0].reason
    truth = objects(dataset)
    needed = not outlines and "segmentation" in SPOILED[row] and "bbox" not in SPOILED[row]
    if needed:  # an outline is not asked for: its box stays an object
        assert not truth.ignore.any() and len(truth) == 2
        return
    assert (~truth.ignore).sum() == 1 and truth.ignore.any()
    line = SPOILED[row].get("bbox") == [20, 20, 20, 0] and not outlines
    on_it = np.array([20.0, 19.5, 40, 20.5]) if line else np.array([20.0, 20, 40, 35])
    for label in (0, 1) if "category_id" in SPOILED[row] else (0,):
        boxes = np.stack([on_it, [60, 40, 70, 50], [1, 1, 9, 9]]).astype(float)
        rows = DetectionRows(
            id=np.array([0]), size=np.array([[HIGH, WIDE]]), boxes=boxes, label=np.full(3, label),
            score=np.array([0.9, 0.8, 0.7]), image=np.zeros(3, int), true_boxes=truth.boxes, true_label=truth.label,
            true_image=np.zeros(len(truth), int), true_ignore=truth.ignore,
        )  # fmt: skip
        outcome = match_rows(rows, 2, np.array([0.5])).classes[label].outcome[0]
        assert outcome[0] == IGNORED and (label == 1 or outcome[1] == HIT)
        anywhere = (truth.boxes[truth.ignore] == [0, 0, WIDE, HIGH]).all()
        assert outcome[2] == (IGNORED if anywhere else FALSE)
    target = target_of(truth, Geometry(HIGH, WIDE), (HIGH, WIDE), np.eye(3), outlines=False, judging=False)
    assert isinstance(target, Boxes)
    targets = RegionTargets(target.boxes, target.label, target.sample, target.ignore, torch.tensor([5]))
    candidates = torch.tensor(boxes, dtype=torch.float32)
    drawn = draw([candidates], targets, Draw(0, 64, 0.5, 0.5, 0.5, False))
    assert 0 not in drawn.place.tolist() and 1 in drawn.place.tolist()


def test_good_rings_stay(tmp_path: Path) -> None:
    """300 objects of one to four rings, some of which are none: the pixels are those of the good rings."""
    rng = np.random.default_rng(12)
    marks, wanted, bad_ones = [], [], 0
    for id in range(300):
        x, y = rng.integers(0, (WIDE - 12, HIGH - 12))
        good = [
            [float(v) for v in (x + k, y, x + 6 + k, y, x + 6 + k, y + 9, x + k, y + 9)]
            for k in range(int(rng.integers(1, 3)))
        ]
        bad = [[1.0, 2.0, 3.0, 4.0], [1.0] * 7, [1.0, 2.0, math.nan, 4.0, 5.0, 6.0], [1.0, 2, 1e6, 4, 5, 6]][
            : int(rng.integers(0, 5))
        ]
        bad_ones += bool(bad)
        marks.append(annotation(id, 1, bbox=[float(x), float(y), 8.0, 9.0], segmentation=[*bad, *good]))
        mask = np.zeros((HIGH, WIDE), bool)
        for ring in good:
            mask[int(ring[1]) : int(ring[5]), int(ring[0]) : int(ring[2])] = True
        wanted.append(mask)
    picture(tmp_path / "images" / "1.png", 1, HIGH, WIDE)
    write_json(tmp_path / "all.json", coco([{"id": 1, "file_name": "1.png"}], marks))
    dataset = looked(tmp_path)
    truth = objects(dataset)
    assert dataset.knows == "outlines" and len(truth) == 300 and not truth.ignore.any()
    np.testing.assert_array_equal(truth.masks(HIGH, WIDE), wanted)
    named = {p.reason.split("annotation ")[1].split()[0] for p in dataset.problems if p.action == "repaired"}
    assert len(named) == bad_ones > 100


def test_classes_that_a_run_does_not_know_leave_no_region_behind(tmp_path: Path) -> None:
    from sightline.data.dataset import with_classes

    dataset = looked(coco_folder(tmp_path, [annotation(1), annotation(2, category=9), annotation(3, 2, iscrowd=1)]))
    moved = with_classes(dataset, ("cat",))
    for id in (0, 1):
        truth = moved.truth(id)
        assert isinstance(truth, Objects) and (truth.label >= 0).all()
    assert objects(moved, 0).ignore.tolist() == [False, True]
    assert replace(objects(dataset, 1)).ignore.tolist() == [True]
