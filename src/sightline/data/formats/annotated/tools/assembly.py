"""From the objects that a tool's files hold to a data set: classes, instances or boxes, records.

If every usable object has an outline, the data set has outlines, else boxes only: the rule of COCO's files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sightline.data.files.walking import Walk
from sightline.data.records.names import class_texts
from sightline.data.records.outlines import Outline, Rings
from sightline.data.records.records import Contents, Files, Problem, Record
from sightline.data.records.source import Source
from sightline.storage.text import printable

from ..objects import AnnotatedImage, Marked, ObjectAnnotations, objects_of, refuse_unknown
from ..units import Box


class Mark(NamedTuple):
    """One object as a tool's file has it: `name` None if its class is unknown, `box` (xyxy) None if its place is. An `unusable`
    one is only a place that is ignored. Marks of one `group` and one class are parts of one object."""

    name: str | None
    box: Box | None
    where: tuple[str, int]
    outline: Outline | None = None
    ignore: bool = False
    unusable: bool = False
    group: str = ""


class Page(NamedTuple):
    """What is known of one image: its relative name, its split, the (height, width) that its annotation states, its marks."""

    image: str
    split: str | None
    size: tuple[int, int] | None
    marks: tuple[Mark, ...]


@dataclass
class Finds:
    """A data set while its files are read."""

    tree: Walk
    pages: list[Page] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    splits: set[str] = field(default_factory=set)  # that the data name
    unused: dict[str, int] = field(default_factory=dict)  # kinds of marks that are neither boxes nor areas

    def skip(self, what: str) -> None:
        """Count a mark of a kind that is not used."""
        self.unused[what] = self.unused.get(what, 0) + 1


def assemble(
    finds: Finds,
    kind: str,
    what: str,
    classes: Sequence[str] | None = None,
    *,
    shares: bool = False,
    sides: bool = False,
    contents: Contents | None = None,
) -> Source:
    """The data set. `what` names its annotations in messages; `classes` in order, None: those that occur, in alphabetical
    order; `shares`: the numbers are shares of the upright image."""
    pages = sorted(finds.pages, key=lambda page: page.image)
    marks = [mark for page in pages for mark in page.marks if not mark.unusable]
    outlined = sum(mark.outline is not None for mark in marks)
    instances = outlined == len(marks) and outlined > 0
    texts = class_texts(
        classes if classes is not None else {m.name for page in pages for m in page.marks if m.name is not None}
    )
    order = [texts[name] for name in classes] if classes is not None else sorted(set(texts.values()))
    row = {text: number for number, text in enumerate(order)}
    place: dict[str | None, int] = {name: row[text] for name, text in texts.items()}
    refuse_unknown(what, sum(mark.name is None for page in pages for mark in page.marks), len(order))
    annotated = [
        AnnotatedImage(
            objects_of([_marked(m, place, instances) for m in page.marks], len(order), outlines=instances),
            page.size,
            shares,
        )
        for page in pages
    ]
    contents = contents or Files(finds.tree.root)
    return Source(
        name=os.path.basename(finds.tree.root) or "data",
        kind=kind,
        root=finds.tree.root,
        records=tuple(Record(row, page.image, None, page.split or None) for row, page in enumerate(pages)),
        classes=tuple(order),
        contents=contents,
        given_splits=frozenset(finds.splits),
        notes=(*_notes(finds, what, marks, outlined), *finds.notes),
        problems=(*finds.tree.refused, *finds.problems),
        annotations=ObjectAnnotations(
            "outlines" if instances else "boxes", contents, annotated, len(order), what, sides=sides
        ),
    )


def _marked(mark: Mark, place: Mapping[str | None, int], outlines: bool) -> Marked:
    ignore = mark.ignore or mark.unusable or (outlines and mark.outline is None)
    return Marked(None if mark.name is None else place[mark.name], mark.box, ignore, mark.where, mark.outline)


def _notes(finds: Finds, what: str, marks: Sequence[Mark], outlined: int) -> list[str]:
    if outlined and outlined == len(marks):
        kind = "each with an outline: instances"
    elif outlined:
        kind = f"only {outlined:,} with an outline: boxes only"
    else:
        kind = "boxes only"
    notes = [f"{what}: {len(marks):,} objects in {len(finds.pages):,} images, {kind}"]
    if flagged := sum(mark.ignore for mark in marks):
        notes.append(f"objects marked difficult, crowd or to ignore, ignored: {flagged:,}")
    if finds.unused:
        some = ", ".join(f"{printable(word)} ×{count:,}" for word, count in sorted(finds.unused.items()))
        notes.append(f"marks that are neither boxes nor areas, not used: {some}")
    if empty := sum(not page.marks for page in finds.pages):
        notes.append(f"images without objects: {empty:,}")
    return notes


def joined(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """The marks, those of one group and one class as one object: its rings are all of theirs, its box is around them."""
    whole: dict[tuple[str | None, str], Mark] = {}
    rest: list[Mark] = []
    for mark in marks:
        key = mark.name, mark.group
        if not mark.group or mark.box is None or mark.unusable:
            rest.append(mark)
        elif key in whole:
            whole[key] = _union(whole[key], mark)
        else:
            whole[key] = mark
    return (*whole.values(), *rest)


def _union(one: Mark, two: Mark) -> Mark:
    assert one.box is not None and two.box is not None
    low = [min(a, b) for a, b in zip(one.box[:2], two.box[:2], strict=True)]
    high = [max(a, b) for a, b in zip(one.box[2:], two.box[2:], strict=True)]
    outline = None
    if isinstance(one.outline, Rings) and isinstance(two.outline, Rings):
        outline = Rings((*one.outline.rings, *two.outline.rings))
    return one._replace(box=(low[0], low[1], high[0], high[1]), outline=outline, ignore=one.ignore or two.ignore)


def without_repeats(marks: Sequence[Mark]) -> tuple[list[Mark], list[Mark]]:
    """The marks, and those that repeat another one exactly."""
    seen: set[object] = set()
    kept: list[Mark] = []
    repeated: list[Mark] = []
    for mark in marks:
        key = (mark.name, mark.box, mark.ignore, mark.outline.content() if mark.outline else b"")
        (repeated if key in seen and not mark.unusable else kept).append(mark)
        seen.add(key)
    return kept, repeated
