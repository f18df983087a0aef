"""Near-duplicates: which copies are known as such, which images are not, and that they stay on one side of every split."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from sightline.data.dataset import build_dataset
from sightline.data.folds import Fold
from sightline.data.formats.sniff import open_data
from sightline.data.near import near_groups, with_near_groups


def scene(seed: int, side: int = 96) -> Image.Image:
    """Smooth patches of colour with an edge: no two seeds alike."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(20, 236, (6, 6, 3), dtype=np.uint8))
    return coarse.resize((side, side), Image.Resampling.BICUBIC)


CHANGES: list[tuple[Callable[[Image.Image], Image.Image], str]] = [
    (lambda image: image, "encoded.jpg"),
    (lambda image: image.resize((61, 61)), "small.png"),
    (ImageOps.mirror, "mirror.jpg"),
    (lambda image: image.point(lambda v: min(int(v * 1.15) + 5, 255)), "bright.png"),
]


def write(root: Path, scenes: int = 24) -> dict[str, str]:
    """Two classes of scenes, and a copy of some: name of the copy → name of its original."""
    copies = {}
    for seed in range(scenes):
        folder = root / f"class{seed % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        image, name = scene(seed), f"{seed:03d}"
        image.save(folder / f"{name}.png")
        if seed < 8:
            changed, ending = CHANGES[seed % 4]
            copy = folder / f"{name}-{ending}"
            changed(image).save(copy, **({"quality": 60} if copy.suffix == ".jpg" else {}))
            copies[f"class{seed % 2}/{copy.name}"] = f"class{seed % 2}/{name}.png"
    return copies


def test_copies_are_found_and_different_images_are_not(tmp_path: Path) -> None:
    copies = write(tmp_path)
    source = open_data(str(tmp_path))
    name = [record.name for record in source.records]
    found = {frozenset(name[i] for i in ids) for ids in near_groups(source)}
    assert found == {frozenset(pair) for pair in copies.items()}


def test_digits_that_share_a_layout_are_different(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits

    digits = load_digits().images[:300]
    for i, pixels in enumerate(digits):
        path = tmp_path / f"{i % 2}" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((pixels * 15.9).astype(np.uint8)).save(path)
    groups = near_groups(open_data(str(tmp_path)))
    assert sum(map(len, groups)) < 30  # digits of eight pixels do resemble each other now and then


@pytest.mark.parametrize("rule", ["class", Fold(1, 3)])
def test_near_images_stay_on_one_side(tmp_path: Path, rule: object) -> None:
    copies = write(tmp_path)
    source = with_near_groups(open_data(str(tmp_path)))
    assert any(note.startswith("near-duplicates: 16 images in 8 groups, such as class0/000") for note in source.notes)
    data = build_dataset(source, rule=rule)  # type: ignore[arg-type]
    split = {record.name: int(data.split[record.id]) for record in data.records}
    assert all(split[copy] == split[original] for copy, original in copies.items())
    apart = build_dataset(open_data(str(tmp_path)), rule=rule)  # type: ignore[arg-type]
    split = {record.name: int(apart.split[record.id]) for record in apart.records}
    assert any(split[copy] != split[original] for copy, original in copies.items())


def test_exported_copies_are_known_by_name_and_across_given_splits(tmp_path: Path) -> None:
    for split, mark, seed in (("train", "0a1b2c3d4e", 0), ("test", "9f8e7d6c5b", 1), ("train", "1234567890", 2)):
        folder = tmp_path / split / "cells"
        folder.mkdir(parents=True, exist_ok=True)
        stem = "blood_jpg" if seed < 2 else "other_jpg"
        scene(seed).save(folder / f"{stem}.rf.{mark}.jpg")
        (tmp_path / split / "rest").mkdir(exist_ok=True)
        scene(10 + seed).save(tmp_path / split / "rest" / f"{seed}.png")
    source = with_near_groups(open_data(str(tmp_path)))
    groups = {record.name: record.group for record in source.records if ".rf." in record.name}
    values = sorted(groups.items())
    assert values[0][1] == values[1][1] is not None and values[2][1] is None  # both of blood, not the other
    assert "near-duplicates in several of the given splits: 1 groups" in source.notes


def test_groups_of_the_data_are_joined_with_near_ones(tmp_path: Path) -> None:
    """A patient's two images, one of which has a copy elsewhere: all three stay together."""
    rows = ["path,label,patient"]
    for i, seed in enumerate((0, 1, 2, 3)):
        scene(seed).save(tmp_path / f"{i}.png")
        rows.append(f"{i}.png,{'ab'[i % 2]},{'p' if i < 2 else ''}")
    scene(1).save(tmp_path / "copy.jpg", quality=70)
    (tmp_path / "labels.csv").write_text("\n".join([*rows, "copy.jpg,b,"]) + "\n")
    records = with_near_groups(open_data(str(tmp_path))).records
    groups = {record.name: record.group for record in records}
    assert groups["0.png"] == groups["1.png"] == groups["copy.jpg"] is not None
    assert groups["2.png"] is None
