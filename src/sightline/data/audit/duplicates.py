"""Exact duplicates: images with equal pixels, conflicts between their labels, and leaks between splits.

Exact copies only: a re-encoded or resized copy counts as another image. Images that must stay together (copies, and the
members of a group) form a unit; splits are assigned to units.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from sightline.data.records.names import SPLITS
from sightline.data.records.records import KEPT, QUARANTINED, Problem, Record
from sightline.errors import DataError
from sightline.storage.text import printable

from .audit import Audit

Leaks = Literal["stop", "drop", "keep"]


@dataclass(frozen=True)
class Units:
    """`index` (n,) the unit of each record, -1 if it is not used; `place` (units,) in [0, 1), a hash of the unit's own
    content that depends on no seed and on no other image."""

    index: Int[np.ndarray, "n"]
    place: Float[np.ndarray, "u"]


def same_pixels(audit: Audit) -> list[list[int]]:
    """Ids of the images in use that have exact copies, one list per distinct image, in id order."""
    by_digest: dict[str, list[int]] = {}
    for record in audit.records():
        by_digest.setdefault(audit.exact[record.id], []).append(record.id)
    return [ids for ids in by_digest.values() if len(ids) > 1]


def contradictions(audit: Audit, groups: Sequence[Sequence[int]]) -> list[Problem]:
    """A problem for each image with a copy of another label. Both stay in use: only the user knows which label is right."""
    records = audit.source.records
    problems = []
    for id, i in disagreements(groups, [record.label for record in records]):
        record, other = records[id], records[i]
        reason = (
            f"label-conflict: labelled {printable(str(record.label))}, but {printable(other.name)} has the same pixels "
            f"and is labelled {printable(str(other.label))}"
        )
        problems.append(Problem(printable(record.name), None, reason, "keep the copy with the right label", KEPT, id))
    return problems


def disagreements(groups: Sequence[Sequence[int]], values: Sequence[object]) -> Iterator[tuple[int, int]]:
    """(id, the first id of its group with another value), for every id that has one.

    disagreements([[1, 2, 4]], ["", "a", "a", "x", "b"]) gives (1, 4), (2, 4) and (4, 1).
    """
    for ids in groups:
        firsts: dict[object, int] = {}
        for id in ids:
            firsts.setdefault(values[id], id)
        for id in ids if len(firsts) > 1 else ():
            yield id, next(other for value, other in firsts.items() if value != values[id])


def settle_leaks(audit: Audit, policy: Leaks) -> Audit:
    """Images, by their pixels or their group, that lie in two given splits: "stop" raises DataError, "drop" keeps
    them only in the most held-out split (test before val before train), "keep" only reports them."""
    records = audit.source.records
    leaks: list[tuple[int, int]] = []
    dropped: list[int] = []
    copies = same_pixels(audit)
    for ids in (*copies, *_members_of_groups(audit)):
        splits = {records[i].split for i in ids} - {None}
        if len(splits) < 2:
            continue
        held = max(splits, key=lambda split: SPLITS.index(split or "train"))
        there = next(i for i in ids if records[i].split == held)
        known = {i for i, _ in leaks}
        leaks += [(i, there) for i in ids if records[i].split != held and i not in known]
    if not leaks:
        return audit
    if policy == "stop":
        one, other = (records[i] for i in leaks[0])
        raise DataError(
            f"images in two splits: {len(leaks)}; {printable(one.name)} ({one.split}) {_tie(audit, *leaks[0])} "
            f"{printable(other.name)} ({other.split})",
            "use data.leaks=drop to remove them from training, or data.leaks=keep to accept them",
        )
    problems = []
    for i, there in leaks:
        same = "the same pixels are" if audit.exact[i] == audit.exact[there] else f"its group {_group(records[i])} is"
        reason = f"leak: {same} in {records[there].split}: {printable(records[there].name)}"
        action = QUARANTINED if policy == "drop" else KEPT
        problems.append(Problem(printable(records[i].name), None, reason, "remove one of the copies", action, i))
        dropped.append(i)
    used = audit.used.copy()
    if policy == "drop":
        used[dropped] = False
    note = f"images in two given splits, {'left out of one' if policy == 'drop' else 'kept in both'}: {len(leaks)}"
    return replace(audit, used=used, problems=(*audit.problems, *problems), notes=(*audit.notes, note))


def _members_of_groups(audit: Audit) -> list[list[int]]:
    """Ids of the images in use, a list a group, in id order."""
    members: dict[str, list[int]] = {}
    for record in audit.records():
        if record.group is not None:
            members.setdefault(record.group, []).append(record.id)
    return list(members.values())


def _tie(audit: Audit, one: int, other: int) -> str:
    """What two images in different splits have in common."""
    if audit.exact[one] == audit.exact[other]:
        return "has the same pixels as"
    return f"is of the same group, {_group(audit.source.records[one])}, as"


def _group(record: Record) -> str:
    return printable(str(record.group))[:80]


def units_of(audit: Audit) -> Units:
    """Units of copies and of members of a group, linked transitively: a union-find.

    Groups p and q that share one image become one unit; its place is the lower of the places of p and q.
    """
    records = audit.records()
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    keys = [f"pixels:{audit.exact[r.id]}" if r.group is None else f"group:{r.group}" for r in records]
    for record, key in zip(records, keys, strict=True):
        parent[root(f"pixels:{audit.exact[record.id]}")] = root(key)
    number: dict[str, int] = {}
    index = np.full(len(audit.source.records), -1, dtype=np.int64)
    places: list[float] = []
    place_by_key: dict[str, float] = {}
    for record, key in zip(records, keys, strict=True):
        unit = number.setdefault(root(key), len(number))
        index[record.id] = unit
        if key not in place_by_key:  # by the pixels in 8 bits, as in earlier versions: the split stays
            place_by_key[key] = place_of(f"pixels:{audit.digest[record.id]}" if record.group is None else key)
        if unit == len(places):
            places.append(place_by_key[key])
        places[unit] = min(places[unit], place_by_key[key])  # groups that share an image have several keys
    return Units(index, np.array(places, dtype=np.float64))


def place_of(key: str) -> float:
    """A number in [0, 1) from 53 bits of SHA-256: always the same for the same key."""
    digest = hashlib.sha256(b"split:" + key.encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)
