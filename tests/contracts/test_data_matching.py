"""Names in lists, tables and annotations against names on the disk; numbers, flags and ids of other tools."""

from __future__ import annotations

import json
import math
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
import pytest

from sightline.data.dataset import Dataset, build_dataset
from sightline.data.files.lists import listed_paths
from sightline.data.files.matching import NameIndex, bare_stem, pair
from sightline.data.files.values import flag, identity, lookup, number, whole
from tests.tiny_annotated import annotation, coco, mask_png, picture, voc_xml, write_json

STEMS = [
    "école",
    "Ångström",
    "한글",
    "naïve.v1.2",
    "pump.1",
    "pump.10",
    "a b",
    "x",
    "IMG_1",
    "plus+",
    "50%",
    "été (1)",
    "ﬁle",
]


def spellings(name: str) -> dict[str, str]:
    """Ways in which tools write one name, by what they change."""
    return {
        "as it is": name,
        "composed": unicodedata.normalize("NFC", name),
        "decomposed": unicodedata.normalize("NFD", name),
        "escaped": quote(name),
        "escaped, decomposed": quote(unicodedata.normalize("NFD", name)),
        "backslashes": name.replace("/", "\\"),
        "trailing blank": f"{name}  ",
        "leading blank": f" {name}",
        "dot": f"./{name}",
        "detour": f"other/../{name}",
        "capitals": name.upper(),
        "lower case": name.lower(),
        "from elsewhere": f"/home/someone/data/{name}",
        "from another disk": f"D:\\data\\{name}".replace("/", "\\"),
    }


def test_one_file_is_found_by_every_spelling() -> None:
    """Each of 13 names on the disk in both Unicode forms, in 14 spellings, with and without folder and suffix."""
    count = 0
    for form in ("NFC", "NFD"):
        files = [unicodedata.normalize(form, f"images/{stem}.png") for stem in STEMS]
        index = NameIndex(files)
        for stem, file in zip(STEMS, files, strict=True):
            for text in (f"images/{stem}.png", f"{stem}.png", f"images/{stem}", stem):
                for how, written in spellings(text).items():
                    if how == "from elsewhere" and "/" not in text:
                        continue
                    assert list(index.find(written).names) == [file], (how, written)
                    count += 1
    assert count > 1300


def test_a_stem_is_never_cut() -> None:
    """Of names with dots each finds itself alone, and one that does not exist finds nothing: 400 random sets."""
    rng = np.random.default_rng(5)
    for _ in range(400):
        stems = {".".join(str(n) for n in rng.integers(0, 4, int(rng.integers(1, 4)))) for _ in range(8)}
        *there, gone = sorted(stems) if len(stems) > 1 else ("0", "1")
        index = NameIndex(f"{stem}.jpg" for stem in there)
        for swap in (False, True):
            assert [list(index.find(s, swap=swap).names) for s in there] == [[f"{s}.jpg"] for s in there]
            assert not index.find(gone, swap=swap).names
            assert not index.find(f"{gone}.jpg", swap=swap).names
        assert list(index.find(f"{there[0]}.png", swap=True).names) == [f"{there[0]}.jpg"]
        assert not index.find(f"{there[0]}.png").names


def test_case_counts_where_it_must() -> None:
    index = NameIndex(["a/IMG_1.JPG", "a/img_1.png", "a/other.png"])
    assert list(index.find("IMG_1").names) == ["a/IMG_1.JPG"]
    assert list(index.find("img_1").names) == ["a/img_1.png"]
    assert len(index.find("Img_1").names) == 2
    assert index.find("OTHER.PNG") == (["a/other.png"], True)


def test_folders_agree_as_far_as_both_paths_go() -> None:
    files = ["cats/1.png", "dogs/1.png", "dogs/2.png", "train/3.png", "val/3.png"]
    index = NameIndex(files)
    assert list(index.find("photos/dogs/1.png").names) == ["dogs/1.png"]
    assert not index.find("cats/2.png").names
    assert len(index.find("1.png").names) == 2
    assert list(index.find("3.png", split="val").names) == ["val/3.png"]
    assert not index.find("../../etc/passwd").names and not index.find("..").names and not index.find("").names
    many = NameIndex(f"{i}/x.png" for i in range(5000))  # not quadratic
    assert [list(many.find(f"deep/{i}/x.png").names) for i in range(5000)] == [[f"{i}/x.png"] for i in range(5000)]


