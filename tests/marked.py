"""One small set of pictures with known boxes and outlines, written by hand in the form of every annotation tool."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sightline.data.dataset import Dataset, build_dataset
from sightline.data.records.annotations import Objects
from tests.tiny_annotated import picture

Ring = tuple[tuple[float, float], ...]
CLASSES = ("dog", "cat")


class Thing(NamedTuple):
    """An object: its class, and its corners (x, y) in pixels; two of them are a box."""

    label: str
    ring: Ring

    @property
    def box(self) -> tuple[float, float, float, float]:
        xs, ys = zip(*self.ring, strict=True)
        return min(xs), min(ys), max(xs), max(ys)


class Scene(NamedTuple):
    split: str
    name: str
    height: int
    width: int
    things: tuple[Thing, ...]


def scenes(*, outlines: bool = False) -> list[Scene]:
    """Five pictures of odd sizes in two splits, one without an object."""
    one: Ring = ((2, 3), (11, 3), (11, 6), (6, 6), (6, 10), (2, 10)) if outlines else ((2, 3), (11, 10))
    two: Ring = ((0, 0), (6, 0), (6, 7), (0, 7)) if outlines else ((0, 0), (6, 7))
    sizes = ((13, 17), (15, 12), (31, 21), (12, 40), (14, 14))
    out = []
    for i, (height, width) in enumerate(sizes):
        things = (Thing("cat", one), Thing("dog", two))[: (2, 1, 0, 2, 1)[i]]
        out.append(Scene("train" if i < 3 else "val", f"p{i}", height, width, things))
    return out


def pictures(root: Path, place: str, every: Sequence[Scene]) -> None:
    """The pictures at `place`, which may have {split} and {name}."""
    for number, scene in enumerate(every):
        path = root / place.format(split=scene.split, name=scene.name)
        picture(path.with_name(f"{path.name}.png"), number, scene.height, scene.width)


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def put_json(path: Path, value: object) -> Path:
    return put(path, json.dumps(value))


def check(root: Path, every: Sequence[Scene], *, classes: Sequence[str] = CLASSES, splits: bool = True) -> Dataset:
    """Whether what is read from `root` is what the pictures show."""
    dataset = build_dataset(str(root), needs="images", leaks="keep")
    assert not dataset.problems, dataset.problems
    assert set(dataset.classes) == set(classes)
    found = {Path(record.name).stem: record for record in dataset.records}
    assert set(found) == {scene.name for scene in every}
    outlines = all(len(thing.ring) > 2 for scene in every for thing in scene.things)
    assert dataset.knows == ("outlines" if outlines else "boxes")
    for scene in every:
        record = found[scene.name]
        assert record.split == (scene.split if splits else None)
        truth = dataset.truth(record.id)
        assert isinstance(truth, Objects) and not truth.ignore.any()
        assert [dataset.classes[i] for i in truth.label] == [thing.label for thing in scene.things]
        wanted = np.array([thing.box for thing in scene.things]).reshape(-1, 4)
        np.testing.assert_allclose(truth.boxes, wanted, atol=1e-5)
        if outlines:
            masks = truth.masks(scene.height, scene.width)
            for mask, thing in zip(masks, scene.things, strict=True):
                np.testing.assert_array_equal(mask, inside(thing.ring, scene.height, scene.width))
    return dataset


def inside(ring: Ring, height: int, width: int) -> np.ndarray:
    """The pixels (h, w) of a ring whose edges run along rows and columns: those with an odd number of edges to their left."""
    out = np.zeros((height, width), bool)
    for (x, top), (other, bottom) in zip(ring, ring[1:] + ring[:1], strict=True):
        if x == other:
            out[int(min(top, bottom)) : int(max(top, bottom)), int(x) :] ^= True
    return out
