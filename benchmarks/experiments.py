"""Three small experiments about depth: where weights start, what squashes, and what batch normalisation allows.

    python benchmarks/experiments.py            needs $SIGHTLINE_DATA/cifar10 for the last; one thread
    python benchmarks/experiments.py --rates    the last alone, on more images and longer, on a GPU

starts      do 30 ReLU layers of 100 units learn scikit-learn's digits, from He's start and from Glorot & Bengio's?
gradients   the gradient's norm, layer by layer, of ten sigmoid and of ten ReLU layers before the first step
rates       losses of VGG-11 with and without batch normalisation at a low and a high learning rate

Each with seeds 0, 1, 2; plain SGD on the product's networks. Writes results/experiments.json, or
results/experiments-rates.json.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from machine import described
from PIL import Image
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


def cifar(n: int) -> tuple[Tensor, Tensor]:
    """The first n training images (n, 3, 32, 32), zero mean and unit deviation, and their classes."""
    source = Path(os.environ["SIGHTLINE_DATA"]) / "cifar10"
    rows = pq.read_table(next(source.glob("train*.parquet"))).slice(0, n).to_pylist()
    column = "img" if "img" in rows[0] else "image"
    x = torch.stack([torch.from_numpy(np.array(Image.open(io.BytesIO(row[column]["bytes"])))) for row in rows])
    x = x.permute(0, 3, 1, 2).float()
    return (x - x.mean()) / x.std(), torch.tensor([row["label"] for row in rows])


def trained(network: nn.Module, x: Tensor, y: Tensor, *, rate: float, steps: int, batch: int, seed: int) -> list[float]:
    """Losses of plain SGD with momentum 0.9, step by step; infinite once they are no numbers."""
    draw = torch.Generator().manual_seed(seed)
    network.to(x.device)
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    losses = []
    for _ in range(steps):
        chosen = torch.randint(len(x), (batch,), generator=draw).to(x.device)
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


def rates(
    device: str = "cpu",
    tried: Sequence[float] = (0.005, 0.02),
    images: int = 2000,
    steps: int = 120,
    batch: int = 32,
) -> dict[str, Any]:
    """Mean loss of the last 20 steps, from the same starts; null where it was no number any more."""
    x, y = (t.to(device) for t in cifar(images))
    found: dict[str, Any] = {"images": images, "steps": steps, "batch": batch}
    for rate in tried:
        for name in ("vgg11", "vgg11_bn"):
            ends = []
            for seed in SEEDS:
                network = create_model(name, num_classes=10, small_images=True, dense=(), seed=seed)
                losses = trained(network, x, y, rate=rate, steps=steps, batch=batch, seed=seed)
                ends.append(statistics.mean(losses[-20:]))
            found[f"{name} at {rate}"] = ends
            print(json.dumps({f"{name} at {rate}": ends}), flush=True)
    return found


def on_gpu() -> dict[str, Any]:
    return rates("cuda", tried=(0.01, 0.05, 0.1, 0.2, 0.5), images=10_000, steps=800, batch=128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", action="store_true")
    alone = parser.parse_args().rates
    torch.set_num_threads(1)
    command = "python benchmarks/experiments.py" + (" --rates" if alone else "")
    result: dict[str, Any] = {"command": command, "machine": described(), "threads": 1, "seeds": SEEDS}
    start = time.perf_counter()
    every = {"starts": starts, "gradients": gradients, "rates": rates}
    for name, experiment in ({"rates": on_gpu} if alone else every).items():
        result[name] = experiment()
        print(json.dumps({name: result[name]}), flush=True)
    result["seconds"] = round(time.perf_counter() - start)
    text = json.dumps(result, indent=1).replace("Infinity", "null")  # diverged
    (ROOT / "results" / ("experiments-rates.json" if alone else "experiments.json")).write_text(text + "\n")


if __name__ == "__main__":
    main()
