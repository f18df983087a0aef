"""The kind `faces`: poses between poses, regions and their loss, every verb, a killed training, and consent."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import sightline
from sightline.data.rendering.faces import View, render, rotation
from sightline.data.rendering.head import Expression, draw_identity
from sightline.errors import DataError, UsageError
from sightline.sampling.marks import is_artificial
from sightline.sampling.poisson import poisson_blend
from sightline.sampling.warping import warped_face
from sightline.tasks.faces.blending import dilated, eroded, joined, poisson_loss
from sightline.tasks.faces.landmarks import (
    angles,
    from_pixels,
    heat_maps,
    landmark_error,
    part_way,
    rotation_between,
    rotation_of,
    to_pixels,
)

from . import tiny_faces as tiny

NETWORKS = ("reenactment", "inpainting", "blending", "landmarks", "segmenter", "critic")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("faces")


@pytest.fixture(scope="module")
def run(folder: Path) -> sightline.Run:
    return tiny.train(folder)


def _landmarks(view: View) -> Tensor:
    own = draw_identity(np.random.default_rng(5))
    points = render(own, Expression(), view, size=64).landmarks
    return from_pixels(torch.from_numpy(points)[None], 64, 64)


def test_heat_maps_have_their_peak_at_the_landmark() -> None:
    points = from_pixels(torch.tensor([[[10.5, 20.5, 0.0], [40.5, 3.5, 9.0]]]), 32, 48)
    maps = heat_maps(points, 32, 48)
    assert maps.shape == (1, 2, 32, 48)
    assert [divmod(int(m.argmax()), 48) for m in maps[0]] == [(20, 10), (3, 40)]
    assert float(maps.max()) == pytest.approx(1.0, abs=1e-6)
    assert torch.allclose(from_pixels(to_pixels(points, 32, 48), 32, 48), points, atol=1e-6)


def test_a_rotation_is_found_and_halved() -> None:
    one, other = _landmarks(View()), _landmarks(View(yaw=30, pitch=-10))
    turn = rotation_between(one, other)
    assert torch.allclose(turn[0].double(), torch.from_numpy(rotation(View(yaw=30, pitch=-10))), atol=1e-6)
    assert torch.allclose(rotation_of(angles(turn)), turn, atol=1e-6)
    assert torch.allclose(rotation_of(angles(turn) / 2) @ rotation_of(angles(turn) / 2), turn, atol=1e-6)


def test_half_way_between_two_poses_the_head_is_rigid_and_turned_half() -> None:
    one, other = _landmarks(View(yaw=-35)), _landmarks(View(yaw=35, x=0.55))
    assert torch.allclose(part_way(one, other, 0.0), one, atol=1e-5)
    assert torch.allclose(part_way(one, other, 1.0), other, atol=1e-5)
    half = part_way(one, other, 0.5)
    assert torch.allclose(half[..., :2], _landmarks(View(x=0.525))[..., :2], atol=1e-5)
    flat = (one + other) / 2
    assert float(landmark_error(flat, _landmarks(View(x=0.525)))) > 5, "the mean of both is no head"


def test_the_error_is_in_per_cent_of_the_eyes_distance() -> None:
    true = _landmarks(View(yaw=40))
    apart = (true[:, 36] - true[:, 45]).norm(dim=1)
    moved = true + torch.tensor([0.1, 0.0, 7.0]) * apart
    assert float(landmark_error(moved, true)) == pytest.approx(10.0, rel=1e-5), "depth does not count"


def test_regions_shrink_and_grow() -> None:
    region = torch.zeros(1, 9, 9, dtype=torch.bool)
    region[0, 2:7, 2:7] = True
    assert int(eroded(region, 1).sum()) == 9 and int(dilated(region, 1).sum()) == 49
    assert int(eroded(torch.ones_like(region), 1).sum()) == 49, "beyond the edge of the picture nothing is inside"
    one, other = torch.ones(1, 3, 9, 9), torch.zeros(1, 3, 9, 9)
    assert float(joined(one, other, region).sum()) == 75


def test_the_loss_is_least_for_what_poisson_blending_makes() -> None:
    draw = np.random.default_rng(0)
    target, source = draw.uniform(-1, 1, (2, 12, 14, 3))
    region = np.zeros((12, 14), bool)
    region[3:9, 4:11] = True
    solved = poisson_blend(source, target, region)

    def loss(made: np.ndarray) -> float:
        images = (torch.from_numpy(x).permute(2, 0, 1)[None].float() for x in (made, source))
        return float(poisson_loss(*images, torch.from_numpy(region)[None]))

    least = loss(solved)
    for _ in range(5):
        assert least < loss(solved + 0.05 * draw.normal(size=source.shape) * region[..., None])
    assert loss(source) == 0 and float(poisson_loss(*torch.zeros(2, 1, 3, 4, 4), torch.zeros(1, 4, 4).bool())) == 0


def test_moved_landmarks_carry_the_picture() -> None:
    image = render(draw_identity(np.random.default_rng(5)), Expression(), View(), size=64)
    points = image.landmarks[:, :2]
    same = warped_face(image.image, points, points)
    assert np.abs(same.image - image.image)[same.region].max() < 1e-6
    shifted = warped_face(image.image, points, points + np.array([3, 2]))
    inside = shifted.region[2:, 3:]
    assert np.abs(shifted.image[2:, 3:] - image.image[:-2, :-3])[inside].max() < 1e-6
    with pytest.raises(DataError, match="one line"):
        warped_face(image.image, points, np.stack([points[:, 0], points[:, 0]], 1))


def test_a_training_killed_in_a_turn_of_the_critic_ends_as_one_that_was_left_alone(
    folder: Path, run: sightline.Run
) -> None:
    out = folder / "killed"
    command = [sys.executable, "-m", "tests.generation.tiny_faces", str(tiny.data(folder)), str(out), "3", "critic"]
    done = subprocess.run([*command, *tiny.KEYS], capture_output=True, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr
    resumed = sightline.train(resume=out)
    for name in NETWORKS:
        one, other = ((r.folder / f"model/{name}.safetensors").read_bytes() for r in (run, resumed))
        assert one == other, name


def test_figures_hold_their_own_controls(run: sightline.Run) -> None:
    judgement = sightline.evaluate(run, split="test").judgement
    metrics = judgement.metrics
    assert judgement.n == 4 and metrics["landmark_error_still"] > 0 and metrics["landmark_error_found"] > 0
    assert judgement.intervals["psnr"] is not None and metrics["psnr_other"] is not None
    report = (run.folder / "report.html").read_text()
    assert "landmark error after re-enactment" in report and "re-enacted, completed, pasted, blended" in report


def test_predictions_are_landmarks_and_masks_in_pixels_of_the_image(
    run: sightline.Run, folder: Path, tmp_path: Path
) -> None:
    image = tmp_path / "large.png"
    with Image.open(tiny.data(folder) / "images/000_00.png") as small:
        small.resize((96, 64)).save(image)
    (row,) = sightline.predict(run, image, out=tmp_path / "masks", draw=tmp_path / "drawn").rows
    points = np.array(row["landmarks"])
    assert points.shape == (70, 3) and (points[:, 0].max() > 40), "x is in pixels of the wide image"
    with Image.open(row["mask"]) as mask:
        assert mask.size == (96, 64) and np.asarray(mask).max() <= 2
    assert (tmp_path / "drawn/large.png").is_file()


def test_swaps_say_that_they_are_artificial_and_photographs_need_consent(
    run: sightline.Run, folder: Path, tmp_path: Path
) -> None:
    images = tiny.data(folder) / "images"
    for options in ({}, {"blend": "poisson"}, {"blend": "none"}, {"reenact": True}, {"method": "warp"}):
        made = sightline.swap(run, images / "000_00.png", images / "001_01.png", out=tmp_path / "a.png", **options)
        with Image.open(made["pictures"][0]) as picture:
            assert is_artificial(picture.info) and picture.size == (tiny.SIZE, tiny.SIZE)
            assert "composite" in picture.info["DigitalSourceType"]
    photograph, targets = tmp_path / "me.png", tmp_path / "frames"
    targets.mkdir()
    with Image.open(images / "000_00.png") as picture:
        for path in (photograph, targets / "1.png", targets / "2.png"):
            Image.fromarray(np.asarray(picture)).save(path)
    with pytest.raises(UsageError, match=r"may be a photograph.*consent of everybody"):
        sightline.swap(run, photograph, images / "001_01.png", out=tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()
    made = sightline.swap(run, images / "000_00.png", targets, out=tmp_path / "film", reenact=True, consent=True)
    assert len(made["pictures"]) == 2 and Path(made["film"]).is_file()
    with Image.open(made["film"]) as film:
        assert b"Artificial" in film.info["comment"]


def test_what_cannot_be_swapped_or_trained_is_named(run: sightline.Run, folder: Path, tmp_path: Path) -> None:
    image = tiny.data(folder) / "images/000_00.png"
    for options, match in (
        ({"method": "magic"}, "--method is magic"), ({"method": "warp", "blend": "network"}, "no network to blend"),
        ({"out": tmp_path / "a.jpg"}, "does not fit"),
    ):  # fmt: skip
        with pytest.raises(UsageError, match=match):
            sightline.swap(run, image, image, **({"out": tmp_path / "a.png"} | options))  # type: ignore[arg-type]
    for key, match in (
        ("fit.batch=3", "is odd"),
        ("augment.flip=true", "without their landmarks"),
        ("input.size=40", "halved"),
    ):
        own = tuple(k for k in tiny.KEYS if not k.startswith(key.partition("=")[0]))
        with pytest.raises(UsageError, match=match):
            sightline.train(tiny.data(folder), (*own, key), out=tmp_path / "refused")
    sightline.faces(tmp_path / "faces", n=6, each=2, size=32)
    broken = next((tmp_path / "faces/landmarks").iterdir())
    broken.write_text("version: 1\n")
    audit = sightline.train(
        tmp_path / "faces", (*tiny.KEYS, "data.max_quarantined=0.5"), out=tmp_path / "run", smoke=True
    )
    problems = json.loads((audit.folder / "data.json").read_text())["problems"]
    assert any("bad-landmarks" in row["reason"] for row in problems), problems


@pytest.mark.slow
def test_the_same_folder_trains_a_segmenter(folder: Path, tmp_path: Path) -> None:
    run = sightline.train(
        tiny.data(folder), ("task.kind=segmentation", "fit.device=cpu"), out=tmp_path / "run", smoke=True
    )
    assert run.classes == ("background", "face", "hair")
