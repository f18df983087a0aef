"""One XML file of Pascal VOC: the objects of an image (Everingham et al. 2010).

VOC counts pixels from 1 and its xmax, ymax are the last pixels inside: as half-open edges a box is (xmin - 1, ymin - 1,
xmax, ymax); corners that coincide are a mistake, not an object one pixel wide. Objects that are difficult or cannot be read
are neither objects to find nor background.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from sightline.data.files.values import flag, number, whole
from sightline.data.records.names import class_text
from sightline.data.records.records import DROPPED, IGNORED, Problem
from sightline.errors import DataError
from sightline.storage.text import printable

from .markup import Element, read_xml
from .objects import box_fault, object_problem, place_of
from .units import Box, is_share, upright_around

_CORNERS = ("xmin", "ymin", "xmax", "ymax")
_REPAIR = "correct the object, or remove it"


class VocObject(NamedTuple):
    """One object, as in its file: `name` None if it cannot be read, `box` None if its place is unknown; both are to
    `ignore`. `stated` are the corners as written; `turned`: the box is the upright one around a turned box."""

    name: str | None
    box: Box | None
    ignore: bool
    where: tuple[str, int]
    stated: Box | None = None
    turned: bool = False
    unusable: bool = False


class VocPage(NamedTuple):
    """The content of one XML file; `zero` counts coordinates of 0, which cannot occur when pixels count from 1, `outlines`
    the objects with an outline, which is not used."""

    size: tuple[int, int] | None
    objects: tuple[VocObject, ...]
    problems: tuple[Problem, ...]
    note: str
    zero: int
    outlines: int = 0


def read_page(path: Path, file: str, image: str) -> VocPage:
    """One XML file. Raises DataError if it is not XML or not an annotation."""
    elements, note = read_xml(path, file)
    if not elements or elements[-1].path != ("annotation",):
        raise DataError(f"{file} line 1: the root is not <annotation>", "export the annotation again")
    children: defaultdict[int, list[Element]] = defaultdict(list)
    for element in elements:
        children[element.owner].append(element)
    size = next((e for e in elements if e.path == ("annotation", "size")), None)
    objects, problems, zero, outlines = [], [], 0, 0
    for element in elements:
        if element.path != ("annotation", "object"):
            continue
        reader = _ObjectReader(element, children, file, image)
        objects.append(reader.read())
        problems += reader.problems
        zero += sum(reader.corners.get(c, "") in ("0", "0.0") for c in ("xmin", "ymin"))
        outlines += any(tag in reader.parts for tag in ("polygon", "segmentation", "mask"))
    for element in elements:
        if element.path[-1] in ("bndbox", "robndbox") and element.path[:2] != ("annotation", "object"):
            reason = f"no-object: a box in <{printable(element.path[-2][:40])}>, which is not <object>"
            problems.append(object_problem((file, element.line), reason, "name it <object>", image, DROPPED))
    stated = _size(_texts(children[size.number])) if size else None
    return VocPage(stated, tuple(objects), tuple(problems), note, zero, outlines)


def _texts(elements: list[Element]) -> dict[str, str]:
    """Tag → text, of the first of each."""
    return {element.path[-1]: element.text for element in reversed(sorted(elements, key=lambda e: e.number))}


class _ObjectReader:
    """One <object> while it is read; its `problems`."""

    def __init__(self, element: Element, children: Mapping[int, list[Element]], file: str, image: str) -> None:
        own = children.get(element.number, [])
        self.parts = _texts(own)
        numbers = {each.path[-1]: each.number for each in own}
        self.corners, self.turned = (_texts(children.get(numbers.get(tag, -1), [])) for tag in ("bndbox", "robndbox"))
        attributes = [_texts(children.get(each.number, [])) for each in children.get(numbers.get("attributes", -1), [])]
        self.attributes = {each.get("name", ""): each.get("value", "") for each in attributes}
        self.where, self.image = (file, element.line), image
        self.problems: list[Problem] = []

    def read(self) -> VocObject:
        name = self._name()
        difficult = self._difficult()
        box, stated, turned = self._box()
        unusable = any(problem.action == IGNORED for problem in self.problems)
        return VocObject(name, box, difficult or unusable, self.where, stated, turned, unusable)

    def _fault(self, reason: str) -> None:
        self.problems.append(object_problem(self.where, reason, _REPAIR, self.image, IGNORED))

    def _name(self) -> str | None:
        name = class_text(self.parts.get("name", "").strip())
        if name and len(name) <= 200:
            return name
        self._fault(f"no-class: a name of {len(name)} characters" if name else "no-class: the object has no name")
        return None

    def _difficult(self) -> bool:
        try:
            return flag(self.parts.get("difficult"))
        except ValueError as error:
            self._fault(f"bad-flag: difficult: {error}")
            return True

    def _box(self) -> tuple[Box | None, Box | None, bool]:
        """The box in half-open edges, or the place of one that cannot be used; as it is written; and whether it is turned."""
        if "xmin" not in self.corners and {"cx", "cy", "w", "h"} <= self.turned.keys():
            x, y, width, height, angle = (number(self.turned.get(key, "0")) for key in ("cx", "cy", "w", "h", "angle"))
            box = upright_around((x, y), (width, height), angle if math.isfinite(angle) else math.nan)
            if fault := box_fault(box):
                self._fault(fault)
                return place_of(box), None, False
            return box, None, True
        if missing := [corner for corner in _CORNERS if corner not in self.corners]:
            self._fault(f"no-box: the object has no {', '.join(missing)}")
            return None, None, False
        left, top, right, bottom = (number(self.corners[corner]) for corner in _CORNERS)
        stated = (left, top, right, bottom)
        if fault := box_fault(stated):
            self._fault(fault)
            low, high = (min(left, right) - 1, min(top, bottom) - 1), (max(left, right), max(top, bottom))
            return place_of((*low, *high)), stated, False
        if is_share(stated):
            self._fault("share: a box less than a pixel wide between 0 and 1, as if it were a share of the image")
            return None, stated, False
        box = (left - 1, top - 1, right, bottom)
        angle = number(self.attributes.get("rotation", "0"))
        if math.isfinite(angle) and angle % 360:
            centre, sides = ((left - 1 + right) / 2, (top - 1 + bottom) / 2), (right - left + 1, bottom - top + 1)
            return upright_around(centre, sides, math.radians(angle)), stated, True
        return box, stated, False


def _size(parts: Mapping[str, str]) -> tuple[int, int] | None:
    """(height, width); None if they are not given, or 0 as some tools write."""
    height, width = whole(parts.get("height")), whole(parts.get("width"))
    return (height, width) if height is not None and width is not None and min(height, width) > 0 else None
