"""Label files of strangers: whatever their bytes, no crash, no hang, no expansion; an error names file and line."""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sightline.data.dataset import build_dataset
from sightline.data.formats.annotated import markup
from sightline.data.formats.annotated.markup import read_json, read_xml
from sightline.data.formats.sniff import open_data
from sightline.data.records.annotations import Objects
from sightline.data.records.records import Problem
from sightline.data.records.upright import Stored
from sightline.errors import DataError
from tests.counting import at_most_lines
from tests.tiny_annotated import HEIGHT, WIDTH, annotation, coco_folder, masked, voc, voc_xml

GOOD_XML = voc_xml([("Bär", (1, 1, 9, 9)), ("cat", (2, 2, 5, 5))])
BOMB = """<?xml version="1.0"?>
<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;">]>
<annotation><object><name>&c;</name></object></annotation>"""
OUTWARD = """<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<annotation><object><name>&x;</name></object></annotation>"""


# ------------------------------------------------------------------------------------------------ XML
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (BOMB.encode(), "line 2: a document type or entity"),
        (OUTWARD.encode(), "line 1: a document type or entity"),
        (b"<!DOCTYPE annotation SYSTEM 'http://x/y.dtd'><annotation/>", "line 1: a document type"),
        (b"<annotation>\n<object>&other;</object></annotation>", "line 2: undefined entity"),
        (b"<annotation>\n\n<object></annotation>", "line 3: mismatched tag"),
        (b"<annotation>\n", "line 2: no element found"),
        (b"", "line 1: no element found"),
        (b"no xml", "line 1: syntax error"),
        (b"<a>\n<b>\0</b></a>", "line 2: a NUL"),
        ("<a>\n<b>é</b></a>".encode("utf-16")[:-1], "line 2: not utf-16"),
        ("<a>ü\n".encode() + b"<b>\xfc</b></a>", "line 2: not UTF-8, while other lines are"),
        (b"<a>\n<b>\x81</b></a>", "line 2: not cp1252"),
        (b'<?xml version="1.0" encoding="gbk"?><annotation/>', "line 1: the encoding gbk is not supported"),
        (b"<a>\n" + b"<b>" * 200, "line 2: more than 32 elements inside each other"),
    ],
)
def test_xml_that_is_none_is_named_by_line(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^a.xml {says}"):
        read_xml(path, "a.xml")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("declared", ["", "utf-8", "UTF-16", "ISO-8859-1"])
def test_xml_in_any_usual_encoding_says_the_same(tmp_path: Path, encoding: str, declared: str) -> None:
    head = f'<?xml version="1.0" encoding="{declared}"?>\n' if declared else ""
    path = tmp_path / "a.xml"
    path.write_bytes((head + GOOD_XML).encode(encoding))
    elements, note = read_xml(path, "a.xml")
    names = [e.text for e in elements if e.path == ("annotation", "object", "name")]
    assert names == ["Bär", "cat"]
    assert ("Windows-1252" in note) == (encoding == "cp1252")
    assert ("read as UTF-16" in note) == (encoding in ("utf-16-le", "utf-16-be"))


def test_xml_beyond_all_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.xml"
    path.write_text("<annotation>\n" + "<b/>" * 2000 + "</annotation>")
    monkeypatch.setattr(markup, "XML_ELEMENTS", 1000)
    with pytest.raises(DataError, match=r"a\.xml line 2: more than 1,000 elements"):
        read_xml(path, "a.xml")
    monkeypatch.setattr(markup, "XML_BYTES", 100)
    with pytest.raises(DataError, match=r"a\.xml is larger than"):
        read_xml(path, "a.xml")


def test_a_bad_xml_costs_its_image_by_line(tmp_path: Path) -> None:
    pages = {"good": GOOD_XML, "bomb": BOMB, "old": GOOD_XML.replace("Bär", "cow")}
    voc(tmp_path, pages)
    (tmp_path / "Annotations" / "old.xml").write_bytes(GOOD_XML.encode("cp1252"))
    source = open_data(str(tmp_path))
    assert [(p.file, p.line, p.action) for p in source.problems] == [("Annotations/bomb.xml", 2, "quarantined")]
    assert source.problems[0].reason.startswith("bad-xml: a document type") and source.problems[0].fix
    assert [r.name for r in source.records] == ["JPEGImages/good.png", "JPEGImages/old.png"]
    assert any("1 of 2, each is not UTF-8 and is read as Windows-1252" in note for note in source.notes)


# ------------------------------------------------------------------------------------------------ JSON
DEEP = '{"images": [],\n"annotations": [], "categories":\n' + "[" * 100_000


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"images": [],\n"annotations": [}, "categories": []}', "line 2: Expecting value"),
        (b'{"images": [], "annotations": [],\n "categories": []', "line 2: Expecting"),
        (DEEP.encode(), "line 3: nested too deep"),
        (
            b'{"images": [], "annotations": [],\n"categories": [' + b"7" * 9000 + b"]}",
            "line 2: a value that is too large",
        ),
        (b'{"images": 1, "annotations": 2,\n"categories": "\0"}', "line 2: a NUL"),
        (b'{"images": 1, "annotations": 2,\n"categories": "\t"}', "line 2: Invalid control character"),
        (
            b'{"images": "\xc3\xa9", "annotations": 2,\n"categories": "\xe9"}',
            "line 2: not UTF-8, while other lines are",
        ),
        ('{"images": 1, "annotations": 2,\n"categories": "é"}'.encode("utf-16")[:-3], "line 2: "),
        (b'["images": 1, "annotations": 2, "categories": 3]', "line 1: Expecting"),
        (b'[{"images": 1, "annotations": 2, "categories": 3}]', "line 1: the top level is not an object"),
    ],
)
def test_json_that_is_none_is_named_by_line(tmp_path: Path, content: bytes, says: str) -> None:
    coco_folder(tmp_path, [annotation(1)])
    (tmp_path / "all.json").write_bytes(content)
    for what in (tmp_path, tmp_path / "all.json"):
        with pytest.raises(DataError, match=f"^all.json {says}"):
            open_data(str(what))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_json_in_any_usual_encoding_says_the_same(tmp_path: Path, encoding: str) -> None:
    coco_folder(tmp_path, [annotation(1)], categories=[{"id": 1, "name": "Bär"}])
    text = json.dumps(json.loads((tmp_path / "all.json").read_text()), ensure_ascii=False)
    (tmp_path / "all.json").write_bytes(text.encode(encoding))
    source = open_data(str(tmp_path))
    assert source.classes == ("Bär",)
    assert any("Windows-1252" in note for note in source.notes) == (encoding == "cp1252")


