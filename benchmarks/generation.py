"""GANs against known truths. Figures go to results/generation-ring.json and results/generation-gan.json.

    python benchmarks/generation.py ring    eight Gaussians: which games find all, which collapse; a minute a seed
    python benchmarks/generation.py gan     digits by class, judged by a classifier that saw no made image: three seeds of about
                                            ten minutes on one thread; $SIGHTLINE_DATA: mnist
    python benchmarks/generation.py gan --seeds 1 --epochs 0.5 --out /tmp/figures

`gan`: a conditional GAN is trained on MNIST's training images. Of 2,000 made images, 200 a class, the classifier (trained on
the same training images; its SHA-256 names the features) says how many have the class that was asked for; distance, precision
and recall are measured in its last features against 2,000 test images. Beside the distance stand its floor (two halves of 4,000
test images) and its ceiling (noise). Every seed is reported, also those that fail the bars: agreement 95 %, recall 0.5, each
class right for at least half of its images, 12 minutes.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import illnesses
import machine
import numpy as np

import sightline
from sightline.lab import ring
from sightline.metrics.distributions import frechet_distance, kernel_distance, precision_recall
from sightline.runs.console import Console
from sightline.storage.reading import hash_regular

RESULTS = Path(__file__).parents[1] / "results"
N = 2_000  # images of each set
AGREEMENT, RECALL, MINUTES, CLASS = 0.95, 0.5, 12.0, 0.5
SETTINGS = {
    "task.kind": "gan", "fit.threads": 1, "fit.device": "cpu", "fit.precision": "fp32",
}  # fmt: skip
EPOCHS = 6.0  # the rest are defaults
RING_SECONDS, RING_STEPS, GOOD = 60.0, 1_800, 0.9


def run_ring(seed: int) -> dict[str, Any]:
    """What the mode counter says of each game, and what is left of the gradients."""
    parameters, found = ring.Parameters(steps=RING_STEPS), {}
    for name, game, penalty, turns in (
        ("wasserstein, penalty", "wasserstein", parameters.penalty, 5), ("bare", "non_saturating", 0.0, 1),
        ("bare, saturating", "saturating", 0.0, 1),
    ):  # fmt: skip
        start = time.process_time()
        covered = ring.Game(game, parameters, seed, penalty, turns).play(parameters.steps)
        found[name] = {
            "modes": covered.reached, "good": covered.good, "counts": covered.counts.tolist(), "says": ring.judgement(covered),
            "seconds": round(time.process_time() - start, 1),
        }  # fmt: skip
    pulls, held = ring.vanishing(parameters, seed), found["wasserstein, penalty"]
    passed = held["modes"] == ring.MODES and held["good"] >= GOOD and held["seconds"] <= RING_SECONDS
    return {"seed": seed, "games": found, "gradients": pulls, "passed": passed}


def classifier(folder: Path) -> sightline.Run:
    """Trained once; the features and the judge of every seed."""
    place = folder / "classifier"
    if (place / "manifest.json").exists():
        return sightline.open_run(place)
    settings = {"fit.threads": 1, "fit.device": "cpu", "fit.epochs": 3}
    return sightline.train("mnist", settings, model="lenet5", out=place, console=Console(level=-1))


def run_gan(seed: int, epochs: float, folder: Path, real: np.ndarray) -> dict[str, Any]:
    judge = classifier(folder)
    place, start, wall = folder / f"gan-{seed}", time.process_time(), time.perf_counter()
    run = sightline.train("mnist", SETTINGS, epochs=epochs, seed=seed, out=place, console=Console(level=-1))
    seconds = {
        "cpu_seconds": round(time.process_time() - start, 1),
        "wall_seconds": round(time.perf_counter() - wall, 1),
    }
    made, wanted = run.sample(N, seed=seed), np.arange(N) % 10
    answers = np.array([int(p.label) for p in judge.predict(list(made))])
    right = answers == wanted
    features, known = judge.embed(list(made)), judge.embed(list(real))
    precision, recall = precision_recall(features, known[:N])
    noise = np.random.default_rng(seed).integers(0, 256, real[:N].shape, dtype=np.uint8)
    each = [float(right[wanted == k].mean()) for k in range(10)]
    found = {
        "seed": seed, "steps": run.summary()["steps"], **seconds, "agreement": float(right.mean()), "by_class": each,
        "frechet": frechet_distance(features, known[:N]), "frechet_floor": frechet_distance(known[:N], known[N : 2 * N]),
        "frechet_noise": frechet_distance(judge.embed(list(noise)), known[:N]),
        "kernel": kernel_distance(features, known[:N]), "precision": precision, "recall": recall, "n": N,
        "own": run.metrics["val"],
    }  # fmt: skip
    quick = seconds["cpu_seconds"] <= 60 * MINUTES
    found["passed"] = bool(found["agreement"] >= AGREEMENT and recall >= RECALL and min(each) >= CLASS and quick)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("ring", "gan"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=EPOCHS)
    parser.add_argument("--runs", type=Path, default=Path("runs/generation"), help="where the runs are kept")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": machine.described(), "seeds": []}
    place = options.out / f"generation-{options.what}.json"
    options.out.mkdir(parents=True, exist_ok=True)
    if options.what == "gan":
        real = illnesses.mnist("test")[0][: 2 * N, ..., None]  # (n, 28, 28, 1)
        weights = classifier(options.runs).folder / "model" / "model.safetensors"
        results |= {"settings": SETTINGS, "epochs": options.epochs, "features": hash_regular(weights)[1]}
    for seed in range(options.seeds):
        found = run_ring(seed) if options.what == "ring" else run_gan(seed, options.epochs, options.runs, real)
        results["seeds"].append(found)
        print(json.dumps({k: v for k, v in found.items() if k != "gradients"}), flush=True)
        place.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
