"""YOLO's lists of classes: data.yaml with the splits, or obj.names, classes.txt and obj.data of Darknet and of labelling tools.

YAML is read as text only (no `yes` becomes true), and paths in it are found by their ends: they are mostly those of the
machine on which the file was written.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sightline.data.files.encodings import read_text
from sightline.data.files.values import whole
from sightline.data.formats.recognition.boxes import is_yolo_yaml
from sightline.data.records.names import class_text, split_named
from sightline.errors import DataError
from sightline.storage.reading import read_regular, reason_of
from sightline.storage.text import printable

BYTES, CLASSES = 1 << 20, 100_000
NAME_LISTS = ("classes.txt", "obj.names", "_darknet.labels", "predefined_classes.txt")


@dataclass(frozen=True)
class Listing:
    """What a list says: `names` of the classes (None: it has none), the paths of each split, `path` from which they count,
    the numbers of `keypoints` after a box. `folder` is where it lies; "" for `file` if there is no list."""

    file: str = ""
    folder: str = ""
    names: tuple[str, ...] | None = None
    path: str = ""
    splits: dict[str, list[str]] = field(default_factory=dict)
    keypoints: int = 0


def find_listing(root: str, files: Sequence[str]) -> Listing:
    """The one list of a folder. Raises DataError if several could be it, or if it cannot be read."""
    pages = [name for name in files if name.lower().endswith((".yaml", ".yml")) and _is_yaml(root, name)]
    if pages:
        return read_listing(root, _shallowest(pages))
    names = [n for n in files if n.rsplit("/", 1)[-1].casefold() in NAME_LISTS or n.casefold().endswith(".names")]
    facts = [name for name in files if name.casefold().endswith(".data")]
    splits = _facts(root, _shallowest(facts)) if facts else {}
    if not names:
        return Listing(splits=splits)
    contents = {name: _names(root, name) for name in names}
    name = min(names, key=lambda name: (name.count("/"), name))
    if other := next((n for n in names if contents[n] != contents[name]), None):
        raise DataError(
            f"{printable(name)} and {printable(other)} name different classes", "keep the one that the labels count in"
        )
    return Listing(name, name.rpartition("/")[0], contents[name], splits=splits)


def _is_yaml(root: str, name: str) -> bool:
    try:
        return is_yolo_yaml(read_regular(os.path.join(root, name), BYTES).decode("utf-8", "replace"))
    except (OSError, ValueError):
        return False


def _shallowest(names: Sequence[str]) -> str:
    """The only file nearest to the top. Raises DataError if there are several."""
    depth = min(name.count("/") for name in names)
    top = sorted(name for name in names if name.count("/") == depth)
    if len(top) > 1:
        some = ", ".join(printable(name) for name in top[:5])
        raise DataError(f"several files could list the classes: {some}", "keep one of them")
    return top[0]


def read_listing(root: str, name: str) -> Listing:
    """What a YAML file below `root` says. Raises DataError, naming file and key."""
    file = printable(name)
    try:
        value = yaml.load(read_regular(os.path.join(root, name), BYTES).decode("utf-8-sig"), Loader=yaml.BaseLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {reason_of(error)}", "save it as UTF-8") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark is not None else ""
        why = getattr(error, "problem", None) or "nested too deep"
        raise DataError(f"{file}{where}: not valid YAML: {printable(str(why)[:200])}", "export it again") from error
    if not isinstance(value, dict):
        raise DataError(f"{file}: the top level is not a mapping", "write names: and train:")
    splits: dict[str, list[str]] = {}
    for key, entry in value.items():
        split = split_named(key) if isinstance(key, str) else None
        entries = [entry] if isinstance(entry, str) else entry
        if split is None or not entries or entry in ("null", "~"):
            continue
        if not isinstance(entries, list) or not all(isinstance(each, str) for each in entries):
            raise DataError(f"{file}: {key} is neither a path nor a list of paths", "write for example images/train")
        splits.setdefault(split, []).extend(each for each in entries if each.strip())
    path = value.get("path")
    names = _yaml_names(value, file)
    return Listing(
        name, name.rpartition("/")[0], names, path if isinstance(path, str) else "", splits, _keypoints(value, file)
    )


def _yaml_names(value: dict[str, Any], file: str) -> tuple[str, ...]:
    """The names in order. Raises DataError if their numbers have gaps or `nc` is another number."""
    given = value.get("names")
    if isinstance(given, dict):
        by_number = {whole(key): name for key, name in given.items()}
        if set(by_number) != set(range(len(given))):
            raise DataError(f"{file}: the numbers of names are not 0 to {len(given) - 1}", "number the classes from 0")
        given = [by_number[i] for i in range(len(given))]
    if not isinstance(given, list):
        raise DataError(f"{file}: names is neither a list nor a mapping", "write names: [cat, dog]")
    names = _checked(given, file)
    count = whole(value.get("nc"))
    if count is not None and count != len(names):
        raise DataError(f"{file}: nc is {count}, and there are {len(names)} names", "correct nc, or complete the names")
    return names


def _checked(given: Sequence[Any], file: str) -> tuple[str, ...]:
    if not 0 < len(given) <= CLASSES:
        raise DataError(f"{file} names {len(given):,} classes", f"write 1 to {CLASSES:,} names")
    for number, name in enumerate(given):
        if not isinstance(name, str) or not 0 < len(name.strip()) <= 200:
            raise DataError(f"{file}: class {number} has no usable name", "name it in one to 200 characters")
    names = tuple(class_text(name.strip()) for name in given)
    if len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise DataError(f"{file}: the class {printable(twice)} is named twice", "rename one of them")
    return names


def _keypoints(value: dict[str, Any], file: str) -> int:
    """Numbers of keypoints after each box: kpt_shape [17, 3] says 51."""
    shape = value.get("kpt_shape")
    if shape is None:
        return 0
    sides = [whole(side) for side in shape] if isinstance(shape, list) else []
    if len(sides) != 2 or any(side is None or not 0 < side < 10_000 for side in sides):
        raise DataError(f"{file}: kpt_shape is not [points, numbers]", "write for example [17, 3]")
    return (sides[0] or 0) * (sides[1] or 0)


def _names(root: str, name: str) -> tuple[str, ...]:
    """One name a line."""
    text, _ = read_text(Path(root, name))
    lines = text.rstrip().splitlines()
    for line, written in enumerate(lines, 1):
        if not written.strip():
            raise DataError(f"{printable(name)} line {line} is empty", "name the class: lines count from 0")
    return _checked(lines, printable(name))


def _facts(root: str, name: str) -> dict[str, list[str]]:
    """The lists of images in Darknet's obj.data: `train = data/train.txt`, `valid = data/test.txt`."""
    text, _ = read_text(Path(root, name))
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if match := re.fullmatch(r"\s*(\w+)\s*=\s*(\S.*?)\s*", line):
            split = split_named(match[1])
            if split:
                found.setdefault(split, []).append(match[2])
    return found
