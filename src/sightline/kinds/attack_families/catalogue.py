"""Every method of `sightline attack` by name."""

from __future__ import annotations

from sightline.attacks.methods import METHODS
from sightline.errors import UsageError, nearest

from .alterations import under_change, under_corruption
from .budget import within_budget
from .pictures import by_noise, by_patch
from .wish import Family

FAMILIES: dict[str, Family] = {
    **dict.fromkeys(METHODS, within_budget),
    "patch": by_patch,
    "fooling": by_noise,
    "corruptions": under_corruption,
    "changes": under_change,
}


def family_of(name: str) -> Family:
    if name not in FAMILIES:
        raise UsageError(f"unknown attack {name!r}", nearest(name, FAMILIES))
    return FAMILIES[name]
