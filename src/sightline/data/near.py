"""Images that are almost the same: encoded again, resized, a little brighter, or mirrored. They belong on one side of a split.

An image's fingerprint is the sign of the differences between neighbours of its 9 x 8 grey thumbnail (64 bits; Krawetz 2013,
"Kind of like that"), beside its 32 x 32 grey thumbnail. Two images are near if, one of them mirrored or not, at most `BITS` of
the 64 differ and the thumbnails correlate by at least `ALIKE`: bits alone would join digits that merely share a layout. The
correlation also ignores brightness and contrast.

Names say it, too: `photo.rf.0a1b….jpg` are augmented copies that Roboflow exports of one image.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from sightline.data.records.records import Record
from sightline.data.records.source import Source
from sightline.preprocessing.decoder import decode
from sightline.preprocessing.rejection import Rejected

BITS = 8
ALIKE = 0.985
SIDE = 32  # of the thumbnail
_COPY = re.compile(r"\.rf\.[0-9a-zA-Z]{8,64}(?=\.[A-Za-z]+$)")  # Roboflow's names of exported copies
_MOST = 512  # members of a bucket that are compared with each other


def near_groups(source: Source, workers: int = 2) -> list[list[int]]:
    """Groups of at least two near images, by ids; images that cannot be read are in none."""
    records = source.records
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(lambda record: _fingerprint(source, record), records))
    known = np.array([i for i, one in enumerate(found) if one is not None], dtype=np.int64)
    edges = list(_by_name(records))
    if len(known):
        bits = np.stack([one[0] for one in found if one is not None])  # (m, 2, 64): as it is, mirrored
        thumbs = np.stack([one[1] for one in found if one is not None])  # (m, 2, 1024), of mean 0 and length 1
        edges += [(int(known[a]), int(known[b])) for a, b in _near_pairs(bits, thumbs)]
    return _joined(edges)


def with_near_groups(source: Source, workers: int = 2) -> Source:
    """The data with near images in one group, joined with the groups that they have. A note names the first of them."""
    groups = near_groups(source, workers)
    if not groups:
        return replace(source, notes=(*source.notes, "near-duplicates: none"))
    records = list(source.records)
    parent: dict[str, str] = {}
    for number, ids in enumerate(groups):
        for name in [f"near:{number}", *(f"own:{g}" for i in ids if (g := records[i].group) is not None)]:
            parent[_root(parent, name)] = _root(parent, f"near:{number}")
    for number, ids in enumerate(groups):
        for i in ids:
            records[i] = replace(records[i], group=_root(parent, f"near:{number}"))
    for i, record in enumerate(source.records):  # the other members of their own groups follow
        if record.group is not None and f"own:{record.group}" in parent:
            records[i] = replace(record, group=_root(parent, f"own:{record.group}"))
    first = " and ".join(records[i].name for i in groups[0][:2])
    note = f"near-duplicates: {sum(map(len, groups)):,} images in {len(groups):,} groups, such as {first}"
    parted = sum(len({records[i].split for i in ids} - {None}) > 1 for ids in groups)
    notes = (
        *source.notes,
        note,
        *([f"near-duplicates in several of the given splits: {parted:,} groups"] if parted else []),
    )
    return replace(source, records=tuple(records), notes=notes)


def _fingerprint(source: Source, record: Record) -> tuple[Bool[np.ndarray, "2 64"], Float[np.ndarray, "2 p"]] | None:
    try:
        grey = decode(source.load(record), channels=1).pixels[..., 0]
    except (Rejected, OSError):
        return None
    return fingerprint(grey)


def fingerprint(grey: UInt8[np.ndarray, "h w"]) -> tuple[Bool[np.ndarray, "2 64"], Float[np.ndarray, "2 p"]]:
    """Bits and thumbnail of an image, as it is and mirrored; a thumbnail has mean 0 and length 1, or 0 where nothing varies."""
    picture = Image.fromarray(grey)
    small = np.asarray(picture.resize((9, 8), Image.Resampling.BOX), np.int16)
    thumb = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BOX), np.float32)
    thumb = thumb - thumb.mean()
    thumb /= max(float(np.linalg.norm(thumb)), 1e-6)
    pair = [(small, thumb), (small[:, ::-1], thumb[:, ::-1])]
    return np.stack([(s[:, 1:] > s[:, :-1]).ravel() for s, _ in pair]), np.stack([t.ravel() for _, t in pair])


def _near_pairs(bits: Bool[np.ndarray, "m 2 64"], thumbs: Float[np.ndarray, "m 2 p"]) -> Iterator[tuple[int, int]]:
    """Pairs of near images. Of eight bytes with at most eight bits that differ, one differs in one bit at most: images share a
    bucket if a byte is equal but for one bit. Very full buckets, of plain images, are compared in part only."""
    packed = np.packbits(bits, axis=2)  # (m, 2, 8)
    buckets: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, own in enumerate(packed[:, 0].tolist()):
        for place, byte in enumerate(own):
            buckets[place, byte].append(i)
    for i in range(len(packed)):
        for flipped in (0, 1):
            others = {j for key in _keys(packed[i, flipped].tolist()) for j in buckets.get(key, ())[:_MOST] if j > i}
            rest = np.array(sorted(others), dtype=np.int64)
            close = rest[(bits[rest, 0] != bits[i, flipped]).sum(1) <= BITS]
            for j in close[thumbs[close, 0] @ thumbs[i, flipped] >= ALIKE].tolist():
                yield i, j


def _keys(code: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The buckets of a code: each byte, and each with one bit changed."""
    for place, byte in enumerate(code):
        yield place, byte
        for bit in range(8):
            yield place, byte ^ 1 << bit


def _by_name(records: Sequence[Record]) -> Iterator[tuple[int, int]]:
    """Copies that Roboflow exported of one image, whatever folder of a split they are in."""
    first: dict[str, int] = {}
    for record in records:
        base = record.name.rsplit("/", 1)[-1]
        if _COPY.search(base):
            stem = _COPY.sub("", base)
            if stem in first:
                yield first[stem], record.id
            first.setdefault(stem, record.id)


def _joined(edges: Sequence[tuple[int, int]]) -> list[list[int]]:
    parent: dict[str, str] = {}
    for a, b in edges:
        parent[_root(parent, str(a))] = _root(parent, str(b))
    groups: dict[str, list[int]] = defaultdict(list)
    for key in list(parent):
        groups[_root(parent, key)].append(int(key))
    return sorted(sorted(ids) for ids in groups.values())


def _root(parent: dict[str, str], key: str) -> str:
    while parent.setdefault(key, key) != key:
        parent[key] = parent[parent[key]]
        key = parent[key]
    return key
