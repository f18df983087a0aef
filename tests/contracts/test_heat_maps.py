"""Heat maps of the report: in their place over the original, beside the mistake that they explain, and nothing foreign."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sightline.drawing.png import png_bytes
from sightline.kinds.reporting import build_report, content_of
from sightline.training.heat_maps import over, shown
from tests.fake_runs import Fake, image_lookup, trained, write_run


def test_a_map_lies_where_the_network_looked() -> None:
    """400 × 200 pixels, of which the network sees the middle square, at 32 × 32."""
    values = np.zeros((32, 32), np.float32)
    values[24, 8] = 1.0
    frame = np.array([[32 / 200, 0.0, -16.0], [0.0, 32 / 200, 0.0], [0.0, 0.0, 1.0]])
    drawn = over(np.full((200, 400, 3), 200, np.uint8), values, frame)
    assert drawn.picture.shape == (120, 240, 3)
    redness = drawn.picture[..., 0].astype(int) - drawn.picture[..., 2]
    y, x = np.unravel_index(redness.argmax(), redness.shape)
    assert abs(y - 24.5 / 32 * 120) < 3 and abs(x - (100 + 8.5 / 32 * 200) * 0.6) < 3
    assert redness[:, :50].max() == 0, "nothing is drawn where the network saw nothing"


def test_the_images_of_slices_follow_the_worst_each_once() -> None:
    slices = {"slices": {"found": [{"ids": [5, 1, 2, 3, 4, 6, 7]}]}}
    assert shown([1, 9], slices) == [1, 9, 5, 2, 3, 4, 6]
    assert shown([1], {}) == [1]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "runs" / "maps", Fake(), trained())


def _maps(folder: Path, split: str, **changes: Any) -> list[int]:
    """Maps of the three worst mistakes, the second without evidence; their ids."""
    ids = [m.id for m in content_of(folder).evaluation.judgement.mistakes[:3]]  # type: ignore[union-attr]
    (folder / "diagnosis/maps").mkdir(parents=True, exist_ok=True)
    items = []
    for place, i in enumerate(ids):
        file = f"diagnosis/maps/test-{i}.png"
        (folder / file).write_bytes(png_bytes(np.full((64, 64, 3), 40 * place, np.uint8)))
        items.append({"id": i, "file": file, "method": "grad_cam", "score": "the score of 'x'", "evidence": place != 1})
    items[0] |= changes
    (folder / "diagnosis/maps.json").write_text(json.dumps({"format": 1, "split": split, "items": items}))
    return ids


def test_a_mistake_stands_beside_its_map(folder: Path) -> None:
    _maps(folder, "test")
    page = build_report(folder, load_image=image_lookup(trained()))
    assert page.count('<div class="pair">') == 3
    assert page.count("no positive evidence in the map") == 1
    assert "Grad-CAM: where features that raise it are active" in page


def test_maps_of_another_split_are_left_out(folder: Path) -> None:
    _maps(folder, "val")
    assert '<div class="pair">' not in build_report(folder, load_image=image_lookup(trained()))


@pytest.mark.parametrize("file", ["../secret.png", "diagnosis/maps/../../secret.png", "/etc/passwd"])
def test_a_map_outside_of_its_folder_is_left_out_by_name(folder: Path, file: str) -> None:
    _maps(folder, "test", file=file)
    (folder / "secret.png").write_bytes(png_bytes(np.zeros((4, 4, 3), np.uint8)))
    page = build_report(folder, load_image=image_lookup(trained()))
    assert page.count('<div class="pair">') == 2
    assert "names a file outside diagnosis/maps" in page
