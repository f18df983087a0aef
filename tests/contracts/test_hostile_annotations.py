"""Annotations that a stranger wrote to cost much or to vanish: work stays bounded, nothing is lost in silence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sightline.data.files.walking import walk
from sightline.data.formats.annotated.tools.boxtables import read_box_tables
from sightline.data.formats.answers import in_order
from sightline.data.formats.packed.shards import with_class_names
from sightline.data.formats.pixels.colours import read_colours
from sightline.data.formats.sniff import open_data
from sightline.errors import DataError
from tests.contracts.test_annotation_tools import labelme, via, voc_beside
from tests.contracts.test_hub_objects import write as write_hub
from tests.contracts.test_yolo import write as write_yolo
from tests.counting import at_most_lines
from tests.marked import put, scenes
from tests.tiny_annotated import picture


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("label_colors.txt", "128 64 128 road\n0 0 192 sky\n0 0 0 void\na" + " " * 300_000 + "x\n"),
        ("class_dict.csv", "name,r,g,b\n" + "a" * 140_000 + ",128,64,128\nsky,0,0,192\n"),
    ],
)
def test_a_line_of_any_length_in_a_table_of_colours_is_refused(tmp_path: Path, name: str, text: str) -> None:
    put(tmp_path / name, text)
    with pytest.raises(DataError, match=r"line [24]: .* is not a name and a colour"):
        read_colours(tmp_path, name)


def test_numbers_of_thousands_of_digits_are_no_numbers(tmp_path: Path) -> None:
    put(tmp_path / "classes.json", json.dumps({"road": "9" * 5_000 + ",1,1", "sky": "#0000c0"}))
    table = read_colours(tmp_path, "classes.json")
    assert table is not None and [row.name for row in table.rows] == ["sky"]
    assert in_order(["7" * 5_000, "10"]) == ("10", "7" * 5_000)
    for i in range(4):
        picture(tmp_path / "shards" / f"{i}.png", i)
        put(tmp_path / "shards" / f"{i}.cls", "7" * 5_000 if i % 2 else "0")
    put(tmp_path / "classes.txt", "cat\ndog\n")
    source = open_data(str(tmp_path / "shards"))
    assert with_class_names(source, tmp_path).classes == source.classes


def test_objects_of_unknown_class_are_not_repeated_without_bound(tmp_path: Path) -> None:
    """Each is ignored in every class: so many rows as there are objects times classes."""
    names = ",".join(f"c{i}" for i in range(60_000))
    (tmp_path / "yolo").mkdir()
    write_yolo(tmp_path / "yolo", scenes(), yaml="train: images/train\nval: images/val\nnames: [cat, dog]\n")
    (tmp_path / "yolo" / "data.yaml").unlink()
    put(tmp_path / "yolo" / "classes.txt", names.replace(",", "\n"))
    put(next(tmp_path.glob("yolo/labels/*/p0.txt")), "".join(f"99999 .5 .5 .2 .2{i}\n" for i in range(99)))
    with pytest.raises(DataError, match="99 objects have no class that is known, and there are 60,000 classes"):
        open_data(str(tmp_path / "yolo"))


def test_entries_of_splits_are_looked_up(tmp_path: Path) -> None:
    entries = ",".join(f"images/t{i}" for i in range(1_000))
    yaml = "path: .\ntrain: [{}]\nval: images/val\nnames: [dog, cat]\n"
    write_yolo(tmp_path, scenes(), yaml=yaml.format(entries))
    with at_most_lines(300_000):
        assert {record.split for record in open_data(str(tmp_path)).records} == {"val"}
    put(tmp_path / "data.yaml", yaml.format(",".join([entries] * 11)))
    with pytest.raises(DataError, match="11,001 entries for its splits; at most 10,000"):
        open_data(str(tmp_path))


@pytest.mark.parametrize("path", ["a" * 5_000, '"a\\0b"', "/root/x"])
def test_a_path_that_cannot_be_a_folder(tmp_path: Path, path: str) -> None:
    write_yolo(tmp_path, scenes(), yaml=f"path: {path}\ntrain: images/train\nval: images/val\nnames: [dog, cat]\n")
    assert len(open_data(str(tmp_path / "data.yaml")).records) == 5


def changed(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


@pytest.mark.parametrize("kind", [[], {}, [1], None, 3])
def test_a_kind_of_shape_that_is_no_text(tmp_path: Path, kind: object) -> None:
    labelme(tmp_path / "labelme", scenes())
    changed(tmp_path / "labelme/train/p0.json", lambda page: page["shapes"][0].update(shape_type=kind))
    via(tmp_path / "via", scenes())
    regions = "via/train/via_region_data.json"
    changed(tmp_path / regions, lambda v: v["p0.png123"]["regions"][0]["shape_attributes"].update(name=kind))
    for tool in ("labelme", "via"):
        assert [p.reason.split(":")[0] for p in open_data(str(tmp_path / tool)).problems] == ["bad-shape"]


@pytest.mark.parametrize("value", [None, 3, "x", True])
def test_objects_that_are_no_list_are_a_problem(tmp_path: Path, value: object) -> None:
    labelme(tmp_path / "labelme", scenes())
    changed(tmp_path / "labelme/train/p1.json", lambda page: page.update(shapes=value))
    via(tmp_path / "via", scenes())
    changed(tmp_path / "via/train/via_region_data.json", lambda v: v["p1.png123"].update(regions=value))
    for tool, code in (("labelme", "bad-json"), ("via", "bad-regions")):
        source = open_data(str(tmp_path / tool))
        assert [problem.reason.split(":")[0] for problem in source.problems] == [code]
        assert "train/p1.png" not in {record.name for record in source.records}


def test_a_box_outside_of_an_object_is_a_problem(tmp_path: Path) -> None:
    voc_beside(tmp_path, scenes())
    page = tmp_path / "train" / "p1.xml"
    page.write_text(page.read_text().replace("<object>", "<objekt>").replace("</object>", "</objekt>"))
    assert [p.reason.split(":")[0] for p in open_data(str(tmp_path)).problems] == ["no-object"]


def test_the_hubs_objects_without_boxes_are_not_none(tmp_path: Path) -> None:
    write_hub(tmp_path, 3)
    table = tmp_path / "metadata.jsonl"
    before = table.read_text()
    put(table, before.replace('"bbox"', '"box"', 3).replace('"category"', '"classes"', 3))
    with pytest.raises(DataError, match="line 1: objects without bbox: they have box, classes"):
        open_data(str(tmp_path))
    put(
        table,
        before.replace(
            '"bbox": [[5.0, 6.0, 10.0, 12.0], [20.0, 10.0, 15.5, 20.0]], "category": [0, 1]', '"bbox": 3', 1
        ),
    )
    with pytest.raises(DataError, match="other numbers of boxes"):
        open_data(str(tmp_path))
    lines = before.splitlines()
    put(table, "\n".join([*lines[:2], '{"file_name": "2.png"}']) + "\n")
    assert "rows without objects, taken to show none: 1" in open_data(str(tmp_path)).notes


def test_a_table_that_turns_out_to_be_none(tmp_path: Path) -> None:
    """Recognised by its beginning, refused when it is read."""
    with pytest.raises(DataError, match="no table of boxes that can be read"):
        read_box_tables(walk(str(tmp_path)))
