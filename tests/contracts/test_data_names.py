"""Names are data: whatever a class or file is called, every image keeps its own label, or two names are refused by name."""

from __future__ import annotations

import json
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sightline.data.dataset import build_dataset
from sightline.data.formats.sniff import open_data
from sightline.data.records.names import class_key, class_text, class_texts, is_litter, split_named
from sightline.data.summary import data_json
from sightline.errors import DataError
from sightline.storage.text import json_text
from tests.tiny_data import png

HOSTILE = [
    b"=cmd|' C calc'!A0", b"+1", b"-1", b"@SUM(1)", b"<script>alert(1)<", b"&amp;", b'"quoted"', b"'", b"`id`", b"$HOME",
    b"%s%n", b"{{7*7}}", b"x..", b"x\\..", b"cat.", b"cat ", b" dog", b"dog.jpg", b"con", b"nul", b"~", b"*",
    b"?", b"|", b":", b";", b",", b"#", b"a\nb", b"a\tb", b"\x1b[31mred", b"\x7f", b"x" * 255, "é".encode() * 127,
    "😀".encode(), "👩‍👩‍👧".encode(), "שלום".encode(), "\u202egnp.exe".encode(), "\u200b".encode(), "İstanbul".encode(),
    "ﬁ".encode(), "Å".encode(), "日本語".encode(), b"\xff", b"\xfe\xff", b"caf\xe9", b"\xed\xa0\x80", b"0", b"00", b"10", b"2",
    b"None", b"null", b"true", b"nan", b"-0", b"1e5", b"__proto__", b"trainer", b"tests",
]  # fmt: skip


def place(root: Path, number: int, *parts: bytes) -> None:
    """One picture at root/parts…, the names as raw bytes."""
    folder = os.path.join(os.fsencode(root), *parts[:-1])
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, parts[-1]), "wb") as file:
        file.write(png(number))


def test_hostile_classes_keep_their_images(tmp_path: Path) -> None:
    wanted = {}
    for row, name in enumerate(HOSTILE):
        for i, file in enumerate((name[:250] + b".png", b"plain.png", b"\xff\xfe.png")):
            place(tmp_path, 3 * row + i, name, file)
            wanted[name + b"/" + file] = (class_text(os.fsdecode(name)), png(3 * row + i))
    dataset = build_dataset(str(tmp_path))
    assert len(dataset) == 3 * len(HOSTILE)
    assert len(dataset.classes) == len(HOSTILE)
    assert list(dataset.classes) == sorted(dataset.classes)
    for record in dataset.records:
        label, content = wanted[os.fsencode(record.name)]
        assert record.label == label == dataset.classes[dataset.index[record.id]]
        assert dataset.audit.source.load(record).read_bytes() == content
    text = json_text(data_json(dataset, "classification"))
    assert text.isascii()
    assert json.loads(text)["classes"] == list(dataset.classes)
    for name in dataset.classes:
        name.encode("utf-8")  # any file can hold it


def test_hostile_classes_in_a_table_keep_their_images(tmp_path: Path) -> None:
    names = [class_text(os.fsdecode(name)) for name in HOSTILE if b"\n" not in name]
    names += [
        "../x",
        "..",
        ".hidden",
        "/etc/passwd",
        "=cmd|' /C calc'!A0",
        "<script>alert(1)</script>",
        "train",
        "C:\\x",
    ]
    lines = ["path,label,n"]
    for row, name in enumerate(names):
        place(tmp_path, row, f"{row}.png".encode())
        quoted = name.replace('"', '""')
        lines.append(f'{row}.png,"{quoted}",x')
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    source = open_data(str(tmp_path))
    assert not source.problems
    assert {r.name: r.label for r in source.records} == {f"{row}.png": name.strip() for row, name in enumerate(names)}


def test_a_class_is_its_composed_form_and_its_bytes(tmp_path: Path) -> None:
    place(tmp_path, 1, "cafe\u0301".encode(), b"0.png")
    place(tmp_path, 2, b"b\xe4r", b"0.png")
    assert open_data(str(tmp_path)).classes == ("b\\xe4r", "caf\u00e9")


