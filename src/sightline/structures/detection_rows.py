"""Rows of detections: one per image, with the predicted and the true boxes of all images packed beside them.

As with all rows, every metric, slice, interval and comparison is a pure function of them. Everything is in
the original frame: boxes as half-open pixel edges, masks as COCO's compressed run lengths (Lin et al. 2014,
arXiv:1405.0312), whose height and width are the image's `size`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True)
class DetectionRows:
    """n images with p predicted and t true objects.

    id           (n,) row of the data manifest; size (n, 2) height and width of the original
    boxes        (p, 4) xyxy float64, label (p,), score (p,) and image (p,), the row (0..n-1) of each
    true_boxes   (t, 4), true_label (t,), true_image (t,), and true_ignore (t,): neither objects nor background
    found_rle    COCO's compressed counts, one per predicted object; true_rle one per true object; empty without masks
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
        """The images that an index array or a boolean mask selects. Repeated indices, as a bootstrap draws them, become
        separate images."""
        index = np.arange(len(self))[which]
        detected, image = _gather(self.image, index, len(self))
        true, true_image = _gather(self.true_image, index, len(self))
        return DetectionRows(
            id=self.id[index],
            size=self.size[index],
            boxes=self.boxes[detected],
            label=self.label[detected],
            score=self.score[detected],
            image=image,
            true_boxes=self.true_boxes[true],
            true_label=self.true_label[true],
            true_image=true_image,
            true_ignore=self.true_ignore[true],
            found_rle=tuple(self.found_rle[i] for i in detected) if self.found_rle else (),
            true_rle=tuple(self.true_rle[i] for i in true) if self.true_rle else (),
        )

    @classmethod
    def join(cls, parts: list[DetectionRows]) -> DetectionRows:
        """All images of the parts, in order."""
        firsts = np.cumsum([0] + [len(p) for p in parts[:-1]])  # the new row of image 0 of each part
        plain = ("id", "size", "boxes", "label", "score", "true_boxes", "true_label", "true_ignore")
        return cls(
            **{name: np.concatenate([getattr(p, name) for p in parts]) for name in plain},
            image=np.concatenate([p.image + first for p, first in zip(parts, firsts, strict=True)]),
            true_image=np.concatenate([p.true_image + first for p, first in zip(parts, firsts, strict=True)]),
            found_rle=tuple(rle for p in parts for rle in p.found_rle),
            true_rle=tuple(rle for p in parts for rle in p.true_rle),
        )


def _gather(image: np.ndarray, index: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The objects of the images in `index`, image by image, and the position in `index` of the image of each.

    image = [0, 0, 1], index = [1, 0, 0] → objects [2, 0, 1, 0, 1] of the images [0, 1, 1, 2, 2]
    """
    order = np.argsort(image, kind="stable")
    counts = np.bincount(image, minlength=n)
    starts = np.cumsum(counts) - counts
    taken = counts[index]
    within = np.arange(taken.sum()) - np.repeat(np.cumsum(taken) - taken, taken)  # 0, 1, … within each image
    return order[np.repeat(starts[index], taken) + within], np.repeat(np.arange(len(index)), taken)
