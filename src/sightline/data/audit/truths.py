"""Data sets in which more is known of an image than one class: which layout it is, and the audit of what is known.

The images are audited first; then every annotation is looked at in its image's size. An annotation that cannot be used
costs its image, a bad object only itself; both are rows of the quarantine report.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sightline.data.audit.audit import Audit
from sightline.data.audit.duplicates import otherwise
from sightline.data.records.records import KEPT, QUARANTINED, Problem, Record
from sightline.data.records.upright import Stored, stored
from sightline.errors import DataError
from sightline.preprocessing.rejection import Rejected
from sightline.storage.text import shown


def look(audit: Audit, *, workers: int = 2, cache_dir: Path | None = None) -> Audit:
    """The audit with what its annotations hold; as it was where there are none."""
    annotations = audit.source.annotations
    if annotations is None:
        return audit
    records = audit.records()
    sizes = [_stored(audit, record) for record in records]
    looks = annotations.inspect(records, sizes, workers=workers, cache_dir=cache_dir)
    used, truths = audit.used.copy(), [""] * len(audit.used)
    amount = np.zeros((len(used), len(audit.source.classes)), dtype=np.int64)
    problems = list(audit.problems)
    for record, seen in zip(records, looks, strict=True):
        used[record.id] = bool(seen.digest)
        truths[record.id] = seen.digest
        amount[record.id] = seen.amount
        problems += seen.problems
    notes = list(audit.notes)
    if grazing := sum(seen.grazing for seen in looks):
        notes.append(f"boxes that leave their image by up to a pixel, clipped: {grazing:,}")
    if void := sum(bool(seen.digest) and not seen.amount.any() for seen in looks):
        notes.append(f"images in which no class occurs: {void:,}")
    if touched := sum(p.action not in (KEPT, QUARANTINED) for p in problems):
        notes.append(f"problems of single objects or masks, whose images stay in use: {touched:,}")
    return replace(audit, used=used, problems=tuple(problems), notes=tuple(notes), truths=tuple(truths), amount=amount)


def conflicts(audit: Audit, groups: Sequence[Sequence[int]]) -> list[Problem]:
    """A row for each image whose equal in every pixel is annotated otherwise. They stay in use: which is right is not
    ours to say."""
    problems = []
    for id, other in otherwise(groups, audit.truths) if audit.truths else ():
        one, two = (shown(audit.source.records[i].name) for i in (id, other))
        reason = f"label-conflict: {two} has the same pixels and is annotated otherwise"
        problems.append(Problem(one, None, reason, "keep the copy that is right", KEPT, id))
    return problems


def refuse_unlearnable(audit: Audit) -> None:
    """Something must be annotated. Raises DataError."""
    amount = audit.amount
    if amount is None or amount[audit.used].any():
        return
    name = shown(audit.source.name)
    if not audit.source.classes:
        raise DataError(f"{name} has no classes: nothing in it is annotated", "annotate at least one object")
    raise DataError(f"no class occurs in any of the {int(audit.used.sum())} images of {name}", "see the problems")


def _stored(audit: Audit, record: Record) -> Stored:
    """How an image lies in its file; looked up only where its EXIF data turn it."""
    height, width = audit.size[record.id].tolist()
    if record.id in audit.turned:
        try:
            return stored(audit.source.load(record))
        except Rejected:  # changed since it was decoded a moment ago
            pass
    return Stored(height, width)
