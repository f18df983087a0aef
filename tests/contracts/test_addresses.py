"""Addresses as data: fetched when allowed and once, bounded, and otherwise refused with the switch that allows it.

The servers are this process's own, on loopback; clouds are fsspec's own memory.
"""

from __future__ import annotations

import http.server
import io
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sightline.data.dataset import build_dataset
from sightline.data.fetching import addresses, client, fetched
from sightline.data.formats.sniff import open_data
from sightline.errors import DataError, ResourceError, UsageError
from sightline.inference.inputs import Inputs
from sightline.verbs.data import audit
from tests.tiny_data import png, rows


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder; and answers that no honest server gives."""

    asked: list[str] = []

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        Handler.asked.append(self.path)
        if self.path == "/endless.zip":
            self.send_response(200)
            self.end_headers()
            piece = b"x" * (1 << 16)
            for _ in range(64):
                try:
                    self.wfile.write(piece)
                except OSError:
                    return
        elif self.path == "/short.zip":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"x" * 10)
        elif self.path.startswith("/moved.zip"):
            self.send_response(302)
            self.send_header("Location", "/pets.zip")
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Path]]:
    """The address of a server and its folder; an empty cache."""
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "site"
    root.mkdir()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(root)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Handler.asked.clear()
    yield f"http://127.0.0.1:{server.server_address[1]}", root
    server.shutdown()
    server.server_close()
    thread.join()


def pets() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for i in range(6):
            archive.writestr(f"pets-main/{('cat', 'dog')[i % 2]}/{i}.png", png(i))
    return out.getvalue()


WANTED = [
    ("cat/0.png", "cat"),
    ("cat/2.png", "cat"),
    ("cat/4.png", "cat"),
    ("dog/1.png", "dog"),
    ("dog/3.png", "dog"),
    ("dog/5.png", "dog"),
]


def test_an_archive_at_an_address_is_fetched_when_allowed_and_once(site: tuple[str, Path]) -> None:
    address, root = site
    (root / "pets.zip").write_bytes(pets())
    with pytest.raises(UsageError, match="is an address, and not in the cache") as refused:
        open_data(f"{address}/pets.zip?token=secret")
    assert "--allow-network" in refused.value.hint and "secret" not in str(refused.value) and not Handler.asked
    source = open_data(f"{address}/pets.zip?token=secret", allow_network=True)
    assert source.name == "pets" and [(name, label) for name, label, _ in rows(source)] == WANTED
    note = source.notes[1]
    assert (
        note.startswith(f"fetched {address}/pets.zip?…")
        and "private network" in note
        and "secret" not in str(source.notes)
    )
    again = open_data(f"{address}/pets.zip?token=secret")  # no network needed
    assert len(Handler.asked) == 1 and rows(again) == rows(source) and "to fetch it again remove" in again.notes[1]


def test_the_verbs_take_an_address(site: tuple[str, Path]) -> None:
    address, root = site
    (root / "pets.zip").write_bytes(pets())
    with pytest.raises(UsageError, match="not in the cache"):
        audit(f"{address}/pets.zip")
    assert audit(f"{address}/pets.zip", allow_network=True)["classes"] == ["cat", "dog"]


def test_a_table_is_fetched_with_the_images_beside_it(site: tuple[str, Path]) -> None:
    address, root = site
    (root / "set" / "img").mkdir(parents=True)
    for i in range(4):
        (root / "set" / "img" / f"a {i}.png").write_bytes(png(i))
    (root / "secret.png").write_bytes(png(9))
    lines = [f"img/a {i}.png,{'cat' if i % 2 else 'dog'}" for i in range(5)] + ["../secret.png,cat", "/etc/passwd,cat"]
    (root / "set" / "labels.csv").write_text("\n".join(["path,label", *lines]))
    source = open_data(f"{address}/set/labels.csv", allow_network=True)
    assert [(name, label) for name, label, _ in rows(source)] == [
        (f"img/a {i}.png", "cat" if i % 2 else "dog") for i in range(4)
    ]
    assert [source.load(record).read_bytes() for record in source.records] == [png(i) for i in range(4)]  # type: ignore[union-attr]
    assert len(source.problems) == 3 and "images fetched from beside it: 4" in source.notes
    assert not any("secret" in path for path in Handler.asked)
    before = len(Handler.asked)
    assert rows(open_data(f"{address}/set/labels.csv", allow_network=True)) == rows(source)
    assert [p for p in Handler.asked[before:] if not p.endswith("4.png")] == []


def test_parquet_and_archives_of_a_cloud(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    memory = fsspec.filesystem("memory")
    table = pa.table({"image": [png(i) for i in range(4)], "label": ["a", "b", "a", "b"]})
    out = io.BytesIO()
    pq.write_table(table, out)
    for name, data in (("/bucket/set.parquet", out.getvalue()), ("/bucket/pets.zip", pets())):
        memory.pipe_file(name, data)
    assert open_data("memory://bucket/set.parquet", allow_network=True).classes == ("a", "b")
    assert len(build_dataset(open_data("memory://bucket/pets.zip", allow_network=True))) == 6
    with pytest.raises(DataError, match=r"memory://bucket/none\.zip does not exist"):
        open_data("memory://bucket/none.zip", allow_network=True)


@pytest.mark.parametrize(
    ("address", "error", "says"),
    [
        ("file:///etc/passwd", UsageError, "is a file of this machine"),
        ("zip://a.png::http://127.0.0.1/x.zip", UsageError, "not read"),
        ("ssh://host/x.zip", UsageError, "not read"),
        ("https://me:secret@host.invalid/x.zip", UsageError, "a name or password"),
        ("http://127.0.0.1/photos/", UsageError, "is a folder"),
        ("http://127.0.0.1/a.png", DataError, "is one image"),
        ("http://127.0.0.1:1/x.zip", ResourceError, "cannot fetch"),
        ("s3://bucket/x.zip", ResourceError, "needs a package that is not installed"),
    ],
)
def test_addresses_that_are_not_fetched_say_why(
    address: str, error: type[Exception], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(error, match=says) as caught:
        open_data(address, allow_network=True)
    assert caught.value.hint and "secret" not in str(caught.value)  # type: ignore[attr-defined]


def test_answers_are_bounded_and_whole(site: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address, root = site
    (root / "pets.zip").write_bytes(pets())
    for name, error, says in (
        ("endless", DataError, "at most"),
        ("short", ResourceError, "cannot fetch|gave 10 of"),
        ("missing", DataError, "does not exist"),
    ):
        with pytest.raises(error, match=says):
            fetched.fetch(f"{address}/{name}.zip", allow_network=True, most=1 << 20)
    with pytest.raises(DataError, match="at most 100 are fetched"):
        fetched.fetch(f"{address}/pets.zip", allow_network=True, most=100)
    assert not list((tmp_path / "cache" / "fetched").iterdir())
    assert len(open_data(f"{address}/moved.zip", allow_network=True)) == 6
    monkeypatch.setattr(client, "is_private", lambda host: host == "127.0.0.1" and bool(private.pop()))
    private = [False, True]  # the answer's host, asked first; then that of the address, as if it were elsewhere
    with pytest.raises(DataError, match="leads into a private network"):
        fetched.fetch(f"{address}/moved.zip?2", allow_network=True)


def test_a_package_that_is_missing_is_named(site: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(ResourceError, match="fsspec is not installed") as caught:
        open_data(f"{site[0]}/pets.zip", allow_network=True)
    assert "sightline[cloud]" in caught.value.hint


def test_images_at_addresses_and_in_archives_are_predicted(site: tuple[str, Path], tmp_path: Path) -> None:
    address, root = site
    (root / "one.png").write_bytes(png(7))
    (root / "pets.zip").write_bytes(pets())
    (tmp_path / "local.zip").write_bytes(pets())
    with pytest.raises(UsageError, match="not in the cache"):
        list(Inputs([f"{address}/one.png"]))
    paths = [f"{address}/one.png", f"{address}/none.png", str(tmp_path / "local.zip")]
    images = list(Inputs(paths, allow_network=True))
    assert [image.path for image in images[:3]] == [paths[0], paths[1], f"{paths[2]}/pets-main/cat/0.png"]
    assert len(images) == 8 and [Path(images[i].source).read_bytes() for i in (0, 2)] == [png(7), png(0)]
    assert images[1].error == f"{address}/none.png does not exist" and not images[0].error
    assert len(list(Inputs([f"{address}/pets.zip"], allow_network=True))) == 6


def test_names_of_files_at_addresses_are_harmless() -> None:
    for address in (
        "https://h/..%2f..%2fetc%2fpasswd",
        "https://h/",
        "https://h/a%00b.zip?x=../y",
        "https://h/\x1b[2J.zip",
    ):
        name = addresses.name_of(address)
        assert name and "/" not in name and not name.startswith(".") and name.isprintable()
