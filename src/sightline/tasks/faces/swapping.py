"""Training all networks of the face pipeline side by side, each on images whose truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.losses.generative import critic_loss, generator_loss
from sightline.losses.means import in_32_bits
from sightline.losses.segmentation import pixel_cross_entropy
from sightline.metrics.generation.pictures import psnr
from sightline.metrics.generation.seams import seam_ratio
from sightline.preprocessing.signed import HALF, to_levels, to_signed
from sightline.structures.batch import Batch
from sightline.structures.figure_rows import FigureRows
from sightline.structures.predictions import Images, Prediction
from sightline.structures.targets import Masks, Pictures, Several, Values
from sightline.tasks.task import Loss, Task, Turn

from .blending import Picture, Region, eroded, joined, poisson_loss
from .landmarks import Landmarks, from_pixels, heat_maps, landmark_error, part_way
from .pipeline import BACKGROUND, FACE, blended, classes_of, completed, margin, reenacted, swapped

CRITIC, GENERATORS, ANALYSIS = "critic", "generators", "analysis"  # the turns
MADE = ("reenactment", "inpainting", "blending")  # the networks that make images
FOUND = ("landmarks", "segmenter")
SAME, OTHER = "same", "other"  # partners of an image: another image of the same face, and one of another face
FIGURES = (
    "psnr", "psnr_other", "landmark_error", "landmark_error_still", "landmark_error_found", "face_iou", "seam", "seam_pasted",
)  # fmt: skip
PANELS = ("source", "re-enacted", "completed", "pasted", "blended")
_FACE_WEIGHT = 4.0  # of a pixel of the face, beside 1
_TINT, _SHIFT = 0.35, 0.25  # how much colours are changed for the blending network
_CUT = 0.5  # largest side of a hole, as a share of the picture


class FaceSwap(Task):
    """Batches hold images 2i and 2i + 1 of one face; each is the source for the other one.

    adversarial   weight of the critic's least-squares loss beside the differences from the truth
    steps         turns of the pose in which a face is re-enacted
    """

    turns = (Turn(CRITIC, (CRITIC,)), Turn(GENERATORS, MADE), Turn(ANALYSIS, FOUND))
    coupled = True  # images of a batch are each other's source
    landmarks: Any
    segmenter: Any
    reenactment: Any
    inpainting: Any
    blending: Any
    critic: Any

    def __init__(self, networks: dict[str, nn.Module], *, adversarial: float = 0.02, steps: int = 2) -> None:
        super().__init__()
        for name in (*MADE, *FOUND, CRITIC):
            self.add_module(name, networks[name])
        self.adversarial, self.steps = adversarial, steps

    def loss(self, batch: Batch, turn: str) -> Loss:
        image, landmarks, head = to_signed(batch.image), landmarks_of(batch), _masks(batch)
        weight = torch.tensor(float(len(image)), device=image.device)
        if turn == ANALYSIS:
            return self._analysis(image, landmarks, head, weight)
        if turn == CRITIC:
            with torch.no_grad():
                made, true, _ = self._made(image, landmarks, head)
            real = self.critic(true).flatten().repeat(len(MADE))  # as many as the made ones
            total = critic_loss("least_squares", real, self.critic(made).flatten())
            return Loss(total, weight, {CRITIC: total.detach()})
        made, _, parts = self._made(image, landmarks, head)
        fooled = generator_loss("least_squares", self.critic(made).flatten())
        total = sum(parts.values(), self.adversarial * fooled)
        return Loss(total, weight, {"fooled": fooled.detach()} | {name: part.detach() for name, part in parts.items()})

    def _analysis(self, image: Picture, landmarks: Landmarks, head: Tensor, weight: Tensor) -> Loss:
        """Segmentation also of heads on grey, as the re-enacting network makes them."""
        half = torch.arange(len(image), device=image.device) % 2 == 0
        shown = torch.where(half[:, None, None, None], image, on_grey(image, head))
        pixels, _ = pixel_cross_entropy(self.segmenter(shown), head)
        far = (in_32_bits(self.landmarks(shown)) - landmarks).abs().mean()
        return Loss(pixels + 10 * far, weight, {"segmentation": pixels.detach(), "landmarks": far.detach()})

    def _made(self, image: Picture, landmarks: Landmarks, head: Tensor) -> tuple[Tensor, Picture, dict[str, Tensor]]:
        """What the three generators make of known images, what would be right, and how far each is off."""
        n, (height, width) = len(image), image.shape[2:]
        partner = torch.arange(n, device=image.device) ^ 1
        partner = torch.where(partner < n, partner, partner - 1)
        true, face = on_grey(image, head), head == FACE
        # half of the images in one turn of the pose, half by way of a pose in between
        twice = torch.arange(n, device=image.device) % 4 < 2
        between = part_way(landmarks[partner], landmarks, 0.5)
        first = torch.where(twice[:, None, None], between, landmarks)
        moved = in_32_bits(self.reenactment(torch.cat([image[partner], heat_maps(first, height, width)], 1)))
        again = torch.cat([moved[twice], heat_maps(landmarks[twice], height, width)], 1)
        moved = moved.index_put((twice,), in_32_bits(self.reenactment(again)))
        hole = _holes(face)
        filled = completed(self, true, hole)
        region = eroded(face, margin(height))
        tint = _tinted(image)
        _, after = blended(self, tint, image, region)
        parts = {
            "reenactment": ((moved - true).abs().mean(1) * (1 + _FACE_WEIGHT * face)).mean(),
            "inpainting": (filled - true).abs().mean(1).sum() / hole.sum().clamp(min=1),
            "poisson": 10 * poisson_loss(after, tint, region),
        }
        made = torch.cat([moved, filled, on_grey(after, head)])
        return made, true, parts

    def predict(self, batch: Batch) -> Prediction:
        """The panels `PANELS` side by side, (b, 3, h, 5w), and right of them two more that only measuring needs: the region,
        and the partner of the same face re-enacted. Of images without partners, the images themselves."""
        if not isinstance(batch.target, Several):
            return Images(batch.image.float())
        image = to_signed(batch.image)
        same, other = (to_signed(pictures_of(batch, name)) for name in (SAME, OTHER))
        made = swapped(self, other, image, self.steps)
        region = made.region[:, None].expand_as(image) * 2.0 - 1
        panels = [other, made.reenacted, made.completed, made.pasted, made.blended, region, self.moved(same, image)]
        return Images((torch.cat(panels, 3) + 1) * HALF)

    def moved(self, source: Picture, target: Picture) -> Picture:
        """The source in the pose of the target, on grey."""
        start, aim = (in_32_bits(self.landmarks(x)) for x in (source, target))
        return reenacted(self, source, start, aim, self.steps)

    def rows(self, batch: Batch, prediction: Prediction) -> FigureRows:
        """Landmarks of made images are found by the network that has seen rendered ones only; it is no part of what makes
        them, and its own error is beside theirs."""
        assert isinstance(prediction, Images)
        width = batch.image.shape[3]
        panels = [to_levels(x / HALF - 1).float() for x in prediction.image.split(width, 3)]
        true, head = landmarks_of(batch), _masks(batch)
        still, moved_other = to_signed(panels[6]), to_signed(panels[1])
        shown = {
            "landmark_error": still,
            "landmark_error_still": to_signed(pictures_of(batch, SAME)),
            "landmark_error_found": to_signed(batch.image),
        }
        with torch.no_grad():
            columns = {name: landmark_error(in_32_bits(self.landmarks(image)), true) for name, image in shown.items()}
            face = classes_of(self, to_signed(batch.image)) == FACE
        columns["psnr"], columns["psnr_other"] = (
            _face_psnr(image, to_signed(batch.image), head == FACE) for image in (still, moved_other)
        )
        both, either = ((face & (head == FACE)).sum((1, 2)), (face | (head == FACE)).sum((1, 2)))
        columns["face_iou"] = both / either.clamp(min=1)
        region = panels[5][:, 0] > HALF
        for name, image in (("seam", panels[4]), ("seam_pasted", panels[3])):
            columns[name] = torch.tensor(_seams(image, region), device=image.device)
        value = torch.stack([columns[name].double() for name in FIGURES], 1)
        return FigureRows(batch.id.cpu().numpy(), value.cpu().numpy(), FIGURES)

    def metrics(self, rows: Any) -> dict[str, float | None]:
        assert isinstance(rows, FigureRows)
        known = {name: values[~np.isnan(values)] for name in FIGURES for values in [rows.column(name)]}
        return {name: float(values.mean()) if len(values) else None for name, values in known.items()}


def on_grey(image: Picture, head: Tensor) -> Picture:
    """The head, and grey (0) instead of the background."""
    return image * (head != BACKGROUND)[:, None]


def landmarks_of(batch: Batch) -> Landmarks:
    target = _several(batch).by_name["landmarks"]
    assert isinstance(target, Values)
    return from_pixels(target.value.unflatten(1, (-1, 3)), *batch.image.shape[2:])


def pictures_of(batch: Batch, name: str) -> Tensor:
    target = _several(batch).by_name[name]
    assert isinstance(target, Pictures)
    return target.image


def _masks(batch: Batch) -> Tensor:
    target = _several(batch).by_name["mask"]
    assert isinstance(target, Masks)
    return target.index


def _several(batch: Batch) -> Several:
    if not isinstance(batch.target, Several):
        raise TypeError(f"faces need landmarks and masks, but the batch has {type(batch.target).__name__}")
    return batch.target


def _tinted(image: Picture) -> Picture:
    """Each image with colours of its own: gains and shifts of the channels."""
    draw = torch.rand(2, len(image), image.shape[1], 1, 1, device=image.device) * 2 - 1
    return ((1 + _TINT * draw[0]) * image + _SHIFT * draw[1]).clamp(-1, 1)


def _holes(face: Region) -> Region:
    """A rectangle of each face at random."""
    n, height, width = face.shape
    draw = torch.rand(4, n, 1, 1, device=face.device)
    y = torch.arange(height, device=face.device)[None, :, None] / height
    x = torch.arange(width, device=face.device)[None, None] / width
    high, wide = 0.1 + (_CUT - 0.1) * draw[:2]
    top, left = draw[2] * (1 - high), draw[3] * (1 - wide)
    return face & (y >= top) & (y < top + high) & (x >= left) & (x < left + wide)


def _face_psnr(made: Picture, true: Picture, face: Region) -> Float[Tensor, "b"]:
    """PSNR over the pixels of the face: those of other pixels are equal, and the mean is over the face's share."""
    share = face.float().mean((1, 2)).clamp(min=1e-6)
    levels = [(x + 1) * HALF for x in (joined(made, true, face), true)]
    return psnr(*levels) + 10 * torch.log10(share)


def _seams(image: Picture, region: Region) -> list[float]:
    pictures, regions = image.permute(0, 2, 3, 1).cpu().numpy(), region.cpu().numpy()  # (b, c, h, w) → (b, h, w, c)
    return [seam_ratio(picture, inside) for picture, inside in zip(pictures, regions, strict=True)]
