"""MNIST with elastic distortion: a LeNet-5 and a wide perceptron, each beside itself without distortion.

    python benchmarks/handwriting.py [lenet5] [lenet5-plain] [mlp] [mlp-plain]

needs $SIGHTLINE_DATA. One thread each, seed 0. LeCun et al. 1998 report 0.8 % test error of LeNet-5 with distortions and 0.95 %
without; Cireşan et al. 2010 (arXiv:1003.0358) 0.35 % of a perceptron of 12 million weights on a GPU. Figures go to
results/handwriting.json as they come.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import described

RESULTS = Path(__file__).parents[1] / "results" / "handwriting.json"
MLP = ("-m", "mlp", "model.options.hidden=800,400")
RUNS = {
    "lenet5": ("-m", "lenet5", "augment.preset=elastic", "fit.epochs=16"),
    "lenet5-plain": ("-m", "lenet5", "augment.preset=none", "fit.epochs=16"),
    "mlp": (*MLP, "augment.preset=elastic", "fit.epochs=24"),
    "mlp-plain": (*MLP, "augment.preset=none", "fit.epochs=24"),
}


def main(names: list[str]) -> None:
    found = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name in names or RUNS:
        with tempfile.TemporaryDirectory() as folder:
            data = Path(os.environ["SIGHTLINE_DATA"]) / "mnist"
            command = ["train", str(data), *RUNS[name], "fit.threads=1", "--json"]
            done = subprocess.run(
                [sys.executable, "-m", "sightline", *command, "--out", f"{folder}/run"],
                stdout=subprocess.PIPE, text=True, check=True,
            )  # fmt: skip
        answer = json.loads(done.stdout.splitlines()[-1])
        found[name] = {
            "machine": described(), "threads": 1, "n": 1, "seed": 0,
            "command": " ".join(["sightline", "train", "mnist/", *command[2:-1]]),
            "training_seconds": round(answer["seconds"]), "steps": answer["steps"],
            "val": answer["val"], "test": answer["test"],
        }  # fmt: skip
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        print(name, answer["test"], f"{answer['seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
