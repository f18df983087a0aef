"""CIFAR-10 with 20 and with 56 layers, plain and residual, at equal epochs: which of them fit the training images?

    python benchmarks/depth.py [seeds…]

needs $SIGHTLINE_DATA. He et al. 2015 (arXiv:1512.03385, figure 6): the deeper plain network has the higher training error, the
deeper residual network the lower one. 3,000 training images and 16 epochs, so that twelve trainings of one thread fit into
an hour; the paper has 45,000 images and 164 epochs. Figures go to results/depth.json as they come.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from fine_tuning import write_subset
from machine import described

RESULTS = Path(__file__).parents[1] / "results" / "depth.json"
NETWORKS = ("plain20", "plain56", "resnet20", "resnet56")
PER_CLASS, EPOCHS = 300, 16


def last_epoch(run: Path, steps: int) -> dict[str, float]:
    """Loss and accuracy of the training images while the last epoch trained on them."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    late = [line for line in lines if "accuracy" in line and line["step"] > steps * (1 - 1 / EPOCHS)]
    return {name: round(statistics.fmean(line[name] for line in late), 4) for name in ("loss", "accuracy")}


def main(seeds: list[str]) -> None:
    results = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "cifar10"
        write_subset(data, Path(os.environ["SIGHTLINE_DATA"]) / "cifar10", PER_CLASS, side=32)
        for seed in seeds:
            for network in NETWORKS:
                keys = ("-m", network, f"fit.epochs={EPOCHS}", "augment.preset=none", f"seed={seed}", "fit.threads=1")
                out = f"{folder}/{network}-{seed}"
                done = subprocess.run(
                    [sys.executable, "-m", "sightline", "train", str(data), *keys, "--json", "--out", out],
                    stdout=subprocess.PIPE, text=True, check=True,
                )  # fmt: skip
                answer = json.loads(done.stdout.splitlines()[-1])
                results[f"{network}, seed {seed}"] = {
                    "machine": described(), "threads": 1, "n": 1, "images": 10 * PER_CLASS,
                    "command": " ".join(["sightline", "train", "cifar10/", *keys]),
                    "training_seconds": round(answer["seconds"]), "steps": answer["steps"],
                    "train": last_epoch(Path(out), answer["steps"]), "val": answer["val"], "test": answer["test"],
                }  # fmt: skip
                RESULTS.write_text(json.dumps(results, indent=1) + "\n")
                print(
                    network,
                    seed,
                    last_epoch(Path(out), answer["steps"]),
                    answer["test"]["accuracy"],
                    f"{answer['seconds']:.0f} s",
                    flush=True,
                )


if __name__ == "__main__":
    main(sys.argv[1:] or ["0", "1", "2"])
