"""Archives as data: unpacked once and whole, or refused by name with nothing written anywhere."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from sightline.data.archives import unpacking
from sightline.data.archives.unpacking import unpack
from sightline.data.dataset import build_dataset
from sightline.data.formats.sniff import open_data
from sightline.errors import DataError
from tests.hostile_archives import hostile
from tests.tiny_annotated import masked
from tests.tiny_data import png, write_folder

HOSTILE = list(hostile())


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "deep" / "cache"))
    return tmp_path / "deep" / "cache"


def everything(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def packed(folder: Path, path: Path, inside: str = "") -> Path:
    """All files of the folder in an archive of the kind that its name says."""
    names = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file()]
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in names:
                archive.write(folder / name, inside + name)
        return path
    mode = {".tar": "w", ".gz": "w:gz", ".tgz": "w:gz", ".bz2": "w:bz2", ".xz": "w:xz"}[path.suffix]
    with tarfile.open(path, mode) as archive:
        for name in names:
            archive.add(folder / name, inside + name)
    return path


# ------------------------------------------------------------------------------------------------ hostile
def test_there_are_forty_hostile_archives() -> None:
    assert len(HOSTILE) >= 40 and len({what for what, *_ in HOSTILE}) == len(HOSTILE)


@pytest.mark.parametrize(("code", "write"), [pytest.param(code, write, id=what) for what, code, write in HOSTILE])
def test_a_hostile_archive_is_refused_and_leaves_nothing(tmp_path: Path, cache: Path, code: str, write: object) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "outside").mkdir()
    path = write(tmp_path / "given")  # type: ignore[operator]
    (cache / "archives").mkdir(parents=True)
    before = everything(tmp_path)
    with pytest.raises(DataError, match=f"x[.].*{code}: ") as caught:
        open_data(str(path))
    assert caught.value.hint and "\x1b" not in str(caught.value)
    assert everything(tmp_path) == before and not os.path.exists("/tmp/outside")


# ------------------------------------------------------------------------------------------------ honest
@pytest.mark.parametrize("name", ["pets.zip", "pets.tar", "pets.tar.gz", "pets.tgz", "pets.tar.bz2", "pets.tar.xz"])
@pytest.mark.parametrize("inside", ["", "pets-main/"])
def test_an_archive_is_read_as_its_folder(tmp_path: Path, name: str, inside: str) -> None:
    folder = write_folder(tmp_path / "pets", {"cat": 3, "dog": 3})
    (folder / ".DS_Store").write_bytes(b"x")
    source = open_data(str(packed(folder, tmp_path / name, inside)))
    assert (source.name, source.kind, source.classes) == ("pets", "image-folder", ("cat", "dog"))
    assert [r.name for r in source.records] == [f"{label}/{i}.png" for label in ("cat", "dog") for i in range(3)]
    assert [source.load(r).read_bytes() for r in source.records] == [png(i) for i in range(6)]  # type: ignore[union-attr]
    assert any(note.startswith(f"unpacked from {name}: 6 files") for note in source.notes)


def test_splits_and_masks_of_an_archive_stay(tmp_path: Path) -> None:
    write_folder(tmp_path / "a" / "train", {"cat": 2, "dog": 2})
    write_folder(tmp_path / "a" / "test", {"cat": 1, "dog": 1}, 10)
    assert {r.split for r in open_data(str(packed(tmp_path / "a", tmp_path / "a.zip"))).records} == {"train", "test"}
    masked(tmp_path / "b", {"train": 3})
    data = build_dataset(str(packed(tmp_path / "b", tmp_path / "b.tar.gz", "deep/er/")), needs="images")
    assert data.knows == "masks" and np.unique(data.truth(0)).tolist() == [0, 1, 255]


def test_long_names_and_pax_headers_are_read(tmp_path: Path) -> None:
    name = "cat/" + "a" * 150 + "é.png"
    for format in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT, tarfile.USTAR_FORMAT):
        with tarfile.open(tmp_path / f"{format}.tar", "w", format=format, pax_headers={"comment": "x"}) as archive:
            for number, each in enumerate((name if format != tarfile.USTAR_FORMAT else "cat/a.png", "dog/b.png")):
                info = tarfile.TarInfo(each)
                info.size = len(png(number))
                archive.addfile(info, io.BytesIO(png(number)))
        assert open_data(str(tmp_path / f"{format}.tar")).classes == ("cat", "dog")


def test_an_archive_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(write_folder(tmp_path / "pets", {"cat": 2, "dog": 2}), tmp_path / "pets.zip")
    first = unpack([path])
    shutil.copy(path, tmp_path / "copy.zip")
    monkeypatch.setattr(unpacking, "_unpack_one", lambda *_: pytest.fail("unpacked again"))
    assert unpack([tmp_path / "copy.zip"]) == first
    monkeypatch.undo()
    (first.folder / "cat" / "0.png").unlink()
    monkeypatch.setenv("SIGHTLINE_CACHE", str(first.folder.parents[2]))
    assert unpack([path]) == first and (first.folder / "cat" / "0.png").exists()


def test_an_unpacking_that_was_killed_is_redone(tmp_path: Path, cache: Path) -> None:
    path = packed(write_folder(tmp_path / "pets", {"cat": 40, "dog": 40}), tmp_path / "pets.tar.gz")
    script = (
        "import os, sys; from pathlib import Path; from sightline.data.archives import writing, unpacking\n"
        "real = writing.Sink.file\n"
        "def file(self, parts, pieces):\n"
        "    if len(self.files) == 20: os.kill(os.getpid(), 9)\n"
        "    real(self, parts, pieces)\n"
        "writing.Sink.file = file\n"
        "unpacking.unpack([Path(sys.argv[1])])\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == -9
    left = [p for p in (cache / "archives").iterdir()]
    assert len(left) == 1 and left[0].name.startswith(".tmp-")
    long_ago = time.time() - 3600
    os.utime(left[0], (long_ago, long_ago))
    found = unpack([path])
    assert found.count == 80 and [p.name for p in (cache / "archives").iterdir()] == [found.folder.parent.name]
    assert len(json.loads((found.folder.parent / "contents.json").read_text())["files"]) == 80


@pytest.mark.parametrize("fault", ["changed", "added", "link"])
def test_a_cache_that_was_changed_is_made_again(tmp_path: Path, cache: Path, fault: str) -> None:
    path = packed(write_folder(tmp_path / "pets", {"cat": 2, "dog": 2}), tmp_path / "pets.tar.gz")
    first = unpack([path])
    file = first.folder / "cat" / "0.png"
    before = file.read_bytes()
    if fault == "changed":  # as many bytes as before
        file.write_bytes(before[::-1])
    elif fault == "added":
        (file.parent / "9.png").write_bytes(before)
    else:
        (tmp_path / "other.png").write_bytes(before[::-1])
        file.unlink()
        file.symlink_to(tmp_path / "other.png")
    assert unpack([path]) == first and file.read_bytes() == before and not file.is_symlink()
    assert sum(each.is_file() for each in first.folder.rglob("*")) == first.count == 4


def test_what_is_wrong_inside_is_said_of_the_archive(tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.md").write_text("x")
    with pytest.raises(DataError, match=r"no images in .*notes\.zip: it holds files of other kinds: \.md"):
        open_data(str(packed(tmp_path / "notes", tmp_path / "notes.zip")))


# ------------------------------------------------------------------------------------------------ WebDataset
def shard(path: Path, samples: list[tuple[str, dict[str, bytes]]]) -> Path:
    with tarfile.open(path, "w") as archive:
        for key, files in samples:
            for end, data in files.items():
                info = tarfile.TarInfo(f"{key}.{end}")
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return path


def test_a_shard_of_webdataset_is_read(tmp_path: Path) -> None:
    samples = [(f"{i:04}", {"png": png(i), "cls": str(i % 2).encode()}) for i in range(6)]
    source = open_data(str(shard(tmp_path / "pets-000.tar", samples)))
    assert (source.kind, source.classes) == ("webdataset", ("0", "1"))
    assert [(r.name, r.label) for r in source.records] == [(f"{i:04}.png", str(i % 2)) for i in range(6)]


def test_shards_of_splits_with_labels_in_json_are_one_data_set(tmp_path: Path) -> None:
    root = tmp_path / "pets"
    root.mkdir()
    for number, name in enumerate(("train-000.tar", "train-001.tar", "val-000.tar")):
        keys = range(10 * number, 10 * number + 4)
        samples = [
            (f"{i:04}", {"png": png(i), "json": json.dumps({"label": ("cat", "dog")[i % 2]}).encode()}) for i in keys
        ]
        shard(root / name, samples)
    data = build_dataset(str(root))
    assert data.classes == ("cat", "dog") and data.counts().tolist() == [[4, 2, 0], [4, 2, 0]]
    assert data.records[0].name == "train-000/0000.png"


def test_a_sample_without_a_label_is_named(tmp_path: Path) -> None:
    samples = [(f"{i}", {"png": png(i), "cls": b"a" if i % 2 else b"b"}) for i in range(5)] + [("7", {"png": png(7)})]
    source = open_data(str(shard(tmp_path / "x.tar", samples)))
    assert [p.reason.split(":")[0] for p in source.problems] == ["no-label"] and len(source.records) == 5
