"""The line before deep networks, beside two networks on the same images.

    python benchmarks/classical.py [cifar] [mnist] [speed] [codes] [matches] [faces] [networks]

needs $SIGHTLINE_DATA. Figures go to results/classical.json part by part, with their conditions.

    cifar     accuracy of every pipeline on a fixed subset of CIFAR-10, with 95 % intervals and seconds
    networks  LeNet-5 and ResNet-20 on the same subset, trained with the defaults for as many epochs as are named
    mnist     HOG and a linear SVM on the 60,000 digits
    speed     HOG a second beside scikit-image's, and how far both agree
    codes     Fisher vectors with and without product quantisation; bags of words with and without a spatial pyramid
    matches   SIFT on photographs that are turned by 30° and scaled by 0.7, 1 and 1.5, judged by the known homography
    faces     the cascade: ROC, features a window, the ratio to no cascade, and the face of scikit-image's astronaut
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import described
from PIL import Image

from sightline.classical.features.hog import Hog
from sightline.classical.learners.quantised import packed_bytes
from sightline.classical.matching import match, moved
from sightline.classical.pipeline import Examples, Pipeline, Solving
from sightline.classical.scanning import scan
from sightline.data.dataset import build_dataset
from sightline.data.formats.sniff import open_data
from sightline.decoding.suppression import nms
from sightline.metrics.proportions import wilson
from sightline.models import create_model

RESULTS = Path(__file__).parents[1] / "results" / "classical.json"
DATA = Path(os.environ.get("SIGHTLINE_DATA", "../shared/data"))
Z = 1.96  # 95 %
TRAIN, TEST = 2_000, 1_000  # images of CIFAR-10, the first of the order that seed 0 draws
PIPELINES: dict[str, dict[str, Any]] = {
    "pixels_svm": {}, "colour_histogram": {}, "pca_knn": {}, "gabor": {}, "leung_malik": {}, "ica_filters": {"patches": 5_000},
    "hog_svm": {}, "bow_sift": {"samples": 20_000}, "fisher_svm": {"samples": 20_000},
    "kmeans_svm": {"words": 100, "patches": 20_000}, "sparse_coding_svm": {"words": 64, "patches": 5_000},
}  # fmt: skip
Labelled = tuple[torch.Tensor, torch.Tensor]


def images_of(name: str, split: str, most: int, channels: int) -> Labelled:
    """Pixels (n, c, h, w) in 0-1 and classes (n,), the first of a fixed random order."""
    data = build_dataset(open_data(str(DATA / name)), needs="classes", leaks="keep", workers=1)
    ids = data.ids(split)
    ids = ids[np.random.default_rng(0).permutation(len(ids))[:most]]
    pixels = np.stack([data.pixels(int(i), channels=channels) for i in ids])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255, torch.from_numpy(
        data.index[ids].astype(np.int64)
    )


def solved(name: str, data: Labelled, classes: int, *, passes: int = 20, **options: Any) -> tuple[Pipeline, float]:
    """The solved pipeline, and the CPU seconds that it took on one thread: other programs share these cores."""
    x, label = data
    begun = time.process_time()
    pipeline = create_model(name, num_classes=classes, in_channels=x.shape[1], image_size=tuple(x.shape[2:]), **options)
    passes = passes if pipeline.iterates else 1
    work = Solving(pipeline, Examples(label, lambda places: x[places], 0, passes, 64, classes))
    for chunk in range(len(work)):
        work.advance(chunk)
    return pipeline.eval(), time.process_time() - begun


@torch.no_grad()
def measured(pipeline: Pipeline, data: Labelled) -> dict[str, Any]:
    x, label = data
    right = torch.cat([pipeline(part).argmax(1) for part in x.split(250)]) == label
    low, high = wilson(float(right.double().mean()), len(right), Z)
    return {
        "accuracy": round(float(right.double().mean()), 4),
        "interval": [round(low, 4), round(high, 4)],
        "n": len(right),
    }


def cifar() -> dict[str, Any]:
    train, test = images_of("cifar10", "train", TRAIN, 3), images_of("cifar10", "test", TEST, 3)
    figures: dict[str, Any] = {"train": TRAIN, "images": "JPEG re-encoded, so a little below the original set"}
    for name, options in PIPELINES.items():
        pipeline, seconds = solved(name, train, 10, **options)
        figures[name] = {
            **measured(pipeline, test),
            "vector": pipeline.channels[-1],
            "cpu_seconds": round(seconds, 1),
            **options,
        }
        print(name, figures[name], flush=True)
    return figures


def networks(epochs: int = 15) -> dict[str, Any]:
    """On the images of `cifar`, as files: the command line trains what a user's would."""
    figures: dict[str, Any] = {"train": TRAIN, "epochs": epochs}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "data"
        for split, most in (("train", TRAIN), ("test", TEST)):
            x, label = images_of("cifar10", split, most, 3)
            for number, (image, index) in enumerate(zip(x, label.tolist(), strict=True)):
                path = root / split / str(index) / f"{number:05}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray((image.permute(1, 2, 0) * 255).round().byte().numpy()).save(path)
        for name in ("lenet5", "resnet20"):
            out, begun = Path(folder) / name, resource.getrusage(resource.RUSAGE_CHILDREN)
            command = [sys.executable, "-m", "sightline", "train", str(root), "-m", name, "--out", str(out)]
            command += [
                f"fit.epochs={epochs}",
                "data.leaks=keep",
                "input.channels=3",
                "fit.threads=1",
                "fit.precision=fp32",
            ]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            value = json.loads((out / "metrics.json").read_text())["test"]["accuracy"]
            low, high = wilson(value, TEST, Z)
            spent = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = spent.ru_utime - begun.ru_utime
            figures[name] = {
                "accuracy": round(value, 4),
                "interval": [round(low, 4), round(high, 4)],
                "cpu_seconds": round(seconds, 1),
            }
            print(name, figures[name], flush=True)
    return figures


