"""From a written name to a file: one rule for tables, split lists, annotation files and masks.

A name is compared as written first, then without the differences that tools and file systems make (Unicode form, %20,
surrounding blanks), then without case. The first comparison that any file passes decides, and only if a single file
passes it. A stem is a name without the suffix of an image: `pump.12` is the stem of `pump.12.jpg`, never `pump`.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from sightline.data.records.names import IMAGE_SUFFIXES, split_folder, suffix

_WORDS = "masks?|seg|segmentation|labels?|labelled|gt|ground_?truth|annotation|l|images?|img|sat|rgb"
_AFFIX = re.compile(
    rf"(?:[ _.-](?:{_WORDS}))+(?=(?:[ _.-]?\d{{1,3}})?$)|^(?:masks?|seg|labels?|gt|images?|img)[ _.-]", re.IGNORECASE
)
_ONE_MORE = re.compile(rf"[ _.-](?:{_WORDS})[ _.-]?\d{{1,3}}$", re.IGNORECASE)


def exact(name: str) -> str:
    return name


def plain(name: str) -> str:
    """The name in Unicode NFC, with %20 and the like decoded and no blanks around its components."""
    text = unquote(name, errors="strict") if _decodable(name) else name
    return unicodedata.normalize("NFC", "/".join(part.strip() for part in text.split("/")))


def folded(name: str) -> str:
    """The plain name without case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", plain(name)).casefold())


Form = Callable[[str], str]
FORMS: tuple[Form, ...] = (exact, plain, folded)


def _decodable(name: str) -> bool:
    try:
        return "%" in name and unquote(name, errors="strict") != name
    except UnicodeDecodeError:
        return False


def stem(name: str) -> str:
    """The path without the suffix of an image; all of it if it has none."""
    end = suffix(name)
    return name[: -len(end)] if end in IMAGE_SUFFIXES else name


def bare_stem(key: str) -> str:
    """A stem without the word by which tools tell a mask from its image: `7` for `7_mask`, `7_sat` and `mask_7`, `7_1` for
    `7_mask_1`."""
    folder, _, last = key.rpartition("/")
    short = _AFFIX.sub("", last)
    return f"{folder}/{short}" if folder and short else short or key


class Match(NamedTuple):
    """The files that a written name may refer to; `guessed` if they are spelled otherwise but for case."""

    names: Sequence[str]
    guessed: bool = False


class Places(NamedTuple):
    """Where the images of a folder are: whether all in one folder (`flat`), and the `splits` with a folder of their own."""

    flat: bool
    splits: frozenset[str | None]

    @classmethod
    def of(cls, files: Iterable[str]) -> Places:
        folders = {name.rpartition("/")[0] for name in files if suffix(name) in IMAGE_SUFFIXES}
        return cls(len(folders) <= 1, frozenset(split_folder(folder.split("/")) for folder in folders))


class NameIndex:
    """The files of one folder, by relative name, under every way to write them.

    `places` may be those of more files than can be found here.
    """

    def __init__(self, files: Iterable[str], places: Places | None = None) -> None:
        self.files = list(files)
        self.places = Places.of(self.files) if places is None else places
        self._maps: dict[tuple[str, str], dict[str, list[str]]] = {}
        self._answers: dict[tuple[str, ...], Sequence[str]] = {}

    def find(
        self,
        written: str,
        *,
        split: str | None = None,
        beside: Sequence[str] = ("",),
        anywhere: bool = False,
        swap: bool = False,
    ) -> Match:
        """The files that `written` may refer to.

        beside    the folders from which a path may begin
        anywhere  a file in other folders than the written ones is the same file
        swap      a file with another image suffix than the written one is the same file

        If all images are in one folder its name is ignored, since they were moved together. "dogs/1.png" may be
        "photos/dogs/1.png", but not "cats/1.png"; nor a file in the folder of another split.
        """
        if "\\" in written and written in self._map("file", exact):
            return Match((written,))
        path = _path(written)
        keys = [("file", path)] if path not in ("", ".") else []
        if suffix(path) not in IMAGE_SUFFIXES:
            keys += [("stem", path)] if keys else []
        elif swap:
            keys.append(("stem", stem(path)))
        for kind, key in keys:
            whole = [posixpath.normpath(f"{folder}/{key}" if folder else key) for folder in beside]
            for form in FORMS:
                if names := next(filter(None, (self._map(kind, form).get(form(path)) for path in whole)), None):
                    return Match(names, form is folded)
            for form in FORMS:
                if below := self._below(kind, form, key, split, anywhere):
                    return Match(below, form is folded)
        return Match(())

    def alike(self, written: str) -> Sequence[str]:
        """The files with the same last component, in whatever folder."""
        last = _path(written).rpartition("/")[2]
        return self._map("file ends", folded).get(folded(last), []) or self._map("stem ends", folded).get(
            folded(last), []
        )

    def _below(self, kind: str, form: Form, key: str, split: str | None, anywhere: bool) -> Sequence[str]:
        """Files whose folders agree with the written ones as far as both paths go, in the right split."""
        key = form(key)
        memo = (kind, form.__name__, key, split or "", str(anywhere))
        if memo not in self._answers:
            ends = self._map(f"{kind} ends", form)
            last = key.rpartition("/")[2]
            if self.places.flat or anywhere:
                names = ends.get(key) or ends.get(last, [])
            else:
                whole = self._map(kind, form)
                parts = key.split("/")
                shorter = (whole.get("/".join(parts[i:]), []) for i in range(1, len(parts)))
                names = ends.get(key) or next((found for found in shorter if found), [])
            self._answers[memo] = of_split(names, split, self.places)
        return self._answers[memo]

    def _map(self, kind: str, form: Form) -> Mapping[str, list[str]]:
        """Key → files. "file" and "stem": by the whole path; "file ends" and "stem ends": by every end of it."""
        place = (kind, form.__name__)
        if place not in self._maps:
            found: defaultdict[str, list[str]] = defaultdict(list)
            for name in self.files:
                if kind.startswith("stem") and suffix(name) not in IMAGE_SUFFIXES:
                    continue
                key = form(stem(name) if kind.startswith("stem") else name)
                for end in _ends(key) if kind.endswith("ends") else (key,):
                    found[end].append(name)
            self._maps[place] = dict(found)
        return self._maps[place]


