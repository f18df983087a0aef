"""What remains of found objects on the host: one row an image, boxes packed beside it, found and true.

As with every kind of rows, all metrics, slices, intervals and comparisons are pure functions of them. Everything is in
the original frame: boxes as half-open pixel edges, masks as COCO's compressed run lengths (Lin et al. 2014,
arXiv:1405.0312), whose height and width are the image's `size`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class DetectionRows:
    """n images with p found and t true objects.

    id           (n,) row of the data manifest; size (n, 2) height and width of the original
    boxes        (p, 4) xyxy float64, label (p,), score (p,) and image (p,): the row (0..n-1) each was found in
    true_boxes   (t, 4), true_label (t,), true_image (t,), and true_ignore (t,): neither to be found nor background
    found_rle    COCO's compressed counts, one a found object; true_rle one a true object; empty where only boxes are asked
    """

    id: Int[np.ndarray, "n"]
    size: Int[np.ndarray, "n 2"]
    boxes: Float[np.ndarray, "p 4"]
    label: Int[np.ndarray, "p"]
    score: Float[np.ndarray, "p"]
    image: Int[np.ndarray, "p"]
    true_boxes: Float[np.ndarray, "t 4"]
    true_label: Int[np.ndarray, "t"]
    true_image: Int[np.ndarray, "t"]
    true_ignore: Bool[np.ndarray, "t"]
    found_rle: tuple[bytes, ...] = ()
    true_rle: tuple[bytes, ...] = ()

    def __len__(self) -> int:
        return len(self.id)

    def take(self, which: np.ndarray) -> DetectionRows:
        """The images that an index array (repeats allowed: each is an image of its own) or a boolean mask selects."""
        index = np.arange(len(self))[which]
        found, image = _gathered(self.image, index, len(self))
        true, true_image = _gathered(self.true_image, index, len(self))
        return DetectionRows(
            id=self.id[index],
            size=self.size[index],
            boxes=self.boxes[found],
            label=self.label[found],
            score=self.score[found],
            image=image,
            true_boxes=self.true_boxes[true],
            true_label=self.true_label[true],
            true_image=true_image,
            true_ignore=self.true_ignore[true],
            found_rle=tuple(self.found_rle[i] for i in found) if self.found_rle else (),
            true_rle=tuple(self.true_rle[i] for i in true) if self.true_rle else (),
        )

    @classmethod
    def join(cls, parts: list[DetectionRows]) -> DetectionRows:
        """All images of the parts, in order."""
        firsts = np.cumsum([0] + [len(p) for p in parts[:-1]])  # the row that each part's image 0 becomes
        plain = ("id", "size", "boxes", "label", "score", "true_boxes", "true_label", "true_ignore")
        return cls(
            **{name: np.concatenate([getattr(p, name) for p in parts]) for name in plain},
            image=np.concatenate([p.image + first for p, first in zip(parts, firsts, strict=True)]),
            true_image=np.concatenate([p.true_image + first for p, first in zip(parts, firsts, strict=True)]),
            found_rle=tuple(rle for p in parts for rle in p.found_rle),
            true_rle=tuple(rle for p in parts for rle in p.true_rle),
        )


def _gathered(image: np.ndarray, index: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The objects of the images in `index`, image by image, and the place in `index` each then belongs to."""
    order = np.argsort(image, kind="stable")
    counts = np.bincount(image, minlength=n)
    starts = np.cumsum(counts) - counts
    taken = counts[index]
    within = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)  # 0, 1, … inside each image
    return order[np.repeat(starts[index], taken) + within], np.repeat(np.arange(len(index)), taken)
