"""Train on a folder as a user would, naming neither task nor format, and record what came beside what nothing would give.

    python benchmarks/folders.py camvid [key=value …]        needs $SIGHTLINE_DATA/camvid

The baseline looks at no image. Pixels: every one is of the commonest class of train. Objects: those of a training image
drawn by lot (ten lots, the mean). Both are judged by the metrics that judge the network. Writes results/folders/<name>.json.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import described

from sightline.data.dataset import Dataset, build_dataset
from sightline.data.records.annotations import Objects
from sightline.decoding.run_lengths import run_lengths
from sightline.metrics.detection import detection_metrics
from sightline.metrics.segmentation import boundary_counts, pixel_confusion, segmentation_metrics
from sightline.structures.detection_rows import DetectionRows
from sightline.structures.rows.segments import SegmentRows
from sightline.structures.targets import IGNORE

ROOT = Path(__file__).parents[1]
LOTS = 10
SHOWN = {"segmentation": ("mean_iou",), "detection": ("ap50", "ap"), "instances": ("mask_ap50", "mask_ap", "ap50")}


def commonest_class(data: Dataset, split: str) -> dict[str, float | None]:
    k = len(data.classes)
    counts = np.zeros(k, np.int64)
    for i in data.ids("train").tolist():
        mask = np.asarray(data.truth(i))
        counts += np.bincount(mask[mask != IGNORE], minlength=k)
    confusion, boundary = [], []
    for i in data.ids(split).tolist():
        truth = np.asarray(data.truth(i)).astype(np.int64)
        guess = np.full_like(truth, counts.argmax())
        confusion.append(pixel_confusion(truth, guess, k))
        boundary.append(boundary_counts(truth, guess))
    n = len(confusion)
    rows = SegmentRows(np.arange(n), np.stack(confusion), np.stack(boundary), np.zeros(n), np.ones(n, np.int64))
    return segmentation_metrics(rows)


def another_image(data: Dataset, split: str) -> dict[str, float]:
    """The mean over lots; an object keeps its place as a share of the image."""
    train, tested = data.ids("train"), data.ids(split)
    found = [detection_metrics(_lot(data, train, tested, lot), len(data.classes)) for lot in range(LOTS)]
    names = [name for name in found[0] if found[0][name] is not None]
    return {name: statistics.mean(float(one[name] or 0.0) for one in found) for name in names}


def _lot(data: Dataset, train: np.ndarray, tested: np.ndarray, lot: int) -> DetectionRows:
    draw, parts = np.random.default_rng(lot), []
    masks = data.knows == "outlines"
    for i in tested.tolist():
        truth, other = data.truth(i), data.truth(int(draw.choice(train)))
        assert isinstance(truth, Objects) and isinstance(other, Objects)
        height, width = data.size[i].tolist()
        parts.append(
            DetectionRows(
                id=np.array([i]), size=np.array([[height, width]]),
                boxes=other.boxes.clip(0, [width, height, width, height]), label=other.label,
                score=draw.uniform(0.1, 1, len(other)), image=np.zeros(len(other), np.int64),
                true_boxes=truth.boxes, true_label=truth.label, true_image=np.zeros(len(truth), np.int64),
                true_ignore=truth.ignore,
                found_rle=run_lengths(other.masks(height, width)) if masks else (),
                true_rle=run_lengths(truth.masks(height, width)) if masks else (),
            )
        )  # fmt: skip
    return DetectionRows.join(parts)


def main() -> None:
    name, keys = sys.argv[1], sys.argv[2:]
    where = Path(os.environ["SIGHTLINE_DATA"]) / name
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "sightline", "train", str(where), "--out", str(out), "--json", *keys]
        start = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        seconds = time.perf_counter() - start
        said = json.loads(done.stdout.splitlines()[-1])
    data = build_dataset(str(where))
    split = "test" if said["test"] else "val"
    nothing = commonest_class(data, split) if data.knows == "masks" else another_image(data, split)
    result = {
        "command": " ".join([f"sightline train {name}/", *keys]),
        "machine": described(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "seconds": round(seconds),
        "training_seconds": round(said["seconds"]),
        "images_per_second": round(said["images_per_second"], 1),
        "task": said["task"],
        "model": said["model"],
        "steps": said["steps"],
        "n": 1,
        "split": split,
        "measured": {key: said[split][key] for key in SHOWN[said["task"]]},
        "baseline": {key: nothing[key] for key in SHOWN[said["task"]]},
        "all": said[split],
    }
    path = ROOT / "results" / "folders" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps({key: result[key] for key in ("seconds", "measured", "baseline")}))


if __name__ == "__main__":
    main()