def mnist() -> dict[str, Any]:
    train, test = images_of("mnist", "train", 60_000, 1), images_of("mnist", "test", 10_000, 1)
    pipeline, seconds = solved("hog_svm", train, 10)
    return {**measured(pipeline, test), "train": len(train[0]), "cpu_seconds": round(seconds, 1)}


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """What the work returns, and the least CPU seconds of three repetitions: other programs share these cores."""
    times = []
    for _ in range(3):
        begun = time.process_time()
        found = work()
        times.append(time.process_time() - begun)
    return found, min(times)


def speed() -> dict[str, Any]:
    from skimage.feature import hog

    figures = {}
    for name, n, side, cell in (("32 px, cells of 4", 256, 32, 4), ("128 px", 32, 128, 8), ("320 px", 8, 320, 8)):
        x = np.random.default_rng(0).integers(0, 256, (n, side, side)) / 256
        theirs, other = timed(
            lambda x=x, cell=cell: [
                hog(one, pixels_per_cell=(cell, cell), cells_per_block=(2, 2), block_norm="L2-Hys") for one in x
            ]
        )
        batch, row = torch.from_numpy(x)[:, None], {}
        difference = float(np.abs(Hog(cell=cell, soft=False)(batch).numpy() - np.stack(theirs)).max())
        for kind, soft in (("hard votes", False), ("soft votes", True)):
            extractor, single = Hog(cell=cell, soft=soft), batch.float()
            _, ours = timed(lambda extractor=extractor, single=single: extractor(single))
            row[kind] = {"ms an image": round(1e3 * ours / n, 4), "times faster": round(other / ours, 1)}
        figures[name] = {"scikit-image ms": round(1e3 * other / n, 3), "difference": difference, **row}
    return figures


