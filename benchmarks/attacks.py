"""Attacks on a ResNet-20 of CIFAR-10, and what adversarial training gains and costs → results/attacks.json.

    python benchmarks/attacks.py [--run RUN] [--plain RUN --adversarial RUN] [--only NAME,…]

Without folders the networks are trained first: the ResNet-20 for three epochs, LeNet-5 for one, once on images as they
are and once against PGD-3 with 8 levels. Needs $SIGHTLINE_DATA. CIFAR-10 there is re-encoded as JPEG.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import described

import sightline
from sightline.runs.console import Console

RESULTS = Path(__file__).parents[1] / "results" / "attacks.json"
RUNS = Path("runs")
QUIET = Console(level=-1)
RESNET = [
    "fit.epochs=3", "fit.threads=1", "fit.batch=128", "optim.name=sgd", "optim.lr=0.2", "optim.momentum=0.9",
    "optim.nesterov=true", "optim.weight_decay=0.0005", "schedule.name=one_cycle", "augment.preset=light",
]  # fmt: skip
LENET = [
    "input.size=32", "input.channels=3", "fit.epochs=1", "fit.batch=128", "fit.threads=1", "optim.name=adamw",
    "optim.lr=0.002", "augment.preset=none",
]  # fmt: skip
ADVERSARIAL = ["task.adversarial=pgd", "task.eps=8", "task.steps=3"]


def trained(given: str | None, model: str, keys: list[str], name: str) -> Path:
    """The run that was named, or a new one."""
    if given is not None:
        return Path(given)
    return sightline.train("cifar10", keys, model=model, out=RUNS / name, console=QUIET).folder


def measured(run: Path | str, **options: Any) -> dict[str, Any]:
    """The facts of an attack, in short, with its seconds."""
    began, busy = time.perf_counter(), time.process_time()
    facts = sightline.attack(run, console=QUIET, **options).facts
    kept = ("method", "norm", "steps", "n", "metric", "curve", "success", "patches", "forwards", "backwards", "mean_accuracy",
            "mean", "clean", "reached", "region", "object", "diagnosis", "verdict", "target", "trained_on",
            "corruptions")  # fmt: skip
    took = {"seconds": round(time.perf_counter() - began, 1), "processor_seconds": round(time.process_time() - busy, 1)}
    return {key: facts[key] for key in kept if key in facts} | took


def on_photographs() -> dict[str, Any]:
    """A patch on a published network at 224 x 224: 240 photographs in one folder, half of them to train on."""
    home = Path(os.environ["SIGHTLINE_DATA"])
    files = [*sorted((home / "photos").glob("*.*EG")), *sorted((home / "hymenoptera" / "train" / "bees").glob("*.jpg"))]
    files += sorted((home / "hymenoptera" / "train" / "ants").glob("*.jpg"))
    with tempfile.TemporaryDirectory() as folder:
        for number, file in enumerate(files[:240]):
            shutil.copy(file, Path(folder) / f"{number:03d}.jpg")
        return measured("efficientnet_lite0", data=folder, method="patch", target="toaster", eps=(0.25,), steps=120, n=240,
                        out=RUNS / "patches")  # fmt: skip


def of_places(segmenter: str | None, detector: str | None) -> dict[str, Callable[[], dict[str, Any]]]:
    """Attacks on answers that have places, where a run is named."""
    experiments: dict[str, Callable[[], dict[str, Any]]] = {}
    if segmenter is not None:
        experiments["segmenter pgd"] = lambda: measured(segmenter, method="pgd", eps=(2, 8), steps=10, n=16)
        experiments["segmenter corruptions"] = lambda: measured(segmenter, method="corruptions", n=16)
    if detector is not None:
        experiments["detector pgd"] = lambda: measured(detector, method="pgd", eps=(2, 8), steps=10, n=16)
        experiments["detector patch"] = lambda: measured(detector, method="patch", eps=(0.25, 0.5), steps=100, n=40)
    return experiments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("run", "plain", "adversarial"):
        parser.add_argument(f"--{name}")
    for name in ("segmenter", "detector"):
        parser.add_argument(f"--{name}", help=f"a run of a {name}; without one it is left out")
    parser.add_argument("--only", default="", help="experiments to repeat; the others keep their recorded figures")
    given = parser.parse_args()
    resnet = trained(given.run, "resnet20", RESNET, "attacked-resnet20")

    def training(which: str | None, keys: list[str], name: str) -> Callable[[], dict[str, Any]]:
        def experiment() -> dict[str, Any]:
            run = trained(which, "lenet5", LENET + keys, name)
            return measured(run, method="pgd", eps=(2, 4, 8), steps=20, n=400)

        return experiment

    experiments: dict[str, Callable[[], dict[str, Any]]] = {
        "resnet20 pgd-20": lambda: measured(resnet, method="pgd", eps=(1, 2, 4, 8), steps=20, n=300),
        "resnet20 fgsm": lambda: measured(resnet, method="fgsm", eps=(1, 2, 4, 8), n=300),
        "resnet20 one pixel": lambda: measured(resnet, method="one-pixel", steps=30, n=200),
        "resnet20 one pixel towards a class": lambda: measured(
            resnet, method="one-pixel", steps=5, n=60, target="frog"
        ),
        "resnet20 patch": lambda: measured(
            resnet, method="patch", target="frog", eps=(0.25, 0.375, 0.5), steps=200, n=600
        ),
        "efficientnet patch": on_photographs,
        "resnet20 fooling": lambda: measured(resnet, method="fooling", n=1),
        "resnet20 corruptions": lambda: measured(resnet, method="corruptions", n=200),
        "lenet5 plain": training(given.plain, [], "attacked-lenet5"),
        "lenet5 adversarial": training(given.adversarial, ADVERSARIAL, "attacked-lenet5-adversarial"),
    }
    experiments |= of_places(given.segmenter, given.detector)
    found = json.loads(RESULTS.read_text())["experiments"] if RESULTS.is_file() else {}
    chosen = given.only.split(",") if given.only else list(experiments)
    test = json.loads((resnet / "metrics.json").read_text())["test"]["accuracy"]
    for name in chosen:
        found[name] = experiments[name]()
        print(name, found[name]["verdict"], found[name]["seconds"], "s", flush=True)
        RESULTS.write_text(
            json.dumps({"machine": described(), "resnet20_test_accuracy": test, "experiments": found}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