def test_json_that_is_not_cocos_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(DataError, match=r"x\.json is JSON, but not COCO's"):
        open_data(str(tmp_path / "x.json"))


def test_json_almost_too_deep_is_harmless() -> None:
    """Python stops somewhere below a thousand brackets; what it lets through is not walked through by us."""
    for depth in (10, 100, 400):
        assert read_json("[" * depth + "]" * depth, "a") is not None


# ------------------------------------------------------------------------------------------------ mutants
PIECES = [
    b"", b"\0", b'"', b"<", b">", b"&", b"&lt;", b"]]>", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b"../", b"{", b"}",
    b"[", b"[" * 600, b"]", b",", b":", b"-", b"NaN", b"1e999", b"9" * 50, b"9" * 5000, b"null", b"true", b"\xe9",
    b"\\u0000", b"\\ud800", b"<!DOCTYPE a>", b"<object>", b"</object>", b"x" * 300, b" ", b"0", b"-1", b'"a"', b"void",
]  # fmt: skip


def mutant(good: bytes, rng: random.Random) -> bytes:
    data = bytearray(good)
    for _ in range(rng.choice((1, 1, 2, 3, 6))):
        at = rng.randrange(len(data) + 1)
        kind = rng.randrange(6)
        if kind == 0:
            data[at : at + rng.randrange(1, 9)] = rng.choice(PIECES)
        elif kind == 1:
            data[at:at] = rng.choice(PIECES)
        elif kind == 2:
            data[at : at + 1] = rng.randbytes(1)
        elif kind == 3:
            other = rng.randrange(len(data) + 1)
            data[at:at] = data[other : other + rng.randrange(40)]
        elif kind == 4:
            del data[at : at + rng.randrange(60)]
        else:
            data = bytearray(data.decode("latin-1").encode(rng.choice(("utf-16", "utf-16-le", "utf-8", "latin-1"))))
    return bytes(data)


