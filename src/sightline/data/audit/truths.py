"""The audit of annotations: masks and objects, read at the size of their image.

The images are audited first. An annotation that cannot be used takes its image out of use, a bad object only itself;
both are rows of the quarantine report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sightline.data.audit.audit import Audit
from sightline.data.audit.duplicates import disagreements
from sightline.data.records.records import KEPT, QUARANTINED, Problem, Record
from sightline.data.records.upright import Stored, stored
from sightline.errors import DataError
from sightline.preprocessing.rejection import Rejected
from sightline.storage.text import printable


def inspect_annotations(audit: Audit, *, workers: int = 2, cache_dir: Path | None = None) -> Audit:
    """The audit extended by its annotations; unchanged if there are none."""
    annotations = audit.source.annotations
    if annotations is None:
        return audit
    records = audit.records()
    sizes = [_stored(audit, record) for record in records]
    inspections = annotations.inspect(records, sizes, workers=workers, cache_dir=cache_dir)
    used, truths = audit.used.copy(), [""] * len(audit.used)
    amount = np.zeros((len(used), len(audit.source.classes)), dtype=np.int64)
    problems = list(audit.problems)
    for record, inspection in zip(records, inspections, strict=True):
        used[record.id] = bool(inspection.digest)
        truths[record.id] = inspection.digest
        amount[record.id] = inspection.amount
        problems += inspection.problems
    notes = list(audit.notes)
    if grazing := sum(each.grazing for each in inspections):
        notes.append(f"boxes up to a pixel outside their image, clipped: {grazing:,}")
    if audit.source.classes and (void := sum(bool(each.digest) and not each.amount.any() for each in inspections)):
        notes.append(f"images without any class: {void:,}")
    remarks = Counter(remark for each in inspections for remark in dict.fromkeys(each.remarks))
    notes += [f"{remark}: {count:,} images" for remark, count in sorted(remarks.items())]
    if touched := sum(p.action not in (KEPT, QUARANTINED) for p in problems):
        notes.append(f"problems with single objects or masks, whose images stay in use: {touched:,}")
    return replace(audit, used=used, problems=tuple(problems), notes=tuple(notes), truths=tuple(truths), amount=amount)


def conflicts(audit: Audit, groups: Sequence[Sequence[int]]) -> list[Problem]:
    """A problem for each image with a copy that is annotated differently. Both stay in use: only the user knows which is
    right."""
    problems = []
    for id, other in disagreements(groups, audit.truths) if audit.truths else ():
        one, two = (printable(audit.source.records[i].name) for i in (id, other))
        reason = f"label-conflict: {two} has the same pixels and is annotated differently"
        problems.append(Problem(one, None, reason, "keep the copy with the right annotation", KEPT, id))
    return problems


def refuse_unlearnable(audit: Audit) -> None:
    """Raise DataError if nothing is annotated."""
    amount = audit.amount
    if amount is None or amount[audit.used].any():
        return
    name = printable(audit.source.name)
    if not audit.source.classes:
        raise DataError(f"{name} has no classes: nothing in it is annotated", "annotate at least one object")
    raise DataError(
        f"none of the {int(audit.used.sum())} usable images of {name} contains any of its classes",
        "fix the problems that `sightline data` lists",
    )


def _stored(audit: Audit, record: Record) -> Stored:
    """How an image lies in its file; read from the file only if EXIF rotates it."""
    height, width = audit.size[record.id].tolist()
    if record.id in audit.turned:
        try:
            return stored(audit.source.load(record))
        except Rejected:  # changed since it was decoded a moment ago
            pass
    return Stored(height, width)
