"""LabelMe, VIA, CVAT, VOC's XML anywhere, tables of boxes: the same pictures in every form give the same boxes and outlines."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.data.dataset import build_dataset
from sightline.data.formats.sniff import open_data
from sightline.data.records.annotations import Objects
from sightline.errors import DataError
from tests.marked import Scene, Thing, check, pictures, put, put_json, scenes
from tests.tiny_annotated import picture, voc_xml


# ------------------------------------------------------------------------------------------------ the forms
def labelme_shape(thing: Thing) -> dict[str, Any]:
    kind = "polygon" if len(thing.ring) > 2 else "rectangle"
    return {
        "label": thing.label,
        "points": [list(p) for p in thing.ring],
        "shape_type": kind,
        "group_id": None,
        "flags": {},
    }


def labelme(root: Path, every: list[Scene]) -> None:
    pictures(root, "{split}/{name}", every)
    for s in every:
        page = {"version": "5.4", "shapes": [labelme_shape(t) for t in s.things], "imagePath": f"{s.name}.png",
                "imageData": None, "imageHeight": s.height, "imageWidth": s.width}  # fmt: skip
        put_json(root / s.split / f"{s.name}.json", page)


def via(root: Path, every: list[Scene]) -> None:
    pictures(root, "{split}/{name}", every)
    for split in ("train", "val"):
        entries = {}
        for s in every:
            regions = []
            for t in s.things:
                left, top, right, bottom = t.box
                shape: dict[str, Any] = {
                    "name": "rect",
                    "x": left,
                    "y": top,
                    "width": right - left,
                    "height": bottom - top,
                }
                if len(t.ring) > 2:
                    xs, ys = zip(*t.ring, strict=True)
                    shape = {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
                regions.append({"shape_attributes": shape, "region_attributes": {"animal": t.label, "note": ""}})
            if s.split == split:
                entries[f"{s.name}.png123"] = {"filename": f"{s.name}.png", "size": 123, "regions": regions}
        put_json(root / split / "via_region_data.json", entries)


def cvat_shape(thing: Thing) -> str:
    left, top, right, bottom = thing.box
    if len(thing.ring) > 2:
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in thing.ring)
        return f'<polygon label="{thing.label}" occluded="0" points="{points}" z_order="0"></polygon>'
    return f'<box label="{thing.label}" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}" occluded="0"></box>'


def cvat_xml(images: str) -> str:
    labels = "".join(f"<label><name>{name}</name><color>#f00</color></label>" for name in ("dog", "cat"))
    meta = f"<meta><task><labels>{labels}</labels></task></meta>"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{meta}\n{images}</annotations>'


def cvat(root: Path, every: list[Scene]) -> None:
    pictures(root, "images/{name}", every)
    images = "".join(
        f'<image id="{i}" name="{s.name}.png" subset="{s.split}" width="{s.width}" height="{s.height}">\n'
        + "\n".join(map(cvat_shape, s.things)) + "</image>\n" for i, s in enumerate(every)
    )  # fmt: skip
    put(root / "annotations.xml", cvat_xml(images))


def voc_page(scene: Scene) -> str:
    boxes = [(t.label, (t.box[0] + 1, t.box[1] + 1, t.box[2], t.box[3])) for t in scene.things]
    return voc_xml(boxes, (scene.height, scene.width))


def voc_beside(root: Path, every: list[Scene]) -> None:
    pictures(root, "{split}/{name}", every)
    for s in every:
        put(root / s.split / f"{s.name}.xml", voc_page(s))


def voc_in_folders(root: Path, every: list[Scene]) -> None:
    pictures(root, "{split}/photos/{name}", every)
    for s in every:
        put(root / s.split / "xmls" / f"{s.name}.xml", voc_page(s))


def table(
    columns: str, row: Callable[[Scene, Thing], str], empty: str = ",,,,,"
) -> Callable[[Path, list[Scene]], None]:
    def write(root: Path, every: list[Scene]) -> None:
        pictures(root, "{split}/{name}", every)
        for split in ("train", "val"):
            lines = [columns] if columns else []
            for s in every:
                if s.split == split:
                    lines += [f"{s.name}.png{row(s, t)}" for t in s.things] or [f"{s.name}.png{empty}"]
            put(root / split / "_annotations.csv", "\n".join(lines) + "\n")

    return write


def corners(s: Scene, t: Thing) -> str:
    return "," + ",".join(map(str, t.box)) + f",{t.label}"


def tensorflow(s: Scene, t: Thing) -> str:
    return f",{s.width},{s.height},{t.label}," + ",".join(map(str, t.box))


def sides(s: Scene, t: Thing) -> str:
    left, top, right, bottom = t.box
    return f",{t.label},{left},{top},{right - left},{bottom - top}"


def shares(s: Scene, t: Thing) -> str:
    left, top, right, bottom = t.box
    return f",{t.label},{left / s.width},{right / s.width},{top / s.height},{bottom / s.height}"


def centre(s: Scene, t: Thing) -> str:
    left, top, right, bottom = t.box
    return f",{t.label},{(left + right) / 2},{(top + bottom) / 2},{right - left},{bottom - top}"


def cell(s: Scene, t: Thing) -> str:
    left, top, right, bottom = t.box
    return f',{s.width},{s.height},"[{left}.0, {top}.0, {right - left}, {bottom - top}]",{t.label}'


FORMS: dict[str, tuple[Callable[[Path, list[Scene]], None], str, bool]] = {  # writer, kind, whether it has outlines
    "labelme": (labelme, "labelme", True),
    "via": (via, "via", True),
    "cvat": (cvat, "cvat", True),
    "voc beside": (voc_beside, "voc", False),
    "voc in folders": (voc_in_folders, "voc", False),
    "corners": (table("filename,xmin,ymin,xmax,ymax,class", corners), "boxes-csv", False),
    "tensorflow": (table("filename,width,height,class,xmin,ymin,xmax,ymax", tensorflow, ",,,,,,,"), "boxes-csv", False),
    "retinanet": (table("", corners), "boxes-csv", False),
    "sides": (table("image,label,x,y,w,h", sides), "boxes-csv", False),
    "open images": (table("ImageID,LabelName,XMin,XMax,YMin,YMax", shares), "boxes-csv", False),
    "centre": (table("path,class,x_center,y_center,width,height", centre), "boxes-csv", False),
    "cell": (table("image_id,width,height,bbox,label", cell, ",9,9,,"), "boxes-csv", False),
}


@pytest.mark.parametrize("form", sorted(FORMS))
def test_the_same_pictures_in_every_form(tmp_path: Path, form: str) -> None:
    write, kind, outlined = FORMS[form]
    for outlines in (False, True) if outlined else (False,):
        root, every = tmp_path / str(outlines), scenes(outlines=outlines)
        if (
            form == "cell"
        ):  # a corner beyond the sides tells them apart; the size of a picture without a box is stated wrongly
            far = Thing("cat", ((22, 3), (31, 10)))
            every = [s._replace(things=(far, *s.things[1:])) if s.width == 40 else s for s in every if s.things]
        write(root, every)
        dataset = check(root, every)
        assert dataset.kind == kind and dataset.notes[0].startswith("found ")


# ------------------------------------------------------------------------------------------------ LabelMe
def test_pixels_that_only_the_json_file_holds(tmp_path: Path) -> None:
    every = scenes()
    labelme(tmp_path, every)
    for s in every[:2]:
        image, page = tmp_path / s.split / f"{s.name}.png", tmp_path / s.split / f"{s.name}.json"
        value = json.loads(page.read_text()) | {"imageData": base64.b64encode(image.read_bytes()).decode()}
        put_json(page, value)
        image.unlink()
    dataset = check(tmp_path, every)
    assert "images that only their JSON files hold: 2" in dataset.notes
    assert dataset.pixels(0).shape == (13, 17, 3)


@pytest.mark.parametrize("data", ["!", "AAAA", base64.b64encode(b"\x89PNG\r\n\x1a\n" * 9).decode(), 7, ["x"]])
def test_pixels_in_text_that_are_none_cost_their_image(tmp_path: Path, data: Any) -> None:
    every = scenes()
    labelme(tmp_path, every)
    page = tmp_path / "train" / "p0.json"
    put_json(page, json.loads(page.read_text()) | {"imageData": data})
    (tmp_path / "train" / "p0.png").unlink()
    dataset = build_dataset(str(tmp_path), needs="images", leaks="keep")
    assert [(p.file, p.action) for p in dataset.problems] == [("train/p0.json", "quarantined")]
    assert len(dataset) == 4


def test_groups_circles_and_lines_of_labelme(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1, 40, 60)
    one = {"label": "cat", "group_id": 3, "shape_type": "polygon", "points": [[2, 2], [8, 2], [8, 8], [2, 8]]}
    two = one | {"points": [[20, 20], [30, 20], [30, 30], [20, 30]]}
    circle = {"label": "dog", "shape_type": "circle", "points": [[40, 20], [46, 28]]}
    line = {"label": "dog", "shape_type": "linestrip", "points": [[1, 1], [2, 2]]}
    hard = {"label": "dog", "points": [[1, 1], [9, 1], [9, 9]], "flags": {"difficult": True}}
    put_json(tmp_path / "a.json", {"shapes": [one, two, circle, line, hard], "imagePath": "..\\x\\a.png"})
    dataset = build_dataset(str(tmp_path), needs="images")
    truth = dataset.truth(0)
    assert isinstance(truth, Objects) and dataset.knows == "outlines"
    assert truth.boxes.tolist() == [[2, 2, 30, 30], [30, 10, 50, 30], [1, 1, 9, 9]]
    assert truth.ignore.tolist() == [False, False, True]
    group, disc, _ = truth.masks(40, 60)
    assert group.sum() == 36 + 100 and abs(disc.sum() - np.pi * 100) < 8
    assert "marks that are neither boxes nor areas, not used: linestrip ×1" in dataset.notes


def test_two_files_that_claim_one_image(tmp_path: Path) -> None:
    every = scenes()
    labelme(tmp_path, every)
    put(tmp_path / "train" / "copy.json", (tmp_path / "train" / "p0.json").read_text())
    dataset = build_dataset(str(tmp_path), needs="images", leaks="keep")
    assert [(p.file, p.reason.split(":")[0]) for p in dataset.problems] == [("train/p0.png", "ambiguous")]
    assert len(dataset) == 4


# ------------------------------------------------------------------------------------------------ CVAT
def test_masks_groups_turned_boxes_and_ellipses_of_cvat(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1, 20, 30)
    shapes = [
        '<mask label="cat" rle="1, 2, 3, 1, 2" left="4" top="5" width="3" height="3"></mask>',
        '<polygon label="dog" points="1,1;3,1;3,3;1,3" group_id="2"></polygon>',
        '<polygon label="dog" points="11,11;13,11;13,13;11,13" group_id="2"></polygon>',
        '<ellipse label="dog" cx="20" cy="10" rx="4" ry="2"></ellipse>',
        '<points label="dog" points="1,1"></points>',
        '<polygon label="cat" points="1,1;3,1;3,3"><attribute name="difficult">true</attribute></polygon>',
    ]
    body = "\n".join(shapes)
    put(tmp_path / "a.xml", cvat_xml(f'<image id="0" name="a.png" width="30" height="20">\n{body}</image>'))
    dataset = build_dataset(str(tmp_path), needs="images")
    truth = dataset.truth(0)
    assert isinstance(truth, Objects) and not dataset.problems and dataset.knows == "outlines"
    found = dict(zip([tuple(box) for box in truth.boxes.tolist()], truth.masks(20, 30), strict=True))
    assert set(found) == {(4, 5, 7, 8), (1, 1, 13, 13), (16, 8, 24, 12), (1, 1, 3, 3)}
    # rows of the mask's box: . # # / . . . / # . .
    rows, columns = np.nonzero(found[4, 5, 7, 8])
    assert sorted(zip(rows.tolist(), columns.tolist(), strict=True)) == [(5, 5), (5, 6), (7, 4)]
    assert found[1, 1, 13, 13].sum() == 8 and truth.ignore.sum() == 1
    turned = '<box label="cat" xtl="5" ytl="8" xbr="9" ybr="10" rotation="90.00"></box>'
    put(tmp_path / "a.xml", cvat_xml(f'<image id="0" name="a.png" width="30" height="20">{turned}</image>'))
    truth = build_dataset(str(tmp_path / "a.xml"), needs="images").truth(0)
    assert isinstance(truth, Objects)
    np.testing.assert_allclose(truth.boxes, [[6, 7, 8, 11]])


def test_what_cvat_writes_for_video_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1)
    put(tmp_path / "a.xml", cvat_xml('<track id="0" label="cat"><box frame="0" xtl="1"/></track>'))
    with pytest.raises(DataError, match=r"a\.xml is CVAT's XML for video"):
        open_data(str(tmp_path))


# ------------------------------------------------------------------------------------------------ damage
SHAPES = [  # LabelMe's points and kind, and the problem
    ([[1, 1], [float("nan"), 2], [3, 3]], "polygon", "not-a-number"),
    ([[1, 1], [2, 2]], "polygon", "bad-outline"),
    ([[1, 1], [1, 9]], "rectangle", "zero-area"),
    ([[1, 1]], "rectangle", "bad-shape"),
    ([[1, 1], [1, 1]], "circle", "bad-outline"),
    ("x", "polygon", "bad-shape"),
    ([[1], [2], [3]], "polygon", "bad-shape"),
    ([[1e308, 1], [2, 2], [3, 9]], "polygon", "out-of-frame"),
    ([[1, 1], [2, 2]], "cuboid", "bad-shape"),
    ([[1, 1], [4, 4]], "mask", "bad-outline"),
]


@pytest.mark.parametrize(("points", "kind", "code"), SHAPES)
def test_a_shape_that_cannot_be_used_is_an_ignored_place(tmp_path: Path, points: Any, kind: str, code: str) -> None:
    every = scenes(outlines=True)
    labelme(tmp_path, every)
    page = tmp_path / "train" / "p1.json"
    value = json.loads(page.read_text())
    value["shapes"].append({"label": "cat", "points": points, "shape_type": kind})
    put_json(page, value)
    dataset = build_dataset(str(tmp_path), needs="images", leaks="keep")
    assert code in {p.reason.split(":")[0] for p in dataset.problems}
    assert all(p.file in ("train/p1.json", "train/p1.png") and p.action != "kept" for p in dataset.problems)
    truth = dataset.truth(1)
    assert isinstance(truth, Objects) and truth.ignore.tolist() == [False, True]


ROWS = [
    ("p0.png,1,2,nan,9,cat", "not-a-number", "ignored"),
    ("p0.png,1,2,x,9,cat", "not-a-number", "ignored"),
    ("p0.png,1,,8,9,cat", "not-a-number", "ignored"),
    ("p0.png,8,2,1,9,cat", "inverted", "ignored"),
    ("p0.png,1,2,1,9,cat", "zero-area", "ignored"),
    ("p0.png,0.1,0.1,0.5,0.5,cat", "share", "ignored"),
    ("p0.png,1,2,8,9,", "no-class", "ignored"),
    ("p0.png,1,2", "short-row", "dropped"),
    ("p9.png,1,2,8,9,cat", "missing", "quarantined"),
    ("../p9.png,1,2,8,9,cat", "outside", "quarantined"),
    ("p0.png,2,3,11,10,cat", "repeated", "dropped"),
]


@pytest.mark.parametrize(("row", "code", "action"), ROWS)
def test_a_row_that_cannot_be_used_is_listed(tmp_path: Path, row: str, code: str, action: str) -> None:
    every = scenes()
    FORMS["corners"][0](tmp_path, every)
    path = tmp_path / "train" / "_annotations.csv"
    put(path, path.read_text() + row + "\n")
    dataset = build_dataset(str(tmp_path), needs="images", leaks="keep")
    (problem,) = dataset.problems
    assert (problem.file, problem.line, problem.action) == ("train/_annotations.csv", 6, action)
    assert problem.reason.startswith(code) and problem.fix
    assert len(dataset) == 5


def test_four_numbers_in_a_cell_that_both_forms_fit_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 1, 40, 40)
    put(tmp_path / "boxes.csv", 'path,bbox,class\na.png,"[1, 2, 3, 4]",cat\n')
    with pytest.raises(
        DataError, match=r"boxes\.csv: \[left, top, right, bottom\] and \[x, y, width, height\] both fit"
    ):
        open_data(str(tmp_path))


def test_several_tables_of_boxes_are_refused_by_name(tmp_path: Path) -> None:
    FORMS["corners"][0](tmp_path, scenes())
    for name in ("one.csv", "two.csv"):
        put(tmp_path / name, (tmp_path / "val" / "_annotations.csv").read_text())
    with pytest.raises(DataError, match=r"several tables could hold the boxes: one\.csv, "):
        open_data(str(tmp_path))
    dataset = build_dataset(str(tmp_path / "val" / "_annotations.csv"), needs="images", leaks="keep")
    assert len(dataset) == 2


def test_a_table_without_a_class_has_one(tmp_path: Path) -> None:
    every = scenes()
    table("path,x1,y1,x2,y2", lambda s, t: "," + ",".join(map(str, t.box)), ",,,,")(tmp_path, every)
    one = [s._replace(things=tuple(t._replace(label="object") for t in s.things)) for s in every]
    assert (
        "no column of classes: every box is of the one class 'object'" in check(tmp_path, one, classes=["object"]).notes
    )


@pytest.mark.parametrize("row", ["p1.png,cat,1,1,5,5,\x1e9,9", "p1.png,cat,1,1,5,5"])
def test_a_size_that_is_short_or_blank(tmp_path: Path, row: str) -> None:
    FORMS["corners"][0](tmp_path, scenes())
    path = put(tmp_path / "train" / "_annotations.csv", f"path,class,x1,y1,x2,y2,width,height\n{row}\n")
    assert len(open_data(str(path)).records) == 1
