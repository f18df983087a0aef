"""Every registered classifier beside what its paper says of it: measured size, cost and latency, accuracy where trained.

    python benchmarks/networks.py           writes results/networks.json and the table of docs/networks.md
    python benchmarks/networks.py --new     adds the networks that are not in it yet
    python benchmarks/networks.py --page    the page alone, from the results that are there

Latency is the median of forward passes of one image of the published size, fp32, one thread. `claims.csv` holds the papers'
figures; results/study.json and results/study-full.json the accuracies.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import torch
from machine import described

from sightline.models import MODELS
from sightline.models.create import create_model
from sightline.models.describe import describe
from sightline.models.options import model_options

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
    studies = {"small study": study("study.json"), "full study": study("study-full.json")}
    studies = {title: trained for title, trained in studies.items() if trained}
    lines = [
        f"Measured on {found['machine']['cores']} cores of {found['machine']['cpu']}, one thread, torch "
        f"{found['machine']['torch'].split('+')[0]} (`{found['command']}`).",
        "",
        f"| network | input | parameters | multiply-adds | ms an image | {' | '.join(studies)} | the paper says |",
        "|" + "---|" * (6 + len(studies)),
    ]
    for row in found["networks"]:
        name = row["model"]
        without = "; without its auxiliary heads" if "aux" in model_options(name) else ""
        claim = f"{claims[name]['claim']} ({claims[name]['source']})" if name in claims else ""
        accuracies = " | ".join(accuracy(trained, name) for trained in studies.values())
        lines.append(
            f"| `{name}`{without} | {'x'.join(map(str, row['input']))} | {row['parameters']:,} | {row['multiply_adds']:,} | "
            f"{row['milliseconds']:,.1f}{' (' + row['cpu'] + ')' if 'cpu' in row else ''} | {accuracies} | {claim} |"
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
    epochs = next(key.removeprefix("fit.epochs=") for key in keys if key.startswith("fit.epochs="))
    how = ", ".join([f"n={row['n']}", f"{epochs} epochs", *differs])
    return f"{100 * row['test_accuracy']:.1f}{spread} % ({how})"


def experiments() -> str:
    """The three experiments about depth, in words and numbers."""
    found = json.loads((RESULTS / "experiments.json").read_text())
    starts, gradients, rates = found["starts"], found["gradients"], found["rates"]
    lines = [
        f"Digits of scikit-learn, plain SGD with momentum 0.9, {len(found['seeds'])} seeds, {found['seconds']} s in all "
        f"(`{found['command']}`). A guess costs {math.log(10):.2f}.",
        "",
        f"* **Where weights start.** {starts['layers']} ReLU layers of {starts['units']} units, {starts['steps']} steps: "
        f"loss {spread(starts['he']['last_losses'])} from He's start, {spread(starts['xavier']['last_losses'])} from "
        "Glorot and Bengio's, whose signal has died on the way.",
        f"* **What squashes.** The gradient's norm at the first and the last of {gradients['layers']} layers, before the "
        "first step: "
        + ", ".join(
            f"{kind} {gradients[kind]['norm_by_layer'][0]:.1g} and {gradients[kind]['norm_by_layer'][-1]:.1g}"
            for kind in ("sigmoid", "relu")
        )
        + ".",
        f"* **What batch normalisation allows.** Loss of {rates['layers']} ReLU layers after {rates['steps']} steps:",
        "",
        "| learning rate | without | with |",
        "|---|---|---|",
    ]
    for rate in (key for key in rates if key[0].isdigit()):
        lines.append(f"| {rate} | {spread(rates[rate]['without'])} | {spread(rates[rate]['with'])} |")
    return "\n".join([*lines, "", depth(study("study.json"))])


def depth(trained: Study) -> str:
    """Plain networks beside residual ones, in the small study."""
    said = {}
    for name in ("plain20", "plain56", "resnet20", "resnet56"):
        row, keys = trained[name]
        epochs = next(key.removeprefix("fit.epochs=") for key in keys if key.startswith("fit.epochs="))
        said[name] = f"{100 * row['train_accuracy']:.1f} % after {epochs} epochs"
    return (
        f"* **Depth with and without shortcuts** (small study, on its own *training* images, n={trained['plain56'][0]['n']}). "
        f"Plain: 20 layers {said['plain20']}, 56 layers {said['plain56']}. Residual: {said['resnet20']}, {said['resnet56']}. "
        "The deeper plain network does not come to fit even what it sees; shortcuts undo most of that. That the deeper "
        "residual network wins in the end, as the paper has it, takes longer than this study."
    )


def proofs() -> str:
    """What the two long checks of every network found."""
    parity, contracts = (json.loads((RESULTS / f"{name}.json").read_text()) for name in ("parity", "contracts"))
    rows, compiled = parity["rows"], contracts["inductor"]
    failed = [f"`{name}` ({line['error'].split(':')[0]})" for name, line in compiled.items() if line["error"]]
    machine, plain = parity["machine"], contracts["contract"]
    sentences = [
        f"Answers: {len({row['model'] for row in rows})} classifiers against torchvision "
        f"{machine['torchvision'].split('+')[0]} and timm {machine['timm']}, largest difference "
        f"{max(row['difference'] for row in rows):.0e} of the largest score (`{parity['command']}`).",
        f"Contract: {plain['cases']:,} cases, {len(plain['failed'])} failed; through `torch.compile` (inductor) "
        f"{len(compiled) - len(failed)} of {len(compiled)} networks"
        + (f", not {', '.join(failed)}" if failed else "")
        + f" (`{contracts['command']}`).",
    ]
    return " ".join(sentences)


def spread(losses: list[float | None]) -> str:
    """The seeds' losses, lowest and highest; how many were no number any more."""
    good = sorted(loss for loss in losses if loss is not None)
    lost = len(losses) - len(good)
    said = [" to ".join(dict.fromkeys(f"{loss:.2f}" for loss in (good[0], good[-1])))] if good else []
    return ", ".join([*said, *([f"{lost} of {len(losses)} diverged"] if lost else [])])


