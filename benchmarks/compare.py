"""What `compare` says of equal networks, and of networks 2 points apart. Figures go to results/compare.json.

    python benchmarks/compare.py

**Simulated**: two networks answer 2,000 images; an image is hard for both alike, so that they disagree on as many as real
networks of this accuracy do (`discordant`). 40 seed pairs, 25 times over, with equal accuracies, and as many 2 points apart.
**Real**: perceptrons on the digits, one recipe with 16 seeds, in 8 pairs that share no run; and the ensembles of these pairs.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from machine import described

import sightline
from sightline.evaluation.comparing.paired import difference
from sightline.metrics.proportions import wilson
from sightline.runs.console import Console

ROOT = Path(__file__).parents[1]
N, PAIRS, TIMES, COMMON = 2000, 40, 25, 0.85
SEEDS = 16


def answers(rng: np.random.Generator, one: float, two: float) -> tuple[np.ndarray, np.ndarray]:
    """Right or wrong, of two networks on the same images: an image is as hard for both with probability COMMON."""
    hard = rng.random(N)
    first, second = (np.where(rng.random(N) < COMMON, hard, rng.random(N)) < share for share in (one, two))
    return first.astype(float), second.astype(float)


def simulated(one: float, two: float, seed: int) -> dict[str, Any]:
    """The share of pairs that are called different; the worst of the 25 times 40."""
    rng = np.random.default_rng(seed)
    different = np.zeros((TIMES, PAIRS), bool)
    covered, discordant = 0, []
    for i in range(TIMES):
        for j in range(PAIRS):
            found = difference(*answers(rng, one, two), share=True, resamples=300 if j < 4 else 2)
            different[i, j] = found.different
            discordant.append((found.only_first + found.only_second) / N)
            if j < 4 and found.interval is not None:
                covered += found.interval[0] <= one - two <= found.interval[1]
    low, high = wilson(float(different.mean()), different.size, 1.96)
    return {
        "images": N, "accuracies": [one, two], "pairs": different.size, "discordant": float(np.mean(discordant)),
        "called_different": float(different.mean()), "interval": [low, high],
        "called_different_of_40": sorted(different.sum(1).tolist()), "intervals_that_cover": covered / (4 * TIMES),
    }  # fmt: skip


def real() -> dict[str, Any]:
    """Trainings that differ in the seed only, in pairs."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [
            sightline.train(
                "digits", {"fit.epochs": 20, "fit.threads": 1, "seed": seed}, model="mlp", out=Path(folder) / str(seed),
                console=Console(-1),
            )
            for seed in range(SEEDS)
        ]  # fmt: skip
        quiet = Console(-1)
        found = [sightline.compare(runs[i : i + 2], ensemble=True, console=quiet).facts for i in range(0, SEEDS, 2)]
        whole = sightline.compare(runs[:5], ensemble=True, console=quiet).facts
    pairs = [one["pairs"][0] for one in found]
    return {
        "model": "mlp", "images": found[0]["n"], "pairs": len(pairs),
        "all_only_the_seed": all(one["only_the_seed"] for one in found),
        "called_different": sum(pair["different"] for pair in pairs),
        "gains": [round(pair["gain"], 4) for pair in pairs], "p": [round(pair["p"], 4) for pair in pairs],
        "ensemble_of_5": {
            "members": [round(run["metrics"]["accuracy"], 4) for run in whole["runs"]],
            "accuracy": round(whole["ensemble"]["metrics"]["accuracy"], 4),
            "over_mean": round(whole["ensemble"]["over_mean"]["gain"], 4),
            "over_mean_interval": whole["ensemble"]["over_mean"]["interval"],
            "error_correlation": whole["ensemble"]["error_correlation"],
        },
    }  # fmt: skip


def main() -> None:
    result = {
        "command": "python benchmarks/compare.py", "machine": described(),
        "equal": simulated(0.91, 0.91, 0), "two_points": simulated(0.92, 0.90, 1), "one_recipe": real(),
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    (ROOT / "results" / "compare.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