def codes() -> dict[str, Any]:
    train, test = images_of("cifar10", "train", TRAIN, 3), images_of("cifar10", "test", TEST, 3)
    figures: dict[str, Any] = {"train": TRAIN}
    for title, name, options in (
        ("Fisher vectors", "fisher_svm", {}),
        ("Fisher vectors, one byte for 8 numbers", "fisher_svm", {"bits": 1}),
        ("bag of words, one level", "bow_sift", {"levels": 1}),
        ("bag of words, two levels", "bow_sift", {"levels": 2}),
        ("bag of words, three levels", "bow_sift", {"levels": 3}),
    ):
        pipeline, seconds = solved(name, train, 10, samples=10_000, **options)
        size = pipeline.channels[-1]
        taken = packed_bytes(size, 8, 1) if options.get("bits") else 4 * size
        figures[title] = {**measured(pipeline, test), "bytes an image": taken, "cpu_seconds": round(seconds, 1)}
        print(title, figures[title], flush=True)
    return figures


def matches(photos: int = 6) -> dict[str, Any]:
    figures: dict[str, Any] = {"photos": photos, "tolerance": "3 pixels, by the known homography"}
    for angle, factor in ((30, 1.0), (0, 0.7), (0, 1.5), (30, 0.7), (30, 1.5)):
        shares, counts = [], []
        for path in sorted((DATA / "photos").glob("*.JPEG"))[:photos]:
            image = Image.open(path).convert("L")
            image.thumbnail((240, 240))
            turned, truth = warped(image, angle, factor)
            found = match(np.asarray(image) / 255, np.asarray(turned) / 255)
            right = np.hypot(*(moved(found.first, truth) - found.second).T) < 3
            counts.append(int((right & found.inlier).sum()))
            shares.append(float(right[found.inlier].mean()) if found.inlier.any() else 0.0)
        figures[f"{angle}°, {factor:g}x"] = {
            "inliers, median": float(np.median(counts)), "least": min(counts),
            "right of the inliers": round(float(np.mean(shares)), 4),
        }  # fmt: skip
    return figures


def warped(image: Image.Image, angle: float, factor: float) -> tuple[Image.Image, np.ndarray]:
    """The image turned around its middle and scaled, on a canvas that holds it, and the homography that did it."""
    wide, high = image.size
    a = np.radians(angle)
    turn = factor * np.array([[np.cos(a), np.sin(a)], [-np.sin(a), np.cos(a)]])
    corners = np.array([[0, 0], [wide, 0], [0, high], [wide, high]]) @ turn.T
    size = np.ceil(corners.max(0) - corners.min(0)).astype(int)
    truth = np.eye(3)
    truth[:2, :2], truth[:2, 2] = turn, -corners.min(0)
    back = np.linalg.inv(truth)
    coefficients = tuple(back[:2].ravel())
    return image.transform(tuple(size), Image.Transform.AFFINE, coefficients, Image.Resampling.BICUBIC), truth


def windows_of(images: np.ndarray, side: int) -> torch.Tensor:
    """(n, 1, side, side) in 0-1."""
    shown = [Image.fromarray(image).convert("L").resize((side, side), Image.Resampling.BOX) for image in images]
    return torch.from_numpy(np.stack([np.asarray(one) for one in shown])).float()[:, None] / 255


