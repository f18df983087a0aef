"""Several questions at once: age and gender of faces beside a constant guess; and whether a scarce question gains by another.

    python benchmarks/multitask.py [--epochs E] [--scarce N] [--out results/multitask.json]

Faces: `ages` (UTKFace, 1,304 / 163 / 163, two genders missing), one network for both questions, with intervals. Digits: MNIST,
where N training images know their digit and all know the mean thickness of the stroke, measured on the pixels; the digit alone
is learned from the N images only. Both are trained with seeds 0, 1 and 2 for as many steps, and measured on the same images.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

import sightline
from sightline.data.dataset import build_dataset

SHARED = Path(__file__).parents[2] / "shared" / "data"
SEEDS = (0, 1, 2)
COMMON = ["fit.threads=1", "fit.precision=fp32", "task.kind=multitask"]
TRAIN, TEST = 2_000, 2_000  # digits


def faces(data: Path, folder: Path, epochs: int) -> dict[str, Any]:
    """Age and gender at once, beside a constant guess."""
    keys = [*COMMON, "data.label=age,gender", f"fit.epochs={epochs}"]
    run = sightline.train(data / "labels.csv", keys, model="resnet20", out=folder / "faces")
    judged = sightline.evaluate(run).judgement
    rows = [
        {name: row[name] for name in ("class", "support", "skill", "error", "guess", "intervals")}
        for row in judged.per_class
    ]
    return {"n": judged.n, "metrics": judged.metrics, "intervals": judged.intervals, "questions": rows}


def thickness(pixels: np.ndarray) -> float:
    """The mean width of the stroke (h, w): twice the mean distance of its ridge from the background, in pixels."""
    inside = distance_transform_edt(pixels > 127)
    ridge = inside[inside >= np.quantile(inside[inside > 0], 0.8)] if (inside > 0).any() else np.ones(1)
    return float(2 * ridge.mean())


def digits(data: Path, folder: Path, scarce: int) -> None:
    """Tables of digits with the thickness of their strokes: all that are known, and those whose digit is known alone."""
    found = build_dataset(str(data))
    (folder / "img").mkdir(parents=True)
    rows: list[list[str]] = []
    for split, count in (("train", TRAIN), ("test", TEST)):
        for place, id in enumerate(found.ids(split)[:count].tolist()):
            pixels, name = found.pixels(id, channels=1)[..., 0], f"img/{split}{id:05d}.png"
            Image.fromarray(pixels).save(folder / name)
            known = split == "test" or place < scarce + scarce // 4
            part = split if split == "test" else "val" if scarce <= place < scarce + scarce // 4 else "train"
            digit = found.classes[found.index[id]] if known else ""
            rows.append([name, part, digit, f"{thickness(pixels):.3f}"])
    for name, kept in (("both", rows), ("alone", [row for row in rows if row[2]])):
        with (folder / f"{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["path", "split", "digit", "thickness"], *kept])


def scarce_digits(folder: Path, scarce: int, steps: int) -> dict[str, Any]:
    """The accuracy on the test digits, of three seeds each: the digit alone, and with the thickness of many more images."""
    accuracy: dict[str, list[float]] = {"alone": [], "both": []}
    for seed in SEEDS:
        for name in accuracy:
            n = scarce if name == "alone" else TRAIN - scarce // 4
            keys = [
                "fit.threads=1",
                "fit.precision=fp32",
                f"seed={seed}",
                "fit.batch=64",
                f"fit.epochs={steps * 64 / n:.4f}",
            ]
            keys += ["data.leaks=keep", "augment.preset=none"]
            keys += ["data.label=digit,thickness", "task.kind=multitask"] if name == "both" else ["data.label=digit"]
            keys += ["task.kind=classification"] if name == "alone" else []
            run = sightline.train(folder / f"{name}.csv", keys, model="lenet5", out=folder / f"{name}{seed}")
            key = "digit.accuracy" if name == "both" else "accuracy"
            accuracy[name].append(run.metrics["test"][key])
    gains = [two - one for one, two in zip(accuracy["alone"], accuracy["both"], strict=True)]
    spread = 4.303 * stdev(gains) / len(gains) ** 0.5  # Student's t, two degrees of freedom
    low, high = mean(gains) - spread, mean(gains) + spread
    word = "gain" if low > 0 else "loss" if high < 0 else "none that three seeds could show"
    return {
        "accuracy": accuracy,
        "gain": mean(gains),
        "interval": [low, high],
        "verdict": word,
        "scarce": scarce,
        "steps": steps,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--scarce", type=int, default=200)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        digits(options.data / "mnist", folder / "digits", options.scarce)
        result = {"digits": scarce_digits(folder / "digits", options.scarce, options.steps)}
        result["faces"] = faces(options.data / "ages", folder, options.epochs)
    text = json.dumps(result, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
