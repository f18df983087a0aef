"""Objects as boxes, by a network that classifies proposed regions: R-CNN and Fast R-CNN.

Girshick et al. 2014, arXiv:1311.2524      Girshick 2015, arXiv:1504.08083
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from sightline.layers.boxes.anchors import encode
from sightline.losses.regions import class_of, region_class, shifts
from sightline.structures.batch import PLACES, Batch
from sightline.structures.boxes import clip
from sightline.structures.inputs import Places
from sightline.structures.predictions import Detections
from sightline.structures.regions import BOX_UNITS, GivenOutputs, RegionTargets, SelectionRule
from sightline.tasks.boxes.detecting import Detector
from sightline.tasks.regions import boxes_of, region_targets
from sightline.tasks.task import Loss

from .fitting import ImageRegions, fit_regions

Propose = Callable[[UInt8[np.ndarray, "h w c"]], Float[np.ndarray, "n 4"]]  # pixels → boxes, the likeliest first
_NOTHING = SelectionRule(score=1.0)  # no detections: only the features are of interest


class GivenRegions(Detector):
    """`model` maps (images in 0-255 units, sizes, RegionTargets | None, SelectionRule, given=(boxes, sample)) to GivenOutputs.

    A batch may bring the regions of its images (`Places`), computed before these were augmented; for any other, `propose`
    finds them in its pixels. The loss is the sum of the class's cross-entropy and of the boxes' smooth L1, where a loss trains
    these; see `losses.regions`.

    fitted      the last layers are fitted in closed form after the last step: `conclude`
    selection   which boxes a prediction keeps: keywords of `Detector`
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        classes: int,
        propose: Propose,
        fitted: bool = False,
        **selection: Any,
    ) -> None:
        super().__init__(model, classes=classes, **selection)
        self.propose = propose
        self.concludes = fitted

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        targets = region_targets(batch)._replace(mask=None)
        outputs = self.model(batch.image, batch.size, targets, given=self.given(batch))
        draw, images = outputs.draw, len(batch)
        parts = {"class": region_class(outputs.class_logits, draw, targets.label, images)}
        if outputs.box_deltas is not None:
            parts["boxes"] = _box_loss(outputs, targets, images)
        total = torch.stack([mean for mean, _ in parts.values()]).sum()
        reported = {"loss": total.detach()} | {name: mean.detach() for name, (mean, _) in parts.items()}
        return Loss(total, parts["class"][1], reported)

    def predict(self, batch: Batch) -> Detections:
        outputs = self.model(batch.image, batch.size, None, self.selection_rule, given=self.given(batch))
        return Detections(*outputs.detections)

    def given(self, batch: Batch) -> tuple[Float[Tensor, "r 4"], Int[Tensor, "r"]]:
        """The regions of a batch in its pixels, image by image, and their images."""
        places = batch.inputs.get(PLACES)
        if isinstance(places, Places):
            sample = torch.arange(len(batch), device=places.count.device).repeat_interleave(places.count)
            boxes = _moved(places.boxes, batch.frame[sample])
        else:
            found = [
                self.propose(image[:, :height, :width].permute(1, 2, 0).cpu().numpy())  # (c, h, w) → (h, w, c)
                for image, (height, width) in zip(_pixels(batch.image), batch.size.tolist(), strict=True)
            ]
            boxes = torch.from_numpy(np.concatenate(found)).to(batch.image.device)
            count = torch.tensor([len(one) for one in found], device=boxes.device)
            sample = torch.arange(len(batch), device=boxes.device).repeat_interleave(count)
        boxes = clip(boxes, batch.size[sample])
        there = ((boxes[:, 2:] - boxes[:, :2]) >= 1).all(1)  # augmentation may have moved some out of the image
        return boxes[there], sample[there]

    @contextmanager
    def uncached(self) -> Iterator[None]:
        cached, self.propose = self.propose, getattr(self.propose, "uncached", self.propose)
        try:
            yield
        finally:
            self.propose = cached

    @torch.no_grad()
    def conclude(self, batches: Iterable[Batch]) -> None:
        """Fit the last layers to the training images and put them into the network's buffers."""
        known = {name.rpartition(".")[2]: tensor for name, tensor in self.named_buffers()}
        known["ready"].zero_()
        images = []
        for batch in batches:
            true = boxes_of(batch)
            boxes, sample = self.given(batch)
            real = ~true.ignore
            boxes, sample = torch.cat([boxes, true.boxes[real]]), torch.cat([sample, true.sample[real]])
            outputs = self.model(batch.image, batch.size, None, _NOTHING, given=(boxes, sample))
            pooled, maps = (features.float() for features in outputs.features)
            for row in range(len(batch)):
                mine = sample == row
                images.append(ImageRegions.of(boxes[mine], pooled[mine], maps[mine], true, row))
        for name, values in fit_regions(images, self.classes).items():
            known[name].copy_(torch.from_numpy(values))
        known["ready"].fill_(1)


def _box_loss(outputs: GivenOutputs, targets: RegionTargets, images: int) -> tuple[Tensor, Tensor]:
    """Smooth L1 of the deltas of the true class, over regions with objects."""
    draw, deltas = outputs.draw, outputs.box_deltas
    assert draw is not None and deltas is not None
    objects = (draw.truth >= 0).nonzero().flatten()
    expected = encode(targets.boxes[draw.truth[objects]], outputs.regions[objects], BOX_UNITS)
    predicted = deltas[objects, class_of(draw, targets.label)[objects]]  # (p, 4)
    return shifts(predicted, expected, draw.sample[objects], draw, images)


def _moved(boxes: Float[Tensor, "n 4"], frame: Float[Tensor, "n 3 3"]) -> Float[Tensor, "n 4"]:
    """The upright box around the corners of each box, which its frame has moved."""
    x0, y0, x1, y1 = boxes.unbind(1)
    u, v = torch.stack([x0, x1, x1, x0], 1), torch.stack([y0, y0, y1, y1], 1)  # (n, 4)
    x, y = (f[:, 0:1] * u + f[:, 1:2] * v + f[:, 2:3] for f in frame[:, :2].unbind(1))
    return torch.stack([x.amin(1), y.amin(1), x.amax(1), y.amax(1)], 1)


def _pixels(image: Tensor) -> UInt8[Tensor, "b c h w"]:
    """Whole levels, as proposals are computed from: those of an attack are floats."""
    return image.detach().round().clamp(0, 255).to(torch.uint8)