def faces(side: int = 24, negatives: int = 8_000) -> dict[str, Any]:
    from skimage.data import astronaut, lfw_subset

    draw = np.random.default_rng(0)
    lfw = (lfw_subset() * 255).round().astype(np.uint8)
    lfw_faces, lfw_others = lfw[:100], lfw[100:]
    people = [np.stack([np.asarray(Image.open(p).convert("L").crop((2, 20, 92, 110))) for p in sorted(folder.glob("*.png"))])
              for folder in sorted((DATA / "faces").rglob("*")) if any(folder.glob("*.png"))]  # fmt: skip
    at_train, at_test = np.concatenate(people[:32]), np.concatenate(people[32:])
    crops = []
    for path in sorted((DATA / "photos").glob("*.JPEG")):
        image = Image.open(path).convert("L")
        image.thumbnail((320, 320))
        pixels = np.asarray(image)
        for _ in range(2 * negatives // 59 + 1):
            size = int(draw.integers(side, min(pixels.shape)))
            y, x = (int(draw.integers(0, n - size + 1)) for n in pixels.shape)
            crops.append(
                np.asarray(
                    Image.fromarray(pixels[y : y + size, x : x + size]).resize((side, side), Image.Resampling.BOX)
                )
            )
    others = np.stack(crops)
    half = len(others) // 2  # the first photographs train, the others test
    mirrored = np.concatenate([at_train, at_train[:, :, ::-1]])
    known = lfw_faces[:50]
    shifted = np.concatenate([known[:, y : y + 23, x : x + 23] for y in (0, 1, 2) for x in (0, 1, 2)])
    positive = torch.cat([windows_of(mirrored, side), windows_of(np.concatenate([shifted, shifted[:, :, ::-1]]), side)])
    negative = torch.cat([windows_of(others[:half], side), windows_of(lfw_others[:50], side)])
    train = torch.cat([positive, negative]), torch.cat([torch.zeros(len(positive)), torch.ones(len(negative))]).long()
    pipeline, seconds = solved(
        "viola_jones", train, 2, candidates=1500, stages=12, rounds=40, detection=0.99, passing=0.5
    )
    tests = {"AT&T": windows_of(at_test, side), "LFW": windows_of(lfw_faces[50:], side)}
    outside = torch.cat([windows_of(others[half:], side), windows_of(lfw_others[50:], side)])
    with torch.no_grad():
        score = {name: (pipeline(x)[:, 0]).numpy() for name, x in {**tests, "none": outside}.items()}
    hits = np.concatenate([score[name] for name in tests])
    roc = {}
    for rate in (0.001, 0.005, 0.01, 0.05):
        threshold = np.quantile(score["none"], 1 - rate, method="higher")
        roc[f"{rate:g} false"] = round(float((hits > threshold).mean()), 4)
    picture = torch.from_numpy(np.array(Image.fromarray(astronaut()).resize((256, 256)))).permute(2, 0, 1).float() / 255
    begun = time.perf_counter()
    early = scan(pipeline, picture, smallest=32)
    fast, begun = time.perf_counter() - begun, time.perf_counter()
    late = scan(pipeline, picture, smallest=32, early=False)
    slow = time.perf_counter() - begun
    truth = np.array([165, 60, 295, 190]) / 2  # of the face in the picture of 512 pixels, drawn by hand
    best = early.boxes[early.scores.argmax()] if len(early.boxes) else np.zeros(4)
    kept = nms(torch.from_numpy(early.boxes), torch.from_numpy(early.scores), 0.3)
    return {
        "train": {"faces": len(positive), "others": len(negative)}, "test": {"faces": len(hits), "others": len(outside)},
        "stumps": int((pipeline.learner.feature >= 0).sum()), "cpu_seconds": round(seconds, 1),
        "detected": {name: round(float((score[name] > 0).mean()), 4) for name in tests},
        "false windows": round(float((score["none"] > 0).mean()), 4), "roc": roc,
        "astronaut": {
            "windows": early.windows, "features a window": round(early.per_window, 2),
            "features a window without cascade": round(late.per_window, 2), "times faster": round(slow / fast, 1),
            "boxes": len(kept), "best box": [round(float(v), 1) for v in best], "iou": round(overlap(best, truth), 3),
        },
    }  # fmt: skip


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    wide, high = (max(min(a[i + 2], b[i + 2]) - max(a[i], b[i]), 0) for i in (0, 1))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return float(wide * high / max(sum(areas) - wide * high, 1e-9))


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "speed": speed, "mnist": mnist, "cifar": cifar, "codes": codes, "matches": matches, "faces": faces, "networks": networks,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="by default all")
    torch.set_num_threads(1)
    for name in parser.parse_args().parts or PARTS:
        cpu, begun = time.process_time(), time.perf_counter()
        figures = PARTS[name]()
        cost = {"cpu_seconds": round(time.process_time() - cpu, 1), "seconds": round(time.perf_counter() - begun, 1)}
        known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        known[name] = {
            "command": f"python benchmarks/classical.py {name}",
            "machine": described(),
            "threads": 1,
            **cost,
            "figures": figures,
        }
        RESULTS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n")
        print(name, json.dumps(figures, ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
