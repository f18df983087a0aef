"""Synthetic scenes with captions: two coloured digits, one beside or above the other.

    python benchmarks/scenes.py FOLDER [--n 20000]    FOLDER/images/*.png and FOLDER/captions.csv (image,split,caption)

"red 3 left of green 7": 4 colours, 10 digits and 4 relations make 6,400 captions. No training image has one of a fifth of
them: a network that is right about those has not learned them by heart. Digits are MNIST's ($SIGHTLINE_DATA), halved to 14x14
and moved by up to one pixel; without MNIST those of scikit-learn, enlarged.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sightline.data.formats.sniff import open_data
from sightline.errors import DataError
from sightline.preprocessing.decoder import decode

SIDE, DIGIT = 32, 14
COLOURS = {"red": (255, 60, 60), "green": (60, 230, 60), "blue": (80, 110, 255), "yellow": (240, 230, 50)}
# relation → top left corners of the first and the second digit, before they are moved
PLACES = {
    "left of": ((9, 1), (9, 17)), "right of": ((9, 17), (9, 1)), "above": ((1, 9), (17, 9)), "below": ((17, 9), (1, 9)),
}  # fmt: skip
HELD_OUT = 5  # one caption in so many


class Scene(NamedTuple):
    """`colour` and `digit` of the first and the second object."""

    colour: tuple[str, str]
    digit: tuple[int, int]
    relation: str

    @property
    def caption(self) -> str:
        (one, other), (a, b) = self.colour, self.digit
        return f"{one} {a} {self.relation} {other} {b}"


def scenes() -> list[Scene]:
    """All of them."""
    colours = list(COLOURS)
    return [
        Scene((c, d), (a, b), relation)
        for c in colours for d in colours for a in range(10) for b in range(10) for relation in PLACES
    ]  # fmt: skip


def held_out(every: list[Scene]) -> list[Scene]:
    """Those that no training image shows, the same for every seed."""
    order = np.random.default_rng(0).permutation(len(every))
    return [every[i] for i in order[: len(every) // HELD_OUT]]


def digits(split: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """(n, 14, 14) uint8 and (n,): MNIST's of this split, or scikit-learn's."""
    try:
        source = open_data("mnist")
        records = [r for r in source.records if r.split == split]
    except DataError:
        source = open_data("digits")
        records = list(source.records)
    images = [decode(source.load(r), channels=1, depth=None).pixels[..., 0] for r in records]
    small = [np.asarray(Image.fromarray(i).resize((DIGIT, DIGIT), Image.Resampling.BOX)) for i in images]
    return np.stack(small), np.array([int(r.label or 0) for r in records])


def drawn(scene: Scene, pictures: tuple[np.ndarray, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """(32, 32, 3) uint8."""
    images, labels = pictures
    canvas = np.zeros((SIDE, SIDE, 3), np.float64)
    for colour, digit, (top, left) in zip(scene.colour, scene.digit, PLACES[scene.relation], strict=True):
        ink = images[rng.choice(np.flatnonzero(labels == digit))] / 255.0
        y, x = top + rng.integers(-1, 2), left + rng.integers(-1, 2)
        part = canvas[y : y + DIGIT, x : x + DIGIT]
        part[:] = np.maximum(part, ink[..., None] * np.array(COLOURS[colour], np.float64))
    return canvas.round().astype(np.uint8)


def write(folder: Path, n: int, seed: int = 0) -> None:
    """n training scenes of captions that are not held out, and a twentieth of it as val."""
    rng, pictures = np.random.default_rng(seed), digits()
    every = scenes()
    unseen = set(held_out(every))
    known = [scene for scene in every if scene not in unseen]
    (folder / "images").mkdir(parents=True)
    with (folder / "captions.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "split", "caption"))
        for i in range(n + n // 20):
            scene = known[rng.integers(len(known))]
            name = f"images/{i:05d}.png"
            Image.fromarray(drawn(scene, pictures, rng)).save(folder / name)
            rows.writerow((name, "train" if i < n else "val", scene.caption))


class Judge:
    """Reads a scene: the layout (beside or above) by where the ink is, then at each of its two places the colour,
    by the nearest, and the digit, by a classifier. Which object is where is thus a matter of colours and digits."""

    def __init__(self, classify: object) -> None:
        self._classify = classify

    def right(self, images: np.ndarray, asked: list[Scene]) -> dict[str, np.ndarray]:
        """Whether relation, colours and digits of each image (n, 32, 32, 3) are as asked, (n,) or (n, 2) each."""
        relation = np.array(
            [self._places(image) == set(PLACES[s.relation]) for image, s in zip(images, asked, strict=True)]
        )
        crops = [
            self._crop(image, place) for image, s in zip(images, asked, strict=True) for place in PLACES[s.relation]
        ]
        digit = np.array([s.digit for s in asked])
        found = np.asarray(self._classify([crop.max(2) for crop in crops])).reshape(-1, 2)  # type: ignore[operator]
        colour = np.array([self._colour(crop) for crop in crops]).reshape(-1, 2)
        return {"relation": relation, "digit": found == digit, "colour": colour == np.array([s.colour for s in asked])}

    @staticmethod
    def _crop(image: np.ndarray, place: tuple[int, int]) -> np.ndarray:
        top, left = place
        return image[max(top - 1, 0) : top + DIGIT + 1, max(left - 1, 0) : left + DIGIT + 1]

    def _places(self, image: np.ndarray) -> set[tuple[int, int]]:
        """The two places of the layout whose emptier half has more ink."""
        layouts = (PLACES["left of"], PLACES["above"])
        ink = [min(int(self._own(image, place).sum()) for place in layout) for layout in layouts]
        return set(layouts[int(ink[1] > ink[0])])

    @staticmethod
    def _own(image: np.ndarray, place: tuple[int, int]) -> np.ndarray:
        """The outer part of a place, which no other layout fills."""
        top, left = place
        rows = slice(0, 9) if top < 5 else slice(23, SIDE) if top > 12 else slice(9, 23)
        columns = slice(0, 9) if left < 5 else slice(23, SIDE) if left > 12 else slice(9, 23)
        return image[rows, columns]

    @staticmethod
    def _colour(crop: np.ndarray) -> str:
        bright = crop.reshape(-1, 3)[crop.max(2).ravel() >= 128].astype(np.float64)
        if not len(bright):
            return ""
        mean = bright.mean(0) / np.linalg.norm(bright.mean(0))
        nearness = {name: mean @ (np.array(c) / np.linalg.norm(c)) for name, c in COLOURS.items()}
        return max(nearness, key=lambda name: nearness[name])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=20_000)
    options = parser.parse_args()
    write(options.folder, options.n)
