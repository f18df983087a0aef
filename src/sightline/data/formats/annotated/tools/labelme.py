"""LabelMe's JSON: a file an image, with rectangles, polygons, circles and masks in pixels from the corner of the image.

The image is the file that `imagePath` names from the folder of the JSON file, else the one of the same name, else the pixels
that the JSON file holds itself (`imageData`). Shapes of one class and one group_id are parts of one object.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.data.files.matching import NameIndex
from sightline.data.files.values import describe, flag, identity, number, whole
from sightline.data.files.walking import Walk
from sightline.data.records.names import class_text, suffix
from sightline.data.records.outlines import Outline
from sightline.data.records.records import IGNORED, Contents, Problem, Record, Stamp, stamp_of
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.preprocessing.decoder import MAX_BYTES, decode
from sightline.preprocessing.rejection import Rejected
from sightline.storage.reading import read_regular
from sightline.storage.text import printable

from ..markup import read_json_file
from ..objects import object_problem
from ..units import Box, refuse_shares
from .assembly import Finds, Mark, Page, assemble, joined
from .companions import companions, images_among, splits_of, unpaired
from .shapes import BadShape, checked, ellipse, mask_outline, polygon

_REPAIR = "correct the shape, or remove it"
_FLAGS = ("difficult", "crowd", "iscrowd", "ignore")
_LINES = {"point", "points", "line", "linestrip", "polyline"}
Shape = tuple[Box, Outline | None]


@dataclass(frozen=True)
class WithinJson(Contents):
    """Each record is a file under `root`, or the `imageData` of a JSON file there."""

    root: str
    within: frozenset[str] = field(default_factory=frozenset)

    def load(self, record: Record) -> Path | bytes:
        """Raises Rejected if the JSON file holds no image any more."""
        path = Path(self.root, record.name)
        return embedded(path) if record.name in self.within else path

    def stamp(self, record: Record) -> Stamp:
        try:
            return stamp_of(os.stat(f"{self.root}/{record.name}"))
        except OSError:
            return None


def embedded(path: Path) -> bytes:
    """The image within a JSON file. Raises Rejected."""
    try:
        value = json.loads(read_regular(path, 2 * MAX_BYTES))
        data = value.get("imageData") if isinstance(value, dict) else None
        if not isinstance(data, str) or not data:
            raise Rejected("missing", "its JSON file holds no image")
        return base64.b64decode(data, validate=True)
    except (OSError, ValueError, RecursionError, binascii.Error) as error:
        raise Rejected("damaged", f"the image within the JSON file cannot be read: {error}") from error


def read_labelme(tree: Walk) -> Source:
    """The data set. A JSON file that cannot be read costs its image, a shape only itself."""
    pages: dict[str, Mapping[str, Any]] = {}
    finds = Finds(tree)
    for name in tree.files:
        if suffix(name) != ".json":
            continue
        try:
            value = read_json_file(Path(tree.root, name), printable(name))
        except DataError as error:
            finds.problems.append(Problem(printable(name), None, f"bad-json: {error.message}", error.hint))
            continue
        if (
            isinstance(value, dict)
            and "shapes" in value
            and "imagePath" in value
            and not isinstance(value["shapes"], list)
        ):
            reason = f"bad-json: its shapes are {describe(value['shapes'])}, where a list of them is needed"
            finds.problems.append(Problem(printable(name), None, reason, "write [] for an image without any"))
        if isinstance(value, dict) and isinstance(value.get("shapes"), list):
            pages[name] = {**value, "imageData": bool(value.get("imageData"))}  # its bytes stay in the file
    images = images_among(tree)
    owner, within = _owners(finds, pages, images)
    split_lists = splits_of(tree, [*images, *sorted(within)])
    finds.problems += split_lists.problems
    finds.notes += split_lists.notes
    finds.splits |= split_lists.named_splits
    rows: list[Sequence[float]] = []
    for image, page in sorted(owner.items()):
        if image in split_lists.split:
            reader = _PageReader(finds, printable(page), printable(image))
            marks = reader.read(pages[page]["shapes"], rows, _size(pages[page]))
            finds.pages.append(Page(image, split_lists.split[image], _size(pages[page]), marks))
    refuse_shares("LabelMe's files", "shapes", rows)
    if bare := len(set(images) & set(split_lists.split)) - len(set(images) & set(owner)):
        finds.notes.append(f"images without a JSON file, not used: {bare:,}")
    if within:
        finds.notes.append(f"images that only their JSON files hold: {len(within):,}")
    return assemble(finds, "labelme", "LabelMe's files", contents=WithinJson(tree.root, frozenset(within)))


def _owners(
    finds: Finds, pages: Mapping[str, Mapping[str, Any]], images: Sequence[str]
) -> tuple[dict[str, str], set[str]]:
    """Image → its JSON file; and the JSON files that hold their image themselves, which then stand for it."""
    index, known = NameIndex(images), set(images)
    by_stem = companions(images, list(pages))
    stems = {page: image for image, page in by_stem.partner.items()}
    claims: dict[str, str] = {}
    within: set[str] = set()
    for page, value in pages.items():
        folder, written = page.rpartition("/")[0], value.get("imagePath")
        image = _named(written, folder, index, known) if isinstance(written, str) else None
        if image := image or stems.get(page):
            claims[page] = image
        elif value.get("imageData"):
            within.add(page)
        else:
            reason = f"missing: no image {describe(written)}, and none called like the file"
            finds.problems.append(Problem(printable(page), None, reason, "restore the image, or remove the file"))
    taken = Counter(claims.values())
    owner = {page: page for page in within}
    for page, image in claims.items():
        if taken[image] > 1:
            if image in owner or image in (p.file for p in finds.problems):
                continue
            same = [other for other, of in claims.items() if of == image]
            finds.problems.append(unpaired(image, [image, *same], "JSON file"))
        else:
            owner[image] = page
    return owner, within


def _named(written: str, folder: str, index: NameIndex, known: set[str]) -> str | None:
    """The image that a path means: beside the JSON file, or the only one in the set that fits it."""
    last = written.replace("\\", "/").rsplit("/", 1)[-1]
    beside = f"{folder}/{last}" if folder else last
    if beside in known:
        return beside
    names = index.find(written, beside=(folder, "")).names
    return names[0] if len(names) == 1 else None


def _size(page: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = whole(page.get("imageHeight")), whole(page.get("imageWidth"))
    return (height, width) if height is not None and width is not None and min(height, width) > 0 else None


class _PageReader:
    """One JSON file while its shapes are read."""

    def __init__(self, finds: Finds, file: str, image: str) -> None:
        self.finds, self.file, self.image = finds, file, image

    def read(
        self, shapes: Sequence[Any], rows: list[Sequence[float]], size: tuple[int, int] | None
    ) -> tuple[Mark, ...]:
        marks = []
        for row, shape in enumerate(shapes):
            where = (self.file, row)
            if not isinstance(shape, dict):
                self._fault(where, "bad-shape: it is not an object")
                marks.append(Mark(None, None, where, unusable=True))
            elif str(shape.get("shape_type", "polygon")) in _LINES:
                self.finds.skip(str(shape["shape_type"]))
            else:
                mark = self._mark(shape, where, size)
                marks.append(mark)
                rows += [mark.box] if mark.box and not mark.unusable else []
        return joined(marks)

    def _fault(self, where: tuple[str, int], reason: str) -> None:
        self.finds.problems.append(object_problem(where, reason, _REPAIR, self.image, IGNORED))

    def _mark(self, shape: Mapping[str, Any], where: tuple[str, int], size: tuple[int, int] | None) -> Mark:
        unusable, ignore, box, outline = False, False, None, None
        label = shape.get("label")
        name = class_text(label.strip()) if isinstance(label, str) and 0 < len(label.strip()) <= 200 else None
        if name is None:
            self._fault(where, f"no-class: the label {describe(label)}")
            unusable = True
        try:
            flags = shape.get("flags")
            ignore = any(flag(flags.get(word)) for word in _FLAGS) if isinstance(flags, dict) else False
        except ValueError as error:
            self._fault(where, f"bad-flag: {error}")
            unusable = True
        try:
            box, outline = _area(shape, size)
        except BadShape as error:
            self._fault(where, str(error))
            unusable = True
        group = identity(shape.get("group_id")) or ""
        return Mark(name, box, where, outline, ignore, unusable, group)


def _area(shape: Mapping[str, Any], size: tuple[int, int] | None) -> Shape:
    """The box and the outline of a shape. Raises BadShape."""
    kind, given = shape.get("shape_type", "polygon"), shape.get("points")
    if not isinstance(given, list) or not all(isinstance(point, list) and len(point) == 2 for point in given):
        raise BadShape("bad-shape: its points are not a list of [x, y]")
    points = [(number(x), number(y)) for x, y in given]
    if kind == "polygon":
        return polygon(points)
    if len(points) != 2 or not all(math.isfinite(value) for point in points for value in point):
        raise BadShape(f"bad-shape: a {describe(kind)} of {len(points)} points, where it has two")
    (x1, y1), (x2, y2) = points
    box = (min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2))
    if kind == "rectangle":
        return checked(box), None
    if kind == "circle":
        radius = math.hypot(x2 - x1, y2 - y1)
        return ellipse(x1, y1, radius, radius)
    if kind == "mask":
        return _mask(shape.get("mask"), box, size)
    raise BadShape(f"bad-shape: the kind {describe(kind)} is not known")


def _mask(data: object, box: Box, size: tuple[int, int] | None) -> Shape:
    """A PNG of the pixels within the box, in text."""
    if not isinstance(data, str) or size is None:
        raise BadShape("bad-outline: a mask without pixels, or without the size of its image")
    try:
        inside = decode(base64.b64decode(data, validate=True), channels=1).pixels[..., 0] > 0
    except (Rejected, ValueError) as error:
        raise BadShape(f"bad-outline: the mask cannot be read: {error}") from error
    left, top = round(box[0]), round(box[1])
    if min(left, top) < 0 or left + inside.shape[1] > size[1] or top + inside.shape[0] > size[0]:
        raise BadShape("bad-outline: a mask that leaves its image")
    return mask_outline(inside, left, top, size)
