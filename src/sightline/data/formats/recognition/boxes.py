"""Annotations of boxes and outlines as tools write them, known by what is inside a few of their files: YOLO's text, LabelMe's
and other JSON, CVAT's and VOC's XML, tables with columns of boxes.

A file counts by its content, never by its name alone: captions and notes beside the images of a class stay what they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from sightline.data.records.names import IMAGE_SUFFIXES, suffix
from sightline.storage.text import printable

_TEXTS = (".txt", ".json", ".xml", ".yaml", ".yml", ".csv", ".tsv")
TRIED = 24  # files of one kind that are looked into
_HEAD = 1 << 16  # bytes of a file that are looked at
_NUMBER = re.compile(r"-?\d+(?:\.\d*)?(?:e[+-]?\d+)?|-?\.\d+", re.I)
_LIST_OF_BOXES = re.compile(r"\.(?:jpe?g|png|bmp|tiff?|webp)[,;\s]+\d+[,;]\s*\d+[,;]\s*\d+[,;]\s*\d+", re.I)
_HEADERLESS = re.compile(
    r"[^,]+\.(?:jpe?g|png|bmp|tiff?|webp)\"?(?:(?:,\s*-?[\d.]+){4}|,{4}),[^,]*", re.I
)  # RetinaNet's
_COCO = (re.compile(r'"images"\s*:\s*\['), re.compile(r'"annotations"\s*:\s*\['), re.compile(r'"categories"\s*:\s*\['))
_JSON_BOXES = re.compile(
    r'"(?:bbox|bboxes|bounding_?box(?:es)?|boundingBox|boxes|points|polygons?|shape_attributes|exterior|coordinates|'
    r'segmentation|rectanglelabels|polygonlabels|keypoints|landmarks|xmin|x_min|regions|shapes)"\s*:'
)
_COCO_EXPORT = "export the annotations as COCO's JSON"
BOX_CELLS = ("bbox", "box", "bounding_box")  # of four numbers in one cell
_EXPORT = "export the annotations as COCO's JSON or as Pascal VOC's XML"
CORNERS = (
    frozenset(("xmin", "ymin", "xmax", "ymax")), frozenset(("x_min", "y_min", "x_max", "y_max")),
    frozenset(("x1", "y1", "x2", "y2")), frozenset(("x", "y", "w", "h")), frozenset(("x", "y", "width", "height")),
    frozenset(("left", "top", "right", "bottom")), frozenset(("x0", "y0", "x1", "y1")),
    frozenset(("x_center", "y_center", "width", "height")), frozenset(("cx", "cy", "w", "h")),
    frozenset(("roi.x1", "roi.y1", "roi.x2", "roi.y2")), frozenset(("left", "top", "width", "height")),
    frozenset(("bbox_x", "bbox_y", "bbox_width", "bbox_height")), frozenset(("xtl", "ytl", "xbr", "ybr")),
)  # fmt: skip
_BOX_CELLS = frozenset((
    "bbox", "bboxes", "box", "boxes", "bounding_box", "bounding_boxes", "polygon", "polygons", "segmentation", "objects",
    "encodedpixels", "encoded_pixels", "rle", "predictionstring", "region_shape_attributes", "keypoints", "mask_rle",
))  # fmt: skip


class Recognised(NamedTuple):
    """Annotations of boxes: what they look like, the evidence, and the fix where they are not read; the `tool` whose reader
    reads them, "" if none does."""

    what: str
    evidence: str
    fix: str
    tool: str = ""


def find_boxes(root: Path, files: Sequence[str]) -> Recognised | None:
    """The annotations of boxes among the files, if there are any that a tool writes beside images or in a file of its own."""
    kinds: dict[str, list[str]] = {kind: [] for kind in _TEXTS}
    others: list[str] = []
    for name in files:
        kinds.get(name[name.rfind(".") :].lower(), others).append(name)
    if len(others) == len(files):
        return None
    images = {_stem(name) for name in others if suffix(name) in IMAGE_SUFFIXES}
    txt, json, xml = ([n for n in kinds[k] if _stem(n) in images or _stem(_stem(n)) in images] for k in _TEXTS[:3])
    yaml = next((n for n in (*kinds[".yaml"], *kinds[".yml"]) if is_yolo_yaml(_head(root, n))), None)
    tests = (
        lambda: _text(root, txt, yaml),
        lambda: _json(root, json, kinds[".json"]),
        lambda: _xml(root, xml, kinds[".xml"]),
        lambda: _lists(root, [n for n in kinds[".txt"] if n.count("/") <= 1]),
        lambda: _tables(root, [n for n in (*kinds[".csv"], *kinds[".tsv"]) if n.count("/") <= 1]),
    )
    return next((found for test in tests if (found := test()) is not None), None)


def box_columns(header: Sequence[str]) -> tuple[str, ...]:
    """The columns of a header that hold boxes or outlines, as written; () if none do."""
    names = {cell.strip().casefold().replace(" ", "_"): cell.strip() for cell in header}
    for corners in CORNERS:
        if corners <= names.keys():
            return tuple(names[name] for name in names if name in corners)
    return tuple(cell for name, cell in names.items() if name in _BOX_CELLS)


def _text(root: Path, names: list[str], yaml: str | None) -> Recognised | None:
    looks = [(name, _numbers(_head(root, name))) for name in spread(names)]
    rows = [(name, lines) for name, lines in looks if lines]
    good = [name for name, lines in rows if any(map(_is_yolo, lines or ()))]
    if yaml and names and (good or not any(_head(root, name).strip() for name, _ in looks)):
        return Recognised("YOLO's text labels", printable(yaml), "", "yolo")
    if not rows or 2 * len(good) <= sum(lines != [] for _, lines in looks):  # of files that are not empty
        good = []
    if not good and (not rows or any(lines is None for _, lines in looks)):
        return None
    if good:
        what, tool = "YOLO's text labels", "yolo"
    elif all(len(line) >= 4 for _, lines in rows for line in lines or ()):
        what, tool = "text files of coordinates beside the images, which are not read", ""
    else:
        return None
    name, first = rows[0][0], _head(root, rows[0][0]).strip().splitlines()[0]
    seen = f"{len(names):,} .txt files named like images, such as {printable(name)}: '{printable(first[:60])}'"
    return Recognised(what, seen, _EXPORT, tool)


def _numbers(text: str) -> list[list[float]] | None:
    """The lines as numbers; None if any of them holds anything else."""
    lines = []
    for line in text.split("\n")[:50]:
        cells = line.split()
        if not cells:
            continue
        if not all(_NUMBER.fullmatch(cell) for cell in cells):
            return None
        lines.append([float(cell) for cell in cells])
    return lines


def _is_yolo(line: list[float]) -> bool:
    """class x y w h (or the corners of an outline) as shares of the image."""
    return len(line) >= 5 and line[0] == int(line[0]) >= 0 and all(-0.01 <= share <= 1.01 for share in line[1:5])


def is_yolo_yaml(text: str) -> bool:
    """Whether a YAML text is YOLO's list of classes and folders."""
    return bool(re.search(r"^names\s*:", text, re.M)) and bool(re.search(r"^(?:nc|train|val)\s*:", text, re.M))


