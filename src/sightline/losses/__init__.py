"""Losses as functions. Most return (mean, weight), so that Σ w·L / Σ w over parts of a batch is the loss of the whole.

>>> import sightline, torch
>>> from sightline.structures.targets import Labels
>>> labels = Labels.of(torch.tensor([0, 2]))
>>> loss, weight = sightline.losses.cross_entropy(logits, labels)  # logits (2, k)
"""

from .classification import binary_cross_entropy, cross_entropy, focal_of_classes, multiclass_hinge
from .information import cross_entropy_between, entropy, information
from .means import in_32_bits, mean_of_known, mean_over
from .penalties import l1_penalty, l2_penalty, weight_decay_term
from .regions import class_of, mask_pixels, objectness, region_class, shifts
from .regression import smooth_l1, squared_error
from .segmentation import class_planes, focal, pixel_cross_entropy, soft_dice, summed_cross_entropy

__all__ = [
    "binary_cross_entropy",
    "class_of",
    "class_planes",
    "cross_entropy",
    "cross_entropy_between",
    "entropy",
    "focal",
    "focal_of_classes",
    "in_32_bits",
    "information",
    "l1_penalty",
    "l2_penalty",
    "mask_pixels",
    "mean_of_known",
    "mean_over",
    "multiclass_hinge",
    "objectness",
    "pixel_cross_entropy",
    "region_class",
    "shifts",
    "smooth_l1",
    "soft_dice",
    "squared_error",
    "summed_cross_entropy",
    "weight_decay_term",
]
