"""Images that are equal in every pixel: who they are, where their labels contradict, where they leak between splits.

Exact only: a re-encoded or resized copy is another image here. What must not be parted (copies, and the members of a
group) forms a unit; a split is chosen for units.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from sightline.data.records.names import SPLITS
from sightline.data.records.records import KEPT, QUARANTINED, Problem
from sightline.errors import DataError
from sightline.storage.text import shown

from .audit import Audit

Leaks = Literal["stop", "drop", "keep"]


@dataclass(frozen=True)
class Units:
    """`index` (n,) the unit of each record, -1 where it is not used; `place` (units,) in [0, 1), from a hash of what
    the unit is, never from a seed or from the other images."""

    index: Int[np.ndarray, "n"]
    place: Float[np.ndarray, "u"]


def same_pixels(audit: Audit) -> list[list[int]]:
    """Ids of the images in use that have equals, a list an image, in id order."""
    by_digest: dict[str, list[int]] = {}
    for record in audit.records():
        by_digest.setdefault(audit.digest[record.id], []).append(record.id)
    return [ids for ids in by_digest.values() if len(ids) > 1]


def contradictions(audit: Audit, groups: Sequence[Sequence[int]]) -> list[Problem]:
    """A row for each image whose equal has another label. They stay in use: which label is right is not ours to say."""
    records = audit.source.records
    problems = []
    for id, i in otherwise(groups, [record.label for record in records]):
        record, other = records[id], records[i]
        reason = (
            f"label-conflict: labelled {shown(str(record.label))}, but {shown(other.name)} has the same pixels "
            f"and is labelled {shown(str(other.label))}"
        )
        problems.append(Problem(shown(record.name), None, reason, "keep the copy that is right", KEPT, id))
    return problems


def otherwise(groups: Sequence[Sequence[int]], said: Sequence[object]) -> Iterator[tuple[int, int]]:
    """(id, the first of its group of which something else is `said`), for every id that has one."""
    for ids in groups:
        firsts: dict[object, int] = {}
        for id in ids:
            firsts.setdefault(said[id], id)
        for id in ids if len(firsts) > 1 else ():
            yield id, next(other for value, other in firsts.items() if value != said[id])


def settle_leaks(audit: Audit, policy: Leaks) -> Audit:
    """Images that lie in two given splits: "stop" raises DataError, "drop" takes them out of all but the most held-out
    split (test before val before train), "keep" only names them."""
    records = audit.source.records
    named, dropped = [], []
    for ids in same_pixels(audit):
        splits = {records[i].split for i in ids} - {None}
        if len(splits) < 2:
            continue
        held = max(splits, key=lambda split: SPLITS.index(split or "train"))
        there = next(i for i in ids if records[i].split == held)
        named += [(i, there) for i in ids if records[i].split != held]
    if not named:
        return audit
    if policy == "stop":
        one, other = (records[i] for i in named[0])
        raise DataError(
            f"images in two splits: {len(named)}, such as {shown(one.name)} ({one.split}) has the pixels of "
            f"{shown(other.name)} ({other.split})",
            "data.leaks=drop takes them out of training, data.leaks=keep accepts it",
        )
    problems = []
    for i, there in named:
        reason = f"leak: the same pixels are in {records[there].split}: {shown(records[there].name)}"
        action = QUARANTINED if policy == "drop" else KEPT
        problems.append(Problem(shown(records[i].name), None, reason, "remove one of the copies", action, i))
        dropped.append(i)
    used = audit.used.copy()
    if policy == "drop":
        used[dropped] = False
    note = f"images in two given splits, {'left out of one' if policy == 'drop' else 'kept in both'}: {len(named)}"
    return replace(audit, used=used, problems=(*audit.problems, *problems), notes=(*audit.notes, note))


def units_of(audit: Audit) -> Units:
    """Copies and members of one group, directly or through each other, as units."""
    records = audit.records()
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    keys = [
        f"pixels:{audit.digest[r.id]}" if r.group is None else f"group:{r.group}" for r in records
    ]  # what a record is placed by
    for record, key in zip(records, keys, strict=True):
        parent[root(f"pixels:{audit.digest[record.id]}")] = root(key)
    number: dict[str, int] = {}
    index = np.full(len(audit.source.records), -1, dtype=np.int64)
    places: list[float] = []
    hashed: dict[str, float] = {}
    for record, key in zip(records, keys, strict=True):
        unit = number.setdefault(root(key), len(number))
        index[record.id] = unit
        if key not in hashed:
            hashed[key] = place_of(key)
        if unit == len(places):
            places.append(hashed[key])
        places[unit] = min(places[unit], hashed[key])  # groups that share an image have several keys
    return Units(index, np.array(places, dtype=np.float64))


def place_of(key: str) -> float:
    """A number in [0, 1) from 53 bits of SHA-256: always the same for the same key."""
    digest = hashlib.sha256(b"split:" + key.encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)
