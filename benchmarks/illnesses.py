"""Eight planted illnesses on real images, three seeds each: does the verdict name them? Figures go to results/illnesses.json.

    python benchmarks/illnesses.py [NAME …]        data in $SIGHTLINE_DATA: mnist, cifar10

MNIST and CIFAR-10 in small parts, so that a training takes seconds. An illness counts as named if the verdict's three sentences
(how good, what limits it, what to try next) hold one of its words, and none of another illness's own words. `make illnesses`.
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
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import machine
import numpy as np
import pyarrow.parquet
from PIL import Image

import sightline
from sightline.errors import DivergedError
from sightline.kinds.reporting import chapter_of, content_of
from sightline.reports.facts import facts_of
from sightline.reports.verdict import Verdict, verdict
from sightline.runs.console import Console

SEEDS = 3
Part = tuple[np.ndarray, np.ndarray]  # images (n, h, w[, 3]) uint8, classes (n,)


def data_folder() -> Path:
    return Path(os.environ.get("SIGHTLINE_DATA", "data"))


def mnist(split: str) -> Part:
    name = "train" if split == "train" else "t10k"
    folder = data_folder() / "mnist"
    packed = [(folder / f"{name}-{part}-ubyte.gz").read_bytes() for part in ("images-idx3", "labels-idx1")]
    images, labels = (
        np.frombuffer(gzip.decompress(data), np.uint8, offset=at) for data, at in zip(packed, (16, 8), strict=True)
    )
    return images.reshape(-1, 28, 28), labels.astype(int)


def cifar(split: str, most: int = 8_000) -> Part:
    table = pyarrow.parquet.read_table(next((data_folder() / "cifar10").glob(f"{split}*.parquet"))).slice(0, most)
    images, labels = table.column(0).to_pylist(), table.column(1).to_pylist()
    pixels = [np.asarray(Image.open(io.BytesIO(i["bytes"])).convert("RGB")) for i in images]
    return np.stack(pixels), np.array(labels)


def some(part: Part, n: int, rng: np.random.Generator, per_class: Callable[[int], int] | None = None) -> Part:
    """n images at random, or so many of each class."""
    order = rng.permutation(len(part[0]))
    if per_class is None:
        return part[0][order[:n]], part[1][order[:n]]
    kept = np.concatenate([order[part[1][order] == c][: per_class(c)] for c in range(10)])
    return part[0][kept], part[1][kept]


@dataclass(frozen=True)
class Illness:
    """`data` of a seed by split; how it is trained; `words` of which the verdict must hold one."""

    data: Callable[[np.random.Generator], dict[str, Part]]
    words: tuple[str, ...]
    model: str = "lenet5"
    epochs: float = 5
    lr: float | None = None
    settings: dict[str, Any] = field(default_factory=dict)


def under_fit(rng: np.random.Generator) -> dict[str, Part]:
    return {"train": some(cifar("train"), 3_000, rng), "test": some(cifar("test"), 1_000, rng)}


def over_fit(rng: np.random.Generator) -> dict[str, Part]:
    return {"train": some(cifar("train"), 2_000, rng), "test": some(cifar("test"), 1_000, rng)}


def label_noise(rng: np.random.Generator) -> dict[str, Part]:
    """A quarter of all labels are another's, in every split."""
    parts = {"train": some(mnist("train"), 4_000, rng), "test": some(mnist("test"), 1_500, rng)}
    return {split: (images, _flipped(labels, 0.25, rng)) for split, (images, labels) in parts.items()}


def _flipped(labels: np.ndarray, share: float, rng: np.random.Generator) -> np.ndarray:
    wrong = rng.random(len(labels)) < share
    return np.where(wrong, (labels + rng.integers(1, 10, len(labels))) % 10, labels)


def shift(rng: np.random.Generator) -> dict[str, Part]:
    """The test images are of another camera: darker, with less contrast, noisy."""
    images, labels = some(mnist("test"), 1_500, rng)
    other = images * 0.35 + 20 + rng.normal(0, 45, images.shape)
    return {"train": some(mnist("train"), 4_000, rng), "test": (other.clip(0, 255).astype(np.uint8), labels)}


