"""Recipe → augmentation."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.augmentation.composites.composite import Augmentation, Composite
from sightline.augmentation.composites.cutmix import CutMix
from sightline.augmentation.composites.mixup import Mixup
from sightline.augmentation.composites.mosaic import Mosaic
from sightline.augmentation.operation import Operation
from sightline.augmentation.own import Own
from sightline.augmentation.photography import Blur, Crop, Hue, Noise, Turn
from sightline.augmentation.pipeline import Pipeline
from sightline.augmentation.policies.policy import Policy
from sightline.augmentation.presets import preset
from sightline.augmentation.values import Cutout
from sightline.errors import UsageError

from .recipe import Recipe
from .section import COMPOSITES, DraftAugment
from .transforms import transform_named


def build_augment(recipe: Recipe, steps: int, turns: int = 1, classes: int = 0) -> Augmentation:
    """The augmentation of a training of so many steps, each of `turns` turns, on images of so many classes."""
    side, section = min(recipe.input.size, recipe.input.width), recipe.augment
    composites: list[Composite] = []
    if section.mosaic:
        smallest, largest = section.mosaic_scale or (Mosaic.smallest, Mosaic.largest)
        composites.append(Mosaic(section.mosaic, smallest, largest))
    alpha, mixup = section.alpha or 1.0, section.mixup or 0.0
    if mixup:
        composites.append(Mixup(mixup, alpha=alpha, classes=classes))
    if section.cutmix:
        composites.append(CutMix(section.cutmix, start=mixup, alpha=alpha, classes=classes))
    operations = preset(section.preset, flip=bool(section.flip), size=side).operations
    operations = (*operations, *_single(section))
    if section.policy:
        operations = (*operations, Policy.of(section.policy))
    if section.cutout:
        operations = (*operations, Cutout(section.cutout))
    if section.transform:
        operations = (*operations, Own(transform_named(section.transform), section.transform))
    return Augmentation(Pipeline(operations), tuple(composites), closed=closing(recipe, steps, turns))


def _single(section: DraftAugment) -> tuple[Operation, ...]:
    """The operations on single images that are keys of their own, in the order in which a camera would make them."""
    made: list[Operation] = []
    if section.crop:
        made.append(Crop(section.crop))
    if section.rotate or section.zoom:
        made.append(Turn(rotate=section.rotate or 0.0, scale=section.zoom or 0.0))
    if section.hue:
        made.append(Hue(section.hue))
    if section.blur:
        made.append(Blur(section.blur))
    if section.noise:
        made.append(Noise(section.noise * 255))
    return tuple(made)


def closing(recipe: Recipe, steps: int, turns: int = 1, share: float = 0.0) -> int:
    """The position in the stream at which the closing part of a training begins: the last `augment.close` of its steps, or
    `share` of them where the recipe leaves that key empty."""
    close = share if recipe.augment.close is None else recipe.augment.close
    return (steps - round(close * steps)) * turns * recipe.fit.batch


def check_augment(section: DraftAugment, possible: Sequence[str], kind: str) -> None:
    """UsageError for operations on several images that the targets of this kind of task cannot follow, and for keys without
    effect."""
    if section.policy is not None:
        Policy.of(section.policy)
    if section.transform is not None:
        transform_named(section.transform)
    used = [key for key in COMPOSITES if getattr(section, key)]
    for key in used:
        if key not in possible:
            raise UsageError(
                f"augment.{key} makes no samples of {kind}",
                f"use {' or '.join(f'augment.{name}' for name in possible)}" if possible else "leave it out",
            )
    if (section.mixup or 0) + (section.cutmix or 0) > 1:
        raise UsageError("augment.mixup and augment.cutmix are shares of the same samples", "let them sum to at most 1")
    if section.alpha is not None and not ("cutmix" in possible and {"mixup", "cutmix"} & set(used)):
        raise UsageError("augment.alpha has no effect without mixup or cutmix of classes", "leave it out")
    if section.mosaic_scale is not None and "mosaic" not in used:
        raise UsageError(
            "augment.mosaic_scale has no effect without augment.mosaic", "set for example augment.mosaic=0.5"
        )
    if section.close is not None and not used:
        raise UsageError("augment.close has no effect where no sample is made of several images", "leave it out")
