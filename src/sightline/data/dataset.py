"""A data set as training and evaluation see it: ids, class indices, splits, and pixels on request.

Every array is indexed by a record's id, its row in the manifest. Quarantined records keep their ids and are marked as
unused, so an id means the same image in every array, log and report.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Int, UInt8

from sightline.data.audit.audit import Audit, Keep, Progress, audit, limit_quarantine
from sightline.data.audit.duplicates import Leaks, contradictions, same_pixels, settle_leaks
from sightline.data.audit.truths import conflicts, inspect_annotations, refuse_unlearnable
from sightline.data.formats.sniff import open_data
from sightline.data.records.annotations import RemappedAnnotations, Truth
from sightline.data.records.names import SPLITS
from sightline.data.records.records import Problem, Record
from sightline.data.records.source import UNLABELLED, Source
from sightline.errors import DataError, UsageError
from sightline.preprocessing.decoder import decode
from sightline.storage.text import printable

from .evidence import with_evidence
from .folds import Cuts, Fold, deal
from .mirrors import mirrored_pair
from .splits import Assignment, Fractions, SplitRule, refuse_emptied_splits

Knowledge = Literal["labels", "masks", "boxes", "outlines", "tags", "numbers", "columns", "texts"]
Needs = Literal["classes", "identities", "images"]


@dataclass(frozen=True)
class Dataset:
    """Arrays by record id.

    used        whether the image is in use
    index       its class; -1 if unknown, and throughout annotated data
    split       0 train, 1 val, 2 test, -1 unused
    unit        copies and groups share one, and are never split
    size        (h, w)
    problems    the rows of the quarantine report
    notes       messages to show before training
    """

    name: str
    kind: str
    classes: tuple[str, ...]
    records: tuple[Record, ...]
    used: Bool[np.ndarray, "n"]
    index: Int[np.ndarray, "n"]
    split: Int[np.ndarray, "n"]
    unit: Int[np.ndarray, "n"]
    size: Int[np.ndarray, "n 2"]
    duplicates: tuple[tuple[int, ...], ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    audit: Audit
    cuts: Cuts | None = None

    def __len__(self) -> int:
        """The number of images in use."""
        return int(self.used.sum())

    def ids(self, split: str | None = None) -> Int[np.ndarray, "m"]:
        """Ids in use of "train", "val" or "test", ascending; of all splits if None."""
        return np.flatnonzero(self.used if split is None else self.split == SPLITS.index(split))

    def pixels(
        self, id: int, *, channels: int = 3, depth: int | Literal["own"] | None = "own"
    ) -> UInt8[np.ndarray, "h w c"]:
        """One image, decoded; `depth` as in `decode`, by default that of these data. Raises Rejected if its file was changed
        or removed after the audit."""
        bits = self.audit.depth if depth == "own" else depth
        return decode(self.audit.source.load(self.records[id]), channels=channels, depth=bits).pixels

    @property
    def knows(self) -> Knowledge:
        """What is known of each image: a class, several labels, numbers, a class for every pixel, boxes, or also outlines."""
        annotations = self.audit.source.annotations
        return annotations.knows if annotations else "labels"

    def truth(self, id: int) -> Truth:
        """The annotation of one image in its oriented pixels: (h, w) uint8 class indices with 255 for ignored pixels, or
        Objects; of several labels or numbers one value each, (k,). Raises DataError if it was changed or removed after the
        audit, UsageError if the data have one class per image."""
        annotations = self.audit.source.annotations
        if annotations is None:
            raise UsageError(
                f"{printable(self.name)} has one class per image, no boxes or masks", "use task.kind=classification"
            )
        return annotations.truth(self.records[id])

    def amounts(self) -> Int[np.ndarray, "k 3"]:
        """Pixels or objects of each class in train, val and test, without ignored ones; images if the data have labels only."""
        amount = self.audit.amount
        if amount is None:
            return self.counts()
        return np.stack([amount[self.split == code].sum(axis=0) for code in range(len(SPLITS))], axis=1)  # (k, 3)

    def amounts_of(self, ids: Int[np.ndarray, "m"]) -> Int[np.ndarray, "m k"]:
        """Pixels or objects of each class in these images; zeros if the data have labels only."""
        amount = self.audit.amount
        return np.zeros((len(ids), len(self.classes)), np.int64) if amount is None else amount[ids]

    def counts(self) -> Int[np.ndarray, "k 3"]:
        """Images of each class in train, val and test; an annotated image counts for every class that occurs in it."""
        if self.audit.amount is not None:
            occurs = self.audit.amount > 0
            return np.stack([occurs[self.split == code].sum(axis=0) for code in range(len(SPLITS))], axis=1)  # (k, 3)
        counts = np.zeros((len(self.classes), len(SPLITS)), dtype=np.int64)
        known = self.used & (self.index >= 0)
        np.add.at(counts, (self.index[known], self.split[known]), 1)
        return counts


def build_dataset(
    what: str | Source,
    *,
    needs: Needs = "classes",
    channels: int = 3,
    leaks: Leaks = "stop",
    max_quarantined: float | None = None,
    fractions: Fractions | None = None,
    rule: SplitRule | Cuts | Fold = "class",
    workers: int = 2,
    cache_dir: Path | None = None,
    keep: Keep | None = None,
    progress: Progress | None = None,
) -> Dataset:
    """Find, audit, split and check the data set that `what` names, or is.

    `needs`: "classes" for classification (every class must have training images), "identities" if test has other classes
    than train (verification), "images" if labels do not matter. `max_quarantined` is a share of all images. `rule` is how
    images without a split get one; by a fold all do. Raises DataError for unusable data, UsageError for an unknown name.
    """
    source = open_data(what) if isinstance(what, str) else what
    result = audit(source, channels=channels, workers=workers, cache_dir=cache_dir, keep=keep, progress=progress)
    result = inspect_annotations(result, workers=workers, cache_dir=cache_dir)
    groups = same_pixels(result)
    result = replace(result, problems=(*result.problems, *contradictions(result, groups), *conflicts(result, groups)))
    result = settle_leaks(result, leaks)
    limit_quarantine(result, max_quarantined)
    with with_evidence(result.problems):
        if needs != "images":
            refuse_emptied_splits(result)
            _require_classes(result)
    dataset = _assemble(result, deal(result, fractions, rule, identities=needs == "identities"), groups)
    if needs == "classes":
        with with_evidence(dataset.problems):
            _require_trained_classes(dataset)
    return dataset


def obstacles(dataset: Dataset, leaks: Leaks) -> list[str]:
    """Why training would refuse a data set that was built with needs="images", under this policy for leaks."""
    reasons = []
    try:
        settle_leaks(dataset.audit, leaks)
    except DataError as error:
        reasons.append(str(error))
    try:
        refuse_emptied_splits(dataset.audit)
        _require_classes(dataset.audit)
        _require_trained_classes(dataset)
    except DataError as error:
        reasons.append(str(error))
    return reasons


def with_classes(dataset: Dataset, classes: tuple[str, ...]) -> Dataset:
    """The same images under a run's list of classes, by name. Raises DataError with both lists if the run lacks one."""
    unknown = [name for name in _in_use(dataset) if name not in classes]
    if unknown:
        raise DataError(
            f"the data have classes that the run does not know: {_list(unknown)}", f"the run knows {_list(classes)}"
        )
    place: dict[str | None, int] = {name: row for row, name in enumerate(classes)}
    index = np.array([place.get(r.label, -1) for r in dataset.records], dtype=np.int64)
    return replace(dataset, classes=tuple(classes), index=index, audit=_remap_annotations(dataset.audit, classes))


