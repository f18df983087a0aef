"""Run folders made by hand, as a training leaves them, from a network that scikit-learn really trained on `digits`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from sightline.drawing.png import grid, png_bytes
from sightline.evaluation.predictions import write_rows
from sightline.metrics.classification import classification_metrics
from sightline.structures.predictions import ClassRows

SIZES = {"train": 1000, "val": 397, "test": 400}


@dataclass(frozen=True)
class Trained:
    """What a training left behind: targets and probabilities by split, a history, the images."""

    rows: Mapping[str, ClassRows]
    history: tuple[Mapping[str, float], ...]
    images: np.ndarray


@dataclass(frozen=True)
class Fake:
    """The parts of a run folder; `replace` one to make another run."""

    name: str = "digits-mlp"
    run: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    classes: tuple[str, ...] = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    names: tuple[str, ...] = ()
    problems: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ("Splits were drawn by the hash of each image's pixels.",)
    data: Mapping[str, Any] = field(default_factory=dict)
    splits: tuple[str, ...] = ("train", "val", "test")


@cache
def trained(epochs: int = 24, seed: int = 0) -> Trained:
    """A small perceptron on the 1,797 digits, one validation an epoch; about a second."""
    digits = load_digits()
    order = np.random.default_rng(7).permutation(len(digits.target))
    x, y = digits.data[order] / 16.0, digits.target[order]
    edges = np.cumsum([SIZES["train"], SIZES["val"]])
    parts = dict(zip(SIZES, zip(np.split(x, edges), np.split(y, edges), strict=True), strict=True))
    network = MLPClassifier((24,), batch_size=32, learning_rate_init=3e-3, random_state=seed)
    history = []
    for epoch in range(epochs):
        network.partial_fit(*parts["train"], classes=np.arange(10))
        val = classification_metrics(parts["val"][1], network.predict_proba(parts["val"][0]))
        step = (epoch + 1) * 32
        lr = 3e-3 * (1 + np.cos(np.pi * epoch / epochs)) / 2
        history.append(
            {"epoch": epoch + 1, "step": step, "lr": lr, "train_loss": network.loss_}
            | {f"val_{name}": val[name] for name in ("loss", "accuracy")}
        )
    starts = dict(zip(SIZES, [0, *edges], strict=True))
    rows = {
        split: ClassRows(np.arange(len(t)) + starts[split], t.astype(np.int64), network.predict_proba(d))
        for split, (d, t) in parts.items()
    }
    return Trained(rows, tuple(history), (digits.images[order] * 15.9375).astype(np.uint8)[..., None])


def image_lookup(digits: Trained):
    """`load_image(name)` for the digits; None for other names."""
    known = {f"digits/{index:04d}.png": image for index, image in enumerate(digits.images)}
    return known.get


def write_run(folder: Path, fake: Fake, digits: Trained) -> Path:
    """Write the whole run folder and return it."""
    for place in ("model", "samples", "predictions"):
        (folder / place).mkdir(parents=True, exist_ok=True)
    _json(folder / "run.json", _run(fake))
    recipe = {"seed": 0, "data": {"name": "digits"}, "model": {"name": "mlp", "options": {"hidden": 24}}}
    recipe |= {"optim": {"name": "adamw", "lr": 3e-3, "weight_decay": 0.01}, "fit": {"epochs": 24, "batch": 32}}
    (folder / "recipe.yaml").write_text(yaml.safe_dump({**recipe, **fake.recipe}, sort_keys=False, allow_unicode=True))
    _json(folder / "environment.json", ENVIRONMENT)
    _json(folder / "data.json", _data(fake, digits))
    measured = {s: classification_metrics(digits.rows[s].target, digits.rows[s].probability) for s in fake.splits}
    images = {s: len(digits.rows[s]) for s in fake.splits}
    _json(folder / "metrics.json", {"train": None, "val": None, "test": None} | measured | {"images": images})
    columns = list(digits.history[0])
    lines = [",".join(columns)] + [",".join(str(row[c]) for c in columns) for row in digits.history]
    (folder / "history.csv").write_text("\n".join(lines) + "\n")
    _json(folder / "model/config.json", MODEL)
    _samples(folder, fake, digits)
    for split in fake.splits[1:]:
        rows = digits.rows[split]
        names = [_file(fake, int(i)) for i in rows.id]
        write_rows(folder / f"predictions/{split}.parquet", rows, names=names, classes=fake.classes)
    return folder


def _file(fake: Fake, index: int) -> str:
    return fake.names[index % len(fake.names)] if fake.names else f"digits/{index:04d}.png"


def _run(fake: Fake) -> dict[str, Any]:
    run = {"format": "sightline-run", "version": 1, "status": "finished", "task": "classification", "step": 768}
    run |= {"name": fake.name, "smoke": False, "seconds": 41.7, "images_per_second": 2841.3, "stopped": None}
    return {**run, **fake.run}


def _data(fake: Fake, digits: Trained) -> dict[str, Any]:
    counts = {
        name: {split: int((digits.rows[split].target == c).sum()) for split in SIZES}
        for c, name in enumerate(fake.classes)
    }
    sizes = {split: len(rows.target) for split, rows in digits.rows.items()}
    total = sum(sizes.values())
    data = {"name": "digits", "kind": "embedded", "n": total, "used": total, "quarantined": 0}
    data |= {"classes": list(fake.classes), "splits": sizes, "counts": counts, "duplicates": 0, "conflicts": 0}
    data |= {"problems": list(fake.problems), "notes": list(fake.notes), "hash": "9f2b6c0d1e7a4c55" * 4}
    return {**data, **fake.data}


def _samples(folder: Path, fake: Fake, digits: Trained) -> None:
    ids = range(32)
    sheet = grid([digits.images[i] for i in ids], columns=8, least=96)
    (folder / "samples/batch.png").write_bytes(png_bytes(sheet))
    labels = [fake.classes[int(digits.rows["train"].target[i])] for i in ids]
    _json(folder / "samples/batch.json", [{"id": i, "name": _file(fake, i), "label": labels[i]} for i in ids])


def _json(path: Path, value: Any) -> None:
    path.write_text(json.dumps(value, indent=1))


ENVIRONMENT = {
    "python": "3.11.9",
    "torch": "2.15.0",
    "platform": "Linux-6.1-x86_64",
    "cpu": "AVX512",
    "threads": 2,
    "precision": "32",
    "device": "cpu",
    "packages": {"numpy": "2.4.6", "pillow": "13.0.0", "scikit-learn": "1.9.1", "torch": "2.15.0"},
}
MODEL = {
    "name": "mlp",
    "options": {"hidden": 24},
    "parameters": 1810,
    "multiply_adds": 1776,
    "layers": [
        {
            "name": "flatten",
            "kind": "Flatten",
            "output": [64],
            "parameters": 0,
            "multiply_adds": 0,
            "receptive_field": 1,
        },
        {"name": "hidden", "kind": "Linear", "output": [24], "parameters": 1560, "multiply_adds": 1536}
        | {"receptive_field": None},
        {"name": "relu", "kind": "ReLU", "output": [24], "parameters": 0, "multiply_adds": 0, "receptive_field": None},
        {"name": "head", "kind": "Linear", "output": [10], "parameters": 250, "multiply_adds": 240}
        | {"receptive_field": None},
    ],
}

__all__ = ["Fake", "Trained", "image_lookup", "replace", "trained", "write_run"]
