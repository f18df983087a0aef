"""Diffusion, flow matching, latent diffusion and scenes from words on MNIST. Figures go to results/diffusion-<what>.json.

    python benchmarks/diffusion.py ddpm|flow|latent    digits by class; a training of about ten minutes on one thread a seed
    python benchmarks/diffusion.py scenes              "red 3 left of green 7"; captions of training, and captions never seen
    python benchmarks/diffusion.py dropout             256 hidden units with and without dropout; two minutes
    python benchmarks/diffusion.py ddpm --seeds 1 --epochs 0.05 --n 100 --out /tmp/figures      a rehearsal

Digits: of N made images, as many of each class, a classifier that was trained on real digits only (its SHA-256 names the
features) says how many have the class that was asked for; the Fréchet distance is measured in its last features against N test
images. Beside it stand its floor (two halves of 2 N test images) and its ceiling (noise). Bars: agreement 97 %; DDIM in 20
steps at most 1.5 times the distance of 200; codes: reconstruction at least 20 dB, sampling at most a quarter of the time
of pixels at no more than 1.3 times the distance; scenes: 80 % of the attributes. Every seed is reported.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import illnesses
import machine
import numpy as np
import scenes
from PIL import Image

import sightline
from sightline.metrics.distributions import frechet_distance, precision_recall
from sightline.runs.console import Console
from sightline.storage.reading import hash_regular

RESULTS = Path(__file__).parents[1] / "results"
AGREEMENT, FEW, MANY, RATIO = 0.97, 20, 200, 1.5
DECIBELS, SHARE, CODES_RATIO, ATTRIBUTES = 20.0, 0.25, 1.3, 0.8
EPOCHS = {"ddpm": 5.0, "flow": 5.0, "latent": 5.0, "codes": 3.0, "scenes": 15.0, "dropout": 2.0}
SETTINGS: dict[str, Any] = {"fit.threads": 1, "fit.device": "cpu"}
CAPTIONS, EACH = 40, 16  # scenes: captions of each sort, images of a caption
QUIET = -1


def trained(
    what: str, place: Path, *, seed: int, epochs: float, **settings: Any
) -> tuple[sightline.Run, dict[str, float]]:
    """A run and what its training took; one that is there already is used again, without times."""
    if (place / "manifest.json").exists():
        return sightline.open_run(place), {}
    keys = {**SETTINGS, **{name.replace("__", "."): value for name, value in settings.items()}}
    cpu, wall = time.process_time(), time.perf_counter()
    run = sightline.train(what, keys, epochs=epochs, seed=seed, out=place, console=Console(level=QUIET))
    return run, {
        "cpu_seconds": round(time.process_time() - cpu, 1),
        "wall_seconds": round(time.perf_counter() - wall, 1),
    }


def classifier(folder: Path, epochs: float = 3.0) -> sightline.Run:
    """Trained on real digits only."""
    return trained("mnist", folder / "classifier", seed=0, epochs=epochs, model__name="lenet5")[0]


class Bench:
    """The classifier, real images, and what they say of made ones."""

    def __init__(self, folder: Path, n: int, epochs: float | None) -> None:
        self.folder, self.n, self.epochs = folder, n, epochs
        self.judge = classifier(folder, 3.0 if epochs is None else epochs)
        real = illnesses.mnist("test")[0][: 2 * n, ..., None]  # (n, 28, 28, 1)
        self.known = self.judge.embed(list(real))
        noise = np.random.default_rng(0).integers(0, 256, real[:n].shape, dtype=np.uint8)
        self.about = {
            "features": hash_regular(self.judge.folder / "model" / "model.safetensors")[1],
            "frechet_floor": frechet_distance(self.known[:n], self.known[n:]),
            "frechet_noise": frechet_distance(self.judge.embed(list(noise)), self.known[:n]),
        }

    def length(self, what: str) -> float:
        """Epochs of a training."""
        return EPOCHS[what] if self.epochs is None else self.epochs

    def measured(self, run: sightline.Run, seed: int, **options: Any) -> dict[str, Any]:
        start = time.process_time()
        made, wanted = run.sample(self.n, seed=seed, **options), np.arange(self.n) % 10
        seconds = time.process_time() - start
        right = np.array([int(p.label) for p in self.judge.predict(list(made))]) == wanted
        features = self.judge.embed(list(made))
        precision, recall = precision_recall(features, self.known[: self.n])
        return {
            "agreement": float(right.mean()), "by_class": [float(right[wanted == k].mean()) for k in range(10)],
            "frechet": frechet_distance(features, self.known[: self.n]), "precision": precision, "recall": recall,
            "seconds_an_image": round(seconds / self.n, 5), "n": self.n,
        }  # fmt: skip

    def digits(self, process: str, seed: int) -> dict[str, Any]:
        """G4: pixels."""
        run, took = trained(
            "mnist", self.folder / f"{process}-{seed}", seed=seed, epochs=self.length(process), task__kind="diffusion",
            task__process=process,
        )  # fmt: skip
        few, many = (self.measured(run, seed, steps=steps) for steps in (FEW, MANY))
        found = {
            "seed": seed,
            **took,
            "steps": run.summary()["steps"],
            "loss": run.metrics["test"]["loss"],
            str(FEW): few,
        }
        found |= {str(MANY): many, "ratio": few["frechet"] / many["frechet"]}
        if process == "flow":
            found["euler"] = self.measured(run, seed, steps=FEW, sampler="euler")
        return found | {"passed": bool(few["agreement"] >= AGREEMENT and found["ratio"] <= RATIO)}

    def latent(self, seed: int) -> dict[str, Any]:
        """G8: codes of 4x7x7, beside the pixels of the same seed where these have been trained."""
        codes, one = trained(
            "mnist", self.folder / f"codes-{seed}", seed=seed, epochs=self.length("codes"), task__kind="autoencoder"
        )
        run, two = trained(
            "mnist", self.folder / f"latent-{seed}", seed=seed, epochs=self.length("latent"), task__kind="diffusion",
            task__autoencoder=str(codes.folder),
        )  # fmt: skip
        found = {"seed": seed, "codes": one, **two, "psnr": codes.metrics["test"]["psnr"]}
        found[str(FEW)] = self.measured(run, seed, steps=FEW)
        pixels = self.folder / f"ddpm-{seed}"
        if (pixels / "manifest.json").exists():
            beside = found["pixels"] = self.measured(sightline.open_run(pixels), seed, steps=FEW)
            found["share_of_time"] = found[str(FEW)]["seconds_an_image"] / beside["seconds_an_image"]
            found["ratio"] = found[str(FEW)]["frechet"] / beside["frechet"]
            found["passed"] = bool(
                found["psnr"] >= DECIBELS and found["share_of_time"] <= SHARE and found["ratio"] <= CODES_RATIO
            )
        return found

    def scenes(self, seed: int) -> dict[str, Any]:
        """Attributes of scenes that were asked for in words."""
        data = self.folder / "scenes"
        if not data.exists():
            scenes.write(data, 20_000 if self.epochs is None else 500)
        run, took = trained(
            str(data), self.folder / f"scenes-{seed}", seed=seed, epochs=self.length("scenes"), task__kind="diffusion",
            task__conditions="text", task__words=32,
        )  # fmt: skip
        judge = scenes.Judge(self._digits_of)
        every = scenes.scenes()
        unseen = scenes.held_out(every)
        seen = sorted(set(every) - set(unseen))
        rng = np.random.default_rng(seed)
        found: dict[str, Any] = {"seed": seed, **took, "captions": CAPTIONS, "images_a_caption": EACH}
        pictures = scenes.digits("test")
        for name, of in (("real", seen), ("seen", seen), ("unseen", unseen)):
            asked = [of[i] for i in rng.choice(len(of), CAPTIONS, replace=False)]
            rows: dict[str, list[np.ndarray]] = {}
            for scene in asked:
                if name == "real":
                    images = np.stack([scenes.drawn(scene, pictures, rng) for _ in range(EACH)])
                else:
                    images = run.sample(EACH, text=scene.caption, seed=seed, steps=FEW)
                for key, value in judge.right(images, [scene] * EACH).items():
                    rows.setdefault(key, []).append(value)
            shares = {key: float(np.concatenate(value).mean()) for key, value in rows.items()}
            shares["attributes"] = (shares["relation"] + 2 * shares["digit"] + 2 * shares["colour"]) / 5
            found[name] = shares
        return found | {"passed": bool(min(found["seen"]["attributes"], found["unseen"]["attributes"]) >= ATTRIBUTES)}

    def _digits_of(self, crops: list[np.ndarray]) -> list[int]:
        """The classifier reads digits of 28x28: crops are enlarged, and black filled in around them."""
        images = [
            np.asarray(Image.fromarray(c).resize((2 * c.shape[1], 2 * c.shape[0]), Image.Resampling.BICUBIC))
            for c in crops
        ]
        padded = [np.pad(i, [(0, max(32 - side, 0)) for side in i.shape])[2:30, 2:30] for i in images]
        return [int(p.label) for p in self.judge.predict([i[..., None] for i in padded])]

    def dropout(self, seed: int) -> dict[str, Any]:
        """256 hidden units: how many are in use, and the reconstruction, by dropout."""
        found: dict[str, Any] = {"seed": seed}
        images = list(illnesses.mnist("test")[0][:1_000, ..., None])
        for rate in (0.0, 0.5):
            run, took = trained(
                "mnist", self.folder / f"dense-{rate}-{seed}", seed=seed, epochs=self.length("dropout"),
                task__kind="autoencoder", model__name="autoencoder_dense", model__options={"dropout": rate},
            )  # fmt: skip
            codes = np.array([answer.row["code"] for answer in run.predict(images)])
            found[str(rate)] = {**took, "psnr": run.metrics["test"]["psnr"], "active_share": float((codes > 0).mean())}
            found[str(rate)]["dead_units"] = int((codes.max(0) == 0).sum())
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("ddpm", "flow", "latent", "scenes", "dropout"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=None, help="of every training; default: as recorded")
    parser.add_argument("--n", type=int, default=2_000, help="images of each set")
    parser.add_argument("--runs", type=Path, default=None, help="where the runs are kept; default: nowhere")
    parser.add_argument("--out", type=Path, default=RESULTS)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        bench = Bench(options.runs or Path(temporary), options.n, options.epochs)
        results: dict[str, Any] = {"machine": machine.described(), **bench.about, "seeds": []}
        results["epochs"] = EPOCHS if options.epochs is None else options.epochs
        for seed in range(options.seeds):
            one = (
                bench.digits(options.what, seed)
                if options.what in ("ddpm", "flow")
                else getattr(bench, options.what)(seed)
            )
            results["seeds"].append(one)
            print(json.dumps(one), flush=True)
            (options.out / f"diffusion-{options.what}.json").write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
