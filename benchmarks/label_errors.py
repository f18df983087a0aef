"""Labels that are wrong on purpose: how many of them does `label-errors` find? Figures go to results/label-errors.json.

    python benchmarks/label_errors.py [NAME …]

Five per cent of the labels of real data are changed, and the product is asked for as many. What counts is the precision at the
planted count: the share of planted errors among as many of the most suspicious labels. Every training is the product's own,
on one thread. `inside` is the same ranking from the training images of the first fold: what probabilities are worth that the
network knows by heart. A NAME alone leaves the other figures as they are. About 15 minutes.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import described
from PIL import Image

import sightline
from sightline.evaluation.label_errors.classes import label_quality
from sightline.evaluation.predictions import read_rows
from sightline.runs.console import Console

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.assessment.shapes import FAULTS, write_shapes

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("SIGHTLINE_DATA", ROOT.parent / "shared" / "data"))
RESULT = ROOT / "results" / "label-errors.json"
NOISE, N, FOLDS, SEED = 0.05, 10_000, 5, 0
ONE_THREAD = ["fit.threads=1"]
CONFUSED = {  # asymmetric noise: a class is mistaken for the one that looks like it
    "mnist": {1: 7, 2: 7, 3: 8, 4: 9, 5: 6, 6: 5, 7: 1, 8: 3, 9: 4, 0: 6},
    "cifar10": {0: 2, 1: 9, 2: 0, 3: 5, 4: 7, 5: 3, 6: 3, 7: 4, 8: 0, 9: 1},
}
SMALL = [
    "model.options.width=8",
    "model.options.depth=2",
    "model.options.norm=batch",
    "input.size=48",
    "optim.lr=0.01",
    "fit.batch=8",
]
EPOCHS = 12.0
Pictures = tuple[np.ndarray, np.ndarray]


def mnist() -> Pictures:
    """The first 10,000 training digits."""
    images = gzip.decompress((DATA / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    labels = gzip.decompress((DATA / "mnist" / "train-labels-idx1-ubyte.gz").read_bytes())[8:]
    pixels = np.frombuffer(images, np.uint8).reshape(-1, 28, 28)  # (n * 28 * 28,) → (n, h, w)
    return pixels[:N], np.frombuffer(labels, np.uint8)[:N].astype(np.int64)


def cifar10() -> Pictures:
    """10,000 of the training pictures."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(DATA / "cifar10" / "train-00000-of-00001.parquet")
    table = table.take(np.sort(np.random.default_rng(SEED).permutation(len(table))[:N]))
    pixels = [np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("RGB")) for row in table["img"].to_pylist()]
    return np.stack(pixels), np.array(table["label"].to_pylist())


