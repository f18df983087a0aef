"""Work and memory are bounded before they are spent, and every refusal is a line: images, tables, recipes, streams, signals.

Work is counted in lines of our code and in bytes that Pillow is given, never in seconds.
"""

from __future__ import annotations

import io
import json
import os
import signal
import struct
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from sightline.data.audit.cache import open_cache
from sightline.data.files.walking import walk
from sightline.data.formats.annotated.cocoentries import categories_of
from sightline.data.formats.sniff import open_data
from sightline.data.records.records import Files, Record
from sightline.errors import DamagedError, DataError, UsageError
from sightline.preprocessing import containers, png
from sightline.preprocessing.decoder import decode
from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.rejection import Rejected
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.reading import parse_yaml
from sightline.storage.reading import read_file
from tests.asking import refused
from tests.counting import at_most_lines
from tests.handmade import chunk
from tests.hostile import YAML


def encoded(format: str, pixels: np.ndarray | None = None) -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.arange(768, dtype=np.uint8).reshape(16, 16, 3) if pixels is None else pixels).save(out, format)
    return out.getvalue()


# ------------------------------------------------------------------------------------------------------------- images
def test_only_the_first_profile_of_a_png_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[bytes] = []
    real = png.exif_in
    monkeypatch.setattr(png, "exif_in", lambda kind, *rest: (calls.append(kind), real(kind, *rest))[1])
    data = encoded("PNG")
    text = chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\n\n\n" + b"00" * 1_000))
    assert decode(data[:33] + text * 40 + data[33:]).pixels.shape == (16, 16, 3)
    assert calls.count(b"zTXt") == 1


@pytest.mark.parametrize("format", ["JPEG", "GIF", "PNG"])
def test_pillow_gets_only_what_pixels_depend_on(format: str) -> None:
    """Comments and profiles of a megabyte, which Pillow walks through in Python."""
    data = encoded(format, np.arange(256, dtype=np.uint8).reshape(16, 16) if format == "GIF" else None)
    if format == "JPEG":
        exif = b"\xff\xe1" + struct.pack(">H", 65_000) + b"Exif\0\0" + bytes(64_992)
        bad = data[:2] + exif * 16 + b"\xff\xfe\xff\xf0" + bytes(65_518) + b"\xff" * 1_000 + data[2:]
    elif format == "GIF":
        end = 13 + (3 << (data[10] & 7) + 1 if data[10] & 0x80 else 0)
        bad = data[:end] + b"!\xfe" + (b"\xff" + b"x" * 255) * 4_000 + b"\0" + data[end:]
    else:
        bad = data[:33] + chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(200_000), 0)) * 6 + data[33:]
    assert len(bad) > 1_000_000
    assert len(containers.walk(bad).essential(bad)) < 210_000
    assert (decode(bad).pixels == decode(data).pixels).all()


def test_fill_bytes_are_counted() -> None:
    data = encoded("JPEG")
    with pytest.raises(Rejected, match="fill bytes"):
        decode(data[:2] + b"\xff" * 100_000 + data[2:])


def test_tables_are_counted() -> None:
    data = encoded("JPEG")
    with pytest.raises(Rejected, match="bytes of tables"):
        decode(data[:2] + (b"\xff\xdb\xff\xf0" + bytes(65_518)) * 17 + data[2:])


@pytest.mark.parametrize("side", [43_008, 9_472, 5_120])
def test_tiles_are_counted_whole(side: int) -> None:
    """An image of 16 x 16 in the corner of one tile, of which a decoder allocates every pixel."""
    tags = [(256, 4, 16), (257, 4, 16), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1), (322, 4, side), (323, 4, side), (324, 4, 200), (325, 4, 60)]  # fmt: skip # noqa: E501
    body = b"".join(struct.pack("<HHLL", tag, kind, 1, value) for tag, kind, value in tags) + bytes(4)
    data = (b"II*\0" + struct.pack("<LH", 8, len(tags)) + body).ljust(200, b"\0") + zlib.compress(bytes(1 << 16))
    with pytest.raises(Rejected) as rejected:
        decode(data)
    assert rejected.value.reason == "too-many-pixels"


