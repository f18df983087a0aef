"""An unknown layout is never a classifier in silence; class folders are never refused, whatever they are called."""

from __future__ import annotations

import shutil
from pathlib import Path

from sightline.data.formats.sniff import open_data
from sightline.errors import DataError
from tests.layouts import annotated_layouts, class_layouts


def test_no_annotated_layout_comes_out_as_a_classifier(tmp_path: Path) -> None:
    tried, wrong = 0, []
    for number, (what, write) in enumerate(annotated_layouts()):
        root = tmp_path / str(number)
        write(root)
        tried += 1
        try:
            source = open_data(str(root))
        except DataError as error:
            names = [p.name for p in root.rglob("*")]
            if not error.hint or not any(name in error.message for name in names):
                wrong.append(f"{what}: refused without evidence or fix: {error}")
        else:
            if source.annotations is None:
                wrong.append(f"{what}: {source.kind} {source.classes}")
        shutil.rmtree(root)
    assert not wrong, "\n".join([str(len(wrong)), *wrong])
    assert tried >= 200


def test_class_folders_are_never_refused(tmp_path: Path) -> None:
    tried, wrong = 0, []
    for number, (what, classes, splits, write) in enumerate(class_layouts()):
        root = tmp_path / str(number)
        write(root)
        tried += 1
        try:
            source = open_data(str(root))
        except DataError as error:
            wrong.append(f"{what}: {error}")
        else:
            given = {record.split for record in source.records}
            right = source.classes == tuple(sorted(classes)) and len(given) == max(len(splits), 1)
            if not right or (splits and None in given) or len(source) != 4 * len(classes) * max(len(splits), 1):
                wrong.append(f"{what}: {source.classes} {given} {len(source)}")
        shutil.rmtree(root)
    assert not wrong, "\n".join([str(len(wrong)), *wrong])
    assert tried >= 100
