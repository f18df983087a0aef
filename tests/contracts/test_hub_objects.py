"""The hub's metadata with objects: COCO's units, categories by name or number, one file or one per split."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.data.formats.sniff import open_data
from sightline.data.records.annotations import Objects
from sightline.errors import DataError
from tests.tiny_data import reasons

BOXES = [[5.0, 6.0, 10.0, 12.0], [20.0, 10.0, 15.5, 20.0]]


def write(
    folder: Path, count: int, first: int = 0, name: str = "metadata.jsonl", names: tuple[object, object] = (0, 1)
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["file_name,objects"] if name.endswith("csv") else []
    for i in range(count):
        pixels = np.random.default_rng(first + i).integers(0, 255, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        objects = {"bbox": BOXES, "category": list(names)} if i else {"bbox": [], "category": []}
        text = json.dumps(objects).replace('"', '""')
        entry = json.dumps({"file_name": f"{i}.png", "objects": objects})
        lines.append(f'{i}.png,"{text}"' if name.endswith("csv") else entry)
    (folder / name).write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
@pytest.mark.parametrize("splits", [("",), ("train", "test")])
def test_boxes_are_corner_and_sides(tmp_path: Path, name: str, splits: tuple[str, ...]) -> None:
    for number, split in enumerate(splits):
        write(tmp_path / split, 4, 10 * number, name)
    source = open_data(str(tmp_path))
    assert source.annotations is not None and source.annotations.knows == "boxes"
    assert source.classes == ("0", "1")
    assert {r.split for r in source.records} == {split or None for split in splits}
    record = next(r for r in source.records if r.name.endswith("2.png"))
    truth = source.annotations.truth(record)
    assert isinstance(truth, Objects)
    assert truth.boxes.tolist() == [[5, 6, 15, 18], [20, 10, 35.5, 30]]
    assert truth.label.tolist() == [0, 1]
    empty = source.annotations.truth(next(r for r in source.records if r.name.endswith("0.png")))
    assert isinstance(empty, Objects) and len(empty) == 0


def test_names_faults_and_the_file_itself(tmp_path: Path) -> None:
    write(tmp_path, 3, names=("cat", "dog"))
    with (tmp_path / "metadata.jsonl").open("a") as file:
        file.write(json.dumps({"file_name": "9.png", "objects": {"bbox": [[1, 2, 3, 4]], "category": ["cat"]}}) + "\n")
        Image.new("RGB", (60, 40)).save(tmp_path / "4.png")
        objects = {"bbox": [[1, 2, 0, 4], [1, 2, "x", 4]], "category": ["cat", "cat"]}
        file.write(json.dumps({"file_name": "4.png", "objects": objects}) + "\n")
    source = open_data(str(tmp_path / "metadata.jsonl"))
    assert source.classes == ("cat", "dog")
    assert reasons(source) == [
        "metadata.jsonl:4:missing", "metadata.jsonl:5:zero-area", "metadata.jsonl:5:not-a-number",
    ]  # fmt: skip
    write(tmp_path / "shares", 1)
    (tmp_path / "shares" / "metadata.jsonl").write_text(
        json.dumps({"file_name": "0.png", "objects": {"bbox": [[0.1, 0.2, 0.3, 0.4]], "category": [0]}}) + "\n"
    )
    with pytest.raises(DataError, match="shares of the image"):
        open_data(str(tmp_path / "shares"))
