"""Folders named after WordNet's synsets (n01440764), and the file beside them that says what they are.

Read are lines of `n01440764 tench, Tinca tinca` (LOC_synset_mapping.txt, synset_words.txt, words.txt, classes.txt: a blank or a
tab behind the synset) and JSON as {"0": ["n01440764", "tench"]} (imagenet_class_index.json) or {"n01440764": "tench"}. A class
gets the first of its names; where several share one, their synsets stand behind it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sightline.data.files.encodings import read_text
from sightline.data.files.walking import Walk
from sightline.data.records.names import class_key, class_text
from sightline.data.records.source import Source
from sightline.errors import DataError
from sightline.storage.text import printable

_SYNSET = re.compile(r"n\d{8}")
_LINE = re.compile(r"(n\d{8})[\t ,:]\s*(\S.*)")
_LISTS = (
    "loc_synset_mapping.txt",
    "synset_words.txt",
    "words.txt",
    "classes.txt",
    "synsets.txt",
    "labels.txt",
    "wnids.txt",
)


def with_names(source: Source, tree: Walk) -> Source:
    """The source with its classes named by the file at the top of the data; unchanged where its folders are no synsets, or no
    file names them all."""
    if not source.classes or not all(_SYNSET.fullmatch(name) for name in source.classes):
        return source
    for file in sorted(tree.files, key=_rank):
        if "/" in file or _rank(file) == len(_LISTS) + 1:
            continue
        names = _names(Path(tree.root, file))
        if all(synset in names for synset in source.classes):
            return _named(source, names, file)
    return source


def _rank(name: str) -> int:
    low = name.casefold()
    if low.endswith(".json"):
        return len(_LISTS)
    return _LISTS.index(low) if low in _LISTS else len(_LISTS) + 1


def _names(path: Path) -> dict[str, str]:
    """Synset → first name; {} for a file of anything else."""
    try:
        text, _ = read_text(path)
    except DataError:
        return {}
    if path.suffix.casefold() == ".json":
        return _of_json(text)
    found = (_LINE.fullmatch(line.strip()) for line in text.splitlines())
    return {hit[1]: _first(hit[2]) for hit in found if hit}


def _of_json(text: str) -> dict[str, str]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    names: dict[str, str] = {}
    for key, entry in value.items():
        parts = [key, *(entry if isinstance(entry, list) else [entry])]
        texts = [part for part in parts if isinstance(part, str)]
        synset = next((part for part in texts if _SYNSET.fullmatch(part)), None)
        name = next((part for part in texts if part != synset and not part.isdecimal()), None)
        if synset and name and name.strip():
            names[synset] = _first(name)
    return names


def _first(names: str) -> str:
    return class_text(names.split(",", 1)[0].strip().replace("_", " ")) or names


def _named(source: Source, names: Mapping[str, str], file: str) -> Source:
    shared = Counter(class_key(names[synset]) for synset in source.classes)
    named = {s: names[s] if shared[class_key(names[s])] == 1 else f"{names[s]} ({s})" for s in source.classes}
    records = tuple(
        record if record.label is None else replace(record, label=named[record.label]) for record in source.records
    )
    first = source.classes[0]
    reading = f"class names from {printable(file)}: {first} is {printable(named[first])}"
    return replace(
        source,
        records=records,
        classes=tuple(named[synset] for synset in source.classes),
        emptied=_emptied(source.emptied, names),
        synsets=source.classes,
        reading=reading,
    )


def _emptied(emptied: Sequence[str], names: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(names.get(name, name) for name in emptied)
