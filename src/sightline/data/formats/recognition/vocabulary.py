"""Words in the names of folders and files: a split, pictures, masks, or the thing itself.

Archives spell them in many ways: training_set, seg_train, TRAIN_images, trainannot, SegmentationClassPNG, 1st_manual. A
name is cut into words at everything that is not a letter, at changes of case, and inside words glued to a split's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from sightline.data.records.names import SPLIT_WORDS

PICTURES = frozenset((
    "image", "images", "img", "imgs", "jpegimages", "jpeg", "jpegs", "jpg", "jpgs", "picture", "pictures", "pic", "pics",
    "photo", "photos", "photograph", "photographs", "rgb", "input", "inputs", "original", "originals", "frame", "frames",
))  # fmt: skip
MASKS = frozenset((
    "mask", "masks", "annot", "annots", "annotation", "annotations", "anno", "annos", "label", "labels", "lbl", "lbls", "gt",
    "gts", "groundtruth", "groundtruths", "truth", "truths", "seg", "segs", "segmentation", "segmentations",
    "segmentationclass", "segmentationobject", "segment", "segments", "manual", "semantic", "semantics", "trimap", "trimaps",
    "matte", "mattes", "labelmap", "labelmaps", "labelid", "labelids", "trainids", "target", "targets", "contour", "contours",
))  # fmt: skip
_WHERE = SPLIT_WORDS | {"eval": "val", "evaluation": "val"}
_DECORATION = PICTURES | {
    "set", "sets", "data", "dataset", "datasets", "split", "splits", "folder", "dir", "subset", "part", "samples", "all",
    "full", "final", "new", "v", "version", "the", "of",
}  # fmt: skip
_FILLERS = frozenset(
    ("the", "of", "st", "nd", "rd", "th", "class", "classes", "png", "raw", "aug", "ground", "map", "maps")
)
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[^\W\d_A-Z]+|[^\W\d_]+")


@lru_cache(maxsize=1 << 16)
def words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case, digits left out: ("seg", "train"), ("train", "annot"), ("st", "manual")."""
    found: list[str] = []
    for piece in _PIECE.findall(name):
        found += _unglued(piece.casefold())
    return tuple(found)


def _unglued(word: str) -> list[str]:
    if word in _WHERE or word in MASKS or word in _DECORATION:
        return [word]
    for known in sorted(_WHERE, key=len, reverse=True):
        for rest, order in ((word.removeprefix(known), 1), (word.removesuffix(known), -1)):
            if rest != word and (rest in MASKS or rest in _DECORATION):
                return [known, rest][::order]
    return [word]


def split_in(name: str) -> str | None:
    """The split that a name has among its words; None if it has none or several."""
    found = {_WHERE[word] for word in words(name) if word in _WHERE}
    return found.pop() if len(found) == 1 else None


def without_split(name: str) -> tuple[str, ...]:
    """The words of a name but for those of splits and for decoration ("set", "images")."""
    return tuple(word for word in words(name) if word not in _WHERE and word not in _DECORATION)


def splits_among(names: Iterable[str]) -> dict[str, str]:
    """Name → split, for those folders side by side that are splits: named by the bare word, or at least two that differ in
    it alone (seg_train and seg_test, but not passenger_train and test_tube). Where `dev` or `val` stands beside `eval` and
    there is no test, `eval` is the test."""
    names = list(names)
    found = {name: split for name in names if (split := split_in(name)) is not None}
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in found:
        groups.setdefault(without_split(name), []).append(name)
    groups = {rest: same for rest, same in groups.items() if not rest or len({found[n] for n in same}) >= 2}
    if () in groups:
        kept = groups[()]
    elif len(groups) == 1:
        (kept,) = groups.values()
    else:
        kept = []
    splits = {name: found[name] for name in kept}
    late = [name for name in kept if {"eval", "evaluation"} & set(words(name))]
    if late and "test" not in splits.values() and any(splits[n] == "val" for n in kept if n not in late):
        splits |= dict.fromkeys(late, "test")
    return splits


def splits_of_paths(names: Iterable[str]) -> dict[str, str]:
    """File → split, by the first level of folders that are splits: several of them, or only train. {} where no level is."""
    folders = {name: name.split("/")[:-1] for name in names}
    for place in range(max(map(len, folders.values()), default=0)):
        splits = splits_among({parts[place] for parts in folders.values() if len(parts) > place})
        inside = {
            name: splits[parts[place]]
            for name, parts in folders.items()
            if len(parts) > place and parts[place] in splits
        }
        if len(set(inside.values())) > 1 or (len(inside) == len(folders) and set(inside.values()) == {"train"}):
            return inside
    return {}


def names_pictures(name: str) -> bool:
    """Whether a folder's name means pictures and nothing else: images, TRAIN_images, leftImg8bit."""
    found = set(words(name))
    return bool(found & PICTURES) and found <= PICTURES | _DECORATION | _WHERE.keys() | _FILLERS | {
        "left",
        "bit",
        "color",
    }


def names_masks(name: str) -> bool:
    """Whether a folder's name means masks or other annotations and nothing else: labels, trainannot, 1st_manual, gtFine."""
    found = set(words(name))
    plain = (
        MASKS | PICTURES | _DECORATION | _WHERE.keys() | _FILLERS | {"fine", "coarse", "binary", "object", "instance"}
    )
    return bool(found & MASKS or {"ground", "truth"} <= found) and found <= plain


def mentions_masks(name: str) -> bool:
    """Whether a word of the name is one for masks, whatever else it says (with_mask does)."""
    return bool(set(words(name)) & MASKS)


def bare(stem: str) -> str:
    """A file's stem without its words for masks, pictures and splits, so that 21_training, 21_manual1 and 21_training_mask
    are one; "" where nothing is left."""
    parts = re.split(r"([^\W_]+)", stem)
    return "".join(part for part in parts if not _is_role(part)).strip(" _-.").casefold()


def _is_role(part: str) -> bool:
    letters = re.sub(r"\d+$", "", part) if re.match(r"[^\W\d_]", part) else part  # manual1, but not 1st
    if not letters or letters[0].isdigit():
        return False
    found = set(words(letters))
    roles = MASKS | PICTURES | _WHERE.keys()
    return bool(found & roles) and found <= roles | {"left", "bit", "fine", "coarse", "ids", "color", "ground"}