def test_one_class_list_for_all_splits_whatever_is_missing(tmp_path: Path) -> None:
    """A folder that val or test lacks shifts nothing: the index belongs to the name."""
    for number, (split, classes) in enumerate(((b"train", b"abcdef"), (b"val", b"bdf"), (b"test", b"ce"))):
        for c in classes:
            place(tmp_path, number * 1000 + c, split, bytes([c]), b"0.png")
    (tmp_path / "val" / "a").mkdir()  # empty
    dataset = build_dataset(str(tmp_path))
    assert dataset.classes == tuple("abcdef")
    for record in dataset.records:
        assert dataset.classes[dataset.index[record.id]] == record.name.split("/")[1]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat", "Cat"),
        ("STRASSE", "straße"),
        (unicodedata.normalize("NFC", "café"), unicodedata.normalize("NFD", "café")),
        (unicodedata.normalize("NFC", "É"), unicodedata.normalize("NFD", "é")),
        ("cat", "cat "),
        (" cat", "cat"),
        ("\udcff", "\\xff"),
        ("\u212b", "\u00c5"),  # the ångström sign and the letter
    ],
)
def test_names_that_one_could_take_for_another_are_refused_with_both(tmp_path: Path, one: str, other: str) -> None:
    for number, name in enumerate((one, other, "third")):
        place(tmp_path, number, os.fsencode(name), b"0.png")
    assert len(list(tmp_path.iterdir())) == 3
    with pytest.raises(DataError, match="differ only in case, blanks or Unicode form") as caught:
        open_data(str(tmp_path))
    for name in (one, other):
        assert (
            ascii(name)[1:-1] in caught.value.message or name in caught.value.message or "\\xff" in caught.value.message
        )


def test_collisions_between_splits_are_refused_too(tmp_path: Path) -> None:
    place(tmp_path, 1, b"train", b"cat", b"0.png")
    place(tmp_path, 2, b"train", b"dog", b"0.png")
    place(tmp_path, 3, b"test", b"Cat", b"0.png")
    with pytest.raises(DataError, match="'Cat' and 'cat'"):
        open_data(str(tmp_path))


def test_a_table_finds_a_file_in_another_unicode_form(tmp_path: Path) -> None:
    place(tmp_path, 1, unicodedata.normalize("NFD", "Bär.png").encode())
    place(tmp_path, 2, b"x.png")
    (tmp_path / "l.csv").write_text(f"{unicodedata.normalize('NFC', 'Bär.png')},a\nx.png,b\n")
    source = open_data(str(tmp_path))
    assert [(unicodedata.normalize("NFC", r.name), r.label) for r in source.records] == [
        ("Bär.png", "a"),
        ("x.png", "b"),
    ]


raw_names = st.binary(min_size=1, max_size=60).filter(lambda b: not set(b) & {0, 0x2F} and b not in (b".", b".."))


@settings(max_examples=150, deadline=None)
@given(st.lists(raw_names | st.text(min_size=1, max_size=12).map(lambda t: t.encode("utf-8", "replace")), max_size=8))
def test_no_names_shift_a_label(tmp_path_factory: pytest.TempPathFactory, names: list[bytes]) -> None:
    names = sorted({n for n in names if b"/" not in n and b"\0" not in n and not is_litter(os.fsdecode(n))})
    assume(not any(split_named(os.fsdecode(n)) or n.strip() in (b"", b".", b"..") for n in names))
    root = tmp_path_factory.mktemp("names")
    for number, name in enumerate([*names, b"\xf0\x9f\x90\x88"]):
        place(root, number, name, b"0.png")
    texts = [os.fsdecode(n) for n in [*names, b"\xf0\x9f\x90\x88"]]
    if len({class_key(t) for t in texts}) < len(texts):
        with pytest.raises(DataError, match="differ only"):
            open_data(str(root))
        return
    source = open_data(str(root))
    assert {os.fsencode(r.name): r.label for r in source.records} == {
        os.fsencode(t) + b"/0.png": class_text(t) for t in texts
    }
    assert len(set(source.classes)) == len(texts)


@given(st.lists(st.text(max_size=6), max_size=6))
def test_class_texts_are_stable_and_distinct(names: list[str]) -> None:
    try:
        texts = class_texts(names)
    except DataError:
        keys = {class_key(name) for name in names}
        assert len(keys) < len(set(names))
        return
    assert len(set(texts.values())) == len(set(names))
    assert all(class_text(text) == text for text in texts.values())  # reading a class list again changes nothing
