"""VIA's annotations (VGG Image Annotator): one JSON file for many images, with regions in pixels from the corner of the image.

The class of a region is the one of its attributes that all have; which of several it is, only its name can say.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sightline.data.files.matching import NameIndex
from sightline.data.files.values import describe, number
from sightline.data.files.walking import Walk
from sightline.data.formats.recognition.vocabulary import split_in, splits_of_paths
from sightline.data.records.names import class_text, split_named, suffix
from sightline.data.records.outlines import Outline
from sightline.data.records.records import IGNORED, Problem
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

from ..markup import read_json_file
from ..objects import object_problem
from ..units import Box, refuse_shares
from .assembly import Finds, Mark, Page, assemble
from .companions import images_among
from .shapes import BadShape, checked, ellipse, polygon

ONE_CLASS = "object"
_NAMES = ("class", "label", "name", "category", "type", "object", "species")
_LINES = {"point", "polyline", "line"}
_REPAIR = "correct the region, or remove it"


def read_via(tree: Walk) -> Source:
    """The data set in all of VIA's files below a folder. Raises DataError if no rule says which attribute is the class."""
    finds, images = Finds(tree), images_among(tree)
    pages: list[tuple[str, Mapping[str, Any]]] = []
    for name in tree.files:
        if suffix(name) == ".json":
            value = read_json_file(Path(tree.root, name), printable(name))
            pages += [(name, entry) for entry in _entries(value)]
    attribute = _attribute([region for _, entry in pages for region in _regions(entry)])
    index, taken = NameIndex(images), dict[str, str]()
    folders = splits_of_paths(images)
    rows: list[Sequence[float]] = []
    for name, entry in pages:
        file, written = printable(name), entry.get("filename")
        parts = name.split("/")
        split = split_in(parts[-1].rsplit(".", 1)[0]) or next((s for p in parts[:-1] if (s := split_named(p))), None)
        found = (
            index.find(written, split=split, beside=("/".join(parts[:-1]), "")) if isinstance(written, str) else None
        )
        if found is None or len(found.names) != 1 or found.names[0] in taken:
            code = (
                "repeated" if found and len(found.names) == 1 else "ambiguous" if found and found.names else "missing"
            )
            reason = f"{code}: the image {describe(written)}"
            finds.problems.append(Problem(file, None, reason, "give each image one entry with its own name"))
            continue
        image = found.names[0]
        taken[image] = name
        if not isinstance(entry["regions"], list | dict):
            reason = f"bad-regions: {printable(image)} has {describe(entry['regions'])} instead of a list of regions"
            finds.problems.append(Problem(file, None, reason, "write [] for an image without any"))
            continue
        split = split or folders.get(image)
        finds.splits |= {split} if split else set()
        finds.pages.append(Page(image, split, None, tuple(_marks(finds, entry, attribute, file, image, rows))))
    refuse_shares("VIA's file", "regions", rows)
    if unlisted := len(set(images) - set(taken)):
        finds.notes.append(f"images in no annotation file, not used: {unlisted:,}")
    if attribute is None:
        finds.notes.append(f"regions have no attributes: every one is of the one class '{ONE_CLASS}'")
    else:
        finds.notes.append(f"the class of a region is its attribute '{printable(attribute)}'")
    return assemble(finds, "via", "VIA's file")


def _entries(value: Any) -> list[Mapping[str, Any]]:
    """The entries of images: of the annotations alone, or of a whole project."""
    if isinstance(value, dict) and isinstance(value.get("_via_img_metadata"), dict):
        value = value["_via_img_metadata"]
    entries = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [entry for entry in entries if isinstance(entry, dict) and "filename" in entry and "regions" in entry]


def _regions(entry: Mapping[str, Any]) -> list[Any]:
    """A list, or a mapping by number in early files."""
    regions = entry.get("regions")
    if isinstance(regions, dict):
        return list(regions.values())
    return regions if isinstance(regions, list) else []


def _attribute(regions: Sequence[Any]) -> str | None:
    """The attribute that is the class; None if there are no attributes."""
    keys = Counter(
        str(key) for region in regions for key, value in _attributes(region).items() if value not in (None, "")
    )
    if not keys:
        return None
    most = [key for key, count in keys.items() if count == max(keys.values())]
    usual = [key for word in _NAMES for key in keys if key.strip().casefold().replace(" ", "_") == word]
    if len(usual) != 1 and len(keys) > 1 and len(most) > 1:
        some = ", ".join(printable(key) for key in sorted(most)[:6])
        raise DataError(f"VIA's regions have several attributes: {some}", "call the one with the class `class`")
    return usual[0] if usual else most[0]


def _attributes(region: Any) -> Mapping[Any, Any]:
    found = region.get("region_attributes") if isinstance(region, dict) else None
    return found if isinstance(found, dict) else {}


def _marks(
    finds: Finds, entry: Mapping[str, Any], attribute: str | None, file: str, image: str, rows: list[Sequence[float]]
) -> Iterator[Mark]:
    for row, region in enumerate(_regions(entry)):
        where, faults = (file, row), []
        shape = region.get("shape_attributes") if isinstance(region, dict) else None
        kind = shape.get("name") if isinstance(shape, dict) else None
        if isinstance(kind, str) and kind in _LINES:
            finds.skip(kind)
            continue
        name = _class(_attributes(region).get(attribute)) if attribute is not None else ONE_CLASS
        if name is None:
            faults.append(f"no-class: {describe(_attributes(region).get(attribute))}")
        box: Box | None = None
        outline: Outline | None = None
        try:
            box, outline = _area(shape if isinstance(shape, dict) else {})
            rows.append(box)
        except BadShape as error:
            faults.append(str(error))
        for reason in faults:
            finds.problems.append(object_problem(where, reason, _REPAIR, printable(image), IGNORED))
        yield Mark(name, box, where, outline, unusable=bool(faults))


def _class(value: object) -> str | None:
    """The text; of boxes to tick the one that is."""
    if isinstance(value, dict):
        ticked = [key for key, on in value.items() if on is True or on in ("true", "1")]
        value = ticked[0] if len(ticked) == 1 else None
    text = class_text(str(value).strip()) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if 0 < len(text) <= 200 else None


def _area(shape: Mapping[str, Any]) -> tuple[Box, Outline | None]:
    """The box and the outline of a region. Raises BadShape."""
    kind = shape.get("name")
    if kind == "rect":
        x, y, width, height = (number(shape.get(key)) for key in ("x", "y", "width", "height"))
        return checked((x, y, x + width, y + height)), None
    if kind == "polygon":
        xs, ys = shape.get("all_points_x"), shape.get("all_points_y")
        if not isinstance(xs, list) or not isinstance(ys, list) or len(xs) != len(ys):
            raise BadShape("bad-outline: its points are not two lists of one length")
        return polygon([(number(x), number(y)) for x, y in zip(xs, ys, strict=True)])
    if kind == "circle":
        x, y, radius = (number(shape.get(key)) for key in ("cx", "cy", "r"))
        return ellipse(x, y, radius, radius)
    if kind == "ellipse":
        x, y, rx, ry = (number(shape.get(key)) for key in ("cx", "cy", "rx", "ry"))
        return ellipse(x, y, rx, ry, math.degrees(number(shape.get("theta", 0))))
    raise BadShape(f"bad-shape: the kind {describe(kind)} is not known")