def too_little(rng: np.random.Generator) -> dict[str, Part]:
    return {"train": some(mnist("train"), 0, rng, lambda c: 8), "test": some(mnist("test"), 1_000, rng)}


def leak(rng: np.random.Generator) -> dict[str, Part]:
    """Half of the test images are also in training."""
    train, test = some(mnist("train"), 3_000, rng), some(mnist("test"), 400, rng)
    copies = rng.permutation(len(train[0]))[:400]
    both = [np.concatenate([test[i], train[i][copies]]) for i in (0, 1)]
    return {"train": train, "test": (both[0], both[1])}


def imbalance(rng: np.random.Generator) -> dict[str, Part]:
    """Three digits have twelve training images, the others five hundred; the test split is balanced."""
    rare = set(rng.permutation(10)[:3].tolist())
    train = some(mnist("train"), 0, rng, lambda c: 12 if c in rare else 500)
    return {"train": train, "test": some(mnist("test"), 1_500, rng)}


def healthy(rng: np.random.Generator) -> dict[str, Part]:
    return {"train": some(mnist("train"), 4_000, rng), "test": some(mnist("test"), 1_500, rng)}


CALM = {"augment.preset": "none", "fit.threads": 1, "fit.device": "cpu", "data.leaks": "keep"}
ILLNESSES = {
    "under-fit": Illness(under_fit, ("bias",), model="linear", epochs=6),
    "over-fit": Illness(over_fit, ("variance",), model="mlp", epochs=25, settings={"optim.weight_decay": 0}),
    "label noise": Illness(label_noise, ("label noise",), epochs=6),
    "shift": Illness(shift, ("shift",), epochs=5),
    "too little data": Illness(too_little, ("too few training images",), epochs=200),
    "leak": Illness(leak, ("leak",), epochs=5),
    "imbalance": Illness(imbalance, ("imbalance",), epochs=6),
    "diverging rate": Illness(healthy, ("diverged",), epochs=2, lr=300.0),
}
OWN = tuple(word for illness in ILLNESSES.values() for word in illness.words)


def verdict_on(illness: Illness, seed: int, folder: Path) -> tuple[Verdict, float]:
    """The verdict on one training, and the seconds of processor time that this took."""
    out, start = folder / "run", time.process_time()
    with suppress(DivergedError):  # the folder says so
        sightline.train(
            illness.data(np.random.default_rng(seed)), {**CALM, **illness.settings}, model=illness.model,
            epochs=illness.epochs, lr=illness.lr, seed=seed, out=out, console=Console(level=-1),
        )  # fmt: skip
    chapter = chapter_of(out)
    found = verdict(facts_of(content_of(out), chapter), chapter)
    return found, time.process_time() - start


def named(illness: Illness, found: Verdict) -> bool:
    text = " ".join(found.sentences).lower()
    others = [word for word in OWN if word not in illness.words and word in text]
    return any(word in text for word in illness.words) and not others


def main(names: list[str]) -> None:
    results: dict[str, Any] = {}
    for name in names or ILLNESSES:
        rows = []
        for seed in range(SEEDS):
            with tempfile.TemporaryDirectory() as folder:
                found, seconds = verdict_on(ILLNESSES[name], seed, Path(folder))
            rows.append({
                "seed": seed, "named": named(ILLNESSES[name], found), "verdict": list(found.sentences),
                "findings": [[f.severity, f.title] for f in found.findings], "seconds": round(seconds, 1),
            })  # fmt: skip
            print(name, json.dumps(rows[-1], ensure_ascii=False), flush=True)
        results[name] = rows
    right = sum(row["named"] for rows in results.values() for row in rows)
    total = sum(map(len, results.values()))
    print(f"{right} of {total} named")
    if not names:
        place = Path(__file__).parents[1] / "results" / "illnesses.json"
        facts = {"machine": machine.described(), "named": right, "of": total, "illnesses": results}
        place.write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