def written(text: str, name: str, block: str) -> str:
    """The page with what stands between the marks of that name replaced."""
    before, rest = text.split(f"<!-- {name} -->")
    _, after = rest.split(f"<!-- /{name} -->")
    return f"{before}<!-- {name} -->\n{block}\n<!-- /{name} -->{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--page", action="store_true")
    parser.add_argument("--new", action="store_true")
    arguments = parser.parse_args()
    if arguments.new:
        torch.set_num_threads(1)
        result = json.loads((RESULTS / "networks.json").read_text())
        names = set(MODELS.matching(heading="class scores"))
        kept = [row for row in result["networks"] if row["model"] in names]
        new = sorted(names - {row["model"] for row in kept})
        kept += [{**measured(name), "cpu": described()["cpu"]} for name in new]
        result["networks"] = sorted(kept, key=lambda row: row["family"])
        (RESULTS / "networks.json").write_text(json.dumps(result, indent=1) + "\n")
    elif not arguments.page:
        torch.set_num_threads(1)
        start = time.perf_counter()
        networks = []
        for name in MODELS.matching(heading="class scores"):
            networks.append(measured(name))
            print(json.dumps(networks[-1]), flush=True)
        networks.sort(key=lambda row: row["family"])
        result = {
            "command": "python benchmarks/networks.py", "machine": described(), "threads": 1,
            "seconds": round(time.perf_counter() - start), "networks": networks,
        }  # fmt: skip
        (RESULTS / "networks.json").write_text(json.dumps(result, indent=1) + "\n")
    page = PAGE.read_text()
    for name, block in (("proofs", proofs()), ("table", rows_of_page()), ("experiments", experiments())):
        page = written(page, name, block)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
