"""The audit: nothing in a file stops it, everything bad is named, equal pixels are found, and its cache cannot lie."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sightline.data.audit import audit as audit_module
from sightline.data.audit.audit import Audit, audit, pixel_hash
from sightline.data.audit.duplicates import contradictions, same_pixels, settle_leaks
from sightline.data.dataset import build_dataset
from sightline.data.formats.sniff import open_data
from sightline.data.records.records import QUARANTINED, Arrays, Record
from sightline.data.records.source import Source
from sightline.data.summary import data_hash, data_json
from sightline.errors import DataError
from sightline.preprocessing.decoder import Decoded, decode
from sightline.preprocessing.rejection import REASONS
from tests.malformed import KINDS, write_malformed
from tests.tiny_data import noise, png, write, write_folder


def codes(found: Audit) -> Counter[str]:
    return Counter(p.reason.split(":")[0] for p in found.problems)


# ------------------------------------------------------------------------------------------------ what is bad
def test_two_hundred_malformed_images_are_all_named(tmp_path: Path) -> None:
    write_folder(tmp_path, {"cat": 40, "dog": 40})
    made = {
        f"{c}/{n}" for c, n, seed in (("cat", 60, 1), ("dog", 140, 2)) for n in write_malformed(tmp_path / c, n, seed)
    }
    assert len(made) == 200
    assert len(KINDS) >= 40
    dataset = build_dataset(str(tmp_path))
    told = data_json(dataset, "classification")
    assert {row["file"] for row in told["problems"]} == made
    assert (told["used"], told["quarantined"], told["n"]) == (80, 200, 280)
    for row in told["problems"]:
        code, _, detail = row["reason"].partition(": ")
        assert code in {*REASONS, "outside"}
        assert detail
        assert row["fix"]
        assert row["action"] == QUARANTINED
    assert {dataset.records[i].name for i in dataset.ids()} == {
        f"{c}/{i}.png" for c in ("cat", "dog") for i in range(40)
    }


def test_limits_and_emptied_classes_stop(tmp_path: Path) -> None:
    write_folder(tmp_path, {"cat": 19, "dog": 5})
    (tmp_path / "cat" / "bad.png").write_bytes(b"no image")
    assert len(build_dataset(str(tmp_path), max_quarantined=0.05)) == 24
    with pytest.raises(DataError, match=r"quarantined: 1 of 25 images, more than 3.0%.*cat/bad.png: not-an-image"):
        build_dataset(str(tmp_path), max_quarantined=0.03)
    for i in range(5):
        (tmp_path / "dog" / f"{i}.png").write_bytes(b"\x89PNG")
    with pytest.raises(DataError, match="empty because all their images are quarantined: dog"):
        build_dataset(str(tmp_path))
    assert len(build_dataset(str(tmp_path), needs="images")) == 19
    for path in tmp_path.glob("cat/*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"none of 25 images can be used: cat/0.png: empty-file"):
        build_dataset(str(tmp_path), needs="images")


def test_a_class_that_lost_everything_before_the_audit_stops_too(tmp_path: Path) -> None:
    write_folder(tmp_path, {"cat": 3, "dog": 3})
    (tmp_path / "l.csv").write_text("path,label\ncat/0.png,cat\ndog/0.png,dog\nhorse/0.png,horse\n")
    with pytest.raises(DataError, match="all their images are quarantined: horse"):
        build_dataset(str(tmp_path / "l.csv"))


def test_what_the_decoder_did_is_said(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 3, "b": 1})
    frames = [Image.fromarray(noise(50 + i)) for i in range(3)]
    frames[0].save(tmp_path / "a" / "x.gif", save_all=True, append_images=frames[1:])
    (tmp_path / "b" / "really.jpg").write_bytes(png(60))
    notes = build_dataset(str(tmp_path)).notes
    assert "of several frames: only the first is used: 1 of 6 images" in notes
    assert "in a format other than their suffix says: 1 of 6 images" in notes


# ------------------------------------------------------------------------------------------------ the hash
def test_the_hash_is_of_pixels_and_shape_alone(tmp_path: Path) -> None:
    grey = noise(3, channels=1)
    three = np.repeat(grey[..., None], 3, axis=2)
    Image.fromarray(three).save(tmp_path / "three.png")
    Image.fromarray(grey).save(tmp_path / "one.bmp")
    Image.fromarray(grey).save(tmp_path / "one.tif")
    pixels = [grey, grey[..., None], three]
    pixels += [decode(tmp_path / name).pixels for name in ("three.png", "one.bmp", "one.tif")]
    assert len({pixel_hash(p) for p in pixels}) == 1
    one_off = three.copy()
    one_off[-1, -1, 2] ^= 1
    others = [one_off, grey.T, grey.reshape(3, 10), grey ^ 1, noise(3)]
    assert len({pixel_hash(p) for p in [grey, *others]}) == 6


def test_findings_do_not_depend_on_channels_workers_or_keep(tmp_path: Path) -> None:
    write_folder(tmp_path, {"a": 30, "b": 30})
    (tmp_path / "a" / "bad.png").write_bytes(b"x")
    source = open_data(str(tmp_path))
    first = audit(source, channels=3, workers=1)
    for channels, workers, keep in ((1, 1, None), (3, 4, None), (1, 3, lambda r, p: None)):
        again = audit(source, channels=channels, workers=workers, keep=keep)
        assert (again.digest, again.mode, again.problems) == (first.digest, first.mode, first.problems)
        np.testing.assert_array_equal(again.size, first.size)
    assert first.size[0].tolist() == [6, 5]
    assert codes(first) == {"not-an-image": 1}


@pytest.mark.parametrize("channels", [1, 3])
def test_keep_gets_every_good_image_once_even_with_a_cache(tmp_path: Path, channels: int) -> None:
    write_folder(tmp_path / "d", {"a": 20, "b": 20})
    (tmp_path / "d" / "a" / "bad.png").write_bytes(b"x")
    source = open_data(str(tmp_path / "d"))
    for _ in range(2):
        kept: list[tuple[int, np.ndarray]] = []
        found = audit(
            source, channels=channels, cache_dir=tmp_path / "c", keep=lambda r, p, k=kept: k.append((r.id, p))
        )
        assert sorted(i for i, _ in kept) == np.flatnonzero(found.used).tolist()
        for i, pixels in kept:
            np.testing.assert_array_equal(pixels, decode(source.load(source.records[i]), channels=channels).pixels)


def test_arrays_and_files_of_the_same_pixels_agree(tmp_path: Path) -> None:
    pixels = np.stack([noise(i, channels=1) for i in range(8)])
    records = tuple(Record(i, str(i), "ab"[i % 2]) for i in range(8))
    memory = audit(Source("m", "idx", "", records, ("a", "b"), Arrays(pixels)))
    for i in range(8):
        (tmp_path / "ab"[i % 2]).mkdir(exist_ok=True)
        Image.fromarray(pixels[i]).save(tmp_path / "ab"[i % 2] / f"{i}.png")
    files = audit(open_data(str(tmp_path)))
    assert sorted(memory.digest) == sorted(files.digest)
    kept = []
    assert audit(memory.source, keep=lambda r, p: kept.append(p)).digest == memory.digest
    assert {p.shape for p in kept} == {(6, 5, 3)}


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    audit(open_data("digits"), progress=lambda done, total: seen.append((done, total)))
    assert seen[0] == (256, 1797)
    assert [d for d, _ in seen] == sorted(d for d, _ in seen)


# ------------------------------------------------------------------------------------------------ equal pixels
def planted(root: Path, count: int) -> set[str]:
    """Splits with `count` training images repeated, as other files, in test; names of the training copies."""
    write_folder(root / "train", {"cat": 150, "dog": 150})
    write_folder(root / "test", {"cat": 20, "dog": 20}, start=1000)
    rng, names = random.Random(0), set()
    for i in rng.sample(range(300), count):
        folder, name = ("cat", i) if i < 150 else ("dog", i - 150)
        Image.fromarray(noise(i)).save(root / "test" / folder / f"copy{i}.bmp")
        names.add(f"train/{folder}/{name}.png")
    return names


def test_a_hundred_planted_leaks_are_all_found(tmp_path: Path) -> None:
    names = planted(tmp_path, 100)
    with pytest.raises(DataError, match=r"images in two splits: 100.*data.leaks=drop") as caught:
        build_dataset(str(tmp_path))
    assert caught.value.exit_code == 3
    kept = build_dataset(str(tmp_path), leaks="keep")
    dropped = build_dataset(str(tmp_path), leaks="drop")
    for dataset in (kept, dropped):
        assert {p.file for p in dataset.problems if p.reason.startswith("leak")} == names
        assert len(dataset.duplicates) == 100
    assert (len(kept), len(dropped)) == (440, 340)
    assert {dropped.records[i].name for i in dropped.ids()}.isdisjoint(names)
    told = data_json(dropped, "classification")
    assert told["used"] + told["quarantined"] == told["n"] == 440
    assert data_json(kept, "classification")["quarantined"] == 0
    assert len(dropped.ids("test")) == 140


def test_dropped_leaks_leave_the_most_held_out_copy(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        write_folder(tmp_path / split, {"a": 2, "b": 2}, start={"train": 0, "val": 10, "test": 20}[split])
        write(tmp_path / split / "a" / "same.png", 99)
    write(tmp_path / "train" / "a" / "again.png", 98)
    write(tmp_path / "val" / "a" / "again.png", 98)
    found = settle_leaks(audit(open_data(str(tmp_path))), "drop")
    left = {r.name for r in found.records()}
    assert left & {f"{s}/a/same.png" for s in ("train", "val", "test")} == {"test/a/same.png"}
    assert left & {f"{s}/a/again.png" for s in ("train", "val")} == {"val/a/again.png"}


def test_equal_pixels_with_different_labels_are_named_and_stay(tmp_path: Path) -> None:
    write_folder(tmp_path, {"cat": 5, "dog": 5})
    write(tmp_path / "dog" / "cat.png", 2)  # cat/2.png again
    write(tmp_path / "cat" / "twin.png", 3)  # cat/3.png again: no contradiction
    found = audit(open_data(str(tmp_path)))
    groups = same_pixels(found)
    assert [[found.source.records[i].name for i in ids] for ids in groups] == [
        ["cat/2.png", "dog/cat.png"],
        ["cat/3.png", "cat/twin.png"],
    ]
    problems = contradictions(found, groups)
    assert [(p.file, p.action) for p in problems] == [("cat/2.png", "kept"), ("dog/cat.png", "kept")]
    assert "dog/cat.png has the same pixels and is labelled dog" in problems[0].reason
    told = data_json(build_dataset(str(tmp_path)), "classification")
    assert (told["used"], told["quarantined"], len(told["problems"])) == (12, 0, 2)
    assert told["duplicates"] == [["cat/2.png", "dog/cat.png"], ["cat/3.png", "cat/twin.png"]]


# ------------------------------------------------------------------------------------------------ the cache
def counting(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How many images were decoded since the last question."""
    calls: list[Any] = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return decode(*args, **kwargs)

    monkeypatch.setattr(audit_module, "decode", counted)

    def since() -> int:
        n = len(calls)
        calls.clear()
        return n

    return since


