"""Three small experiments about depth: where weights start, what squashes, and what batch normalisation allows.

    python benchmarks/experiments.py        one thread, a minute

starts      do 30 ReLU layers of 100 units learn scikit-learn's digits, from He's start and from Glorot & Bengio's?
gradients   the gradient's norm, layer by layer, of ten sigmoid and of ten ReLU layers before the first step
rates       losses of ten ReLU layers with and without batch normalisation, at learning rates from low to high

Each with seeds 0, 1, 2; plain SGD with momentum 0.9 on the product's networks. Writes results/experiments.json.
"""

from __future__ import annotations

import json
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import described
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.initialise import initialise
from sightline.models.create import create_model

ROOT = Path(__file__).parents[1]
SEEDS = (0, 1, 2)


def digits() -> tuple[Tensor, Tensor]:
    """(1797, 1, 8, 8) with zero mean and unit deviation, and their classes."""
    found = load_digits()
    x = torch.tensor(found.images, dtype=torch.float32)[:, None]
    return (x - x.mean()) / x.std(), torch.tensor(found.target)


def trained(network: nn.Module, x: Tensor, y: Tensor, *, rate: float, steps: int, batch: int, seed: int) -> list[float]:
    """Losses of plain SGD with momentum 0.9, step by step; infinite once they are no numbers."""
    draw = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    losses = []
    for _ in range(steps):
        chosen = torch.randint(len(x), (batch,), generator=draw)
        loss = F.cross_entropy(network(x[chosen]), y[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item() if loss.isfinite() else float("inf"))
        if losses[-1] == float("inf"):
            break
    return losses


def deep(activation: str, layers: int, start: str, seed: int) -> nn.Module:
    network = create_model("mlp", hidden=(100,) * layers, activation=activation, image_size=(8, 8), seed=seed)
    torch.manual_seed(seed)
    initialise(network, start)
    return network


def starts() -> dict[str, Any]:
    x, y = digits()
    found: dict[str, Any] = {"layers": 30, "units": 100, "steps": 500, "rate": 0.01}
    for start in ("he", "xavier"):
        ends, stds = [], []
        for seed in SEEDS:
            network = deep("relu", 30, start, seed)
            with torch.no_grad():
                stds.append(network(x).std().item())
            losses = trained(network, x, y, rate=0.01, steps=500, batch=64, seed=seed)
            ends.append(statistics.mean(losses[-20:]))
        found[start] = {"last_losses": ends, "deviation_of_scores_at_start": stds}
    return found


def gradients() -> dict[str, Any]:
    """Norm of the loss's gradient with respect to each layer's weights, from the first layer to the last hidden one."""
    x, y = digits()
    found: dict[str, Any] = {"layers": 10, "units": 100}
    for activation, start in (("sigmoid", "xavier"), ("relu", "he")):
        rows = []
        for seed in SEEDS:
            network = deep(activation, 10, start, seed)
            F.cross_entropy(network(x), y).backward()
            rows.append([network.get_parameter(f"hidden.{i}.0.weight").grad.norm().item() for i in range(10)])
        found[activation] = {"start": start, "norm_by_layer": np.mean(rows, 0).tolist(), "each_seed": rows}
    return found


def rates() -> dict[str, Any]:
    """Mean loss of the last 20 steps; null where it was no number any more. Chance is 2.303."""
    x, y = digits()
    found: dict[str, Any] = {"layers": 10, "units": 100, "steps": 300, "batch": 64}
    for rate in (0.01, 0.03, 0.1, 0.3, 1.0):
        row: dict[str, list[float]] = {"without": [], "with": []}
        for seed in SEEDS:
            bare, normalised = (deep("relu", 10, "he", seed) for _ in range(2))
            for layer in normalised.hidden:
                layer.insert(1, nn.BatchNorm1d(100))  # between the dense layer and its ReLU
            for name, network in (("without", bare), ("with", normalised)):
                losses = trained(network, x, y, rate=rate, steps=300, batch=64, seed=seed)
                row[name].append(statistics.mean(losses[-20:]))
        found[str(rate)] = row
    return found


def main() -> None:
    torch.set_num_threads(1)
    result: dict[str, Any] = {
        "command": "python benchmarks/experiments.py", "machine": described(), "threads": 1, "seeds": SEEDS,
    }  # fmt: skip
    start = time.perf_counter()
    for experiment in (starts, gradients, rates):
        result[experiment.__name__] = experiment()
        print(json.dumps({experiment.__name__: result[experiment.__name__]}), flush=True)
    result["seconds"] = round(time.perf_counter() - start)
    text = json.dumps(result, indent=1).replace("Infinity", "null")  # diverged
    (ROOT / "results" / "experiments.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
