"""convert: a data set in the form of another program, with the same images, classes, splits and annotations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sightline.data.records.records import QUARANTINED
from sightline.data.writing.convert import require_form, write_dataset
from sightline.kinds.opening import draft, open_dataset
from sightline.runs.console import Console
from sightline.storage.text import printable


def convert(what: str | Path, out: str | Path, *, to: str, console: Console | None = None) -> dict[str, Any]:
    """Write the data set WHAT as the folder `out`; returns the facts of what was written.

    to   "coco", "voc" or "yolo" for boxes and outlines; "folder" or "parquet" for classes, "folder" for masks; "webdataset"

    Images are copied byte for byte; those that the audit takes out of use are not. The folder appears whole, after it was read
    again. UsageError if it is not empty or the form cannot hold the data, DataError for data that cannot be read, CheckError
    if what was written would be read as anything else.
    """
    console, folder = console or Console(), Path(out)
    require_form(to, folder, str(what))
    data = open_dataset(draft(str(what), (), {"data.leaks": "keep"}), console, whole=True)
    work = write_dataset(data, folder, to)
    left_out = [problem.row() for problem in data.problems if problem.action == QUARANTINED]
    notes = work.sentences()
    if left_out:
        notes.append(f"images that cannot be used, left out: {len(left_out):,}, such as {left_out[0]['file']}")
    for note in notes:
        console.warn(note)
    return {
        "folder": printable(str(folder)),
        "to": to,
        "images": len(work.items),
        "classes": list(data.classes),
        "splits": {split: len(work.of(split)) for split in work.splits if split},
        "notes": notes,
        "left_out": left_out,
    }
