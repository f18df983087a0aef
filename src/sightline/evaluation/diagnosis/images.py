"""Measurements of images, taken from the batches that are predicted: no image is read twice.

All are in units of the 0-255 levels and pixels, of the part of a batch that shows the image, in the network's frame:

    brightness   mean luma (Rec. 601)
    contrast     standard deviation of the luma
    sharpness    standard deviation of the discrete Laplacian of the luma over its contrast: 0 for a flat or thoroughly blurred
                 image, about 4.5 for white noise. Unlike the variance of the Laplacian (Pech-Pacheco et al. 2000,
                 "Diatom autofocusing in brightfield microscopy") it does not change with brightness and contrast.
    size, aspect of the original: its shorter side, and its width over its height
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from sightline.structures.batch import IMAGE, Batch
from sightline.structures.inputs import Pixels

MEASURES = ("brightness", "contrast", "sharpness", "size", "aspect")
_LUMA = (0.299, 0.587, 0.114)
_FLAT = 0.5  # levels of contrast below which sharpness is noise of rounding


@dataclass(frozen=True)
class ImageTable:
    """What is known of images beside their answers.

    id       (n,) rows of the data manifest
    numbers  measurements and numeric columns of the data by name, (n,) each; NaN where unknown
    words    columns of words, such as the class or the camera, by name; None where unknown
    """

    id: Int[np.ndarray, "n"]
    numbers: Mapping[str, Float[np.ndarray, "n"]] = field(default_factory=dict)
    words: Mapping[str, Sequence[str | None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.id)

    def of(self, id: Int[np.ndarray, "m"]) -> ImageTable:
        """The rows of these images, in their order; what is unknown of them is NaN or None."""
        place = {int(i): row for row, i in enumerate(self.id)}
        at = [place.get(int(i), -1) for i in id]
        numbers = {
            name: np.array([values[p] if p >= 0 else np.nan for p in at], float)
            for name, values in self.numbers.items()
        }
        words = {name: [values[p] if p >= 0 else None for p in at] for name, values in self.words.items()}
        return ImageTable(np.asarray(id), numbers, words)


@dataclass
class Measuring:
    """Measures images as their batches pass by."""

    _id: list[Int[np.ndarray, "b"]] = field(default_factory=list)
    _values: list[Float[np.ndarray, "b m"]] = field(default_factory=list)

    def over(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches. Those whose samples are not one image each pass by unmeasured."""
        for batch in batches:
            pixels = batch.inputs.get(IMAGE)
            if isinstance(pixels, Pixels):
                self._id.append(batch.id.cpu().numpy())
                self._values.append(measured(pixels).cpu().numpy())
            yield batch

    def table(self) -> ImageTable:
        """What was measured so far."""
        if not self._id:
            return ImageTable(np.zeros(0, np.int64))
        values = np.concatenate(self._values).astype(np.float64)
        return ImageTable(np.concatenate(self._id), {name: values[:, i] for i, name in enumerate(MEASURES)})


def measured(pixels: Pixels) -> Float[Tensor, "b 5"]:
    """The five measurements of each image."""
    image = pixels.image.float()
    if image.shape[1] == 3:
        image = (image * image.new_tensor(_LUMA)[:, None, None]).sum(1)  # (b, 3, h, w) → (b, h, w)
    else:
        image = image.mean(1)
    inside = _inside(pixels)  # (b, h, w)
    mean = _mean(image, inside)
    contrast = _mean((image - mean[:, None, None]) ** 2, inside).sqrt()
    kernel = image.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    if min(image.shape[1:]) < 3:
        sharpness = torch.zeros_like(mean)
    else:
        edges = functional.conv2d(image[:, None], kernel)[:, 0]  # (b, h - 2, w - 2)
        whole = -functional.max_pool2d(-inside[:, None].float(), 3, stride=1)[:, 0]  # all nine pixels are inside
        centre = _mean(edges, whole)
        spread = _mean((edges - centre[:, None, None]) ** 2, whole).sqrt()
        sharpness = torch.where(contrast > _FLAT, spread / contrast.clamp(min=_FLAT), 0.0)
    height, width = pixels.natural.to(image).unbind(1)
    return torch.stack([mean, contrast, sharpness, torch.minimum(height, width), width / height.clamp(min=1)], 1)


def _inside(pixels: Pixels) -> Tensor:
    """(b, h, w) 1 where a pixel shows the image, 0 in the padding of a batch and in the margins of a letterbox."""
    frame, natural = pixels.frame, pixels.natural.to(pixels.frame)
    inside = []
    for axis, side in ((1, 0), (0, 1)):  # y by heights, x by widths
        first = frame[:, axis, 2].clamp(min=0)
        last = torch.minimum(
            frame[:, axis, axis] * natural[:, side] + frame[:, axis, 2], pixels.size[:, side].to(frame)
        )
        place = torch.arange(pixels.image.shape[2 + side], device=frame.device)[None]
        within = (place >= first[:, None].round()) & (place < last[:, None].round())  # (b, h) or (b, w)
        inside.append(within | ~within.any(1, keepdim=True))  # a frame that says nothing: everything
    return (inside[0][:, :, None] & inside[1][:, None, :]).float()


def _mean(values: Tensor, inside: Tensor) -> Tensor:
    """(b,) the mean over the pixels that are inside."""
    return (values * inside).sum((1, 2)) / inside.sum((1, 2)).clamp(min=1)