def _json(root: Path, beside: list[str], every: list[str]) -> Recognised | None:
    hits = [name for name in spread(beside) if _JSON_BOXES.search(_head(root, name))]
    if hits:
        seen = f"{len(beside):,} .json files named like images, such as {printable(hits[0])}"
        if any(_is_labelme(_head(root, name)) for name in hits):
            return Recognised("LabelMe's JSON", seen, "", "labelme")
        return Recognised("JSON annotations, a file for each image, which are not read", seen, _COCO_EXPORT)
    for name in sorted(set(every) - set(beside))[:TRIED]:
        head = _head(root, name, 1 << 20)
        if all(key.search(head) for key in _COCO):
            return Recognised(
                "COCO's JSON in a place where it is not looked for", printable(name), "give that file as the data"
            )
        if _is_labelme(head):
            return Recognised("LabelMe's JSON", printable(name), "", "labelme")
        if '"shape_attributes"' in head and '"regions"' in head:
            return Recognised("VIA's JSON", printable(name), "", "via")
        if _JSON_BOXES.search(head):
            return Recognised("JSON annotations, which are not read", printable(name), _COCO_EXPORT)
    return None


def _is_labelme(head: str) -> bool:
    return '"shapes"' in head and ('"points"' in head or '"imagePath"' in head)


def _xml(root: Path, beside: list[str], every: list[str]) -> Recognised | None:
    for name in spread(every):
        head = _head(root, name)
        if re.search(r"<annotations>|<annotations\s", head) and re.search(r"<(?:image|track)\s", head):
            return Recognised("CVAT's XML", printable(name), "", "cvat")
    for name in spread(beside or every):
        head = _head(root, name)
        if "<annotation" in head and re.search(r"<(?:bndbox|robndbox)>", head):
            seen = f"{len(beside or every):,} .xml files, such as {printable(name)}"
            if beside:
                return Recognised("Pascal VOC's XML", seen, "", "voc")
            return Recognised("Pascal VOC's XML without its images", seen, "give each XML file the name of its image")
        if re.search(r"<(?:box|bndbox|polygon|points)[\s>]", head):
            return Recognised("XML annotations, which are not read", printable(name), _EXPORT)
    return None


def _lists(root: Path, names: list[str]) -> Recognised | None:
    for name in names[:TRIED]:
        if hit := _LIST_OF_BOXES.search(_head(root, name)):
            line = next(line for line in _head(root, name).splitlines() if hit.group() in line)
            return Recognised(
                "a text list of boxes, which is not read", f"{printable(name)}: '{printable(line[:60])}'", _EXPORT
            )
    return None


def _tables(root: Path, names: list[str]) -> Recognised | None:
    for name in names[:TRIED]:
        head = _head(root, name)
        first = head.split("\n", 1)[0]
        if _HEADERLESS.match(first.strip()):
            return Recognised("a table of boxes without a header", printable(name), "", "table")
        if columns := box_columns(re.split(r"[,;\t]", first.replace('"', "").lstrip("\ufeff"))):
            shown = ", ".join(printable(column) for column in columns)
            readable = len(columns) == 4 or columns[0].casefold().replace(" ", "_") in BOX_CELLS
            what = "a table of boxes" if readable else "a table of outlines or of lists of boxes, which is not read"
            return Recognised(what, f"{printable(name)} has the columns {shown}", _EXPORT, "table" if readable else "")
    return None


def spread(names: Sequence[str]) -> list[str]:
    """At most `TRIED` of them, evenly."""
    return list(names[:: max(-(-len(names) // TRIED), 1)])


def _stem(name: str) -> str:
    return os.path.splitext(name.rsplit("/", 1)[-1])[0]


def _head(root: Path, name: str, size: int = _HEAD) -> str:
    """The beginning of a file as text, whole lines only where it is longer; "" where it cannot be read."""
    try:
        with open(root / name, "rb") as file:
            raw = file.read(size)
    except OSError:
        return ""
    text = raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace")
    text = text.replace("\0", "")  # UTF-16 without a mark
    return text.rpartition("\n")[0] if len(raw) == size and "\n" in text else text
