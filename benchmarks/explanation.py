"""Do the heat maps say what they promise? Planted cue, sanity, faithfulness and speed, for results/explanation.json.

    python benchmarks/explanation.py [cue] [sanity] [faithful] [speed]        needs $SIGHTLINE_DATA with mnist/ and cifar10/
    python benchmarks/explanation.py pointing RUN                 a run that detects objects

cue        two classes that differ in a mark of 4x4 pixels alone: each method's mass inside it, over its share of the area, on
           the trained network and on the same one with random weights. A loud mark is black and white, a quiet one has the
           mean and the deviation of its image, so that a map of contrast alone finds nothing
sanity     the rank correlation of each map with that of the network whose head, then whose every weight is random
faithful   deletion and insertion on 100 images, 32 steps, two fills, against three controls: paired bootstrap
speed      integrated gradients (50 points) and occlusion on ResNet-50 at 224 pixels, beside Captum's batched run
pointing   how often the largest value of a map lies inside the box of the object that it explains, with Wilson's interval
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

from sightline.errors import DataError
from sightline.explanation.attribution.integrated import integrated_gradients
from sightline.explanation.attribution.methods import METHODS
from sightline.explanation.attribution.perturbation import occlusion
from sightline.explanation.controls import baselines
from sightline.explanation.controls.faithfulness import FILLS, curves, gain, scores_of
from sightline.explanation.controls.randomisation import randomised, stages
from sightline.explanation.controls.sanity import judged
from sightline.explanation.controls.similarity import spearman, ssim
from sightline.explanation.subject import Refused, Subject
from sightline.models.create import create_model
from sightline.preprocessing.normalise import Normalise, Normalised

HERE = Path(__file__).parents[1] / "results" / "explanation.json"
DATA = Path(os.environ.get("SIGHTLINE_DATA", "data"))
MARK, BATCH = 4, 64
MARKS = torch.tensor([[[1.0, -1, 1, -1]] * 4, [[1.0] * 4, [-1.0] * 4] * 2])  # columns, rows
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {name: (name, {}) for name in METHODS} | {
    f"{name}, baseline mean": (name, {"baseline": "mean"}) for name in ("input_x_gradient", "integrated_gradients")
}
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


def marked(pixels: Tensor, seed: int, loud: bool) -> tuple[Tensor, Tensor, Tensor]:
    """(images with a mark each, its kind 0 or 1, (n, h, w) true inside the mark); the place is drawn."""
    generator = torch.Generator().manual_seed(seed)
    n, _, height, width = pixels.shape
    kind = torch.randint(2, (n,), generator=generator)
    tops = torch.randint(height - MARK + 1, (n,), generator=generator).tolist()
    lefts = torch.randint(width - MARK + 1, (n,), generator=generator).tolist()
    images, inside = pixels.clone(), torch.zeros(n, height, width, dtype=torch.bool)
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        mean, deviation = (127.5, 127.5) if loud else (pixels[i].mean(), pixels[i].std())
        images[i, :, top : top + MARK, left : left + MARK] = (mean + deviation * MARKS[kind[i]]).clamp(0, 255)
        inside[i, top : top + MARK, left : left + MARK] = True
    return images, kind, inside


def trained(body: nn.Module, pixels: Tensor, labels: Tensor, *, steps: int, flip: bool = False) -> nn.Module:
    """The network after some steps of Adam, normalisation included."""
    channels = pixels.shape[1]
    network = Normalised(Normalise([120.0] * channels, [65.0] * channels), body).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 6e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(len(pixels), (BATCH,))
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


def small_field(channels: int, classes: int) -> nn.Module:
    """Units of its last map see 9 x 9 pixels: about twice the side of the mark."""
    return nn.Sequential(
        nn.Conv2d(channels, 24, 5, stride=2, padding=2), nn.ReLU(), nn.Conv2d(24, 32, 3, padding=1), nn.ReLU(),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(32, classes),
    )  # fmt: skip


BODIES: dict[str, Any] = {
    "small field": small_field,
    "resnet8": lambda channels, classes: create_model("resnet8", num_classes=classes, in_channels=channels),
}


def cue(images: int = 30) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for data, load in (("mnist", mnist), ("cifar10", cifar)):
        pixels = load(6000)[0]
        for body, loud in (("small field", True), ("small field", False)):
            name = f"{data}, {body}, {'loud' if loud else 'quiet'} mark"
            found[name] = planted(pixels, BODIES[body], loud, images, name)
    return found


def planted(pixels: Tensor, body: Any, loud: bool, images: int, name: str) -> dict[str, Any]:
    train, kind, _ = marked(pixels[:5000], 1, loud)
    torch.manual_seed(0)
    network = trained(body(pixels.shape[1], 2), train, kind, steps=400)
    test, labels, inside = marked(pixels[5000:], 2, loud)
    right = accuracy(network, test, labels)
    print(name, "accuracy", right, file=sys.stderr, flush=True)
    test, labels, inside = test[:images], labels[:images], inside[:images]
    subject, everything = Subject(network, network), stages(network)[-1][1]
    table: dict[str, Any] = {}
    for variant, (method, own) in VARIANTS.items():
        settings = {**SETTINGS.get(method, {}), **own}
        try:
            sharp = concentration(METHODS[method].explain(subject, test, labels, **settings).map, inside)
        except Refused as error:
            table[variant] = {"refused": error.message}
            continue
        blind = []
        for seed in range(5):
            with randomised(everything, seed):
                few = METHODS[method].explain(subject, test[:10], labels[:10], **settings).map
            blind.append(concentration(few, inside[:10]))
        table[variant] = {
            "trained": round(sharp, 2), "random": round(float(np.mean(blind)), 2),
            "random_range": [round(min(blind), 2), round(max(blind), 2)],
            "passes": sharp >= 5 and float(np.mean(blind)) <= 1.5,
        }  # fmt: skip
        print(name, variant, table[variant], file=sys.stderr, flush=True)
    return {
        "accuracy": right, "images": images, "seeds": 5, "edges": round(concentration(baselines.edges(test), inside), 2),
        "methods": table,
    }  # fmt: skip


def _classifier() -> tuple[nn.Module, Tensor, Tensor, float]:
    pixels, labels = cifar(10_000)
    torch.manual_seed(0)
    network = trained(create_model("resnet8", num_classes=10), pixels, labels, steps=300, flip=True)
    test, truth = cifar(1000, "test")
    return network, test, truth, accuracy(network, test, truth)


def sanity(model: tuple[nn.Module, Tensor, Tensor, float], images: int = 30, draws: int = 3) -> dict[str, Any]:
    network, test, _, right = model
    subject, pixels = Subject(network, network), test[:images]
    with torch.no_grad():
        target = network(pixels).argmax(1)
    table = {}
    for method in METHODS:
        if method in ("attention", "rollout", "rise"):  # without attention; too many passes
            continue
        settings = METHODS[method].quick
        original = METHODS[method].explain(subject, pixels, target, **settings).map.numpy()
        rows, verdict = [], None
        for name, modules in stages(network):
            maps = []
            for draw in range(draws):
                with randomised(modules, draw):
                    maps.append(METHODS[method].explain(subject, pixels, target, **settings).map.numpy())
            ranks = np.array([[spearman(a, b) for a, b in zip(original, other, strict=True)] for other in maps])
            alike = np.mean([[ssim(a, b) for a, b in zip(original, other, strict=True)] for other in maps])
            verdict = verdict or judged([tuple(row) for row in ranks.T])
            rows.append({
                "stage": name, "spearman": round(float(ranks.mean()), 3), "absolute": round(float(np.abs(ranks).mean()), 3),
                "ssim": round(float(alike), 3),
            })  # fmt: skip
        assert verdict is not None
        table[method] = {"stages": rows, "verdict": verdict.verdict}
        print(method, table[method], file=sys.stderr, flush=True)
    return {"network": "resnet8", "accuracy": right, "images": images, "draws": draws, "methods": table}


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


def pointing(path: Path, images: int = 72) -> dict[str, Any]:
    """The surest object of each test image: does the largest value of its map lie in its box?"""
    from sightline.explanation.explain import explain_images
    from sightline.explanation.question import Choice
    from sightline.inference.explainer import query
    from sightline.kinds.networks import load_task
    from sightline.metrics.proportions import wilson
    from sightline.runs.run import Run

    run = Run(path)
    task = load_task(run)
    hits: dict[str, list[float]] = {}
    names = pq.read_table(run.folder / "predictions" / "test.parquet")["name"].to_pylist()
    for file in (Path(run.recipe.data.path) / name for name in names[:images]):
        try:
            one = query(run, task, file, Choice(), "cpu")
        except DataError:
            continue
        box, pixels = one.question.box, one.batch.image.float()
        ((explanations, controls),) = explain_images(
            one.question.subject, pixels, torch.tensor([one.question.target]), ["gradient", "grad_cam", "occlusion"]
        )
        maps = {e.method: e.map for e in explanations} | dict(controls.maps if controls else {})
        for name, heat in maps.items():
            y, x = np.unravel_index(int(np.argmax(heat)), heat.shape)
            hits.setdefault(name, []).append(box[0] <= x < box[2] and box[1] <= y < box[3])
        share = (box[2] - box[0]) * (box[3] - box[1]) / heat.size
        hits.setdefault("share of the area", []).append(share)
    n = len(hits["gradient"])
    found = {"network": str(run.recipe.model.name), "images": n}
    for name, row in hits.items():
        mean = float(np.mean(row))
        found[name] = (
            round(mean, 3) if name == "share of the area" else [round(x, 3) for x in (mean, *wilson(mean, n, 1.96))]
        )
    return found


def main() -> None:
    if sys.argv[1:2] == ["one"]:
        one(sys.argv[2])
        return
    if sys.argv[1:2] == ["pointing"]:
        found = json.loads(HERE.read_text()) if HERE.is_file() else {}
        run = Path(sys.argv[2])
        found.setdefault("pointing", {})[run.name] = pointing(run)
        HERE.write_text(json.dumps(found, indent=1) + "\n")
        return
    torch.set_num_threads(1)
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
