"""Do the heat maps say what they promise? Planted cue, sanity, faithfulness and speed, for results/explanation.json.

    python benchmarks/explanation.py [cue] [sanity] [faithful] [speed]        needs $SIGHTLINE_DATA with mnist/ and cifar10/

cue        two classes that differ in a mark of 4x4 pixels alone: each method's mass inside it, over its share of the area, on
           the trained network and on the same one with shuffled weights
sanity     the rank correlation of each map with that of the network whose head, then whose every weight is shuffled
faithful   deletion and insertion on 100 images, 32 steps, two fills, against three controls: paired bootstrap
speed      integrated gradients (50 points) and occlusion on ResNet-50 at 224 pixels, beside Captum's batched run
"""

from __future__ import annotations

import gzip
import io
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from captum import attr
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.explanation.attribution.integrated import integrated_gradients
from sightline.explanation.attribution.methods import METHODS
from sightline.explanation.attribution.perturbation import occlusion
from sightline.explanation.controls import baselines
from sightline.explanation.controls.faithfulness import FILLS, curves, gain, scores_of
from sightline.explanation.controls.randomisation import forgotten, stages
from sightline.explanation.controls.similarity import spearman, ssim
from sightline.explanation.subject import Refused, Subject
from sightline.models.create import create_model
from sightline.preprocessing.normalise import Normalise, Normalised

HERE = Path(__file__).parents[1] / "results" / "explanation.json"
DATA = Path(os.environ.get("SIGHTLINE_DATA", "data"))
MARK = 4
MARKS = torch.tensor([[[255.0, 0, 255, 0]] * 4, [[255.0] * 4, [0.0] * 4] * 2])  # columns, rows
SETTINGS: dict[str, dict[str, Any]] = {"rise": {"masks": 500}, "occlusion": {"window": 4, "stride": 2}}


def mnist(n: int) -> tuple[Tensor, Tensor]:
    """The first n training images (n, 1, 28, 28) in 0-255 units and their classes."""
    with gzip.open(DATA / "mnist" / "train-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + n * 784), np.uint8, offset=16).reshape(n, 1, 28, 28)
    with gzip.open(DATA / "mnist" / "train-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(8 + n), np.uint8, offset=8)
    return torch.from_numpy(pixels.copy()).float(), torch.from_numpy(labels.copy()).long()


def cifar(n: int, part: str = "train") -> tuple[Tensor, Tensor]:
    """The first n images (n, 3, 32, 32) in 0-255 units and their classes."""
    table = pq.read_table(DATA / "cifar10" / f"{part}-00000-of-00001.parquet").slice(0, n).to_pydict()
    images, labels = table.get("img") or table["image"], table["label"]
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(one["bytes"])).convert("RGB")) for one in images])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float(), torch.tensor(labels)