def planted(truth: np.ndarray, confused: dict[int, int] | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which 5 % are wrong, and which: any other class, or the one that looks like it."""
    rng = np.random.default_rng(seed)
    wrong = np.sort(rng.choice(len(truth), round(NOISE * len(truth)), replace=False))
    labels = truth.copy()
    if confused is None:
        labels[wrong] = (truth[wrong] + rng.integers(1, 10, len(wrong))) % 10
    else:
        labels[wrong] = [confused[int(t)] for t in truth[wrong]]
    return labels, wrong


def classes(name: str, pictures: Callable[[], Pictures], asymmetric: bool) -> dict[str, Any]:
    """One data set with planted noise, from pixels to the ranking."""
    pixels, truth = pictures()
    labels, wrong = planted(truth, CONFUSED[name] if asymmetric else None, SEED)
    with tempfile.TemporaryDirectory() as folder:
        start, used = time.perf_counter(), time.process_time()
        found = sightline.label_errors(
            (pixels, labels), ONE_THREAD, folds=FOLDS, out=Path(folder) / name, console=Console(-1)
        )
        seconds, cpu = time.perf_counter() - start, time.process_time() - used
        inside = _inside(Path(folder) / name / "folds" / "1", labels, truth)
        recipe = sightline.open_run(Path(folder) / name / "folds" / "1").recipe
    first = [s.id for s in found.findings.ranked[: len(wrong)]]
    hits = np.isin(first, wrong)
    # The classes of arrays are named by their numbers.
    suggested = np.array([int(s.suggested) for s in found.findings.ranked[: len(wrong)]])
    return {
        "noise": "asymmetric" if asymmetric else "symmetric",
        "images": len(truth),
        "planted": len(wrong),
        "folds": FOLDS,
        "model": recipe.model.name,
        "epochs": recipe.fit.epochs,
        "agreement_with_planted_labels": found.facts["agreement"],
        "precision_at_planted": float(hits.mean()),
        "suggested_right_of_found": float((suggested == truth[first])[hits].mean()),
        "candidates": len(found.findings.candidates),
        "precision_of_candidates": float(np.isin([s.id for s in found.findings.candidates], wrong).mean()),
        "recall_of_candidates": float(np.isin(wrong, [s.id for s in found.findings.candidates]).mean()),
        "inside": inside,
        "cpu_seconds": round(cpu),
        "seconds": round(seconds),
    }


def _inside(run: Path, labels: np.ndarray, truth: np.ndarray) -> dict[str, Any]:
    """The same figure for images that the network trained on."""
    rows = read_rows(run / "predictions" / "train.parquet")[0]
    wrong = labels[rows.id] != truth[rows.id]
    quality = label_quality(rows.target, rows.probability)
    return {
        "images": len(rows),
        "planted": int(wrong.sum()),
        "precision_at_planted": float(wrong[quality.ranking()[: wrong.sum()]].mean()),
    }


def masks(n: int = 160, wrong: int = 16, folds: int = 2) -> dict[str, Any]:
    """Generated images of discs and squares; of `wrong` masks one object is dropped, has the other class, or lies elsewhere."""
    numbers = sorted(np.random.default_rng(SEED).choice(n, wrong, replace=False).tolist())
    with tempfile.TemporaryDirectory() as folder:
        planted = write_shapes(Path(folder) / "shapes", n, numbers)
        start, used = time.perf_counter(), time.process_time()
        found = sightline.label_errors(
            str(Path(folder) / "shapes"), [*ONE_THREAD, *SMALL], folds=folds, model="unet", epochs=EPOCHS,
            out=Path(folder) / "checked", console=Console(-1),
        )  # fmt: skip
        seconds, cpu = time.perf_counter() - start, time.process_time() - used
        names = {s.id: s for s in found.findings.ranked}
        stem = {it["id"]: int(Path(it["path"]).stem) for it in found.facts["candidates"]}
    first = [stem.get(s.id, -1) for s in found.findings.ranked[:wrong]]
    right = [i for i in names if stem.get(i) in planted]
    return {
        "images": n, "planted": wrong, "folds": folds, "model": "unet, width 8, depth 2", "epochs": EPOCHS,
        "agreement_with_planted_labels": found.facts["agreement"],
        "precision_at_planted": float(np.isin(first, numbers).mean()),
        "candidates": len(found.findings.candidates),
        "precision_of_candidates": len(right) / max(1, len(found.findings.candidates)),
        "recall_of_candidates": len(right) / wrong,
        "found_by_fault": {
            fault: [sum(planted[stem[i]] == fault for i in right), sum(one == fault for one in planted.values())]
            for fault in FAULTS
        },
        "cpu_seconds": round(cpu), "seconds": round(seconds),
    }  # fmt: skip


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "mnist symmetric": lambda: classes("mnist", mnist, asymmetric=False),
    "mnist asymmetric": lambda: classes("mnist", mnist, asymmetric=True),
    "cifar10 symmetric": lambda: classes("cifar10", cifar10, asymmetric=False),
    "generated masks": masks,
}


def main(names: list[str]) -> None:
    stored = json.loads(RESULT.read_text())["cases"] if RESULT.is_file() else {}
    for name in names or list(CASES):
        stored[name] = CASES[name]()
        print(name, json.dumps(stored[name]), flush=True)
        result = {
            "command": "python benchmarks/label_errors.py", "machine": described(), "threads": 1,
            "cases": {name: stored[name] for name in CASES if name in stored},
        }  # fmt: skip
        RESULT.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
