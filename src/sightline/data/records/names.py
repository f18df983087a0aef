"""Names are data: how the class, split and file names of users are compared, and which are refused.

A class name is the text of its folder or cell in Unicode NFC; bytes that are not UTF-8 become `\\xNN`, so that any file
can store it. Two names that a person or another file system would confuse (NFC, case, surrounding blanks) are refused,
both by name, and never merged. File names keep their own bytes (surrogateescape).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable

from sightline.errors import DataError
from sightline.storage.text import printable

SPLITS = ("train", "val", "test")
SPLIT_WORDS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
    "testing": "test",
}
IMAGE_SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".apng", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
    ".heic", ".avif", ".jp2", ".pgm", ".ppm", ".svg", ".dcm",  # not supported, but certainly images: refused by name
))  # fmt: skip
SIDECAR_SUFFIXES = frozenset((
    ".txt", ".json", ".jsonl", ".xml", ".csv", ".tsv", ".md", ".rst", ".yaml", ".yml", ".toml", ".log", ".ini", ".cfg",
    ".db", ".py", ".ipynb", ".sh", ".pkl", ".npy", ".npz",
))  # fmt: skip
_LITTER = frozenset(
    {"thumbs.db", "desktop.ini", "__macosx", "@eadir", "icon\r", "$recycle.bin", "system volume information"}
)


def split_named(word: str) -> str | None:
    """`train`, `val` or `test` for any of the usual words, in any case; None for another word."""
    return SPLIT_WORDS.get(word.strip().casefold())


def split_folder(folders: Iterable[str]) -> str | None:
    """The split of the first folder named after one, with or without a year (train2017)."""
    return next((word for folder in folders if (word := split_named(folder.rstrip("0123456789_- ")))), None)


def is_litter(name: str) -> bool:
    """Whether it is a hidden file or an operating system's leftover: never data."""
    return name.startswith(".") or name.casefold() in _LITTER


def suffix(name: str) -> str:
    """The part of the last path component from its last dot on, in lower case; "" where there is none."""
    last = name.rsplit("/", 1)[-1]
    stem, dot, end = last.rpartition(".")
    return f".{end.lower()}" if dot and stem else ""


def kinds(names: Iterable[str], but: Collection[str] = ()) -> str:
    """The five most common suffixes with their counts: ".txt ×3, no suffix ×1". The suffixes in `but` are left out."""
    counts = Counter(ending or "no suffix" for ending in map(suffix, names) if ending not in but)
    return ", ".join(f"{printable(kind)} ×{count}" for kind, count in counts.most_common(5))


def class_text(name: str) -> str:
    """The class name of a folder or cell: NFC, undecodable bytes as \\xNN."""
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a lone surrogate that stands for no byte of a name
        raw = name.encode("utf-8", "backslashreplace")
    return unicodedata.normalize("NFC", raw.decode("utf-8", "backslashreplace"))


def class_key(name: str) -> str:
    """The form in which two class names must differ: NFC, case folded, without surrounding blanks."""
    folded = unicodedata.normalize("NFD", class_text(name)).casefold().strip()
    return unicodedata.normalize("NFC", folded)


def class_texts(names: Iterable[str]) -> dict[str, str]:
    """Raw name → class name. Raises DataError with two names that differ only in form."""
    by_key: dict[str, str] = {}
    for name in sorted(set(names)):
        other = by_key.setdefault(class_key(name), name)
        if other != name:
            raise DataError(
                f"the classes {_quoted(other)} and {_quoted(name)} differ only in case, blanks or Unicode form",
                "rename one of them, or give both the same name",
            )
    return {name: class_text(name) for name in by_key.values()}


def _quoted(name: str) -> str:
    """The name in quotes; with its code points if it is not ASCII (é may be one character or two)."""
    text = printable(name)
    return f"'{text}'" if text.isascii() else f"'{text}' ({ascii(name)[1:-1]})"
