"""The loss of a set of predictions: Carion et al. 2020, DETR, arXiv:2005.12872, section 3.1 and appendix A.2.

For each layer of the decoder, with a matching of its own, and summed over layers ("auxiliary losses"):

    class   cross-entropy of every query with the class of its object or "no object", whose terms weigh 0.1
    l1      5 · Σ |place - true place|, and   giou   2 · Σ (1 - GIoU), of the matched queries, over the number of objects

The authors divide by sums over the whole batch; here each image has its own mean and the images are averaged, so that
parts of a batch add up exactly to the whole. For one image it is the same number.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.losses.detection.set_matching import GIOU, L1, corners, match_set, pair_costs
from sightline.structures.boxes import paired_giou

NO_OBJECT = 0.1
Terms = dict[str, Float[Tensor, ""]]


def image_set_loss(
    logits: Float[Tensor, "q c"], places: Float[Tensor, "q 4"], label: Int[Tensor, "t"], true: Float[Tensor, "t 4"]
) -> Terms:
    """class, l1 and giou of one image by one layer; `places` and `true` are (x, y, width, height) in units of the image."""
    logits, places = logits.float(), places.float()
    query, truth = match_set(pair_costs(logits.detach(), places.detach(), label, true))
    none = logits.shape[1] - 1
    wanted = torch.full_like(logits[:, 0], none, dtype=torch.long).index_put((query,), label[truth])
    weight = torch.ones_like(logits[0]).index_fill(0, wanted.new_tensor([none]), NO_OBJECT)
    matched, target, number = places[query], true[truth].float(), max(len(label), 1)
    return {
        "class": F.cross_entropy(logits, wanted, weight),
        "l1": L1 * (matched - target).abs().sum() / number,
        "giou": GIOU * (1 - paired_giou(corners(matched), corners(target))).sum() / number,
    }


def set_loss(
    logits: Float[Tensor, "l b q c"],
    places: Float[Tensor, "l b q 4"],
    label: Int[Tensor, "t"],
    true: Float[Tensor, "t 4"],
    sample: Int[Tensor, "t"],
) -> tuple[Terms, Float[Tensor, ""]]:
    """The mean of each term over the images, summed over the layers, and the number of images. The loss is their sum."""
    layers, images = logits.shape[:2]
    sums: Terms = {}
    for image in range(images):
        mine = sample == image
        for layer in range(layers):
            terms = image_set_loss(logits[layer, image], places[layer, image], label[mine], true[mine])
            sums = {name: term + sums.get(name, 0.0) for name, term in terms.items()}
    return {name: total / images for name, total in sums.items()}, logits.new_tensor(float(images), dtype=torch.float32)
