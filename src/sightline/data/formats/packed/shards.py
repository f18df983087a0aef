"""WebDataset's samples: files that share the part of their name before the first dot, such as 0007.jpg beside 0007.cls.

The label is the content of the .cls file, or `label`, `class` or `cls` in the .json file: a name, or a number that a list
beside the samples (classes.txt, classnames.txt) gives a name. A shard of a set is a folder, and its name may say its split.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sightline.data.files.encodings import read_text
from sightline.data.files.walking import Walk
from sightline.data.formats.recognition.vocabulary import split_in
from sightline.data.records.names import IMAGE_SUFFIXES, class_texts, suffix
from sightline.data.records.records import Files, Problem, Record
from sightline.data.records.source import Source
from sightline.errors import DamagedError
from sightline.storage.reading import parse_json, read_regular
from sightline.storage.text import printable

_LISTS = ("classes.txt", "classnames.txt", "class_names.txt")
_KEYS = ("label", "class", "cls", "label_name", "class_name")
_MAX_BYTES = 1 << 20
_TRIED = 8
_DIGITS = 40  # of the number of a class; Python converts no text of any length


def read_shards(root: Path, tree: Walk) -> Source | None:
    """The samples in the folder, or in one folder for each shard; None for another layout."""
    labels = _labels(root, tree)
    if not labels:
        return None
    images = [name for name in tree.files if suffix(name) in IMAGE_SUFFIXES]
    names = _class_names(root, tree)
    found: list[tuple[str, str]] = []
    problems = list(tree.refused)
    for image in images:
        file = labels.get(_key(image))
        label = _label(root / file) if file is not None else None
        if label is None:
            reason = f"no-label: {printable(file)} holds no class" if file else "no-label: no .cls or .json of its name"
            problems.append(Problem(printable(image), None, reason, "write the class of the image"))
            continue
        found.append((image, names.get(label, label)))
    texts = class_texts(label for _, label in found)
    records = [Record(i, image, texts[label], _split(image)) for i, (image, label) in enumerate(found)]
    splits = frozenset(record.split for record in records if record.split)
    return Source(
        name=os.path.basename(tree.root) or "data",
        kind="webdataset",
        root=tree.root,
        records=tuple(records),
        classes=tuple(sorted(set(texts.values()))),
        contents=Files(tree.root),
        given_splits=splits,
        problems=tuple(problems),
    )


def with_class_names(source: Source, folder: Path) -> Source:
    """The data set with the names from a list of classes beside its shards, if its labels are their numbers."""
    file = next((name for name in _LISTS if (folder / name).is_file()), None)
    if file is None or not all(name.isdecimal() and len(name) <= _DIGITS for name in source.classes):
        return source
    lines = read_text(folder / file)[0].rstrip().splitlines()
    if any(int(name) >= len(lines) or not lines[int(name)].strip() for name in source.classes):
        return source
    names = {name: lines[int(name)].strip() for name in source.classes}
    texts = class_texts(names.values())
    records = tuple(replace(r, label=texts[names[r.label]] if r.label is not None else None) for r in source.records)
    return replace(source, records=records, classes=tuple(sorted(texts.values())))


def _labels(root: Path, tree: Walk) -> dict[str, str]:
    """Key → the file with the label, where most images have one and all lie flat in their shard."""
    every = "\n".join(tree.files).lower()
    if ".cls" not in every and ".json" not in every:  # most folders: 100,000 names in a blink
        return {}
    images = {_key(name) for name in tree.files if suffix(name) in IMAGE_SUFFIXES}
    if not images or any(key.count("/") > 1 for key in images):
        return {}
    for end in (".cls", ".json"):
        labels = {key: name for name in tree.files if suffix(name) == end and (key := _key(name)) in images}
        if len(labels) < len(images) / 2:
            continue
        some = list(labels.values())[:: max(len(labels) // _TRIED, 1)]
        if end == ".cls" or all(_label(root / name) is not None for name in some):
            return labels
    return {}


def _key(name: str) -> str:
    folder, slash, last = name.rpartition("/")
    return f"{folder}{slash}{last.split('.', 1)[0]}"


def _split(name: str) -> str | None:
    return split_in(name.split("/", 1)[0]) if "/" in name else None


def _label(path: Path) -> str | None:
    """The text of a label file; None if it holds no class."""
    try:
        data = read_regular(path, _MAX_BYTES)
        value = parse_json(data, path.name) if path.suffix.lower() == ".json" else data.decode("utf-8").strip()
    except (OSError, ValueError, DamagedError):
        return None
    if isinstance(value, Mapping):
        value = next((value[key] for key in _KEYS if key in value), None)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        return None
    return str(value).strip()


def _class_names(root: Path, tree: Walk) -> dict[str, str]:
    """Number → name by the list beside the samples, the line number from 0; {} without one."""
    file = next((name for name in tree.files if name.rsplit("/", 1)[-1].casefold() in _LISTS), None)
    if file is None:
        return {}
    text, _ = read_text(root / file)
    return {str(number): line.strip() for number, line in enumerate(text.splitlines()) if line.strip()}
