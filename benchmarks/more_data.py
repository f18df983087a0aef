"""Is the forecast for twice the data right? Figures go to results/more-data.json.

    python benchmarks/more_data.py        data in $SIGHTLINE_DATA: mnist, cifar10

A network is trained on 2,000 images, `evaluate(…, learning_curve=True)` forecasts its accuracy with 4,000, and another is
trained on these, with as many steps. `make more-data`.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import Any

import illnesses
import machine
import numpy as np

import sightline
from sightline.runs.console import Console

N, TESTED = 2_000, 2_000
CASES = {"mnist": (illnesses.mnist, 12.0), "cifar10": (illnesses.cifar, 20.0)}


def run_case(name: str, folder: Path) -> dict[str, Any]:
    part, epochs = CASES[name]
    rng = np.random.default_rng(0)
    images, labels = illnesses.some(part("train"), 2 * N, rng)
    test = illnesses.some(part("test"), TESTED, rng)
    held = illnesses.some(part("train"), 3 * N, np.random.default_rng(0))
    val = (held[0][2 * N :][:500], held[1][2 * N :][:500])
    settings = {"fit.threads": 1, "fit.device": "cpu", "augment.preset": "none", "data.leaks": "keep"}
    console, start = Console(level=-1), time.process_time()

    def trained(n: int, epochs: float, out: str) -> Any:
        data = {"train": (images[:n], labels[:n]), "val": val, "test": test}
        return sightline.train(data, settings, model="lenet5", epochs=epochs, out=folder / out, console=console)

    run = trained(N, epochs, "once")
    curve = sightline.evaluate(run, learning_curve=True, console=console).to_json()["learning_curve"]
    truth = trained(2 * N, epochs / 2, "twice").metrics["test"]["accuracy"]
    low, high = curve["twice"]["interval"]
    return {
        **curve, "truth": truth, "off_points": round(100 * (curve["twice"]["value"] - truth), 2),
        "inside": low <= truth <= high, "seconds": round(time.process_time() - start, 1),
    }  # fmt: skip


def main() -> None:
    results: dict[str, Any] = {"machine": machine.described()}
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            results[name] = run_case(name, Path(folder))
        print(name, json.dumps(results[name]), flush=True)
    place = Path(__file__).parents[1] / "results" / "more-data.json"
    place.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