def _remap_annotations(audit: Audit, classes: tuple[str, ...]) -> Audit:
    """The audit with its annotations under another list of classes."""
    source = audit.source
    if source.annotations is None or audit.amount is None:
        return audit
    place = np.array([classes.index(name) if name in classes else -1 for name in source.classes], dtype=np.int64)
    remapped = RemappedAnnotations(source.annotations, place, len(classes))
    source = replace(source, classes=tuple(classes), annotations=remapped)
    return replace(audit, source=source, amount=remapped.remap_counts(audit.amount))


def _assemble(audit: Audit, assignment: Assignment, groups: list[list[int]]) -> Dataset:
    source = audit.source
    order = {name: row for row, name in enumerate(source.classes)}
    index = np.array([-1 if r.label is None else order[r.label] for r in source.records], dtype=np.int64)
    notes = [*source.notes, *audit.notes, *assignment.notes]
    if groups:
        notes.append(f"images with an exact copy: {sum(map(len, groups)):,}, {len(groups):,} of them distinct")
    used = _present(audit)
    if absent := [name for name in source.classes if name not in used]:
        notes.append(f"classes without images: {_list(absent)}")
    if pair := mirrored_pair(source.classes):
        one, other = map(printable, pair)
        notes.append(
            f"{one} and {other} are each other's mirror image by their names: no flips in training, unless augment.flip=true"
        )
    dataset = Dataset(
        name=source.name,
        kind=source.kind,
        classes=source.classes,
        records=source.records,
        used=audit.used,
        index=index,
        split=assignment.split,
        unit=assignment.units.index,
        size=audit.size,
        duplicates=tuple(tuple(ids) for ids in groups),
        problems=audit.problems,
        notes=tuple(notes),
        audit=audit,
        cuts=assignment.cuts,
    )
    if source.annotations is not None and (lacking := _untrained(dataset)):
        notes.append(f"classes without training images, which cannot be learned: {_list(lacking)}")
    return replace(dataset, notes=tuple(notes))


