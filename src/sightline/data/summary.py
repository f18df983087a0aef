"""`data.json`: what a run was trained on, and the hash by which a resumed run checks that it has not changed.

The hash covers the classes in their order, and names, pixels, labels or annotations, and splits of the images in use: a
moved folder keeps it, a changed pixel, label, box or name does not.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from sightline.data.records.names import SPLITS
from sightline.data.records.records import QUARANTINED
from sightline.storage.text import printable

from .dataset import Dataset


def data_json(dataset: Dataset, question: str) -> dict[str, Any]:
    """The contract of the `data` verb and of `data.json`; `splits` of a split that does not exist is null;
    `cuts`: where places part the splits of each class, if a hash decides them; `question` is the kind of task that they
    answer."""
    counts = dataset.counts()
    sizes = {name: len(dataset.ids(name)) for name in SPLITS}
    return {
        "name": dataset.name,
        "kind": dataset.kind,
        "question": question,
        "n": len(dataset.audit.source),
        "used": len(dataset),
        "quarantined": sum(problem.action == QUARANTINED for problem in dataset.problems),
        "classes": list(dataset.classes),
        "counts": {
            name: dict(zip(SPLITS, row, strict=True))
            for name, row in zip(dataset.classes, counts.tolist(), strict=True)
        },
        "splits": {name: size or None for name, size in sizes.items()},
        "cuts": dataset.cuts.to_json() if dataset.cuts else None,
        "amounts": _amounts(dataset),
        "imbalance": imbalance(dataset),
        "duplicates": [[printable(dataset.records[i].name) for i in ids] for ids in dataset.duplicates],
        "problems": [problem.row() for problem in dataset.problems],
        "notes": list(dataset.notes),
        "hash": data_hash(dataset),
    } | ({"synsets": list(dataset.audit.source.synsets)} if dataset.audit.source.synsets else {})


def _amounts(dataset: Dataset) -> dict[str, Any] | None:
    """Pixels or objects of each class and split; null where there are only labels."""
    annotations = dataset.audit.source.annotations
    if annotations is None:
        return None
    rows = zip(dataset.classes, dataset.amounts().tolist(), strict=True)
    return {"unit": annotations.unit, "of": {name: dict(zip(SPLITS, row, strict=True)) for name, row in rows}}


def sizes_text(dataset: Dataset) -> str:
    """Width x height of the images in use: one size, or the smallest and largest by area."""
    sizes = sorted(
        {tuple(size) for size in dataset.size[dataset.used].tolist()}, key=lambda size: (size[0] * size[1], size)
    )
    if not sizes:
        return "no size"
    (height, width), (high, wide) = sizes[0], sizes[-1]
    return f"{width} x {height} pixels" + (f" to {wide} x {high}, {len(sizes):,} sizes" if len(sizes) > 1 else "")


def imbalance(dataset: Dataset) -> dict[str, Any] | None:
    """The largest and the smallest class of the training images and their ratio; null without labelled ones."""
    counts = dataset.counts()[:, 0]
    if not counts.sum():
        return None
    most, least = int(counts.argmax()), int(counts.argmin())
    ratio = float(counts[most] / counts[least]) if counts[least] else None
    return {
        "largest": [dataset.classes[most], int(counts[most])],
        "smallest": [dataset.classes[least], int(counts[least])],
        "ratio": ratio,
    }


def data_hash(dataset: Dataset, *, exact: bool = True) -> str:
    """SHA-256 over the classes in order, then (name, pixel hash, label, split) of the images in use, in id order; the
    label is a hash of the annotation where there is one. `exact`: where images of 16 bits have fewer, all of their bits
    count, not the 8 of which a range of 16 would leave a few."""
    audit = dataset.audit
    digest = audit.exact if exact and audit.depth not in (None, 16) else audit.digest
    state = hashlib.sha256(json.dumps(dataset.classes).encode() + b"\n")
    for id in dataset.ids().tolist():
        record = dataset.records[id]
        label = audit.truths[id] if audit.truths else record.label
        row = (record.name, digest[id], label, SPLITS[dataset.split[id]])
        state.update(json.dumps(row).encode() + b"\n")
    return state.hexdigest()


def has_hash(dataset: Dataset, stored: object) -> bool:
    """Whether a run with this hash has these data; runs of earlier versions knew 8 bits of an image at most."""
    return stored == data_hash(dataset) or stored == data_hash(dataset, exact=False)