def marked(pixels: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """(images with a mark each, its kind 0 or 1, (n, h, w) true inside the mark); the place is drawn."""
    generator = torch.Generator().manual_seed(seed)
    n, _, height, width = pixels.shape
    kind = torch.randint(2, (n,), generator=generator)
    tops = torch.randint(height - MARK + 1, (n,), generator=generator).tolist()
    lefts = torch.randint(width - MARK + 1, (n,), generator=generator).tolist()
    images, inside = pixels.clone(), torch.zeros(n, height, width, dtype=torch.bool)
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        images[i, :, top : top + MARK, left : left + MARK] = MARKS[kind[i]]
        inside[i, top : top + MARK, left : left + MARK] = True
    return images, kind, inside


def trained(
    pixels: Tensor, labels: Tensor, classes: int, *, steps: int, seed: int = 0, flip: bool = False
) -> nn.Module:
    """A ResNet-8 after some steps of Adam, normalisation included."""
    torch.manual_seed(seed)
    channels = pixels.shape[1]
    network = Normalised(
        Normalise([120.0] * channels, [65.0] * channels),
        create_model("resnet8", num_classes=classes, in_channels=channels),
    ).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(len(pixels), (128,))
        images = pixels[rows].flip(3) if flip and torch.rand(()) < 0.5 else pixels[rows]
        loss = F.cross_entropy(network(images), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()


def accuracy(network: nn.Module, pixels: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float((network(pixels).argmax(1) == labels).float().mean())


def concentration(heat: Tensor, inside: Tensor) -> float:
    """The share of a map's positive values inside the mark, over the mark's share of the area: 1 is chance."""
    positive = heat.clamp(min=0)
    total = positive.sum((1, 2))
    share = (positive * inside).sum((1, 2)) / total.clamp(min=1e-30)
    area = inside.float().mean((1, 2))
    return float((share / area)[total > 0].mean()) if bool((total > 0).any()) else 0.0


def cue(images: int = 20) -> dict[str, Any]:
    found = {}
    for name, (pixels, steps) in {"mnist": (mnist(6000)[0], 400), "cifar10": (cifar(6000)[0], 400)}.items():
        train, kind, _ = marked(pixels[:5000], seed=1)
        network = trained(train, kind, 2, steps=steps)
        test, labels, inside = marked(pixels[5000:], seed=2)
        subject, rows = Subject(network, network), slice(0, images)
        everything = stages(network)[-1][1]
        table: dict[str, Any] = {}
        for method in METHODS:
            try:
                trained_map = METHODS[method].explain(subject, test[rows], labels[rows], **SETTINGS.get(method, {})).map
            except Refused as error:
                table[method] = {"refused": error.message}
                continue
            shuffled = []
            for seed in range(3):
                with forgotten(everything, seed):
                    found_map = METHODS[method].explain(subject, test[:10], labels[:10], **SETTINGS.get(method, {})).map
                shuffled.append(concentration(found_map, inside[:10]))
            table[method] = {
                "trained": round(concentration(trained_map, inside[rows]), 2),
                "shuffled": round(float(np.mean(shuffled)), 2),
                "shuffled_range": [round(min(shuffled), 2), round(max(shuffled), 2)],
            }
            print(name, method, table[method], file=sys.stderr, flush=True)
        found[name] = {
            "accuracy": accuracy(network, test, labels),
            "edges": round(concentration(baselines.edges(test[rows]), inside[rows]), 2),
            "images": images,
            "methods": table,
        }
    return found


def _classifier() -> tuple[nn.Module, Tensor, Tensor, float]:
    pixels, labels = cifar(10_000)
    network = trained(pixels, labels, 10, steps=700, flip=True)
    test, truth = cifar(1000, "test")
    return network, test, truth, accuracy(network, test, truth)


def sanity(model: tuple[nn.Module, Tensor, Tensor, float], images: int = 30) -> dict[str, Any]:
    network, test, _, right = model
    subject, pixels = Subject(network, network), test[:images]
    with torch.no_grad():
        target = network(pixels).argmax(1)
    table = {}
    for method in ("gradient", "input_x_gradient", "smoothgrad", "integrated_gradients", "guided_backprop", "deconvnet",
                   "grad_cam", "grad_cam_plus_plus"):  # fmt: skip
        original = METHODS[method].explain(subject, pixels, target).map.numpy()
        rows = []
        for name, modules in stages(network):
            with forgotten(modules):
                other = METHODS[method].explain(subject, pixels, target).map.numpy()
            ranks = [abs(spearman(a, b)) for a, b in zip(original, other, strict=True)]
            rows.append({
                "stage": name, "spearman": round(float(np.mean(ranks)), 3),
                "ssim": round(float(np.mean([ssim(a, b) for a, b in zip(original, other, strict=True)])), 3),
            })  # fmt: skip
        table[method] = {"stages": rows, "caught": rows[0]["spearman"] > 0.5}
        print(method, table[method], file=sys.stderr, flush=True)
    return {"network": "resnet8", "accuracy": right, "images": images, "methods": table}


def faithful(model: tuple[nn.Module, Tensor, Tensor, float], images: int = 100) -> dict[str, Any]:
    network, test, truth, _ = model
    subject, pixels, target = Subject(network, network), test[:images], truth[:images]
    maps = {
        m: METHODS[m].explain(subject, pixels, target).map
        for m in ("gradient", "integrated_gradients", "grad_cam", "occlusion")
    }
    controls = {"random": baselines.noise(pixels), "edges": baselines.edges(pixels), "centre": baselines.centre(pixels)}
    began, cpu, areas = time.perf_counter(), time.process_time(), {}
    for name, one in (maps | controls).items():
        areas[name] = {fill: scores_of(curves(subject, pixels, target, one, fill=fill)) for fill in FILLS}
    seconds, busy = time.perf_counter() - began, time.process_time() - cpu
    table: dict[str, Any] = {}
    for method in maps:
        for fill in FILLS:
            for measure in ("deletion", "insertion"):
                row = {"area": round(float(areas[method][fill][measure].mean()), 4)}
                for control in controls:
                    better = gain(
                        areas[method][fill][measure],
                        areas[control][fill][measure],
                        lower_is_better=measure == "deletion",
                    )
                    row[f"gain_over_{control}"] = [round(x, 4) for x in better]
                table[f"{method}, {measure}, {fill}"] = row
    return {
        "images": images,
        "steps": 32,
        "seconds_per_map": round(seconds / len(areas), 1),
        "cpu_seconds_per_map": round(busy / len(areas), 1),
        "gain": "[mean, low, high], positive: better",
        "table": table,
    }


SPEED = {
    "ours_ig": lambda n, x, t: integrated_gradients(Subject(n, n), x, t, steps=50, most=50),
    "captum_ig": lambda n, x, t: attr.IntegratedGradients(n).attribute(x, target=t, n_steps=50, internal_batch_size=10),
    "ours_occlusion": lambda n, x, t: occlusion(Subject(n, n), x, t, window=32, stride=16, fill=0.0),
    "captum_occlusion": lambda n, x, t: attr.Occlusion(n).attribute(
        x, target=t, sliding_window_shapes=(3, 32, 32), strides=(3, 16, 16), baselines=0, perturbations_per_eval=16
    ),
}


def speed(rounds: int = 1) -> dict[str, Any]:
    """Seconds and largest memory of each run, in a process of its own, ours and theirs in turn."""
    table: dict[str, list[dict[str, float]]] = {name: [] for name in SPEED}
    for _ in range(rounds):
        for name in SPEED:
            done = subprocess.run([sys.executable, __file__, "one", name], capture_output=True, text=True, check=True)
            table[name].append(json.loads(done.stdout))
            print(name, table[name][-1], file=sys.stderr, flush=True)
    found: dict[str, Any] = {"network": "resnet50 at 224", "threads": 1, "runs": table}
    for what in ("ig", "occlusion"):
        ratios = [
            [ours[k] / theirs[k] for ours, theirs in zip(table[f"ours_{what}"], table[f"captum_{what}"], strict=True)]
            for k in ("seconds", "cpu_seconds")
        ]
        found[f"{what}_ratio"] = {
            "seconds": [round(x, 3) for x in ratios[0]],
            "cpu_seconds": [round(x, 3) for x in ratios[1]],
        }
        found[f"{what}_gigabytes"] = max(run["gigabytes"] for run in table[f"ours_{what}"])
    return found


def one(name: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = create_model("resnet50", num_classes=1000).eval()
    pixels, target = torch.rand(1, 3, 224, 224), torch.tensor([3])
    with torch.no_grad():
        network(pixels)
    began, cpu = time.perf_counter(), time.process_time()
    SPEED[name](network, pixels, target)
    figures = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    figures["gigabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({k: round(v, 3) for k, v in figures.items()}))


def main() -> None:
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2])
        return
    wanted = sys.argv[1:] or ["cue", "sanity", "faithful", "speed"]
    found = json.loads(HERE.read_text()) if HERE.is_file() else {}
    if "cue" in wanted:
        found["cue"] = cue()
        HERE.write_text(json.dumps(found, indent=1) + "\n")
    if "speed" in wanted:
        found["speed"] = speed()
        HERE.write_text(json.dumps(found, indent=1) + "\n")
    if {"sanity", "faithful"} & set(wanted):
        model = _classifier()
        for name, work in (("sanity", sanity), ("faithful", faithful)):
            if name in wanted:
                found[name] = work(model)
                HERE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