def of_split(names: Sequence[str], split: str | None, places: Places) -> Sequence[str]:
    """Those in the folder of the split, else those in no split's folder; all of them if the split has no folder."""
    if split not in places.splits - {None}:
        return list(names)
    by_split = [(name, split_folder(name.split("/")[:-1])) for name in names]
    return [n for n, of in by_split if of == split] or [n for n, of in by_split if of is None]


class Pairs(NamedTuple):
    """`partner` of each image; `contested` images whose partner others claim too, with all the names concerned."""

    partner: dict[str, str]
    contested: dict[str, tuple[str, ...]]


def pair(images: Mapping[str, str], others: Mapping[str, str], *, affixes: bool = False) -> Pairs:
    """Images and their masks or annotation files, each file → its key, which a pair shares. What one comparison pairs is
    gone for the next, looser one; what it cannot tell apart is contested, and never paired.

    Images a.jpg and A.png with masks a.png and A.png are two pairs; a.jpg and a.png with one mask a.png are none. `affixes`:
    7_mask is the mask of 7, unless there is a 7_mask_1 too.
    """
    partner: dict[str, str] = {}
    contested: dict[str, tuple[str, ...]] = {}
    rest: Mapping[str, str] = others
    open_images: Mapping[str, str] = images
    for short in (False, True) if affixes else (False,):
        for form in FORMS:
            for mine, theirs in _groups(open_images, rest, form, short):
                if len(mine) == len(theirs) == 1:
                    partner[mine[0]] = theirs[0]
                else:
                    contested |= dict.fromkeys(mine, (*mine, *theirs))
            used = {*partner.values(), *(name for names in contested.values() for name in names)}
            open_images = {n: key for n, key in open_images.items() if n not in partner and n not in contested}
            rest = {name: key for name, key in rest.items() if name not in used}
    by_key = {folded(images[name]): name for name in partner} if affixes else {}
    for other, key in rest.items():  # 7_mask_1 beside 7_mask: a second mask of 7, and one cannot be dropped
        one = by_key.get(folded(_ONE_MORE.sub("", key))) if _ONE_MORE.search(key) else None
        if one is not None:
            contested[one] = (*contested.get(one, (one, partner[one])), other)
    return Pairs({name: other for name, other in partner.items() if name not in contested}, contested)


def _groups(
    images: Mapping[str, str], others: Mapping[str, str], form: Form, short: bool
) -> list[tuple[list[str], list[str]]]:
    """The images and the other files of one key, where there are both."""
    groups: defaultdict[str, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    for side, files in enumerate((images, others)):
        for name, key in files.items():
            groups[form(bare_stem(key) if short else key)][side].append(name)
    return [group for group in groups.values() if all(group)]


def _path(written: str) -> str:
    """The written path with forward slashes and without `.` and `..`, from wherever it begins."""
    text = posixpath.normpath(written.replace("\\", "/")).lstrip("/") if written else ""
    while text.startswith("../"):
        text = text[3:]
    return "" if text == ".." else text


def _ends(key: str) -> Iterable[str]:
    """The key, and what is left of it without its first folder, the first two …"""
    parts = key.split("/")
    return ("/".join(parts[i:]) for i in range(len(parts)))
