"""Recipe → augmentation."""

from __future__ import annotations

from collections.abc import Sequence

from sightline.augmentation.composites.composite import Augmentation, Composite
from sightline.augmentation.composites.mixup import Mixup
from sightline.augmentation.composites.mosaic import Mosaic
from sightline.augmentation.presets import preset
from sightline.errors import UsageError

from .recipe import Recipe
from .section import COMPOSITES, DraftAugment


def build_augment(recipe: Recipe, steps: int, turns: int = 1) -> Augmentation:
    """The augmentation of a training of so many steps, each of `turns` turns."""
    side, section = min(recipe.input.size, recipe.input.width), recipe.augment
    composites: list[Composite] = []
    if section.mosaic:
        smallest, largest = section.mosaic_scale or (Mosaic.smallest, Mosaic.largest)
        composites.append(Mosaic(section.mosaic, smallest, largest))
    if section.mixup:
        composites.append(Mixup(section.mixup))
    open_steps = steps - round((section.close or 0.0) * steps)
    return Augmentation(
        preset(section.preset, flip=bool(section.flip), size=side),
        tuple(composites),
        closed=open_steps * turns * recipe.fit.batch,
    )


def check_composites(section: DraftAugment, possible: Sequence[str], kind: str) -> None:
    """UsageError for operations on several images that the targets of this kind of task cannot follow, and for keys without
    effect."""
    used = [key for key in COMPOSITES if getattr(section, key)]
    for key in used:
        if key not in possible:
            raise UsageError(
                f"augment.{key} makes no samples of {kind}",
                f"use {' or '.join(f'augment.{name}' for name in possible)}" if possible else "leave it out",
            )
    if section.mosaic_scale is not None and "mosaic" not in used:
        raise UsageError(
            "augment.mosaic_scale has no effect without augment.mosaic", "set for example augment.mosaic=0.5"
        )
    if section.close is not None and not used:
        raise UsageError("augment.close has no effect where no sample is made of several images", "leave it out")
