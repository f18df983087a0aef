"""Faces that are moved and swapped, and a detector of swapped ones. Figures go to results/<what>.json, pictures to --runs.

    python benchmarks/faces.py faces        100 rendered faces, 8 images each, at 64 pixels; the whole pipeline on them; at most
                                            ten CPU minutes of training on one thread. On faces that it never saw: landmarks
                                            after re-enactment, the seam of the blended face
    python benchmarks/faces.py deepfakes    needs the run of `faces`: 60 further faces, each swapped by that run and by moving
                                            landmarks; classifiers trained on one way to swap and tested on the others

A swap is made for each image of a split, with the face of another person of the same split; no face is in two splits.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from pathlib import Path
from typing import Any

import machine
import numpy as np
from PIL import Image
from sklearn.metrics import roc_auc_score

import sightline
from sightline.metrics.generation.seams import seam_ratio
from sightline.runs.console import Console

RESULTS = Path(__file__).parents[1] / "results"
SEAM, MINUTES = 1.2, 10.0  # bars
FACES, EACH = 100, 8
QUIET = Console(level=-1)
KEYS = {"task.kind": "face_swap", "fit.threads": 1, "fit.device": "cpu"}
WAYS = {  # name → method and blending of `swap`
    "network": ("network", "network"),
    "network-poisson": ("network", "poisson"),
    "network-pasted": ("network", "none"),
    "warp": ("warp", "poisson"),
    "warp-pasted": ("warp", "none"),
}
TAUGHT = ("network", "warp")  # a detector is trained on each of them
OTHERS, DRAWS = 60, 2_000  # faces of the detector; resamples of its interval
DETECTOR = {
    "model.name": "resnet8",
    "fit.threads": 1,
    "fit.device": "cpu",
    "augment.preset": "light",
}
EPOCHS, PIPELINE_EPOCHS = 12.0, 20.0


def rendered(folder: Path, faces: int, size: int, seed: int) -> dict[str, list[Path]]:
    """split → images."""
    if not folder.exists():
        sightline.faces(folder, n=faces, each=EACH, size=size, seed=seed, console=QUIET)
    return {
        split: [folder / "images" / f"{name}.png" for name in (folder / f"{split}.txt").read_text().split()]
        for split in ("train", "val", "test")
    }


def by_face(images: list[Path]) -> dict[str, list[Path]]:
    out: dict[str, list[Path]] = {}
    for path in images:
        out.setdefault(path.stem.partition("_")[0], []).append(path)
    return out


def swaps(run: sightline.Run, images: list[Path], folder: Path, way: str) -> list[Path]:
    """Each image with the face of the next person; the files have the targets' names."""
    method, blend = WAYS[way]
    faces = by_face(images)
    names = list(faces)
    for place, name in enumerate(names):
        source, targets = faces[names[(place + 1) % len(names)]][0], folder / "targets" / name
        targets.mkdir(parents=True, exist_ok=True)
        for path in faces[name]:
            shutil.copy(path, targets)
        sightline.swap(run, source, targets, out=folder / way / name, method=method, blend=blend, console=QUIET)
    return sorted(p for p in (folder / way).rglob("*.png"))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))