def test_one_large_idat_is_not_copied_for_every_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    real = zlib.decompressobj

    class Counting:
        def __init__(self) -> None:
            self._inflate = real()

        def decompress(self, data: bytes, most: int) -> bytes:
            given.append(len(data))
            return self._inflate.decompress(data, most)

        def __getattr__(self, name: str) -> object:
            return getattr(self._inflate, name)

    pixels = np.random.default_rng(0).integers(0, 255, (600, 900, 3), dtype=np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    data = encoded("PNG", pixels)[:33] + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b"")
    monkeypatch.setattr(png.zlib, "decompressobj", Counting)
    png.check_rows(data)
    assert sum(given) < 3 * len(data)


@pytest.mark.parametrize(("height", "width"), [(10**30, 8), (8, 10**30), (1 << 15, 1 << 15), (8, 1 << 40)])
def test_a_frame_has_a_usable_size(height: int, width: int) -> None:
    with pytest.raises(UsageError, match="frame"):
        Geometry(height, width)
    stored = Preprocessing(Geometry(8, 8), (0.0,) * 3, (1.0,) * 3).to_json()
    with pytest.raises(DamagedError, match=r"preprocessing\.json"):
        Preprocessing.from_json({**stored, "geometry": {**stored["geometry"], "height": height, "width": width}})


# --------------------------------------------------------------------------------------------------------------- data
def test_parquet_states_no_more_rows_than_it_can_hold(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"image": pa.nulls(300_000, pa.binary()), "label": pa.nulls(300_000, pa.int64())}), path)
    with pytest.raises(DataError, match=r"states 300,000 rows in"), at_most_lines(2_000):
        open_data(str(path))


@pytest.mark.parametrize("n", [1_000, 2_000])
def test_the_walk_is_linear_in_folders_named_like_images(n: int, tmp_path: Path) -> None:
    for i in range(n):
        (tmp_path / "c" / f"{i}.png").mkdir(parents=True)
    with at_most_lines(30 * n):
        assert len(walk(str(tmp_path)).refused) == n


@pytest.mark.parametrize("n", [2_000, 4_000])
def test_categories_are_read_in_linear_time(n: int) -> None:
    with at_most_lines(40 * n):
        assert len(categories_of({"categories": [{"id": i, "name": f"c{i}"} for i in range(n)]}, "x.json")) == n


@pytest.mark.parametrize("n", [200, 400])
def test_files_in_other_folders_are_found_in_linear_time(n: int, tmp_path: Path) -> None:
    for i in range(n):
        (tmp_path / "a" / str(i)).mkdir(parents=True)
        (tmp_path / "a" / str(i) / "x.png").write_bytes(b"x")
    rows = "".join(f"b/{i}/x.png,{i % 2}\n" for i in range(n))
    (tmp_path / "labels.csv").write_text(f"file,label\n{rows}")
    with at_most_lines(1_500 * n), suppress(DataError):  # none of them is there
        open_data(str(tmp_path / "labels.csv"))


def test_an_exchanged_image_is_noticed_whatever_its_times(tmp_path: Path) -> None:
    path, record, files = tmp_path / "x.png", Record(0, "x.png"), Files(str(tmp_path))
    path.write_bytes(b"one")
    before, first = path.stat(), files.stamp(record)
    path.unlink()
    path.write_bytes(b"two")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert files.stamp(record) != first
    assert open_cache(None, None).get(record, first) is None  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------ files, recipes
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/zero", path)])
def test_what_is_no_file_is_never_opened(make: object, tmp_path: Path) -> None:
    make(tmp_path / "data.json")  # type: ignore[operator]
    with pytest.raises(DamagedError, match="not a file"):
        read_file(tmp_path / "data.json", 1 << 20)


def yaml_error(text: str) -> str:
    try:
        parse_yaml(text, "x.yaml")
    except UsageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("word", YAML)
def test_a_yaml_value_is_a_value_or_one_line(word: str, tmp_path: Path) -> None:
    for text in (f"seed: {word}", f"fit: {{epochs: {word}}}", f"model:\n  options: {{a: {word}}}", word):
        message = yaml_error(text)
        assert "\n" not in message
        assert len(message) < 300


