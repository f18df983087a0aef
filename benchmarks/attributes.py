"""Edits of attributes against independent judges. Figures go to results/attributes.json, pictures to --runs.

    python benchmarks/attributes.py                 ten minutes on one thread; $SIGHTLINE_DATA: mnist
    python benchmarks/attributes.py --epochs 0.2 --n 400 --out /tmp/figures

Digits of MNIST are drawn at 32 x 32 with three independent attributes: `red` (else green), `thick` (a dilated stroke), `right`
(of the middle, else left). An editor learns from --n of them. Two classifiers that saw no edit judge edits of 500 test images,
each attribute alone: one of the attributes and one of the digit. Both are trained on drawings of other digits than the editor.
Bars: of the edits 95 % change their attribute; of the other attributes 95 % stay, and so do 95 % of the digits. Beside them
stand the judges' own accuracies on real drawings, which limit what edits can reach.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import illnesses
import machine
import numpy as np
from PIL import Image
from skimage.morphology import dilation

import sightline
from sightline.runs.console import Console
from sightline.storage.reading import hash_regular

RESULTS = Path(__file__).parents[1] / "results"
NAMES = ("red", "right", "thick")
BAR, TEST, JUDGES, EPOCHS = 0.95, 500, 6_000, 8.0
SETTINGS = {"fit.threads": 1, "fit.device": "cpu", "fit.precision": "fp32"}
EDITOR = {
    "task.kind": "attributes", "task.critic_steps": 2, "model.options.base": 16, "fit.batch": 32, "optim.lr": 5e-4,
}  # fmt: skip
QUIET = Console(level=-1)


def drawn(digit: np.ndarray, has: dict[str, bool]) -> np.ndarray:
    """(28, 28) → (32, 32, 3) uint8."""
    small = np.asarray(Image.fromarray(digit).resize((18, 18), Image.Resampling.BOX))
    ink = dilation(small, np.ones((3, 3))) if has["thick"] else small
    image = np.zeros((32, 32, 3), np.uint8)
    left = 13 if has["right"] else 1
    image[7:25, left : left + 18, 0 if has["red"] else 1] = ink
    return image


def write(folder: Path, digits: dict[str, tuple[np.ndarray, np.ndarray]], seed: int) -> Path:
    """images/ with labels.csv of the attributes; digits.json has the digit of each image."""
    rng, rows, of = np.random.default_rng(seed), [], {}
    (folder / "images").mkdir(parents=True)
    for split, (pictures, labels) in digits.items():
        for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
            has = {name: bool(rng.integers(2)) for name in NAMES}
            name = f"images/{split}{i:05d}.png"
            Image.fromarray(drawn(picture, has)).save(folder / name)
            rows.append([name, split, *(int(has[n]) for n in NAMES)])
            of[name] = int(label)
    with (folder / "labels.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["image", "split", *NAMES], *rows])
    (folder / "digits.json").write_text(json.dumps(of))
    return folder


def as_digits(folder: Path, out: Path) -> Path:
    """The same images with the digit as their class."""
    of = json.loads((folder / "digits.json").read_text())
    out.mkdir()
    shutil.copytree(folder / "images", out / "images", copy_function=os.link)
    with (out / "labels.csv").open("w", newline="") as file:
        rows = [[name, "train" if "train" in name else "val", of[name]] for name in of]
        csv.writer(file).writerows([["image", "split", "label"], *rows])
    return out


def train(data: Path, place: Path, epochs: float, **settings: Any) -> tuple[sightline.Run, float]:
    if (place / "manifest.json").exists():
        return sightline.open_run(place), 0.0
    start = time.process_time()
    keys = SETTINGS | settings.pop("keys", {})
    run = sightline.train(data, keys, epochs=epochs, out=place, console=QUIET, **settings)
    return run, round(time.process_time() - start, 1)


def attributes_seen(judge: sightline.Run, images: list[np.ndarray]) -> np.ndarray:
    """(n, 3) of NAMES, by a run of several labels."""
    return np.array([[name in answer.labels for name in NAMES] for answer in judge.predict(images)])


def measured(run: sightline.Run, judge: sightline.Run, reader: sightline.Run, data: Path) -> dict[str, Any]:
    """What the judges say of real test images and of the edits of them."""
    with (data / "labels.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test"][:TEST]
    paths = [data / row["image"] for row in rows]
    of = json.loads((data / "digits.json").read_text())
    digit = np.array([of[row["image"]] for row in rows])
    has = np.array([[row[name] == "1" for name in NAMES] for row in rows])
    real = [np.asarray(Image.open(path)) for path in paths]
    found: dict[str, Any] = {
        "n": len(rows), "judge_on_real": float((attributes_seen(judge, real) == has).mean()),
        "reader_on_real": float(np.mean([int(a.label) for a in reader.predict(real)] == digit)), "edits": {},
    }  # fmt: skip
    wide = [
        np.asarray(Image.open(row["edited"])) for row in sightline.predict(run, paths, out=run.folder / "edits").rows
    ]
    for j, name in enumerate(NAMES):
        edits = [picture[:, 32 * j : 32 * (j + 1)] for picture in wide]
        seen, others = attributes_seen(judge, edits), [k for k in range(len(NAMES)) if k != j]
        read = np.array([int(a.label) for a in reader.predict(edits)])
        found["edits"][name] = {
            "changed": float((seen[:, j] != has[:, j]).mean()), "kept": float((seen == has)[:, others].mean()),
            "digit_kept": float((read == digit).mean()),
        }  # fmt: skip
    lines = [
        np.concatenate([image, *np.split(strip, len(NAMES), 1)], 1) for image, strip in zip(real, wide, strict=True)
    ]
    sheet = np.concatenate([np.concatenate(lines[i : i + 8]) for i in range(0, 32, 8)], 1)
    Image.fromarray(sheet).resize((2 * sheet.shape[1], 2 * sheet.shape[0]), Image.Resampling.NEAREST).save(
        run.folder.parent / "edits.png"
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=12_000, help="training images of the editor")
    parser.add_argument("--epochs", type=float, default=EPOCHS)
    parser.add_argument("--runs", type=Path, default=Path("runs/attributes"))
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    folder = options.runs.resolve()
    images, labels = illnesses.mnist("train")
    test_images, test_labels = illnesses.mnist("test")
    n, m = options.n, min(JUDGES, options.n)
    if not (folder / "data").exists():
        parts = {"train": (0, n), "val": (n, n + TEST)}
        digits = {split: (images[a:b], labels[a:b]) for split, (a, b) in parts.items()}
        write(folder / "data", digits | {"test": (test_images[:TEST], test_labels[:TEST])}, seed=0)
        parts = {"train": (n + TEST, n + TEST + m), "val": (n + TEST + m, n + 2 * TEST + m)}
        write(folder / "others", {split: (images[a:b], labels[a:b]) for split, (a, b) in parts.items()}, seed=1)
        as_digits(folder / "others", folder / "digits")
    judge, _ = train(folder / "others", folder / "judge", 4, model="resnet8")
    reader, _ = train(folder / "digits", folder / "reader", 6, model="resnet8")
    run, seconds = train(folder / "data", folder / "editor", options.epochs, keys=EDITOR)
    found = measured(run, judge, reader, folder / "data")
    each = [value for row in found["edits"].values() for value in row.values()]
    hashes = {r.folder.name: hash_regular(r.folder / "model" / "model.safetensors")[1] for r in (judge, reader)}
    results = {
        "machine": machine.described(), "settings": SETTINGS | EDITOR, "train_images": n, "epochs": options.epochs,
        "steps": run.summary()["steps"], "cpu_seconds": seconds, "judges": hashes, "own": run.metrics["test"], **found,
        "passed": bool(min(each) >= BAR),
    }  # fmt: skip
    (options.out / "attributes.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
