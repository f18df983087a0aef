"""Tables of labels: any usual spelling gives the same records; what is wrong is named by file and line; nothing crashes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sightline.data.files import encodings
from sightline.data.formats.sniff import open_data
from sightline.data.records.records import QUARANTINED
from sightline.data.records.source import Source
from sightline.errors import DataError
from tests.tiny_data import reasons, rows, write, write_folder

LABELS = [("0.png", "Katze"), ("1.png", "Bär"), ("2.png", "Bär")]


def images(root: Path, count: int = 3) -> Path:
    for i in range(count):
        write(root / f"{i}.png", i)
    return root


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", ["path,label", "Image Name,Species", None])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_any_table_gives_the_same_records(tmp_path: Path, delimiter: str, header: str | None, encoding: str) -> None:
    lines = ([header.replace(",", delimiter)] if header else []) + [delimiter.join(row) for row in LABELS]
    (images(tmp_path) / "labels.csv").write_bytes("\r\n".join([*lines, ""]).encode(encoding))
    for what in (tmp_path, tmp_path / "labels.csv"):
        source = open_data(str(what))
        assert [(r.name, r.label) for r in source.records] == LABELS
        assert source.classes == ("Bär", "Katze")
        assert not source.problems
    assert source.kind == "csv"
    assumed = " ".join(source.notes)
    assert ("Windows-1252" in assumed) == (encoding == "cp1252")
    assert ("read as UTF-16" in assumed) == (encoding in ("utf-16-le", "utf-16-be"))


def test_split_and_group_columns_and_quotes(tmp_path: Path) -> None:
    text = 'label,file,set,patient\n"a, b",0.png,training,p1\n"say ""x""",./1.png,valid,p2\nc,sub/../2.png,TEST,\n'
    (images(tmp_path) / "t.csv").write_text(text)
    source = open_data(str(tmp_path / "t.csv"))
    assert rows(source) == [("0.png", "a, b", "train"), ("1.png", 'say "x"', "val"), ("2.png", "c", "test")]
    assert [r.group for r in source.records] == ["p1", "p2", None]


def test_blanks_after_a_delimiter_are_no_part_of_a_label(tmp_path: Path) -> None:
    (images(tmp_path) / "t.csv").write_text('path, label\n0.png, "a, b"\n 1.png , c\n')
    assert rows(open_data(str(tmp_path / "t.csv"))) == [("0.png", "a, b", None), ("1.png", "c", None)]


def test_tables_named_for_splits_and_ids_without_suffix(tmp_path: Path) -> None:
    write_folder(tmp_path, {"train": 2, "test": 1})
    (tmp_path / "train.csv").write_text("id,breed\n0,pug\n1,elo\n")
    (tmp_path / "test.csv").write_text("id,breed\n0,pug\n")
    (tmp_path / "sample_submission.csv").write_text("id,p\n0,0.5\n")
    source = open_data(str(tmp_path))
    assert source.kind == "flat-folder+csv"
    assert rows(source) == [
        ("test/0.png", "pug", "test"),
        ("train/0.png", "pug", "train"),
        ("train/1.png", "elo", "train"),
    ]


def test_images_that_no_table_lists_are_said(tmp_path: Path) -> None:
    (images(tmp_path) / "labels.csv").write_text("path,label\n0.png,a\n1.png,b\n")
    source = open_data(str(tmp_path))
    assert len(source) == 2
    assert "images that no table lists, not used: 1, such as 2.png" in source.notes


def test_two_tables_are_asked_about(tmp_path: Path) -> None:
    images(tmp_path)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("path,label\n0.png,a\n")
    with pytest.raises(DataError, match=r"several tables.*a\.csv, b\.csv"):
        open_data(str(tmp_path))


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("gone.png,a,train", "missing"),
        ("../secret.png,a,train", "outside"),
        ("sub/../../secret.png,a,train", "outside"),
        ("/etc/hostname,a,train", "outside"),
        ("..\\secret.png,a,train", "outside"),
        ("../elsewhere/2.png,a,train", "outside"),
        ("out.png,a,train", "outside"),
        ("pipe.png,a,train", "not-a-regular-file"),
        ("sub,a,train", "not-a-regular-file"),
        (",a,train", "no-file"),
        ("2.png,,train", "no-label"),
        ("2.png,  ,train", "no-label"),
        ("2.png,a,holdout", "no-split"),
        ("2.png,a", "no-split"),
        ("2.png", "short-row"),
    ],
)
def test_a_row_that_cannot_be_used_is_refused_by_line(tmp_path: Path, row: str, reason: str) -> None:
    write(tmp_path / "secret.png", 77)
    root = images(tmp_path / "data")
    (root / "sub").mkdir()
    os.mkfifo(root / "pipe.png")
    (root / "out.png").symlink_to(tmp_path / "secret.png")
    (root / "labels.csv").write_text(f"path,label,split\n0.png,a,train\n\n{row}\n1.png,b,test\n")
    source = open_data(str(root / "labels.csv"))
    assert reasons(source) == [f"labels.csv:4:{reason}"]
    assert rows(source) == [("0.png", "a", "train"), ("1.png", "b", "test")]
    assert len(source) == 3
    assert source.problems[0].fix


