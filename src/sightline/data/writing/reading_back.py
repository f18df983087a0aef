"""What was written is read again before it gets its name: the same classes, splits, labels, boxes and masks, or nothing."""

from __future__ import annotations

import numpy as np

from sightline.data.formats.sniff import open_data
from sightline.data.records.annotations import Objects
from sightline.data.records.records import QUARANTINED, Record
from sightline.data.records.source import Source
from sightline.errors import CheckError, SightlineError
from sightline.storage.text import printable

from .items import Item, Work

TOLERANCE = 0.501  # pixels: half of one, and the distance that VOC's corners need


def check(work: Work, *, ordered: bool) -> None:
    """Raises CheckError. `ordered`: the form keeps the order of the classes, and those without images."""
    try:
        source = open_data(str(work.root))
    except SightlineError as error:
        raise _failure(f"it is refused: {error.message}") from error
    if bad := next((p for p in source.problems if p.action == QUARANTINED), None):
        raise _failure(f"{bad.file}: {bad.reason}")
    wanted = {item.record.label for item in work.items} if not ordered else set(work.dataset.classes)
    if (source.classes != work.dataset.classes) if ordered else (set(source.classes) != wanted):
        raise _failure(f"other classes: {', '.join(map(printable, source.classes[:10]))}")
    if len(source.records) != len(work.items):
        raise _failure(f"{len(source.records):,} images instead of {len(work.items):,}")
    for item, record in zip(work.items, _in_order(work, source), strict=True):
        if (record.split or "") != item.split or record.label != item.record.label:
            raise _failure(f"{printable(record.name)} has another split or class")
        if source.annotations is not None:
            _compare(work, source, item, record)


def _failure(what: str) -> CheckError:
    return CheckError(f"the converted data set would not be read as it is: {what}", "please report this set")


def _in_order(work: Work, source: Source) -> list[Record]:
    """The records in the order of the items."""
    if source.kind == "parquet":  # rows in the order in which they were written
        rows = {split: iter([r for r in source.records if (r.split or "") == split]) for split in work.splits}
        found = [next(rows[item.split], None) for item in work.items]
    else:
        records = {record.name: record for record in source.records}
        found = [records.get(work.places[item.id]) for item in work.items]
    if None in found:
        raise _failure("an image has another name or split")
    return [record for record in found if record is not None]


def _compare(work: Work, source: Source, item: Item, record: Record) -> None:
    assert source.annotations is not None
    wanted, found = work.dataset.truth(item.id), source.annotations.truth(record)
    if not isinstance(wanted, Objects) or not isinstance(found, Objects):
        if isinstance(wanted, Objects) or isinstance(found, Objects) or not np.array_equal(wanted, found):
            raise _failure(f"{printable(record.name)} has another mask")
        return
    kept = work.kept.get(item.id)
    pairs = list(zip(wanted.label.tolist(), wanted.boxes.tolist(), strict=True)) if kept is None else kept
    same = [label for label, _ in pairs] == found.label.tolist()
    if kept is None:
        same = same and wanted.ignore.tolist() == found.ignore.tolist()
    boxes = np.array([box for _, box in pairs]).reshape(-1, 4)
    if not same or np.abs(boxes - found.boxes).max(initial=0) > TOLERANCE:
        raise _failure(f"{printable(record.name)} has other objects")