def faces(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    start = time.process_time()
    images = rendered(folder / "data", options.faces, options.size, 0)
    seconds = {"rendering": round(time.process_time() - start, 1)}
    start, wall = time.process_time(), time.perf_counter()
    settings = KEYS | {"input.size": options.size}
    epochs = options.epochs or PIPELINE_EPOCHS
    run = sightline.train(folder / "data", settings, epochs=epochs, out=folder / "run", console=Console())
    seconds |= {"training": round(time.process_time() - start, 1), "wall": round(time.perf_counter() - wall, 1)}
    judgement = sightline.evaluate(run, split="test", console=QUIET).judgement.to_json()
    seams: dict[str, list[float]] = {}
    for way in ("network", "network-poisson", "network-pasted"):
        paths = swaps(run, images["test"], folder / "swaps", way)
        seams[way] = [_seam(folder, path) for path in paths]
    found = {
        "faces": options.faces,
        "settings": settings | {"epochs": epochs},
        "cpu_seconds": seconds,
        "n": judgement["n"],
        "metrics": judgement["metrics"],
        "intervals": judgement["intervals"],
        "seam": {way: float(np.nanmean(values)) for way, values in seams.items()},
        "seam_of_real_images": float(np.nanmean([_seam(folder, path, real=True) for path in paths])),
    }
    metrics = found["metrics"]
    found["passed"] = {
        "re-enactment": metrics["landmark_error"] < metrics["landmark_error_still"],
        "seam": metrics["seam"] is not None and metrics["seam"] <= SEAM,
        "minutes": seconds["training"] <= 60 * MINUTES,
    }
    return found


def _seam(folder: Path, swapped: Path, real: bool = False) -> float:
    """At the boundary of what differs between the swap and its target, or there in the target itself."""
    target = pixels(folder / "swaps" / "targets" / swapped.parent.name / swapped.name)
    region = (pixels(swapped) != target).any(2)
    return seam_ratio(target if real else pixels(swapped), region)


def auc(truth: np.ndarray, score: np.ndarray, face: np.ndarray) -> dict[str, Any]:
    """With a 95 % interval from resampled persons: images of one are not independent."""
    draw, persons = np.random.default_rng(0), np.unique(face)
    members = {person: np.flatnonzero(face == person) for person in persons}
    drawn = []
    for _ in range(DRAWS):
        rows = np.concatenate([members[p] for p in draw.choice(persons, len(persons))])
        drawn.append(roc_auc_score(truth[rows], score[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    value = float(roc_auc_score(truth, score))
    return {"auc": value, "interval": [float(low), float(high)], "n": len(truth), "persons": len(persons)}


def deepfakes(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    run = sightline.open_run(folder / "run")
    images = rendered(folder / "others", OTHERS, options.size, 1)
    settings, epochs = DETECTOR | {"input.size": options.size}, options.epochs or EPOCHS
    fakes = {
        way: {split: swaps(run, paths, folder / "fakes" / split, way) for split, paths in images.items()}
        for way in WAYS
    }
    found: dict[str, Any] = {"settings": settings | {"epochs": epochs}, "cpu_seconds": {}, "trained_on": {}}
    for way in TAUGHT:
        data = folder / "detector" / way / "data"
        for split in images:
            for label, paths in (("real", images[split]), ("fake", fakes[way][split])):
                place = data / split / label
                place.mkdir(parents=True, exist_ok=True)
                for path in paths:
                    shutil.copy(path, place / path.name)
        start = time.process_time()
        detector = sightline.train(
            data, settings, epochs=epochs, out=folder / "detector" / way / "run", console=Console()
        )
        found["cpu_seconds"][way] = round(time.process_time() - start, 1)
        rows = {name: _tested(detector, images["test"], fakes[name]["test"]) for name in WAYS}
        found["trained_on"][way] = rows
    return found


def _tested(detector: sightline.Run, real: list[Path], fake: list[Path]) -> dict[str, Any]:
    paths = [*real, *fake]
    score = []
    for row in sightline.predict(detector, paths, console=QUIET).rows:
        score.append(dict(row["top"])["fake"])
    truth = np.array([0] * len(real) + [1] * len(fake))
    return auc(truth, np.array(score), np.array([path.stem.partition("_")[0] for path in paths]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("faces", "deepfakes"))
    parser.add_argument("--epochs", type=float)
    parser.add_argument("--faces", type=int, default=FACES)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--runs", type=Path, default=Path("runs/faces"), help="where data and runs are kept")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    options.out.mkdir(parents=True, exist_ok=True)
    found = {"faces": faces, "deepfakes": deepfakes}[options.what](options.runs, options)
    command = f"python benchmarks/faces.py {options.what} --size {options.size}"
    results = {"command": command, "machine": machine.described(), **found}
    (options.out / f"{options.what}.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results))


if __name__ == "__main__":
    main()
