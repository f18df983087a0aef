"""The families of classifiers, each trained in the same little time on the same images of CIFAR-10.

    python benchmarks/study.py [--only NAME …] [--seeds 0 1 2]                      needs $SIGHTLINE_DATA/cifar10
    python benchmarks/study.py --full [--only …] [--seeds …] [--at-once 12]         all images, on a GPU

The small study: 10,000 training and 1,000 validation images, drawn by lot once; all 10,000 test images. One thread, few epochs
(a heavier network gets fewer): a sanity check that each family learns, and in what time, not a contest. The full one: 45,000
and 5,000 images, so many runs beside each other. Everything that is not named is the default. Every run is added to
results/study.json or results/study-full.json as it ends, so that a study may be done in parts.
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
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from machine import described

from sightline.runs.run import open_run

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results"
SGD = ["optim.name=sgd", "optim.lr=0.1"]
ADAMW = ["optim.name=adamw", "optim.lr=0.001"]
SMALL = "model.options.small_images=true"
Keys = dict[str, list[str]]  # name → recipe keys
# An epoch is 10,000 images.
SMALL_STUDY: Keys = {
    "linear": ["fit.epochs=15", *ADAMW],
    "lenet5": ["fit.epochs=15", "optim.name=adamw", "optim.lr=0.002"],
    "vgg11": ["fit.epochs=5", "optim.name=adamw", "optim.lr=0.0003", SMALL, "model.options.dense=512,512"],
    "nin": ["fit.epochs=3", *ADAMW],
    "plain20": ["fit.epochs=5", *SGD],
    "resnet20": ["fit.epochs=5", *SGD],
    "plain56": ["fit.epochs=4", *SGD],
    "resnet56": ["fit.epochs=4", *SGD],
    "densenet121": ["fit.epochs=4", *SGD, SMALL, "model.options.growth=8"],
    "mobilenet_v1_050": ["fit.epochs=4", *SGD, SMALL],
    "vit_ti_16": ["fit.epochs=1.5", *ADAMW, SMALL],
}
# An epoch is 45,000 images.
FULL_STUDY: Keys = {
    "linear": ["fit.epochs=15", *ADAMW],
    "mlp": ["fit.epochs=15", *ADAMW],
    "lenet5": ["fit.epochs=15", "optim.name=adamw", "optim.lr=0.002"],
    "vgg11": ["fit.epochs=15", "optim.name=adamw", "optim.lr=0.0005", SMALL, "model.options.dense=512,512"],
    "vgg11_bn": ["fit.epochs=15", *SGD, SMALL, "model.options.dense=512,512"],
    "nin": ["fit.epochs=15", *ADAMW],
    "plain20": ["fit.epochs=15", *SGD],
    "resnet20": ["fit.epochs=15", *SGD],
    "plain56": ["fit.epochs=15", *SGD],
    "resnet56": ["fit.epochs=15", *SGD],
    "preact_resnet20": ["fit.epochs=15", *SGD],
    "se_resnet18": ["fit.epochs=10", *SGD, SMALL],
    "cbam_resnet18": ["fit.epochs=10", *SGD, SMALL],
    "resnet18": ["fit.epochs=10", *SGD, SMALL],
    "densenet40_12": ["fit.epochs=10", *SGD],
    "mobilenet_v1_050": ["fit.epochs=15", *SGD, SMALL],
    "efficientnet_b0": ["fit.epochs=15", *SGD, SMALL],
    "vit_ti_16": ["fit.epochs=15", *ADAMW, SMALL],
}
GPU = ["fit.device=cuda", "fit.batch=256"]


@dataclass(frozen=True)
class Study:
    """What is trained on how many images, and where the figures go."""

    studied: Keys
    train: int
    val: int
    shared: list[str]
    results: Path
    command: str


STUDIES = {
    False: Study(
        SMALL_STUDY, 10_000, 1_000, ["fit.batch=64", "fit.threads=1"], RESULTS / "study.json",
        "python benchmarks/study.py",
    ),
    True: Study(
        FULL_STUDY, 45_000, 5_000, [*GPU, "fit.threads=1"], RESULTS / "study-full.json",
        "python benchmarks/study.py --full",
    ),
}  # fmt: skip


def drawn(study: Study, folder: Path) -> None:
    """The images of the study as a data set with three splits."""
    source = Path(os.environ["SIGHTLINE_DATA"]) / "cifar10"
    train = pq.read_table(next(source.glob("train*.parquet")))
    lot = np.random.default_rng(0).permutation(len(train))[: study.train + study.val]
    parts = {"train": lot[: study.train], "validation": lot[study.train :]}
    for name, rows in parts.items():
        pq.write_table(train.take(pa.array(np.sort(rows))), folder / f"{name}-00000-of-00001.parquet")
    for path in source.glob("test*.parquet"):
        (folder / path.name).write_bytes(path.read_bytes())


def run(study: Study, data: Path, name: str, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        keys = ["input.size=32", *study.shared, *study.studied[name]]
        command = [sys.executable, "-m", "sightline", "train", str(data), "-m", name, *keys]
        start = time.perf_counter()
        done = subprocess.run(
            [*command, "--seed", str(seed), "--out", str(out), "--json"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - start
        if done.returncode not in (0, 4):
            raise RuntimeError(f"{name}: exit {done.returncode}: {done.stderr[-500:]}")
        said = json.loads(done.stdout.splitlines()[-1])
        if done.returncode == 4:
            return {"model": name, "seed": seed, "keys": keys, "diverged": True, "process_seconds": round(seconds, 1)}
        metrics = json.loads((out / "metrics.json").read_text())
        config = json.loads((out / "model" / "config.json").read_text())
        precision = open_run(out).recipe.fit.precision
    return {
        "model": name,
        "seed": seed,
        "keys": keys,
        "precision": precision,
        "cpu": described()["cpu"],
        "steps": said["steps"],
        "training_seconds": round(said["seconds"], 1),
        "process_seconds": round(seconds, 1),
        "images_per_second": round(said["images_per_second"], 1),
        "parameters": config["parameters"],
        "multiply_adds": config["multiply_adds"],
        **{f"{split}_{key}": metrics[split][key] for split in ("train", "test") for key in ("accuracy", "loss")},
    }


def summary(study: Study, runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for name in study.studied:
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


def keep(study: Study, new: dict[str, Any], at_once: int) -> None:
    """Add a run to what is there now: another process may have added."""
    kept = json.loads(study.results.read_text())["runs"] if study.results.exists() else []
    kept = [r for r in kept if (r["model"], r["seed"]) != (new["model"], new["seed"])] + [new]
    result = {
        "command": study.command,
        "machine": described(),
        "threads": 1,
        "runs_at_once": at_once,
        "images": {"train": study.train, "val": study.val, "test": 10_000},
        "summary": summary(study, kept),
        "not_trained": [name for name in study.studied if name not in {r["model"] for r in kept}],
        "runs": kept,
    }
    study.results.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(new), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", nargs="+", choices=sorted({*SMALL_STUDY, *FULL_STUDY}))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--at-once", type=int, default=1)
    asked = parser.parse_args()
    study = STUDIES[asked.full]
    wanted = [(name, seed) for seed in asked.seeds for name in asked.only or study.studied]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(asked.at_once) as pool:
        drawn(study, Path(folder))
        runs = [pool.submit(run, study, Path(folder), name, seed) for name, seed in wanted]
        for done in as_completed(runs):
            if error := done.exception():
                print(error, file=sys.stderr, flush=True)
            else:
                keep(study, done.result(), asked.at_once)
    sys.exit(any(done.exception() for done in runs))


if __name__ == "__main__":
    main()
