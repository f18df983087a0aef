"""Train the shipped recipes, record what came, and write it into their headers.

    python benchmarks/recipes.py digits --seeds 0,1,2,3,4
    python benchmarks/recipes.py mnist_lenet5 --seeds 0 [key=value …]

Each run is the command that a user types, in a process of its own. Writes results/recipes/<recipe>.json (command, hardware,
seconds, every seed's metrics) and the header of sightline/recipes/shipped/<recipe>.yaml.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from machine import described

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "src" / "sightline" / "recipes" / "shipped"


def trained(recipe: str, seed: int, keys: list[str], folder: Path) -> dict[str, Any]:
    out = folder / f"{recipe}-{seed}"
    command = [
        sys.executable,
        "-m",
        "sightline",
        "train",
        recipe,
        "--seed",
        str(seed),
        "--out",
        str(out),
        "--json",
        *keys,
    ]
    start = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    history = (out / "history.csv").read_text().splitlines()
    return {
        "seed": seed,
        "process_seconds": round(time.perf_counter() - start, 1),
        "training_seconds": round(found["seconds"], 1),
        "images_per_second": round(found["images_per_second"], 1),
        "steps": found["steps"],
        "val": found["val"],
        "test": found["test"],
        "validations": len(history) - 1,
    }


def header(recipe: str, result: dict[str, Any], title: str) -> list[str]:
    accuracies = [100 * run["test"]["accuracy"] for run in result["runs"]]
    spread = f" ± {statistics.stdev(accuracies):.2f}" if len(accuracies) > 1 else ""
    seconds = statistics.mean(run["process_seconds"] for run in result["runs"])
    machine = result["machine"]
    where = machine["gpu"] or f"{machine['cores']} cores of {machine['cpu']}"
    return [
        f"# {title}",
        f"#   {result['command']}",
        f"#   {where}, {seconds:.0f} s, test accuracy {statistics.mean(accuracies):.2f} %{spread} (n={len(accuracies)})",
    ]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("recipe")
    parser.add_argument("--seeds", type=lambda text: [int(s) for s in text.split(",")], default=[0])
    parser.add_argument("--note", default="")
    parser.add_argument("--at-once", type=int, default=1, help="runs beside each other")
    parser.add_argument("keys", nargs="*")
    asked = parser.parse_args()
    keys = asked.keys
    folder = Path(tempfile.mkdtemp())
    path = SHIPPED / f"{asked.recipe}.yaml"
    try:
        with ThreadPoolExecutor(asked.at_once) as pool:
            runs = list(pool.map(lambda seed: trained(asked.recipe, seed, keys, folder), asked.seeds))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    command = " ".join(["sightline train", asked.recipe, *keys])
    accuracies = [run["test"]["accuracy"] for run in runs]
    result = {
        "command": command,
        "machine": described(),
        "n": len(runs),
        "runs_at_once": asked.at_once,
        "test_accuracy_mean": statistics.mean(accuracies),
        "test_accuracy_sd": statistics.stdev(accuracies) if len(runs) > 1 else None,
        "note": asked.note,
        "runs": runs,
    }
    (ROOT / "results" / "recipes").mkdir(parents=True, exist_ok=True)
    (ROOT / "results" / "recipes" / f"{asked.recipe}.json").write_text(json.dumps(result, indent=1) + "\n")
    lines = path.read_text().splitlines()
    body = lines[next(i for i, line in enumerate(lines) if not line.startswith("#")) :]
    title = re.sub(r"^#\s*", "", lines[0])
    path.write_text("\n".join([*header(asked.recipe, result, title), *body]) + "\n")
    print(json.dumps({k: v for k, v in result.items() if k != "runs"}, indent=1))


if __name__ == "__main__":
    main()
