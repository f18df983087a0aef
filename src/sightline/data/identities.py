"""Splits by identity: whoever is in val or test is in no other split, so that figures hold for people never seen.

All images of an identity are one unit of the split, and identities are dealt as the units of one class: there are no classes
to be stratified by.
"""

from __future__ import annotations

from dataclasses import replace

from sightline.data.audit.audit import Audit
from sightline.data.records.names import SPLITS
from sightline.errors import DataError
from sightline.storage.text import printable


def by_identities(audit: Audit) -> Audit:
    """The same images with the identity as their group, and without classes, for the split alone. DataError for an identity in
    two of the splits that the data give."""
    _refuse_shared(audit)
    records = tuple(
        replace(record, label=None, group=record.group if record.label is None else f"identity:{record.label}")
        for record in audit.source.records
    )
    return replace(audit, source=replace(audit.source, records=records))


def _refuse_shared(audit: Audit) -> None:
    splits: dict[str, set[str]] = {}
    for record in audit.records():
        if record.label is not None and record.split is not None:
            splits.setdefault(record.label, set()).add(record.split)
    shared = {name: given for name, given in sorted(splits.items()) if len(given) > 1}
    if shared:
        name, given = next(iter(shared.items()))
        where = " and ".join(split for split in SPLITS if split in given)
        more = f", and {len(shared) - 1:,} more" if len(shared) > 1 else ""
        raise DataError(
            f"identities in two splits: {printable(name)} ({where}){more}",
            "keep all images of an identity in one split, or give no splits",
        )
