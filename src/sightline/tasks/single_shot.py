"""Objects as boxes with a class and a score, by a network that answers at every place at once (Ge et al. 2021,
arXiv:2107.08430)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from sightline.layers.boxes.dynamic_assignment import Assignment, Objects, Predicted, simota, soft_assignment
from sightline.layers.boxes.places import encode_places
from sightline.losses.means import mean_over
from sightline.losses.single_shot import box_overlap_loss, place_class, place_objectness, shift_distance
from sightline.structures.batch import Batch
from sightline.structures.outputs.places import PlaceOutputs
from sightline.structures.targets import Boxes

from .boxes.detecting import PlaceDetector
from .regions import boxes_of
from .task import Loss

BOX_WEIGHT = 5.0
ASSIGNMENTS: dict[str, Callable[..., Assignment]] = {"simota": simota, "soft": soft_assignment}


class SingleShot(PlaceDetector):
    """`model` is a single-shot network: (images in 0-255 units, sizes) → PlaceOutputs.

    assignment   "simota" as published, or "soft" (Lyu et al. 2022, arXiv:2212.07784)
    shift        weight of the L1 loss of shifts, as in Megvii's code in the closing part of a training only: for samples from
                 the position `closing` in the stream on; 0 leaves it out
    selection    which boxes a prediction keeps: keywords of `Detector`
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        classes: int,
        assignment: Literal["simota", "soft"] = "simota",
        shift: float = 0.0,
        closing: int = 0,
        **selection: Any,
    ) -> None:
        super().__init__(model, classes=classes, **selection)
        self.assign = ASSIGNMENTS[assignment]
        self.shift, self.closing = shift, closing

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        outputs: PlaceOutputs = self.model(batch.image, batch.size)
        true = boxes_of(batch)
        learned = assigned(outputs, true, self.assign)
        image, place, truth = learned.image, learned.place, learned.truth
        boxes = true.boxes[truth].float()
        parts = {
            "boxes": BOX_WEIGHT * box_overlap_loss(outputs.boxes[image, place], boxes),
            "objectness": place_objectness(outputs.objectness, learned.positive, learned.ignored),
            "class": place_class(outputs.classes[image, place], true.label[truth], learned.iou),
        }
        if self.shift:
            last = (
                batch.position.to(image.device)[image] >= self.closing
            )  # (p,): by sample, so that resuming changes nothing
            where = image[last], place[last]
            expected = encode_places(boxes[last], outputs.cell[where[1]], outputs.stride[where[1]])
            parts["shift"] = self.shift * shift_distance(outputs.shift[where], expected)
        total, weight = mean_over(torch.stack(list(parts.values())).sum(), learned.weight)
        reported = {name: mean_over(part.detach(), weight)[0] for name, part in parts.items()}
        return Loss(total, weight, {"loss": total.detach(), **reported})


class Learned(NamedTuple):
    """What the places of a batch learn. The p places with an object: `image`, `place`, `truth` (row of the true boxes), `iou`;
    of all b · n, `positive` and `ignored`. `weight` is the number that the loss is divided by."""

    image: Int[Tensor, "p"]
    place: Int[Tensor, "p"]
    truth: Int[Tensor, "p"]
    iou: Float[Tensor, "p"]
    positive: Bool[Tensor, "b n"]
    ignored: Bool[Tensor, "b n"]
    weight: Float[Tensor, ""]


@torch.no_grad()
def assigned(outputs: PlaceOutputs, true: Boxes, assign: Callable[..., Assignment]) -> Learned:
    """The assignment of every image. Places whose centre lies in an ignored region (a crowd), and which learn no object,
    are ignored. An image without objects counts as one place, so that its background is learned in any batch."""
    score, centre = outputs.score.detach(), outputs.centre
    positive = torch.zeros_like(outputs.objectness, dtype=torch.bool)
    ignored = torch.zeros_like(positive)
    images, places, truths, ious, weight = [], [], [], [], 0
    for image in range(len(positive)):
        mine = true.sample == image
        rows = (mine & ~true.ignore).nonzero()[:, 0]
        predicted = Predicted(outputs.boxes[image].detach(), score[image])
        found = assign(predicted, Objects(true.boxes[rows].float(), true.label[rows]), centre, outputs.stride)
        positive[image, found.place] = True
        ignored[image] = _inside_any(centre, true.boxes[mine & true.ignore]) & ~positive[image]
        images.append(torch.full_like(found.place, image))
        places.append(found.place)
        truths.append(rows[found.truth])
        ious.append(found.iou)
        weight += max(len(found.place), 1)
    joined = torch.cat(images), torch.cat(places), torch.cat(truths), torch.cat(ious)
    return Learned(*joined, positive, ignored, score.new_tensor(float(weight)))


def _inside_any(centre: Float[Tensor, "n 2"], regions: Float[Tensor, "r 4"]) -> Bool[Tensor, "n"]:
    low, high = regions[None, :, :2], regions[None, :, 2:]  # (1, r, 2)
    return ((centre[:, None] > low) & (centre[:, None] < high)).all(-1).any(-1)