def test_rows_that_repeat_or_contradict(tmp_path: Path) -> None:
    text = "path,label\n0.png,a\n1.png,b\n./0.png,a\n2.png,a\n2.png,b\n"
    (images(tmp_path) / "l.csv").write_text(text)
    source = open_data(str(tmp_path / "l.csv"))
    assert [r.name for r in source.records] == ["0.png", "1.png"]
    found = {(p.line, p.reason.split(":")[0], p.action) for p in source.problems}
    assert found == {(4, "repeated", "kept"), (5, "contradiction", QUARANTINED), (6, "contradiction", QUARANTINED)}
    assert len(source) == 4


def test_a_class_whose_every_row_is_refused_is_remembered(tmp_path: Path) -> None:
    (images(tmp_path) / "l.csv").write_text("path,label\n0.png,a\n1.png,b\nlost.png,zebra\n")
    assert open_data(str(tmp_path / "l.csv")).emptied == ("zebra",)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "l.csv is empty"),
        (b"\n \n", "l.csv is empty"),
        (b"path,label\n", "l.csv labels no image.*no rows"),
        (b"path,label\nx.png,a\n", "l.csv labels no image.*line 2: missing"),
        (b"foo,bar\n1,2\n", "l.csv line 1: no column of image names among 'foo', 'bar'"),
        (b"path,foo,bar\n0.png,1,2\n", "l.csv line 1: no column of labels among 'path', 'foo', 'bar'"),
        (b"0.png,a,b,c,d\n", "l.csv line 1: 5 columns and no header"),
        (b"path,label\n0.png,a\x00b\n", "l.csv line 2: a NUL character"),
        (b'path,label\n0.png,a\n1.png,"b\n2.png,c\n', "l.csv line 3: a cell spans several lines"),
        (b"path,label\n0.png," + b"a" * 200_000 + b"\n", "l.csv line 2: field larger"),
        ("path,label\n0.png,Bär\n".encode() + b"1.png,B\xe4r\n", "l.csv line 3: not UTF-8, while other lines are"),
        (b"path,label\n0.png,\x81\n", "l.csv line 2: not cp1252"),
        (b"\xff\xfep\0a\0t\0h\0,\0l\0a\0b\0e\0l\0\n\0\x00\xd8\n\0", "l.csv line 2: not utf-16-le"),
        (b"path,label\n0.png,cat\n1.png,Cat\n", "'Cat' and 'cat' differ only in case"),
    ],
)
def test_a_table_that_is_none_is_refused_by_file_and_line(tmp_path: Path, content: bytes, says: str) -> None:
    (images(tmp_path) / "l.csv").write_bytes(content)
    with pytest.raises(DataError, match=says):
        open_data(str(tmp_path / "l.csv"))


def test_a_table_beyond_all_measure_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encodings, "MAX_BYTES", 20)
    (images(tmp_path) / "l.csv").write_text("path,label\n0.png,a\n1.png,b\n")
    with pytest.raises(DataError, match=r"l\.csv is larger than"):
        open_data(str(tmp_path / "l.csv"))


def opened(table: Path) -> tuple[Source | None, str]:
    """What it is, or what the one error that it may raise says."""
    try:
        return open_data(str(table)), table.name
    except DataError as error:
        return None, str(error)


def test_mutants_of_a_table_never_crash(tmp_path: Path) -> None:
    good = ("path;label;split\n" + "".join(f"{i % 3}.png;Bär {i % 2};train\n" for i in range(20))).encode("utf-8-sig")
    table = images(tmp_path) / "l.csv"
    rng, named = random.Random(5), 0
    for _ in range(600):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(data))
            piece = rng.choice([b"", b"\0", b'"', b"\xff\xfe", b"\r", b"\n", b"../", rng.randbytes(3), b";" * 40])
            data[at : at + rng.randrange(4)] = piece
        table.write_bytes(bytes(data))
        source, said = opened(table)
        named += source is None
        assert "l.csv" in said or "differ only" in said
        assert source is None or all(p.line and p.file == "l.csv" for p in source.problems)
    assert named > 50


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_any_bytes_as_a_table_never_crash(tmp_path: Path, data: bytes) -> None:
    (images(tmp_path, 1) / "l.csv").write_bytes(b"0.png,a\n" + data)
    source, said = opened(tmp_path / "l.csv")
    assert said or source


def test_blanks_around_a_label_are_no_part_of_it(tmp_path: Path) -> None:
    write_folder(tmp_path, {"im": 4})
    (tmp_path / "l.csv").write_text("path , label \n im/0.png , a b \nim/1.png,a b\n im/2.png , c\nim/3.png,c  \n")
    source = open_data(str(tmp_path / "l.csv"))
    assert source.classes == ("a b", "c")


def test_columns_without_a_meaning_are_said(tmp_path: Path) -> None:
    write_folder(tmp_path, {"im": 2})
    (tmp_path / "l.csv").write_text("path,label,is_train,note\nim/0.png,a,1,x\nim/1.png,b,0,y\n")
    assert (
        "l.csv: further columns, kept as metadata and not learned: 'is_train', 'note'"
        in open_data(str(tmp_path / "l.csv")).notes
    )


@pytest.mark.parametrize("mark", ["|", " "])
def test_cells_that_are_separated_otherwise_are_said_to_be(tmp_path: Path, mark: str) -> None:
    write_folder(tmp_path, {"im": 1})
    (tmp_path / "l.csv").write_text(f"path{mark}label\nim/0.png{mark}a\n")
    with pytest.raises(DataError, match="separate the cells by commas"):
        open_data(str(tmp_path / "l.csv"))
