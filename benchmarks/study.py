"""The families of classifiers, each trained in the same little time on the same few images.

    python benchmarks/study.py [--only NAME …] [--seeds 0 1 2]      needs $SIGHTLINE_DATA/cifar10

10,000 training and 1,000 validation images of CIFAR-10, drawn by lot once; all 10,000 test images. One thread, few epochs (a
heavier network gets fewer): a sanity check that each family learns, and in what time, not a contest. Everything that is not
named is the default. Every run is added to results/study.json as it ends, so that a study may be done in parts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from machine import described

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "study.json"
TRAIN, VAL = 10_000, 1_000
SGD = ["optim.name=sgd", "optim.lr=0.1"]
ADAMW = ["optim.name=adamw", "optim.lr=0.001"]
SMALL = "model.options.small_images=true"
# name → recipe keys. An epoch is 10,000 images.
STUDIED: dict[str, list[str]] = {
    "linear": ["fit.epochs=15", *ADAMW],
    "lenet5": ["fit.epochs=15", "optim.name=adamw", "optim.lr=0.002"],
    "vgg11": ["fit.epochs=4", "optim.name=adamw", "optim.lr=0.0003", SMALL, "model.options.dense=512,512"],
    "nin": ["fit.epochs=3", *ADAMW],
    "plain20": ["fit.epochs=5", *SGD],
    "resnet20": ["fit.epochs=5", *SGD],
    "plain56": ["fit.epochs=4", *SGD],
    "resnet56": ["fit.epochs=4", *SGD],
    "densenet121": ["fit.epochs=4", *SGD, SMALL, "model.options.growth=8"],
    "mobilenet_v1_050": ["fit.epochs=4", *SGD, SMALL],
    "vit_ti_16": ["fit.epochs=2", *ADAMW, SMALL],
}


def drawn(folder: Path) -> None:
    """The images of the study as a data set with three splits."""
    source = Path(os.environ["SIGHTLINE_DATA"]) / "cifar10"
    train = pq.read_table(next(source.glob("train*.parquet")))
    lot = np.random.default_rng(0).permutation(len(train))[: TRAIN + VAL]
    parts = {"train": lot[:TRAIN], "validation": lot[TRAIN:]}
    for name, rows in parts.items():
        pq.write_table(train.take(pa.array(np.sort(rows))), folder / f"{name}-00000-of-00001.parquet")
    for path in source.glob("test*.parquet"):
        (folder / path.name).write_bytes(path.read_bytes())


def run(data: Path, name: str, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        keys = ["input.size=32", "fit.batch=64", "fit.threads=1", *STUDIED[name]]
        command = [sys.executable, "-m", "sightline", "train", str(data), "-m", name, *keys]
        start = time.perf_counter()
        done = subprocess.run(
            [*command, "--seed", str(seed), "--out", str(out), "--json"], stdout=subprocess.PIPE, text=True, check=False
        )
        seconds = time.perf_counter() - start
        if done.returncode not in (0, 4):
            raise SystemExit(f"{name}: exit {done.returncode}")
        said = json.loads(done.stdout.splitlines()[-1])
        if done.returncode == 4:
            return {"model": name, "seed": seed, "keys": keys, "diverged": True, "process_seconds": round(seconds, 1)}
        metrics = json.loads((out / "metrics.json").read_text())
        config = json.loads((out / "model" / "config.json").read_text())
    return {
        "model": name,
        "seed": seed,
        "keys": keys,
        "steps": said["steps"],
        "training_seconds": round(said["seconds"], 1),
        "process_seconds": round(seconds, 1),
        "images_per_second": round(said["images_per_second"], 1),
        "parameters": config["parameters"],
        "multiply_adds": config["multiply_adds"],
        **{f"{split}_{key}": metrics[split][key] for split in ("train", "test") for key in ("accuracy", "loss")},
    }


def summary(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for name in STUDIED:
        found = [r for r in runs if r["model"] == name and not r.get("diverged")]
        if not found:
            continue
        row: dict[str, Any] = {"model": name, "n": len(found)}
        for key in ("test_accuracy", "train_accuracy", "test_loss", "train_loss", "process_seconds"):
            values = [r[key] for r in found]
            row[key] = round(statistics.mean(values), 4)
            row[f"{key}_sd"] = round(statistics.stdev(values), 4) if len(values) > 1 else None
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=STUDIED, default=list(STUDIED))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        drawn(Path(folder))
        for seed in asked.seeds:
            for name in asked.only:
                new = run(Path(folder), name, seed)
                kept = (
                    json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else []
                )  # now: another may have added
                kept = [r for r in kept if (r["model"], r["seed"]) != (name, seed)] + [new]
                result = {
                    "command": "python benchmarks/study.py",
                    "machine": described(),
                    "threads": 1,
                    "images": {"train": TRAIN, "val": VAL, "test": 10_000},
                    "summary": summary(kept),
                    "runs": kept,
                }
                RESULTS.write_text(json.dumps(result, indent=1) + "\n")
                print(json.dumps(new), flush=True)


if __name__ == "__main__":
    main()
