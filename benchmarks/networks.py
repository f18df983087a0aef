"""Every registered classifier beside what its paper says of it: measured size, cost and latency, accuracy where trained.

    python benchmarks/networks.py           writes results/networks.json and the table of docs/networks.md
    python benchmarks/networks.py --page    the page alone, from the results that are there

Latency is the median of forward passes of one image of the published size, fp32, one thread. `claims.csv` holds the papers'
figures; results/study.json and results/study-full.json the accuracies.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from machine import described

from sightline.models import MODELS
from sightline.models.create import create_model, model_options
from sightline.models.describe import describe

ROOT = Path(__file__).parents[1]
RESULTS, PAGE = ROOT / "results", ROOT / "docs" / "networks.md"


def measured(name: str) -> dict[str, Any]:
    options = {"aux": False} if "aux" in model_options(name) else {}  # what runs when it answers
    table = describe(name, options=options)
    network = create_model(name, **options).eval().to(memory_format=torch.channels_last)
    x = torch.randn(1, *network.input_size).to(memory_format=torch.channels_last)
    seconds = []
    with torch.inference_mode():
        network(x)
        start = time.perf_counter()
        while len(seconds) < 3 or (time.perf_counter() - start < 1 and len(seconds) < 50):
            begun = time.perf_counter()
            network(x)
            seconds.append(time.perf_counter() - begun)
    return {
        "model": name,
        "family": MODELS[name].__module__.rsplit(".", 1)[-1],
        "input": network.input_size,
        "parameters": table["parameters"],
        "multiply_adds": table["multiply_adds"] + table["attention_multiply_adds"],
        "milliseconds": round(1000 * statistics.median(seconds), 2),
    }


Study = dict[str, tuple[dict[str, Any], list[str]]]  # model → its summary, the recipe keys it was trained with


def study(name: str) -> Study:
    """One of the studies, as far as it went."""
    path = RESULTS / name
    kept = json.loads(path.read_text()) if path.exists() else {"summary": [], "runs": []}
    keys = {run["model"]: run["keys"] for run in kept["runs"]}
    return {row["model"]: (row, keys[row["model"]]) for row in kept["summary"]}


def rows_of_page() -> str:
    found = json.loads((RESULTS / "networks.json").read_text())
    claims = {row["model"]: row for row in csv.DictReader((ROOT / "benchmarks" / "claims.csv").open())}
    small, full = study("study.json"), study("study-full.json")
    lines = [
        f"Measured on {found['machine']['cores']} cores of {found['machine']['cpu']}, one thread, torch "
        f"{found['machine']['torch'].split('+')[0]} (`{found['command']}`).",
        "",
        "| network | input | parameters | multiply-adds | ms an image | small study | full study | the paper says |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in found["networks"]:
        name = row["model"]
        claim = f"{claims[name]['claim']} ({claims[name]['source']})" if name in claims else ""
        lines.append(
            f"| `{name}` | {'x'.join(map(str, row['input']))} | {row['parameters']:,} | {row['multiply_adds']:,} | "
            f"{row['milliseconds']:,.1f} | {accuracy(small, name)} | {accuracy(full, name)} | {claim} |"
        )
    return "\n".join(lines)


def accuracy(trained: Study, name: str) -> str:
    """Of a study, and how its network differs from the published one."""
    if name not in trained:
        return ""
    row, keys = trained[name]
    prefix = "model.options."
    differs = [key.removeprefix(prefix) for key in keys if key.startswith(prefix) and "small_images" not in key]
    spread = f" ± {100 * row['test_accuracy_sd']:.1f}" if row["test_accuracy_sd"] is not None else ""
    how = ", ".join([f"n={row['n']}", *differs])
    return f"{100 * row['test_accuracy']:.1f}{spread} % ({how})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true")
    if not parser.parse_args().page:
        torch.set_num_threads(1)
        start = time.perf_counter()
        networks = []
        for name in MODELS.matching(heading="classification"):
            networks.append(measured(name))
            print(json.dumps(networks[-1]), flush=True)
        networks.sort(key=lambda row: row["family"])
        result = {
            "command": "python benchmarks/networks.py", "machine": described(), "threads": 1,
            "seconds": round(time.perf_counter() - start), "networks": networks,
        }  # fmt: skip
        (RESULTS / "networks.json").write_text(json.dumps(result, indent=1) + "\n")
    before, rest = PAGE.read_text().split("<!-- table -->")
    _, after = rest.split("<!-- /table -->")
    PAGE.write_text(f"{before}<!-- table -->\n{rows_of_page()}\n<!-- /table -->{after}")


if __name__ == "__main__":
    main()
