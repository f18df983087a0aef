"""Rendered heads: everything that is said about an image is true of its pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sightline
from sightline.data.rendering.faces import View, draw_scene, draw_view, render
from sightline.data.rendering.head import FACE, HAIR, Expression, draw_identity
from sightline.errors import UsageError
from sightline.kinds.faces.data import parsed
from sightline.sampling.marks import rendered

NOSE_TIP, CHIN, PUPILS, LIP_UP, LIP_LOW = 30, 8, (68, 69), 62, 66


def test_an_image_is_a_function_of_face_expression_and_view() -> None:
    own, view = draw_identity(np.random.default_rng(3)), View(yaw=20, pitch=5)
    one, other = (render(own, Expression(smile=0.5), view, size=48) for _ in range(2))
    assert np.array_equal(one.image, other.image) and np.array_equal(one.landmarks, other.landmarks)
    assert one.image.shape == (48, 48, 3) and one.landmarks.shape == (70, 3)


def test_landmarks_are_where_they_are_painted() -> None:
    """Pupils are dark, and the opening of the mouth lies between its landmarks, from wherever the head is seen."""
    for number in range(3):
        draw = np.random.default_rng(number)
        own = draw_identity(draw)
        made = render(own, Expression(mouth=1.0), draw_view(draw, draw_scene(draw)), size=128)
        x, y, _ = np.rint(made.landmarks - 0.5).astype(int).T
        for pupil in PUPILS:
            assert made.image[y[pupil], x[pupil]].max() < 110, (number, pupil)
        middle = made.landmarks[[LIP_UP, LIP_LOW]].mean(0)
        red, green, _ = made.image[int(middle[1]), int(middle[0])].astype(int)
        assert made.landmarks[LIP_LOW, 1] - made.landmarks[LIP_UP, 1] > 4 and (red > green or red > 150)
        assert made.mask[y[NOSE_TIP], x[NOSE_TIP]] == FACE
        assert made.mask[y[CHIN] - 4, x[CHIN]] == FACE
        assert (made.mask == HAIR).sum() > 100


def test_the_head_turns_to_where_the_view_says() -> None:
    own = draw_identity(np.random.default_rng(0))
    left, front, right = (render(own, Expression(), View(yaw=yaw), size=48).landmarks for yaw in (-30, 0, 30))
    sides = [points[NOSE_TIP, 0] - points[[36, 45], 0].mean() for points in (left, front, right)]
    assert sides[0] < -1.5 and abs(sides[1]) < 0.1 and sides[2] > 1.5
    apart = [np.linalg.norm(points[36] - points[45]) for points in (left, front, right)]
    assert np.ptp(apart) < 1e-9, "a rotation keeps distances in space"


def test_files_name_everything_and_say_that_they_are_artificial(tmp_path: Path) -> None:
    sightline.faces(tmp_path / "faces", n=6, each=2, size=32, seed=1)
    names = [(tmp_path / "faces" / f"{split}.txt").read_text().split() for split in ("train", "val", "test")]
    people = [{name.partition("_")[0] for name in part} for part in names]
    assert [len(part) for part in names] == [4, 4, 4] and not people[0] & people[1] | people[1] & people[2]
    with Image.open(tmp_path / "faces/images/000_01.png") as image:
        assert image.info["DigitalSourceType"] == rendered()["DigitalSourceType"] and image.size == (32, 32)
    points = parsed((tmp_path / "faces/landmarks/000_01.pts").read_bytes())
    assert points.shape == (70, 3) and (points[:, :2] > 0).all() and (points[:, :2] < 32).all()
    sightline.faces(tmp_path / "again", n=8, each=2, size=32, seed=1)
    one, other = ((tmp_path / name / "images/000_01.png").read_bytes() for name in ("faces", "again"))
    assert one == other, "image j of face i depends on (seed, i, j) only"


def test_numbers_out_of_range_are_named(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/file").touch()
    for folder, keys, match in (
        ("full", {}, "not empty"), ("a", {"size": 8}, "--size is 8"), ("a", {"n": 3}, "3 faces of 8 images"),
        ("a", {"each": 1}, "faces of 1 images"), ("a", {"n": 100_000}, "too many"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=match):
            sightline.faces(tmp_path / folder, **keys)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="1 landmarks instead of 70"):
        parsed(b"version: 1\nn_points: 1\n{\n1 2 3\n}\n")
    with pytest.raises(ValueError):
        parsed(b"\xff{")