def test_only_what_changed_is_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = write_folder(tmp_path / "d", {"a": 20, "b": 20}), tmp_path / "c" / "deep"
    (root / "a" / "bad.png").write_bytes(b"x")
    decoded = counting(monkeypatch)
    first = audit(open_data(str(root)), cache_dir=cache)
    assert (decoded(), first.cached) == (41, 0)
    second = audit(open_data(str(root)), cache_dir=cache)
    assert (decoded(), second.cached) == (0, 41)
    assert replace(second, cached=0, source=first.source, used=first.used, size=first.size) == first
    np.testing.assert_array_equal(second.used, first.used)
    np.testing.assert_array_equal(second.size, first.size)
    before = (root / "a" / "3.png").stat()
    write(root / "a" / "3.png", 500)
    os.utime(root / "a" / "3.png", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    write(root / "b" / "new.png", 501)
    (root / "b" / "0.png").unlink()
    third = audit(open_data(str(root)), cache_dir=cache)
    assert decoded() == 2
    assert third.digest == audit(open_data(str(root))).digest
    assert third.digest != first.digest


def test_a_damaged_cache_is_never_believed(tmp_path: Path) -> None:
    root, cache = write_folder(tmp_path / "d", {"a": 5, "b": 5}), tmp_path / "c"
    truth = audit(open_data(str(root)), cache_dir=cache)
    (path,) = cache.iterdir()
    good = path.read_bytes()
    rng = random.Random(1)
    damaged = [
        b"",
        b"\n",
        b"{}\n[]",
        b"[]\n",
        good[:-1],
        good + b" ",
        good.replace(b'"a/0.png"', b'"a/1.png"'),
        b"[" * 99_999,
    ]
    for _ in range(60):
        at = rng.randrange(len(good))
        damaged.append(good[:at] + bytes([good[at] ^ (1 << rng.randrange(8))]) + good[at + 1 :])
    for data in damaged:
        path.write_bytes(data)
        found = audit(open_data(str(root)), cache_dir=cache)
        assert found.digest == truth.digest
        assert found.cached == 0, "a damaged cache was used"
        assert any("cache" in note for note in found.notes)
        assert path.read_bytes() == good  # repaired


def test_what_killed_processes_left_in_the_cache_is_swept_when_it_is_old(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets", {"cat": 2, "dog": 2})
    cache = tmp_path / "cache"
    cache.mkdir()
    for name, age in ((".tmp-old", 100_000.0), (".tmp-new", 10.0)):
        (cache / name).write_bytes(b"half")
        os.utime(cache / name, (time.time() - age,) * 2)
    build_dataset(str(tmp_path / "pets"), cache_dir=cache)
    assert [p.name for p in cache.glob(".tmp-*")] == [".tmp-new"]


def test_a_cache_that_cannot_be_written_is_said_and_does_not_stop(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"a": 2, "b": 2})
    (tmp_path / "file").touch()
    found = audit(open_data(str(root)), cache_dir=tmp_path / "file")
    assert found.used.all()
    assert any("could not be cached" in note for note in found.notes)


def test_an_interrupted_audit_goes_on_where_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = write_folder(tmp_path / "d", {"a": 100, "b": 100}), tmp_path / "c"

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    write_folder(root, {"c": 100}, start=500)
    with pytest.raises(KeyboardInterrupt):
        audit(open_data(str(root)), cache_dir=cache, workers=2, progress=stop)  # after 256 images
    assert audit(open_data(str(root)), cache_dir=cache).cached == 256


# ------------------------------------------------------------------------------------------------ data.json
def test_data_json_keeps_its_contract_and_its_hash_knows_what_matters(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "d", {"train/cat": 8, "train/dog": 6, "test/cat": 2, "test/dog": 1})
    told = data_json(build_dataset(str(root)), "classification")
    contract = {"kind", "n", "used", "quarantined", "classes", "splits", "duplicates", "problems"}
    assert contract <= set(told)
    assert told["classes"] == ["cat", "dog"]
    assert told["splits"]["test"] == 3
    assert told["splits"]["train"] + told["splits"]["val"] == 14
    assert told["counts"]["dog"]["test"] == 1
    assert sum(map(sum, (c.values() for c in told["counts"].values()))) == 17
    assert told["imbalance"]["largest"][0] == "cat"
    hashes = {told["hash"]}

    def changed(change: Callable[[], Any]) -> bool:
        change()
        new = data_json(build_dataset(str(root)), "classification")["hash"]
        known = new in hashes
        hashes.add(new)
        return not known

    root.rename(tmp_path / "moved")
    root = tmp_path / "moved"
    assert not changed(lambda: None)  # a moved folder is the same data
    assert not changed(lambda: (root / "train" / "cat" / "bad.png").write_bytes(b"x"))  # as is one with rubbish in it
    assert changed(lambda: write(root / "train" / "cat" / "0.png", 700))  # another pixel
    assert changed(lambda: (root / "train" / "cat" / "1.png").rename(root / "train" / "cat" / "other.png"))
    assert changed(lambda: (root / "train" / "cat" / "2.png").rename(root / "train" / "dog" / "2b.png"))
    assert changed(lambda: (root / "test" / "cat" / "0.png").rename(root / "train" / "cat" / "x.png"))


def test_the_data_hash_sees_each_part_alone(tmp_path: Path) -> None:
    dataset = build_dataset(str(write_folder(tmp_path, {"cat": 4, "dog": 4})))
    first, *rest = dataset.records
    digest = ("0" * 64, *dataset.audit.digest[1:])
    split = np.where(np.arange(8) == 0, (dataset.split + 1) % 3, dataset.split)
    used = np.arange(8) > 0
    others = [
        replace(dataset, records=(replace(first, name="cat/zero.png"), *rest)),
        replace(dataset, records=(replace(first, label="dog"), *rest)),
        replace(dataset, audit=replace(dataset.audit, digest=digest)),
        replace(dataset, split=split),
        replace(dataset, used=used),
    ]
    assert len({data_hash(d) for d in [dataset, *others]}) == 6
    assert data_hash(replace(dataset, notes=())) == data_hash(dataset)


# ------------------------------------------------------------------------------------------------ real data, seconds
@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_real_audits_decode_each_image_at_most_once(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST's pixels are in memory already: nothing to decode, and nothing worth caching."""
    root = os.environ.get("SIGHTLINE_DATA")
    if not root or not Path(root, name).is_dir():
        pytest.skip(f"SIGHTLINE_DATA holds no {name}")
    source = open_data(name)
    calls: list[int] = []  # appending is safe from the audit's threads

    def counted(*args: Any, **named: Any) -> Decoded:
        calls.append(1)
        return decode(*args, **named)

    monkeypatch.setattr("sightline.data.audit.audit.decode", counted)
    first = audit(source, cache_dir=tmp_path)
    decoded_once = len(calls)
    second = audit(source, cache_dir=tmp_path)
    assert first.used.all()
    assert first.digest == second.digest
    assert same_pixels(first) == []
    assert second.cached == (len(source) if name == "cifar10" else 0)
    assert decoded_once == len(calls) == (len(source) if name == "cifar10" else 0)
