"""Two folders of pictures as two domains: which is which, which pictures are partners, and how batches mix them.

Partners have equal names apart from the domain and the suffix: A/001.jpg and B/001.png, train/photo/7.jpg and
train/label/7.png. Images with masks are partners of these. Partners share a group, so that no split parts them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

import numpy as np
import torch
from jaxtyping import Float

from sightline.data.dataset import Dataset
from sightline.data.formats.annotated.masks import MaskAnnotations
from sightline.data.loaders import Images
from sightline.data.orders import Order, alternating
from sightline.data.records.records import Record
from sightline.data.records.source import Source
from sightline.errors import DataError, UsageError, nearest
from sightline.preprocessing.saved import Preprocessing
from sightline.recipes.loading import Truths, load
from sightline.recipes.recipe import Recipe
from sightline.structures.targets import Pictures, Target

PICTURES = "pictures"  # the kind of such a source


def as_pictures(source: Source) -> Source | None:
    """The source as two domains, with partners grouped; None where it has other than two folders."""
    records = _of_masks(source) if isinstance(source.annotations, MaskAnnotations) else list(source.records)
    classes = tuple(sorted({record.label for record in records if record.label is not None}))
    if len(classes) != 2 or (source.annotations is not None and not isinstance(source.annotations, MaskAnnotations)):
        return None
    keys = [_key(record) for record in records]
    times = Counter(keys)
    records = [
        replace(record, id=row, group="/".join(key) if times[key] > 1 else record.group)
        for row, (key, record) in enumerate(zip(keys, records, strict=True))
    ]
    n = sum(times[key] == 2 for key in times)
    about = f"pictures of two domains, {classes[0]} and {classes[1]}; {n:,} of each have a partner of the same name"
    return replace(
        source, kind=PICTURES, records=tuple(records), classes=classes, annotations=None, notes=(), reading=about
    )


def _of_masks(source: Source) -> list[Record]:
    """A record for each image and one for its mask, by name; their domains are the folders they lie in."""
    assert isinstance(source.annotations, MaskAnnotations)
    found = []
    for record in source.records:
        mask = source.annotations.mask[record.name]
        names = [_parting(record.name, mask), _parting(mask, record.name)]
        image, other = names if names[0] != names[1] else ["image", "mask"]
        found += [replace(record, label=image), replace(record, name=mask, label=other)]
    return sorted(found, key=lambda record: record.name)


def _parting(name: str, other: str) -> str:
    """The first folder in which two names differ."""
    pairs = zip(PurePosixPath(name).parts[:-1], PurePosixPath(other).parts[:-1], strict=False)
    return next((one for one, another in pairs if one != another), "")


def _key(record: Record) -> tuple[str, ...]:
    """The name without the domain and the suffix."""
    parts = list(PurePosixPath(record.name).with_suffix("").parts)
    if record.label in parts[:-1]:
        parts.remove(record.label)
    return (record.split or "", *parts)


def partners(data: Dataset) -> dict[int, int]:
    """id → id of the partner in the other domain, of images in use; without those of which there are several."""
    by_key: dict[tuple[str, ...], list[int]] = {}
    for i in data.ids().tolist():
        by_key.setdefault(_key(data.records[i]), []).append(i)
    found: dict[int, int] = {}
    for members in by_key.values():
        if len(members) == 2 and data.index[members[0]] != data.index[members[1]]:
            found |= {members[0]: members[1], members[1]: members[0]}
    return found


def source_index(name: str | None, classes: Sequence[str]) -> int:
    """The index of the domain that is translated, the first by default. UsageError for another name."""
    if name is None:
        return 0
    if name not in classes:
        raise UsageError(f"task.source={name!r} is no domain of these data", nearest(name, classes))
    return list(classes).index(name)


def load_pictures(
    data: Dataset,
    ids: np.ndarray,
    preprocessing: Preprocessing,
    recipe: Recipe,
    *,
    truths: Truths | None = None,
    judging: bool,
    paired: bool,
    source: str | None,
) -> Images:
    """The images with their partners. `paired`: those of the source that have one only; DataError where none has. Else
    partners are read for judging only: training has no use for them."""
    known = partners(data)
    if paired:
        first = source_index(source, data.classes)
        kept = np.array([i for i in ids.tolist() if data.index[i] == first and i in known], dtype=ids.dtype)
        if len(ids) and not len(kept):
            one, other = data.classes
            raise DataError(
                f"no picture of {one} has a partner in {other}",
                "name partners alike (A/001.png and B/001.png), or set task.method=cyclegan, which needs none",
            )
        ids = kept
    shown = known if paired or judging else {}
    return load(data, ids, preprocessing, recipe, truths=Truths(partial(_target, shown), _memory), judging=judging)


def _target(
    shown: dict[int, int],
    data: Dataset,
    id: int,
    preprocessing: Preprocessing,
    natural: tuple[int, int],
    frame: Float[np.ndarray, "3 3"],
    judging: bool,
) -> Target:
    domain, partner = torch.tensor([int(data.index[id])]), shown.get(id)
    if partner is None:
        nothing = torch.zeros(1, preprocessing.channels, 0, 0, dtype=torch.uint8)
        return Pictures(domain, nothing, torch.zeros(1, dtype=torch.bool))
    pixels = data.pixels(partner, channels=preprocessing.channels, depth=preprocessing.depth)
    if pixels.shape[:2] != natural:
        raise DataError(
            f"{data.records[id].name} has {natural[1]}x{natural[0]} pixels, and its partner {data.records[partner].name} "
            f"{pixels.shape[1]}x{pixels.shape[0]}",
            "give partners the same size",
        )
    image = np.ascontiguousarray(preprocessing.geometry.apply(pixels)[0])
    return Pictures(domain, torch.from_numpy(image).permute(2, 0, 1)[None], torch.ones(1, dtype=torch.bool))


def _memory(data: Dataset, ids: np.ndarray, pixels: np.ndarray, natural: np.ndarray) -> np.ndarray:
    return 3 * pixels


def both_domains(images: Images) -> Order:
    """Places 2i and 2i + 1 are of one domain each. DataError where one has no training images."""
    index = images.index.numpy()
    if len(np.unique(index)) < 2:
        raise DataError("one of the two domains has no training images", "add some, or check the split")
    return alternating(index)
