"""Similarity on people and characters never seen in training, beside raw pixels and principal components.

    python benchmarks/similarity.py [faces] [omniglot] [--folds 5] [--epochs N]

needs $SIGHTLINE_DATA. Faces: AT&T, 40 people with ten photographs each, five folds by identity; 8 people a fold are measured by
verification over all of their pairs and by 8-way one-shot recognition; the threshold is that of equal errors among
training people. Omniglot: two alphabets that training did not see, 5-way and 20-way one-shot over all of their characters (not
within one alphabet, which would be harder or easier by the alphabet). One-shot accuracies are averages over every episode that
the data have. Figures go to results/similarity.json as they come.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from machine import described

from sightline.evaluation.similarity.judgement import BASELINES, judge_vectors
from sightline.evaluation.similarity.stored import read_vector_rows
from sightline.metrics.similarity.vectors import means_of_queries, measured
from sightline.metrics.similarity.verification import verification

RESULTS = Path(__file__).parents[1] / "results" / "similarity.json"
KEYS = {
    "faces": (
        "model.name=resnet20", "input.size=48", "input.width=40", "augment.preset=light", "augment.flip=true",
        "task.loss=sup_con", "optim.name=adamw", "optim.lr=0.002", "fit.batch=64", "fit.epochs=30",
    ),
    "omniglot": (
        "model.name=resnet20", "input.size=28", "augment.preset=elastic", "task.loss=sup_con", "optim.name=adamw",
        "optim.lr=0.002", "fit.batch=128", "fit.epochs=12",
    ),
}  # fmt: skip
WAYS = {"faces": (8,), "omniglot": (5, 20)}


def merged(*keys: str) -> list[str]:
    """Each key once, with its last value."""
    return [f"{key}={value}" for key, value in dict(pair.split("=", 1) for pair in keys).items()]


def train(data: Path, *keys: str) -> dict[str, Any]:
    """One training, and the figures of its test split."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "sightline", "train", str(data), "--out", str(out), "--json"]
        command += ["task.kind=embedding", "fit.device=cpu", "fit.threads=1", *merged(*keys)]
        begun = time.monotonic()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        seconds = round(time.monotonic() - begun)
        rows, _, classes = read_vector_rows(out / "predictions" / "test.parquet")
    ways = WAYS["faces"] if any(key.startswith("data.fold") for key in keys) else WAYS["omniglot"]
    figures: dict[str, Any] = {"images": len(rows), "identities": len(np.unique(rows.identity)), "seconds": seconds}
    judged = judge_vectors(replace(rows, ways=ways[0]), classes)
    for name in ("auc", "eer", "far", "frr", "recall_at_1", "map_at_r"):
        figures[name] = {"value": judged.metrics[name], "interval": judged.intervals[name]}
    for column, name in (("vector", "vectors"), *((column, name) for name, column in BASELINES.items())):
        whole = measured(rows, column)
        figures[f"{name}_auc"] = verification(whole.pairs)["auc"]
        for n in ways:
            shots = measured(replace(rows, ways=n), column).queries
            figures[f"{name}_{n}_way"] = means_of_queries(shots)["one_shot"]
    return figures


def faces(folds: int, keys: tuple[str, ...]) -> dict[str, Any]:
    """Each fold, and the means over them."""
    data = Path(os.environ["SIGHTLINE_DATA"]) / "faces"
    found = [train(data, *KEYS["faces"], *keys, f"data.fold={fold}/5") for fold in range(1, folds + 1)]
    names = [name for name in found[0] if name.endswith(("_auc", "_way"))]
    return {"mean": {name: float(np.mean([one[name] for one in found])) for name in names}, "folds": found}


def omniglot(folds: int, keys: tuple[str, ...]) -> dict[str, Any]:
    """One training; a folder for each character, whatever its alphabet."""
    source = Path(os.environ["SIGHTLINE_DATA"]) / "omniglot"
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(source.glob("*/*/*/*.png")):
            split, alphabet, character = path.relative_to(source).parts[:3]
            place = Path(folder) / split / f"{alphabet}-{character}"
            place.mkdir(parents=True, exist_ok=True)
            (place / path.name).write_bytes(path.read_bytes())
        return train(Path(folder), *KEYS["omniglot"], *keys)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("which", nargs="*", default=["faces", "omniglot"])
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--epochs", type=float)
    parser.add_argument(
        "--key", action="append", default=[], help="a further key of the recipe; nothing is recorded then"
    )
    given = parser.parse_args()
    keys = (*given.key, *((f"fit.epochs={given.epochs:g}",) if given.epochs else ()))
    for which in given.which:
        figures = {"faces": faces, "omniglot": omniglot}[which](given.folds, keys)
        figures = {"machine": described(), "threads": 1, "keys": [*KEYS[which], *keys], **figures}
        print(which, json.dumps({k: v for k, v in figures.items() if k not in ("machine", "folds")}), flush=True)
        if keys or given.folds < 5:
            continue
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        RESULTS.write_text(json.dumps(results | {which: figures}, indent=1) + "\n")


if __name__ == "__main__":
    main()
