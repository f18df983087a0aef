"""Run folders of segmentations and detectors made by hand: small scenes of rectangles, answers that err in known ways."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sightline.decoding.run_lengths import run_lengths
from sightline.drawing.overlay import colour, framed, tinted
from sightline.drawing.png import grid, png_bytes
from sightline.kinds.catalogue import KINDS
from sightline.metrics.detection import detection_metrics
from sightline.metrics.segmentation import boundary_counts, pixel_confusion, segmentation_metrics
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.rows.segments import SegmentRows
from tests.fake_runs import ENVIRONMENT, MODEL

SIZES = {"train": 40, "val": 24, "test": 24}
CLASSES = ("sky", "road", "tree", "pole")
SIDE = 160  # of an image
HEADS = {"segmentation": "mean_iou", "detection": "ap50", "instances": "mask_ap50"}
Rows = SegmentRows | DetectionRows


@dataclass(frozen=True)
class DenseFake:
    """The parts of such a run; `replace` one to make another."""

    kind: str
    name: str = "scenes"
    classes: tuple[str, ...] = CLASSES
    run: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""  # the name of every image, where not its number
    splits: tuple[str, ...] = ("train", "val", "test")


@cache
def scenes(kind: str) -> dict[str, Rows]:
    """Rows by split; the answers to training scenes err less."""
    draw = np.random.default_rng(3)
    starts = dict(zip(SIZES, np.cumsum([0, *SIZES.values()]), strict=False))
    make = segments if kind == "segmentation" else objects
    return {
        split: make(draw, n, int(starts[split]), 0.5 if split == "train" else 1.0, masks=kind == "instances")
        for split, n in SIZES.items()
    }


def segments(draw: np.random.Generator, n: int, first: int, errors: float, *, masks: bool = False) -> SegmentRows:
    """Poles are thin, and half of each is taken for tree."""
    counts, edges = [], []
    for _ in range(n):
        truth = np.zeros((40, 56), np.int64)
        truth[int(draw.integers(20, 30)) :] = 1
        left = int(draw.integers(2, 30))
        truth[10:26, left : left + 14] = 2
        pole = int(draw.integers(40, 52))
        truth[6:34, pole : pole + 2] = 3
        guess = np.roll(truth, int(draw.integers(0, 1 + round(2 * errors))), axis=1)
        guess[(truth == 3) & (draw.random(truth.shape) < 0.6 * errors)] = 2
        counts.append(pixel_confusion(truth, guess, len(CLASSES)))
        edges.append(boundary_counts(truth, guess))
    pixels = np.full(n, 40 * 56)
    return SegmentRows(np.arange(n) + first, np.stack(counts), np.stack(edges), pixels * 0.4 * errors, pixels)


def objects(draw: np.random.Generator, n: int, first: int, errors: float, *, masks: bool) -> DetectionRows:
    """Small objects are missed, poles are taken for trees, and now and then there is a box on nothing."""
    found: list[tuple[int, np.ndarray, int, float]] = []
    true: list[tuple[int, np.ndarray, int]] = []
    for image in range(n):
        for _ in range(int(draw.integers(2, 6))):
            side = float(draw.choice([14.0, 50.0, 110.0]))
            corner = draw.uniform(0, SIDE - side, 2).round()
            box, label = np.r_[corner, corner + side], int(draw.integers(0, len(CLASSES)))
            true.append((image, box, label))
            if draw.random() < (0.6 * errors if side < 20 else 0.1 * errors):
                continue
            said = 2 if label == 3 and draw.random() < 0.5 * errors else label
            shifted = np.clip(box + draw.normal(0, side / 25, 4) * errors, 0, SIDE).round()
            found.append((image, shifted, said, float(draw.uniform(0.4, 1))))
        if draw.random() < 0.4 * errors:
            found.append((image, np.array([2.0, 2.0, 30.0, 40.0]), 1, float(draw.uniform(0.05, 0.6))))
    boxes, true_boxes = np.array([f[1] for f in found]), np.array([t[1] for t in true])
    return DetectionRows(
        id=np.arange(n) + first,
        size=np.full((n, 2), SIDE),
        boxes=boxes,
        label=np.array([f[2] for f in found]),
        score=np.array([f[3] for f in found]),
        image=np.array([f[0] for f in found]),
        true_boxes=true_boxes,
        true_label=np.array([t[2] for t in true]),
        true_image=np.array([t[0] for t in true]),
        true_ignore=np.zeros(len(true), bool),
        found_rle=_filled(boxes) if masks else (),
        true_rle=_filled(true_boxes) if masks else (),
    )


def _filled(boxes: np.ndarray) -> tuple[bytes, ...]:
    """Masks that fill their boxes."""
    masks = np.zeros((len(boxes), SIDE, SIDE), bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes.astype(int), strict=True):
        mask[top:bottom, left:right] = True
    return tuple(run_lengths(masks))


def write_dense(folder: Path, fake: DenseFake, rows: Mapping[str, Rows] | None = None) -> Path:
    """Write the whole run folder and return it."""
    rows, scoring = rows or scenes(fake.kind), KINDS[fake.kind].scoring
    assert scoring is not None
    for place in ("model", "samples/examples", "predictions"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    run = {"format": "sightline-run", "version": 1, "status": "finished", "task": fake.kind, "step": 400}
    run |= {"name": fake.name, "smoke": False, "seconds": 91.7, "images_per_second": 14.3, "stopped": None}
    _json(folder / "run.json", {**run, **fake.run})
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**RECIPE, "task": {"kind": fake.kind}}, sort_keys=False))
    _json(folder / "environment.json", ENVIRONMENT)
    _json(folder / "model/config.json", MODEL)
    _json(folder / "data.json", {**_data(fake), **fake.data})
    measured = {s: _metrics(r) for s, r in rows.items()} if rows is not scenes(fake.kind) else _measured(fake.kind)
    measured = {s: measured[s] for s in fake.splits}
    images = {s: len(rows[s]) for s in fake.splits}
    _json(folder / "metrics.json", {"train": None, "val": None, "test": None} | measured | {"images": images})
    (folder / "history.csv").write_text(_history(fake.kind, measured["val"]))
    for split in fake.splits[1:]:
        part = rows[split]
        names = [fake.file or f"images/{i:03d}.jpg" for i in part.id.tolist()]
        scoring.rows.write(folder / f"predictions/{split}.parquet", part, names=names, classes=fake.classes)
    _samples(folder, fake, rows[fake.splits[-1]])
    return folder


@cache
def _measured(kind: str) -> dict[str, dict[str, float | None]]:
    return {split: _metrics(rows) for split, rows in scenes(kind).items()}


def _metrics(rows: Rows) -> dict[str, float | None]:
    return segmentation_metrics(rows) if isinstance(rows, SegmentRows) else detection_metrics(rows, len(CLASSES))


def _history(kind: str, last: Mapping[str, float | None]) -> str:
    """Twelve validations that rise quickly, then level off at the value of `last`."""
    metric = HEADS[kind]
    names = ["epoch", "step", "lr", "train_loss", f"val_{metric}"] + (["val_loss"] if kind == "segmentation" else [])
    rows = []
    for i in range(12):
        share = 1 - 0.5 ** (1 + i)
        row = [i + 1, 30 * (i + 1), 1e-3 * (1 - i / 12), 2 - 1.6 * share, (last[metric] or 0) * share, 1 - 0.5 * share]
        rows.append(row[: len(names)])
    return "\n".join([",".join(names), *(",".join(str(v) for v in row) for row in rows)]) + "\n"


def _data(fake: DenseFake) -> dict[str, Any]:
    counts = {name: dict(SIZES) for name in fake.classes}
    amounts = {name: {split: n * 3 for split, n in SIZES.items()} for name in fake.classes}
    unit = "pixels" if fake.kind == "segmentation" else "objects"
    data = {"name": "scenes", "kind": "coco", "question": fake.kind, "n": 88, "used": 88, "quarantined": 0}
    data |= {"classes": list(fake.classes), "splits": SIZES, "counts": counts, "amounts": {"unit": unit, "of": amounts}}
    return data | {"duplicates": [], "problems": [], "notes": ["Splits are those given."], "hash": "9f2b6c0d" * 8}


def _samples(folder: Path, fake: DenseFake, rows: Rows) -> None:
    image = np.tile(np.linspace(60, 200, 64).astype(np.uint8)[None, :, None], (48, 1, 3))
    drawn = framed(image, np.array([[8.0, 8, 30, 40]]), [colour(1)], thick=2)
    if fake.kind == "segmentation":
        index = np.zeros((48, 64), np.int64)
        index[24:], index[:4] = 1, 255
        drawn = tinted(image, index)
    (folder / "samples/batch.png").write_bytes(png_bytes(grid([drawn] * 8, columns=4)))
    label = None if fake.kind == "segmentation" else f"1 {fake.classes[1]}"
    _json(folder / "samples/batch.json", [{"id": i, "name": fake.file or f"{i}.jpg", "label": label} for i in range(8)])
    split, items = fake.splits[-1], []
    for place, i in enumerate(rows.id[:6].tolist()):
        name = f"samples/examples/{split}-{i}.png"
        (folder / name).write_bytes(png_bytes(grid([image, drawn, drawn], columns=3, least=160)))
        items.append({"id": i, "name": fake.file or f"images/{i:03d}.jpg", "file": name, "worst": place < 4})
    about = {"split": split, "threshold": 0.4, "classes": list(fake.classes), "items": items}
    _json(folder / "samples/examples.json", about)


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1))


RECIPE = {
    "seed": 0,
    "data": {"path": "scenes"},
    "model": {"name": "unet_resnet18"},
    "input": {"size": 192, "width": 256, "channels": 3},
    "augment": {"preset": "light"},
    "optim": {"name": "adamw", "lr": 1e-3, "weight_decay": 0.01},
    "fit": {"epochs": 12, "batch": 8},
}