def test_an_alias_bomb_is_counted_not_expanded() -> None:
    lines = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 10)}]" for i in range(20)]
    with pytest.raises(UsageError, match="aliases"), at_most_lines(5_000):
        parse_yaml("\n".join(lines), "x.yaml")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("fit.epochs=1e308", "fit.epochs"), ("fit.epochs=.inf", "fit.epochs"), ("schedule.every=1e308", "schedule.every"),
        ("optim.lr=1e300", "optim.lr"), ("fit.patience=1e30", "fit.patience"), ("seed=99999999999999999999", "seed"),
        ("fit.batch=100000", "fit.batch=100,000 is more than the 1,254 training images"), ("data.name=../..", "data.name"),
        ("input.size=100000", "input.size"), ("seed=!!int abc", "seed"), ("x" * 3_000 + "=1", "xxx"),
    ],
)  # fmt: skip
def test_absurd_numbers_are_refused_before_any_work(key: str, words: str, tmp_path: Path) -> None:
    said = refused(2, "train", "digits", "-m", "linear", key, "--out", str(tmp_path / "run"))
    assert words in said
    assert len(said) < 5_000
    assert not (tmp_path / "run").exists()


def test_a_norm_of_one_value_is_refused_before_any_work(tmp_path: Path) -> None:
    keys = ["input.size=4", "fit.batch=1", "--out", str(tmp_path / "run")]
    assert "fit.batch=1 and input.size=4" in refused(2, "train", "digits", "-m", "resnet20", *keys)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("name", ["x" * 300, "/".join(["d" * 200] * 30), "a\0b"])
def test_long_names_and_deep_paths_are_a_line(name: str, tmp_path: Path) -> None:
    for arguments in (
        ["evaluate", name], ["predict", name, "x.png"], ["verify", name], ["report", name], ["data", name + "/x"],
        ["train", "digits", "--smoke", "-m", "linear", "--out", f"{tmp_path}/{name}"], ["train", "--resume", name],
        ["train", name + ".yaml"], ["data", "digits", "--show", f"{tmp_path}/{name}.png"],
    ):  # fmt: skip
        codes = []
        for code in (2, 3, 6):
            try:
                refused(code, *arguments)
                codes.append(code)
                break
            except AssertionError as error:
                if "Traceback" in str(error):
                    raise
        assert codes, arguments[:1]


# ------------------------------------------------------------------------------------------------------------ streams
def run_cli(place: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"import os, sys, signal, threading\n{script}\nsys.argv = {['sightline', *arguments]!r}\n"
    code += "from sightline.cli.main import run\nrun()"
    environment = {**os.environ, "SIGHTLINE_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=place, env=environment, capture_output=True, text=True, check=False
    )


TRAIN = ("train", "digits", "-m", "linear", "--smoke", "--out", "run")


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param("r, w = os.pipe(); os.close(r); os.dup2(w, 2)", 0, id="stderr-broken"),
        pytest.param("os.close(2); sys.stderr = None", 0, id="stderr-closed", marks=pytest.mark.slow),
        pytest.param("os.dup2(os.open('/dev/full', os.O_WRONLY), 2)", 0, id="stderr-full", marks=pytest.mark.slow),
        pytest.param("os.dup2(os.open('/dev/full', os.O_WRONLY), 1)", 6, id="stdout-full"),
        pytest.param("os.close(1); sys.stdout = None", 6, id="stdout-closed", marks=pytest.mark.slow),
    ],
)
def test_a_stream_that_goes_away_ends_no_training(script: str, code: int, tmp_path: Path) -> None:
    done = run_cli(tmp_path, script, *TRAIN)
    assert done.returncode == code, done.stderr
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "finished"
    assert (tmp_path / "run" / "manifest.json").is_file()
    assert (code == 6) == ("could not be written to stdout" in done.stderr)


def test_a_signal_before_the_loop_ends_with_its_code(tmp_path: Path) -> None:
    wait = "threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()"
    done = run_cli(tmp_path, wait, *TRAIN)
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    assert "Traceback" not in done.stderr


def test_ascii_output_is_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = run_cli(tmp_path, "", "data", "./é/è")
    assert done.returncode == 3
    assert "\\xe9" in done.stderr
    assert "Traceback" not in done.stderr