def _present(audit: Audit) -> set[str | None]:
    """The classes that occur in images in use."""
    if audit.amount is not None:
        return {audit.source.classes[c] for c in np.flatnonzero(audit.amount[audit.used].any(axis=0))}
    return {r.label for r in audit.records()}


def _untrained(dataset: Dataset) -> list[str]:
    """Classes that occur in val or test but not in train."""
    counts = dataset.counts()
    return [dataset.classes[c] for c in np.flatnonzero((counts[:, 0] == 0) & (counts.sum(axis=1) > 0))]


def _require_classes(audit: Audit) -> None:
    """DataError without labels, with fewer than two classes, or if a class lost all its images."""
    source = audit.source
    if source.annotations is not None:
        refuse_unlearnable(audit)
        return
    if not source.classes:
        why = next((note for note in source.notes if note.startswith(UNLABELLED)), UNLABELLED)
        raise DataError(f"{printable(source.name)}: {why}", "use one folder a class, or a table with path,label")
    before = {r.label for r in source.records}
    after = {r.label for r in audit.records()}
    if gone := sorted({*source.emptied, *(str(name) for name in before - after - {None})}):
        why = f"classes that are empty because all their images are quarantined: {_list(gone)}"
        raise DataError(why, "repair the images, or remove the classes")
    if len(after - {None}) < 2:
        raise DataError(f"only one class in {printable(source.name)}: {_list(source.classes)}", _inner(source.records))


def _inner(records: tuple[Record, ...]) -> str:
    """A hint for an archive unpacked one folder too deep: its only "class" holds the classes."""
    parts = [r.name.split("/") for r in records]
    deeper = {p[1] for p in parts if len(p) > 2}
    if len(deeper) > 1 and all(r.split is None for r in records):
        return f"it contains {len(deeper)} folders: did you mean {printable(parts[0][0])}/ inside it?"
    return "add a second class: one folder a class"


def _require_trained_classes(dataset: Dataset) -> None:
    """DataError if train lacks a class of another split. Among annotated images a rare class may be missing from train; that
    is only a note."""
    counts = dataset.counts()
    if not counts[:, 0].sum():
        count = len(dataset.ids("train"))
        if count:
            raise DataError(f"nothing is annotated in the {count} training images", "annotate some, or check the split")
        raise DataError("there is no training split", f"add one; the data give {', '.join(_splits_of(dataset))}")
    if dataset.knows == "labels" and (lacking := _untrained(dataset)):
        trained = [dataset.classes[c] for c in np.flatnonzero(counts[:, 0])]
        raise DataError(
            f"classes that are not in train: {_list(lacking)}",
            f"use the same names in every split; train has {_list(trained)}",
        )


def _splits_of(dataset: Dataset) -> list[str]:
    return [name for code, name in enumerate(SPLITS) if (dataset.split == code).any()]


def _in_use(dataset: Dataset) -> list[str]:
    return sorted(str(name) for name in _present(dataset.audit) - {None})


def _list(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(printable(name) for name in names[:20]) + (f" … ({len(names)})" if len(names) > 20 else "")
