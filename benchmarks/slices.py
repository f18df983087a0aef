"""Planted slices on MNIST, permuted scores, and the speed of the diagnosis. Figures go to results/slices.json.

    python benchmarks/slices.py        data in $SIGHTLINE_DATA: mnist

* dark and blurred: 8 % of the test images are darkened and blurred, and have wrong labels
* a rotated digit: all test images of one digit are turned by a quarter
* nulls: twenty permutations of which of these images are right; bar: at most one names a slice
* speed: diagnosis of 10,000 images of the size of CIFAR's with their embeddings, and the report, in seconds of processor time

`make slices`.
"""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import illnesses
import machine
import numpy as np
import torch
from scipy.ndimage import gaussian_filter

import sightline
from sightline.evaluation.diagnosis.clusters import clusters
from sightline.evaluation.diagnosis.images import ImageTable, Measuring
from sightline.evaluation.diagnosis.slices import find_slices
from sightline.evaluation.judgement import judge
from sightline.evaluation.predictions import read_rows, write_rows
from sightline.inference.diagnosing.diagnosis import diagnose
from sightline.kinds.catalogue import KINDS
from sightline.kinds.diagnosed.image_scores import of_classes
from sightline.kinds.reporting import build_report
from sightline.runs.console import Console
from sightline.structures.batch import Batch
from sightline.structures.predictions import ClassRows
from sightline.structures.targets import Labels

DIGIT = 4


def dark_and_blurred(test: illnesses.Part, rng: np.random.Generator) -> tuple[illnesses.Part, np.ndarray]:
    images, labels = test[0].copy(), test[1].copy()
    ill = rng.random(len(images)) < 0.08
    for i in np.flatnonzero(ill):
        images[i] = (gaussian_filter(images[i].astype(float), 1.2) * 0.35).astype(np.uint8)
    labels[ill] = (labels[ill] + 1) % 10
    return (images, labels), ill


def rotated(test: illnesses.Part, rng: np.random.Generator) -> tuple[illnesses.Part, np.ndarray]:
    images, ill = test[0].copy(), test[1] == DIGIT
    images[ill] = np.rot90(images[ill], axes=(1, 2))
    return (images, test[1]), ill


def planted(name: str, plant: Any, folder: Path, words: tuple[str, ...]) -> dict[str, Any]:
    """The first slice of a training's report, and how much of what was planted it holds."""
    rng = np.random.default_rng(0)
    train, test = (
        illnesses.some(illnesses.mnist("train"), 4_000, rng),
        illnesses.some(illnesses.mnist("test"), 2_000, rng),
    )
    test, ill = plant(test, rng)
    settings = {"fit.threads": 1, "fit.device": "cpu", "data.leaks": "keep"}
    data = {"train": train, "test": test}
    run = sightline.train(data, settings, model="lenet5", epochs=5, out=folder / name, console=Console(level=-1))
    slices = json.loads((run.folder / "diagnosis" / "test.json").read_text())["slices"]
    first = slices["found"][0] if slices["found"] else {"words": "", "n": 0}
    return {
        "planted": int(ill.sum()), "found": [f["words"] for f in slices["found"]], "first": first["words"], "n": first["n"],
        "value": first.get("value"), "rest": first.get("rest"), "p": first.get("p"),
        "named": any(word in first["words"] for word in words),
    }  # fmt: skip


def nulls(folder: Path) -> dict[str, int]:
    """Permutations of the scores of the first case's images, with their measurements and groups."""
    from sightline.evaluation.diagnosis.stored import read_table

    rows, _, classes = read_rows(folder / "predictions" / "test.parquet")
    scores, table = of_classes(rows, judge(rows, classes)), read_table(folder / "diagnosis" / "test.parquet")
    reports = 0
    for seed in range(20):
        values = np.random.default_rng(seed).permutation(scores.value)
        reports += bool(find_slices(replace(scores, value=values), table).found)
    return {"permutations": 20, "reporting": reports}


def speed(folder: Path) -> dict[str, float]:
    """Of 10,000 images of 32 x 32 pixels and 10 classes, with vectors of 512 numbers, beside the run in `folder`."""
    rng, n = np.random.default_rng(0), 10_000
    target = rng.integers(0, 10, n)
    logits = rng.normal(0, 1, (n, 10))
    logits[np.arange(n), target] += 2.5
    power = np.exp(logits)
    rows = ClassRows(np.arange(n), target, power / power.sum(1, keepdims=True))
    images = torch.from_numpy(rng.integers(0, 256, (n, 3, 32, 32), dtype=np.uint8))
    vectors = rng.normal(0, 1, (n, 512)).astype(np.float32) + 3 * rng.normal(0, 1, (10, 512)).astype(np.float32)[target]
    side, frame = torch.full((n, 2), 32), torch.eye(3).expand(n, 3, 3)
    ids = torch.arange(n)
    batches = [
        Batch.of_images(images[s], side[s], frame[s], side[s], ids[s], ids[s], Labels.of(torch.from_numpy(target)[s]))
        for s in torch.arange(n).split(256)
    ]
    scoring = KINDS["classification"].scoring
    assert scoring is not None
    seconds = {}
    start = time.process_time()
    measuring = Measuring()
    for _ in measuring.over(batches):
        pass
    seconds["measuring while predicting"] = time.process_time() - start
    start = time.process_time()
    groups = clusters(vectors)
    assert groups is not None
    table = replace(measuring.table(), words={"cluster": [f"group {g}" for g in groups.tolist()]})
    seconds["groups"] = time.process_time() - start
    start = time.process_time()
    judgement = judge(rows, [str(c) for c in range(10)])
    seconds["metrics with intervals"] = time.process_time() - start
    start = time.process_time()
    train = ImageTable(table.id, table.numbers)
    found = diagnose(scoring, rows, judgement, table, val=rows, tables={"train": train})
    seconds["slices, temperature, shift"] = time.process_time() - start
    (folder / "diagnosis" / "test.json").write_text(json.dumps({"format": 1, "split": "test", **found}))
    names = [f"test/{i:06d}" for i in range(n)]
    write_rows(folder / "predictions" / "test.parquet", rows, names=names, classes=[str(c) for c in range(10)])
    start = time.process_time()
    page = build_report(folder, load_image=lambda name: images[int(name[-6:])].permute(1, 2, 0).numpy())
    seconds["report"] = time.process_time() - start
    return {name: round(value, 2) for name, value in seconds.items()} | {"page megabytes": round(len(page) / 1e6, 2)}


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        results: dict[str, Any] = {
            "machine": machine.described(),
            "dark and blurred": planted("dark", dark_and_blurred, folder, ("dark", "blurred", "low-contrast")),
            "rotated digit": planted("rotated", rotated, folder, (f"class “{DIGIT}”",)),
            "nulls": nulls(folder / "dark"),
            "processor seconds of 10,000 images": speed(folder / "dark"),
        }
    print(json.dumps(results, indent=1, ensure_ascii=False))
    place_of_results = Path(__file__).parents[1] / "results" / "slices.json"
    place_of_results.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
