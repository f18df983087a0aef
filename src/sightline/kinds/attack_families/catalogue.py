"""Every method of `sightline attack` by name: for the classes of images, and for other answers."""

from __future__ import annotations

from sightline.attacks.methods import METHODS
from sightline.errors import UsageError, nearest
from sightline.kinds.kind import Kind

from .alterations import under_change, under_corruption
from .budget import within_budget
from .hiding import by_hiding
from .pictures import by_noise, by_patch
from .places import within_places
from .request import Family

OF_CLASSES: dict[str, Family] = {
    **dict.fromkeys(METHODS, within_budget),
    "patch": by_patch,
    "fooling": by_noise,
    "corruptions": under_corruption,
    "changes": under_change,
}
OF_PLACES: dict[str, Family] = {**dict.fromkeys(METHODS, within_places), "patch": by_hiding}
OF_METRICS: dict[str, Family] = {"corruptions": under_corruption, "changes": under_change}


def known(method: str) -> None:
    """UsageError for a method that there is not."""
    if method not in OF_CLASSES:
        raise UsageError(f"unknown attack {method!r}", nearest(method, OF_CLASSES))


def family_of(method: str, kind: Kind) -> Family:
    """The family for answers that are not the classes of images. UsageError for what this kind cannot be attacked with."""
    able: dict[str, Family] = {} if kind.scoring is None else dict(OF_METRICS)
    if able and kind.sensitivity is not None and kind.sensitivity.exposure is not None:
        able |= OF_PLACES
    if method in able:
        return able[method]
    fix = f"use --method {' or '.join(able)}" if able else "see its report.html"
    raise UsageError(f"{method} does not work on {kind.name}", fix)