def test_pairs_are_unique_or_contested() -> None:
    """2,000 random sets: no file is in two pairs, and every name is paired, contested or alone."""
    rng, words = (
        np.random.default_rng(8),
        ["a", "A", "é", "é", "a b", "a%20b", "a_mask", "a_mask_1", "mask_a", "b.1", "b"],
    )
    seen: Counter[str] = Counter()
    for _ in range(2000):
        images = {f"i{n}": words[k] for n, k in enumerate(rng.integers(0, len(words), int(rng.integers(1, 6))))}
        masks = {f"m{n}": words[k] for n, k in enumerate(rng.integers(0, len(words), int(rng.integers(1, 6))))}
        partner, contested = pair(images, masks, affixes=True)
        assert len(set(partner.values())) == len(partner) and not partner.keys() & contested.keys()
        assert all(len(names) > 2 for names in contested.values())
        seen.update(paired=len(partner), contested=len(contested))
        keys = Counter(images.values()) + Counter(masks.values())
        for name, key in images.items():  # a name that one image and one mask share, byte for byte, is a pair
            if keys[key] == 2 and list(images.values()).count(key) == 1 and name not in contested:
                assert masks[partner[name]] == key
    assert min(seen.values()) > 500
    assert [bare_stem(k) for k in ("7_mask", "mask_7", "t/7_sat", "7-gt", "mask", "7_l")] == [
        "7",
        "7",
        "t/7",
        "7",
        "mask",
        "7",
    ]


def looked(what: Path) -> Dataset:
    return build_dataset(str(what), needs="images")


def problems(dataset: Dataset) -> list[str]:
    return [f"{p.file}: {p.reason}" for p in dataset.problems]