def masks_set(root: Path) -> list[Path]:
    masked(root, {"train": 2, "val": 1})
    return [root / "classes.txt", root / "train.txt", root / "masks" / "train0.png"]


def boxes_set(root: Path) -> list[Path]:
    voc(root, {"a": GOOD_XML, "b": GOOD_XML}, {"train": ["a"], "val": ["b"]})
    return [root / "Annotations" / "a.xml", root / "Annotations" / "a.xml", root / "ImageSets" / "Main" / "train.txt"]


def objects_set(root: Path) -> list[Path]:
    ring, runs = [[1, 2, 9, 2, 9, 8.5]], {"size": [12, 16], "counts": "0h1T4"}
    marks = [annotation(1, segmentation=ring), annotation(2, 2, 2, segmentation=runs), annotation(3, segmentation=ring)]
    return [coco_folder(root, marks) / "all.json"]


SETS: dict[str, Callable[[Path], list[Path]]] = {"coco": objects_set, "masks": masks_set, "voc": boxes_set}
# An error names the file and the line or, where it is about the whole of it, the file; or the classes that clash.
NAMED = re.compile(
    r"\.(json|xml|txt)( line \d+|: | names | is | and )|not read: .*\.json|\.json is not read"
    r"|^(the classes .* differ only|only one class)"
)


MOST_LINES = 50_000  # of our code that reading a small set may cost, whatever its files hold; 7,300 is usual


def told(root: Path) -> tuple[list[Problem] | None, str]:
    """The problems of a set whose every annotation is looked at and read, or what the one error that may be raised says."""
    try:
        source = open_data(str(root))
        if source.annotations is None:  # nothing in it looks like annotations any more
            build_dataset(str(root))
        assert source.annotations is not None
        sizes = [Stored(HEIGHT, WIDTH)] * len(source.records)
        looks = source.annotations.inspect(source.records, sizes, workers=1, cache_dir=None)
        for record, seen in zip(source.records, looks, strict=True):
            truth = source.annotations.truth(record) if seen.digest else None
            if isinstance(truth, Objects) and source.annotations.knows == "outlines":
                truth.masks(HEIGHT, WIDTH)
        return [*source.problems, *(problem for seen in looks for problem in seen.problems)], ""
    except DataError as error:
        return None, str(error)


def run_mutants(root: Path, kind: str, count: int, seed: int) -> tuple[int, int]:
    """How many were refused as a whole, and how many gave problems."""
    targets, rng = SETS[kind](root), random.Random(seed)
    good = {path: path.read_bytes() for path in targets}
    assert told(root)[0] is not None
    refused = named = 0
    for _ in range(count):
        path = rng.choice(targets)
        content = mutant(good[path], rng)
        path.write_bytes(content)
        with at_most_lines(MOST_LINES):
            found, error = told(root)
        if found is None:
            refused += 1
            assert NAMED.search(error), (error, content)
        else:
            assert all(p.file and ": " in p.reason and p.fix for p in found), content
            named += bool(found)
        path.write_bytes(good[path])
    return refused, named


@pytest.mark.parametrize("kind", sorted(SETS))
def test_mutants_of_label_files_never_crash(tmp_path: Path, kind: str) -> None:
    refused, named = run_mutants(tmp_path, kind, 1000, 5)
    assert refused > 20 and named > 50


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(SETS))
def test_a_hundred_thousand_mutants_never_crash(tmp_path: Path, kind: str) -> None:
    seed = int(os.environ.get("SIGHTLINE_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"SIGHTLINE_SEED={seed}")
    refused, named = run_mutants(tmp_path, kind, 33_334, seed)
    assert refused > 20 * 33 and named > 50 * 33  # as many of each as the short run asks for
