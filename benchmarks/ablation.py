"""What each augmentation gains: the same network and the same number of epochs, on few images of CIFAR-10.

    python benchmarks/ablation.py [--only NAME …] [--seeds 0 1 2] [--epochs 60]        needs $SIGHTLINE_DATA/cifar10

2,000 training images and 500 for validation, drawn by lot once; all 10,000 test images. ResNet-8 (ResNet-20 with one
block a stage), SGD, one thread. With so few images a network of this size fits the training images, so that the gap
between training and test accuracy shows what an augmentation regularises. The last weights are measured, not the best ones of
validation. Each run is added to results/augmentation.json as it ends; differences are paired by seed.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import described
from study import Study, drawn

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "augmentation.json"
COMMAND = "python benchmarks/ablation.py"
MOVES = ["augment.preset=light", "augment.flip=true"]
SHARED = [
    "input.size=32", "fit.batch=64", "fit.threads=1", "optim.name=sgd", "optim.lr=0.1", "optim.weight_decay=0.0005",
]  # fmt: skip
ARMS = {
    "none": ["augment.preset=none"],
    "flip and crop": MOVES,
    "+ Cutout": [*MOVES, "augment.cutout=0.5"],
    "+ Mixup": [*MOVES, "augment.mixup=0.5"],
    "+ CutMix": [*MOVES, "augment.cutmix=0.5"],
    "+ RandAugment": [*MOVES, "augment.policy=rand-m9-n2"],
    "standard": ["augment.preset=standard", "augment.flip=true"],
}
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's two-sided 95 % quantile for n values
IMAGES = Study({}, 2_000, 500, [], RESULTS, COMMAND)


def run(data: Path, arm: str, seed: int, epochs: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "sightline", "train", str(data), "-m", "resnet8", *SHARED, *ARMS[arm]]
        command += [f"fit.epochs={epochs:g}", "--seed", str(seed), "--out", str(out), "--json"]
        start = time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        seconds = round(time.perf_counter() - start, 1)
        metrics = json.loads((out / "metrics.json").read_text())
    figures = {f"{split}_accuracy": metrics[split]["accuracy"] for split in ("train", "test")}
    return {"arm": arm, "seed": seed, "epochs": epochs, **figures, "seconds": seconds}


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over the seeds; `gain` in points against none, paired by seed, with a 95 % interval of Student's t."""
    base = {r["seed"]: r["test_accuracy"] for r in runs if r["arm"] == "none"}
    rows = []
    for arm in ARMS:
        mine = [r for r in runs if r["arm"] == arm]
        if not mine:
            continue
        row: dict[str, Any] = {"arm": arm, "n": len(mine)}
        for key in ("train_accuracy", "test_accuracy", "seconds"):
            row[key] = round(statistics.mean(r[key] for r in mine), 4)
        gains = [100 * (r["test_accuracy"] - base[r["seed"]]) for r in mine if r["seed"] in base and arm != "none"]
        if len(gains) in T95:
            mean, half = statistics.mean(gains), T95[len(gains)] * statistics.stdev(gains) / math.sqrt(len(gains))
            row |= {"gain": round(mean, 2), "interval": [round(mean - half, 2), round(mean + half, 2)], "gains": gains}
        rows.append(row)
    return rows


def record(new: dict[str, Any]) -> None:
    kept = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else []
    kept = [r for r in kept if (r["arm"], r["seed"]) != (new["arm"], new["seed"])] + [new]
    result = {
        "command": COMMAND,
        "machine": described(),
        "threads": 1,
        "model": "resnet8",
        "keys": SHARED,
        "arms": ARMS,
        "images": {"train": IMAGES.train, "val": IMAGES.val, "test": 10_000},
        "summary": summary(kept),
        "runs": kept,
    }
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(new), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(ARMS))
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=float, default=60)
    parser.add_argument("--try", dest="trial", action="store_true", help="print, record nothing")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        drawn(IMAGES, Path(folder))
        for seed in given.seeds:
            for arm in given.only:
                found = run(Path(folder), arm, seed, given.epochs)
                if given.trial:
                    print(json.dumps(found), flush=True)
                else:
                    record(found)


if __name__ == "__main__":
    main()
