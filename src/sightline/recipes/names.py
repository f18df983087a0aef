"""Names on a command line, checked and listed without torch: networks, data sets, recipes.

Networks come from `models/catalogue.json`, which `make catalogue` writes from the networks themselves. A mistyped name is
then answered at once, not after seconds of imports.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from sightline.data.formats.builtin import DATASETS
from sightline.errors import UsageError, nearest
from sightline.registry import suggestion

DETECTORS = re.compile(r"yolo|rt-?detr|detr|ssd|retina|efficientdet|fcos|centernet|r-?cnn|rcnn", re.IGNORECASE)
SHIPPED = resources.files("sightline") / "recipes" / "shipped"


@cache
def catalogue() -> dict[str, dict[str, Any]]:
    """The networks of the package by name, as `sightline models` lists them."""
    text = (resources.files("sightline") / "models" / "catalogue.json").read_text(encoding="utf-8")
    return {row["name"]: row for row in json.loads(text)}


def network_names() -> list[str]:
    """Sorted names of all networks: those of the package, and those that this process has registered beside them."""
    loaded = sys.modules.get("sightline.models.catalogue")
    return sorted({*catalogue(), *(loaded.MODELS if loaded is not None else ())})


def require_match(pattern: str) -> list[str]:
    """The networks that match a shell pattern. UsageError with the nearest names, or a nearby pattern, if there are none."""
    known = network_names()
    if names := [name for name in known if fnmatchcase(name, pattern)]:
        return names
    core = pattern.strip("*?").lower()
    near = [name for name in known if core and core in name]
    near = near or (detectors() if DETECTORS.search(core) else [])
    if not near and (stem := difflib.get_close_matches(core, _stems(known), n=1, cutoff=0.5)):
        near = [f"{stem[0]}*"] if core != pattern else difflib.get_close_matches(core, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(map(repr, near[:3]))}?" if near else "list all with `sightline models`"
    raise UsageError(f"no model matches {pattern!r}", hint)


def _stems(known: Iterable[str]) -> list[str]:
    """The names up to their first digit or underscore: resnet, vgg, efficientnet …"""
    return list(dict.fromkeys(re.split(r"[\d_]", name, maxsplit=1)[0] for name in known))


def require_network(name: str) -> None:
    """UsageError for an unknown network. Names of detectors that are not here get a list of those that are."""
    if ":" in name or name in (known := network_names()):  # code of the user's own is looked for later
        return
    if DETECTORS.search(name):
        here = ", ".join(detectors())
        raise UsageError(f"unknown model {name!r}", f"for data with boxes use one of the detectors here: {here}")
    raise UsageError(f"unknown model {name!r}", suggestion(name, dict.fromkeys(known), {}))


def detectors() -> list[str]:
    """The networks of the package that find objects."""
    return [name for name, row in catalogue().items() if row["outputs"] in ("boxes", "boxes and masks")]


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(f.name.removesuffix(".yaml") for f in SHIPPED.iterdir() if f.name.endswith(".yaml"))


def require_what(what: str) -> None:
    """UsageError for a bare word that names no built-in data set, recipe or path. A path has a separator or a suffix, or
    exists."""
    if what in DATASETS or what in shipped_recipes() or os.sep in what or Path(what).suffix or Path(what).exists():
        return
    here = (path.name for path in Path().iterdir() if path.is_dir() and not path.name.startswith("."))
    raise UsageError(
        f"unknown data set or recipe {what!r}, and there is no such folder here",
        nearest(what, {*DATASETS, *shipped_recipes(), *here}),
    )
