"""L1 beside L2: how many weights become exactly zero, and what that costs, on scikit-learn's digits with LeNet-5.

    python benchmarks/sparsity.py        one thread, about a minute

Seeds 0 and 1; ten epochs of SGD; the last weights. Writes results/sparsity.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from machine import described

RESULTS = Path(__file__).parents[1] / "results" / "sparsity.json"
SHARED = [
    "model.name=lenet5", "optim.name=sgd", "optim.lr=0.05", "optim.momentum=0.9", "fit.batch=64", "fit.epochs=10",
    "fit.threads=1", "fit.ema=0", "optim.nesterov=false",
]  # fmt: skip
ARMS = {
    "neither": ["optim.weight_decay=0"],
    "L2, 0.005": ["optim.weight_decay=0.005"],
    "L1, 0.01": ["optim.weight_decay=0", "optim.l1=0.01"],
    "L1, 0.03": ["optim.weight_decay=0", "optim.l1=0.03"],
}
SEEDS = (0, 1)


def run(arm: str, seed: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        command = [sys.executable, "-m", "sightline", "train", "digits", *SHARED, *ARMS[arm], "--seed", str(seed)]
        subprocess.run(
            [*command, "--out", str(out), "--json"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True
        )
        from safetensors.numpy import load_file

        weights = [w for w in load_file(out / "model" / "model.safetensors").values() if w.ndim > 1]
        metrics = json.loads((out / "metrics.json").read_text())
    zeros = sum(int((w == 0).sum()) for w in weights) / sum(w.size for w in weights)
    small = sum(int((abs(w) < 1e-3).sum()) for w in weights) / sum(w.size for w in weights)
    figures = {f"{split}_accuracy": metrics[split]["accuracy"] for split in ("train", "test")}
    return {"arm": arm, "seed": seed, "zero": zeros, "below_0.001": small, **figures}


def main() -> None:
    begun = time.monotonic()
    runs = []
    for seed in SEEDS:
        for arm in ARMS:
            runs.append(run(arm, seed))
            print(json.dumps(runs[-1]), flush=True)
    result = {
        "command": "python benchmarks/sparsity.py", "machine": described(), "threads": 1, "n": len(SEEDS), "keys": SHARED,
        "arms": ARMS, "seconds": round(time.monotonic() - begun), "runs": runs,
    }  # fmt: skip
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
