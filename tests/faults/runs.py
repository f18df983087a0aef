"""Small real runs to be hurt, one of each task: files on disk, nothing cached, accumulation 2, the average on, commits in
mid-epoch."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

EPOCHS, BATCH = 8, 16


def write_jpegs(folder: Path, count: int = 180) -> None:
    """Three classes of 24x24 colour JPEGs: a bright bar in one of three places, on noise."""
    draw = np.random.default_rng(0)
    for i in range(count):
        kind = ("left", "middle", "right")[i % 3]
        pixels = draw.integers(0, 120, (24, 24, 3), dtype=np.uint8)
        pixels[:, 8 * (i % 3) : 8 * (i % 3) + 8] += 100
        (folder / kind).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / kind / f"{i:04d}.jpg", quality=92)


def _blobs(
    draw: np.random.Generator, side: int = 64, objects: int = 3
) -> tuple[np.ndarray, list[tuple[int, int, int, int, int]]]:
    """Noise with up to three bright or dark rectangles; (class, left, top, right, bottom) of each."""
    pixels = draw.integers(60, 160, (side, side, 3), dtype=np.uint8)
    there = []
    for k in range(objects):
        kind = int(draw.integers(0, 2))
        width, height = draw.integers(14, 20, 2).tolist()
        left, top = 20 * k + int(draw.integers(0, 3)), int(draw.integers(0, side - height))
        right = min(left + width, side)
        pixels[top : top + height, left:right] = 230 if kind else 20
        there.append((kind, left, top, right, top + height))
    return pixels, there


def write_masks(folder: Path, count: int = 60) -> None:
    """images/, masks/ with a class for each pixel, classes.txt."""
    draw = np.random.default_rng(1)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "classes.txt").write_text("ground\ndark\nbright\n")
    for i in range(count):
        pixels, objects = _blobs(draw)
        mask = np.zeros(pixels.shape[:2], np.uint8)
        for kind, left, top, right, bottom in objects:
            mask[top:bottom, left:right] = kind + 1
        Image.fromarray(pixels).save(folder / "images" / f"{i:04d}.jpg", quality=92)
        Image.fromarray(mask).save(folder / "masks" / f"{i:04d}.png")


def write_coco(folder: Path, count: int = 60, *, outlines: bool, objects: int = 3) -> None:
    """images/ and annotations/instances.json, with polygons or with boxes only."""
    draw = np.random.default_rng(2)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "annotations").mkdir()
    images, annotations = [], []
    for i in range(count):
        pixels, there = _blobs(draw, objects=objects)
        name = f"{i:04d}.jpg"
        Image.fromarray(pixels).save(folder / "images" / name, quality=92)
        images.append({"id": i + 1, "file_name": name, "height": pixels.shape[0], "width": pixels.shape[1]})
        for kind, x0, y0, x1, y1 in there:
            row = {
                "id": len(annotations) + 1, "image_id": i + 1, "category_id": kind + 1, "iscrowd": 0,
                "bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0),
            }  # fmt: skip
            if outlines:
                row["segmentation"] = [[x0, y0, x1, y0, x1, y1, x0, y1]]
            annotations.append(row)
    categories = [{"id": 1, "name": "dark"}, {"id": 2, "name": "bright"}]
    whole = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations" / "instances.json").write_text(json.dumps(whole))


_REGIONS = [
    "model.options.width=16", "model.options.hidden=32", "model.options.proposals=60,50",
    "model.options.samples=64,16", "fit.batch=4", "fit.epochs=2", "input.size=64",
]  # fmt: skip
_GIVEN = ["model.options.limit=40", "model.options.samples=16", "fit.batch=4", "fit.epochs=2", "input.size=64"]
_PIXELS = ["input.size=32", "fit.epochs=4", "fit.batch=4"]
_BOXES = ["fit.batch=4", "fit.epochs=2", "input.size=64"]
_SET = [f"model.options.{key}" for key in ("width=16", "heads=2", "hidden=16", "encoder=1", "decoder=2", "queries=8")]
_CELLS = [f"model.options.{key}" for key in ("width=0.0625", "dense=32", "norm=batch")]
_ANCHORS = [f"model.options.{key}" for key in ("width=0.0625", "depths=1,1,1,1,1")]


def _write_boxes(folder: Path) -> None:
    write_coco(folder, outlines=False)


# Other networks of the kind `detection`, by name
DETECTORS: dict[str, tuple[Callable[[Path], None], str, list[str]]] = {
    "yolo_v1": (_write_boxes, "yolo_v1", [*_BOXES, *_CELLS]),
    "yolo_v3": (_write_boxes, "yolo_v3", [*_BOXES, *_ANCHORS]),
    "detr_resnet18": (_write_boxes, "detr_resnet18", [*_BOXES, *_SET]),
}
# task, or what is unlike others about a network → (how its data are written, network, keys)
TASKS: dict[str, tuple[Callable[[Path], None], str, list[str]]] = {
    "classification": (write_jpegs, "resnet20", ["input.size=16", f"fit.epochs={EPOCHS}", f"fit.batch={BATCH}"]),
    "segmentation": (
        write_masks, "unet", ["model.options.width=8", *_PIXELS],
    ),
    "detection": (lambda folder: write_coco(folder, outlines=False), "faster_rcnn_resnet18_fpn", _REGIONS),
    "given regions": (
        lambda folder: write_coco(folder, outlines=False), "fast_rcnn_resnet18_fpn",
        ["model.options.width=16", "model.options.hidden=32", *_GIVEN],
    ),
    "fitted": (
        lambda folder: write_coco(folder, outlines=False), "rcnn_resnet18", ["model.options.side=32", *_GIVEN],
    ),
    "single shot": (
        lambda folder: write_coco(folder, outlines=False), "yolox_nano", ["fit.batch=4", "fit.epochs=2", "input.size=64"],
    ),
    "instances": (lambda folder: write_coco(folder, outlines=True), "mask_rcnn_resnet18_fpn", _REGIONS),
    "localisation": (
        lambda folder: write_coco(folder, outlines=False, objects=1), "resnet8",
        ["task.kind=localisation", *_PIXELS],
    ),
    "unpooling": (write_masks, "segnet_basic", ["model.options.width=8", *_PIXELS]),
    "atrous pyramid": (write_masks, "deeplabv3_resnet18", ["model.options.width=16", *_PIXELS]),
    "three scales": (write_masks, "farabet", ["model.options.hidden=16", *_PIXELS]),
    "mosaic": (
        lambda folder: write_coco(folder, outlines=False), "faster_rcnn_resnet18_fpn",
        [*_REGIONS, "augment.mosaic=0.6", "augment.mixup=0.4", "augment.close=0.3"],
    ),
    "mixed": (
        write_jpegs, "resnet20",
        ["input.size=16", f"fit.epochs={EPOCHS // 2}", f"fit.batch={BATCH}", "augment.mixup=0.4", "augment.cutmix=0.4",
         "augment.cutout=0.4", "augment.close=0.3"],
    ),
}  # fmt: skip


def command(
    data: Path,
    out: Path,
    *,
    workers: int = 1,
    task: str = "classification",
    device: str = "cpu",
    precision: str = "fp32",
) -> list[str]:
    """The same run whatever the workers: they are no part of what it computes."""
    _, network, own = (TASKS | DETECTORS)[task]
    keys = [
        *own, "data.cache=off", f"data.workers={workers}", "fit.accumulate=2", "fit.ema=0.9", "fit.threads=1",
        f"fit.device={device}", f"fit.precision={precision}",
        f"fit.commit_every={5 if task == 'classification' else 1}",
    ]  # fmt: skip
    return [sys.executable, "-m", "sightline", "train", str(data), "-m", network, "--out", str(out), "-q", *keys]


def environment(cache: Path) -> dict[str, str]:
    return os.environ | {"SIGHTLINE_CACHE": str(cache), "OMP_NUM_THREADS": "1"}


def finish(data: Path, out: Path, cache: Path, **settings: Any) -> subprocess.CompletedProcess[str]:
    """The whole run, or the rest of it; settings as of `command`."""
    return subprocess.run(
        command(data, out, **settings), env=environment(cache), capture_output=True, text=True, check=False
    )


def outcome(out: Path) -> dict[str, object]:
    """Everything that must be equal between two runs: weights, average, optimiser, state, history, logs, metrics."""
    newest = max((out / "checkpoints").glob("step-*"))
    names = ["history.csv", "metrics.jsonl", "metrics.json", "model/model.safetensors", "predictions/test.parquet"]
    files = {name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in names}
    return {"step": newest.name, **json.loads((newest / "manifest.json").read_text())["files"], **files}


def litter(out: Path) -> list[str]:
    """Unfinished pieces that a finished run must not contain."""
    return [str(p.relative_to(out)) for p in out.rglob(".tmp-*")]