@pytest.mark.parametrize("kind", ["coco", "masks", "voc", "table", "voc list"])
@pytest.mark.parametrize("disk", ["NFC", "NFD"])
def test_every_reader_finds_accented_files(tmp_path: Path, kind: str, disk: str) -> None:
    other = "NFD" if disk == "NFC" else "NFC"
    names = [f"école {i}.v{i}" for i in range(6)]
    folder = {"coco": "images", "masks": "images", "table": "img"}.get(kind, "JPEGImages")
    (tmp_path / "Annotations").mkdir()
    for place, name in enumerate(names):
        written = unicodedata.normalize(other, name)
        picture(tmp_path / folder / f"{unicodedata.normalize(disk, name)}.png", place)
        if kind == "masks":
            mask_png(tmp_path / "masks" / f"{written}_mask.png", np.ones((12, 16)) * (place % 2))
        if kind.startswith("voc"):
            (tmp_path / "Annotations" / f"{written}.xml").write_text(voc_xml([("cat", (1, 1, 5, 5))]))
    listed = [unicodedata.normalize(other, name) for name in names]
    if kind == "coco":
        entries = [{"id": i, "file_name": f"{name}.png"} for i, name in enumerate(listed)]
        write_json(tmp_path / "all.json", coco(entries, [annotation(i, i) for i in range(6)]))
    if kind == "table":
        rows = [f"img/{quote(name)}.png,{'ab'[i % 2]}" for i, name in enumerate(listed)]
        (tmp_path / "labels.csv").write_text("path,label\n" + "\n".join(rows), encoding="utf-8")
    if kind == "voc list":
        (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
        (tmp_path / "ImageSets" / "Main" / "train.txt").write_text(
            "".join(f"{n} 1\n" for n in listed), encoding="utf-8"
        )
    if not kind.startswith("voc"):
        (tmp_path / "Annotations").rmdir()
    dataset = looked(tmp_path)
    assert len(dataset) == 6 and not dataset.problems
    assert {r.split for r in dataset.records} == ({"train"} if kind == "voc list" else {None})


def test_dots_in_names_of_lists(tmp_path: Path) -> None:
    """pump.12 does not exist; pump.jpg is not in its place (VOC and masks)."""
    names = ["pump", *(f"pump.{i}" for i in range(1, 12))]
    for place, name in enumerate(names):
        for folder in ("voc/JPEGImages", "masks/images"):
            picture(tmp_path / folder / f"{name}.png", place)
        mask_png(tmp_path / "masks" / "masks" / f"{name}.png", np.ones((12, 16)) * (place % 2))
        (tmp_path / "voc" / "Annotations").mkdir(exist_ok=True)
        (tmp_path / "voc" / "Annotations" / f"{name}.xml").write_text(voc_xml([("cat", (1, 1, 5, 5))]))
    (tmp_path / "voc" / "ImageSets" / "Main").mkdir(parents=True)
    for place in (tmp_path / "voc" / "ImageSets" / "Main", tmp_path / "masks"):
        (place / "train.txt").write_text("".join(f"pump.{i}\n" for i in range(1, 9)))
        (place / "val.txt").write_text("".join(f"pump.{i}\n" for i in (9, 10, 11, 12)))
    for kind in ("voc", "masks"):
        dataset = looked(tmp_path / kind)
        assert [len(dataset.ids(split)) for split in ("train", "val")] == [8, 3]
        assert len(dataset.problems) == 1 and "missing: no image pump.12" in dataset.problems[0].reason
        assert not any(r.name.endswith("/pump.png") for r in dataset.audit.records())


def test_two_files_of_one_name_are_named(tmp_path: Path) -> None:
    for place, name in enumerate(("a.png", "a.jpg", "b.png", "c.png")):
        picture(tmp_path / "images" / name, place)
    for name in ("a.png", "b.png", "b_mask.png", "c_mask.png", "c_mask_1.png"):
        mask_png(tmp_path / "masks" / name, np.ones((12, 16)))
    dataset = looked(tmp_path)
    assert [r.name for r in dataset.audit.records()] == ["images/b.png"]  # its own mask is b.png
    some = [p.reason for p in dataset.problems]
    assert sum(reason.startswith("ambiguous: one name for") for reason in some) == len(some) == 3
    assert any("masks/c_mask.png" in reason and "masks/c_mask_1.png" in reason for reason in some)
    for place, name in enumerate(("a.png", "a.jpg")):
        picture(tmp_path / "voc" / "JPEGImages" / name, place)
    (tmp_path / "voc" / "Annotations").mkdir()
    (tmp_path / "voc" / "Annotations" / "a.xml").write_text(voc_xml([("cat", (1, 1, 5, 5))]))
    with pytest.raises(Exception, match=r"one name for JPEGImages/a\.jpg, JPEGImages/a\.png, Annotations/a\.xml"):
        looked(tmp_path / "voc")


def test_a_name_in_another_case_does_not_take_the_file_of_the_right_one(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "img_1.png", 1)
    entries = [{"id": 1, "file_name": "IMG_1.png"}, {"id": 2, "file_name": "img_1.png"}]
    write_json(tmp_path / "all.json", coco(entries, [annotation(1, 1), annotation(2, 2)]))
    dataset = looked(tmp_path)
    assert len(dataset) == 1 and [p.reason.split(":")[0] for p in dataset.problems] == ["missing"]
    assert dataset.truth(0).where == (("all.json", 2),)  # type: ignore[union-attr]


def test_predicts_lists_are_matched_too(tmp_path: Path) -> None:
    real = tmp_path / "photos" / "école 1.png"
    picture(real, 1)
    latin = tmp_path / "photos" / "b.png"
    picture(latin, 2)
    lines = [
        "photos/école 1.png",
        "photos/e\u0301cole 1.png",
        "photos\\école%201.png  ",
        "PHOTOS/ÉCOLE 1.PNG",
        str(real),
    ]
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        (tmp_path / "list.txt").write_text("\r\n".join([*lines, "", "photos/gone.png"]), encoding=encoding)
        *found, gone = listed_paths(tmp_path / "list.txt")
        assert [path.resolve() for path in found] == [real.resolve()] * 5
        assert gone == tmp_path / "photos/gone.png"


# ------------------------------------------------------------------------------------------------ values
IDS = [0, 1, 7, 12, 4_294_967_296, -3]


def test_ids_join_by_value() -> None:
    count = 0
    for id in IDS:
        forms = [id, float(id), str(id), f" {id} ", f"{id}.0", f"{id}."]
        for one in forms:
            known = {str(identity(one)): "here"}
            for other in forms:
                assert lookup(known, other) == "here", (one, other)
                count += 1
            assert lookup(known, id + 1) is None and lookup(known, f"{id}x") is None
    assert count == 36 * len(IDS)
    assert [identity(v) for v in (None, True, False, [], {}, math.nan, math.inf, 1.5, "", " ", 10**400)] == [None] * 11
    assert lookup({"139": 1}, "000000000139") == lookup({"000139": 1}, 139) == 1
    assert lookup({"0139": 1, "00139": 2}, 139) is None and lookup({"0139": 1, "00139": 2}, "0139") == 1
    assert identity("é") == identity("e\u0301")


FLAGS = {
    False: [None, False, 0, 0.0, -0.0, "", " ", "0", "0.0", "false", "False", "FALSE", "no", "No", "n", "off", "Unspecified",
            "none", "null", "nan", math.nan],
    True: [True, 1, 1.0, "1", "1.0", " 1 ", "true", "True", "yes", "Y", "on"],
}  # fmt: skip


def test_flags_are_read_and_never_guessed() -> None:
    for wanted, values in FLAGS.items():
        assert [flag(value) for value in values] == [wanted] * len(values)
    for value in ("perhaps", 2, -1, 0.5, "2", [], [0], {}, {"a": 1}, "0x1", "truely", math.inf):
        with pytest.raises(ValueError, match="neither yes nor no"):
            flag(value)


def test_numbers_are_read_and_never_guessed() -> None:
    rng = np.random.default_rng(1)
    for value in rng.uniform(-1e6, 1e6, 1000).tolist():
        assert number(value) == number(repr(value)) == number(f" {value!r} ") == value
        assert whole(float(int(value))) == whole(str(int(value))) == int(value)
        assert whole(value) is None
    odd = [None, True, "", "x", "1,5", "1_000", "nan", "inf", "１２", "0x10", [1], {}, "9" * 50, 10**400, "1 2", "--1"]
    assert all(math.isnan(number(value)) and whole(value) is None for value in odd)


def test_the_types_of_a_coco_file_do_not_matter(tmp_path: Path) -> None:
    """Every number of a file as text, as a float, or as it is: the same objects, for 27 combinations."""
    forms: list[Any] = [lambda v: v, str, float]
    wanted = None
    for number_of, (image, key, value) in enumerate((a, b, c) for a in forms for b in forms for c in forms):
        root = tmp_path / str(number_of)
        entries = []
        for i in range(3):
            picture(root / "images" / f"{i}.png", i)
            entries.append({"id": image(i), "file_name": f"{i}.png", "height": value(12), "width": value(16)})
        marks = [
            {"id": key(i), "image_id": key(i // 2), "category_id": key(1 + i % 2), "iscrowd": value(i % 4 // 3),
             "bbox": [value(v) for v in (1, 2, 3 + i, 4)]}
            for i in range(6)
        ]  # fmt: skip
        categories = [{"id": image(1), "name": "cat"}, {"id": image(2), "name": "dog"}]
        write_json(root / "all.json", coco(entries, marks, categories))
        dataset = looked(root)
        assert not dataset.problems
        found = [dataset.truth(i) for i in range(3)]
        state = [(t.boxes.tolist(), t.label.tolist(), t.ignore.tolist()) for t in found]  # type: ignore[union-attr]
        wanted = wanted or state
        assert state == wanted
    assert wanted is not None
    assert [sum(ignore) for _, _, ignore in wanted] == [0, 1, 0]


def test_ids_of_both_types_are_noted_and_two_of_one_value_refused(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png", 1)
    entries = [{"id": "1", "file_name": "a.png"}]
    write_json(tmp_path / "all.json", coco(entries, [annotation(5, image=1)]))
    dataset = looked(tmp_path)
    assert any("image_id and id are text in places" in note for note in dataset.notes) and not dataset.problems
    document = json.loads((tmp_path / "all.json").read_text())
    document["images"].append({"id": 1, "file_name": "b.png"})
    write_json(tmp_path / "all.json", document)
    with pytest.raises(Exception, match="none of 2 images can be used"):
        looked(tmp_path)
