"""Blur, hue, crop, rotation and noise beside torchvision's functions and their own definitions."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as theirs

from sightline.augmentation.affine import warp
from sightline.augmentation.operation import matrix
from sightline.augmentation.own import Own
from sightline.augmentation.photography import STRENGTHS, Blur, Crop, Hue, Noise, Turn
from sightline.errors import UsageError
from sightline.recipes.reading import make_draft
from sightline.recipes.transforms import KEY, transform_named, use_transform
from sightline.structures.batch import Batch
from sightline.structures.targets import Masks
from tests.parity.test_policies import HEIGHT, WIDTH, batch_of, pictures


def levels(a: torch.Tensor, b: torch.Tensor) -> int:
    return int((a.int() - b.int()).abs().max())


@pytest.mark.parametrize("sigma", [0.8, 2.0])
def test_a_blur_is_torchvisions(sigma: float) -> None:
    image, blur = pictures(2, 3), Blur(sigma)
    size = 2 * -(-3 * sigma // 1) + 1
    for strength in (0, 9, STRENGTHS - 1):
        own = sigma * (strength + 1) / STRENGTHS
        expected = theirs.gaussian_blur(image, [int(size), int(size)], [own, own])
        assert levels(blur.by(batch_of(image), torch.full((2,), strength)).image, expected) <= 1


@pytest.mark.parametrize("turn", [-0.5, -0.13, 0.0, 0.21, 0.5])
def test_a_hue_is_torchvisions(turn: float) -> None:
    image = pictures(3, 3)
    image[0, :, :4] = 80  # grey has no hue
    out = Hue().by(batch_of(image), torch.full((3,), turn)).image
    assert levels(out, theirs.adjust_hue(image, turn)) <= 1
    assert levels(out[0, :, :4], image[0, :, :4]) <= 1


def test_a_crop_is_torchvisions_inside() -> None:
    """Beside the edge it sees the pixel beyond the crop, which torchvision has cut off."""
    image = pictures(1, 3)
    top, left, high, wide = 5, 11, 20, 31
    one, zero = torch.ones(1), torch.zeros(1)
    sx, sy = WIDTH / wide, HEIGHT / high
    out = warp(batch_of(image), matrix((one * sx, zero, -one * left * sx), (zero, one * sy, -one * top * sy))).image
    expected = theirs.resized_crop(image, top, left, high, wide, [HEIGHT, WIDTH], antialias=False)
    assert levels(out[..., 2:-2, 2:-2], expected[..., 2:-2, 2:-2]) <= 1


def test_a_crop_keeps_area_and_ratio_within_their_bounds() -> None:
    n = 200
    batch = batch_of(torch.zeros(n, 1, HEIGHT, WIDTH, dtype=torch.uint8))
    frame = Crop(0.3)(batch, 0).frame
    shares = 1 / frame[:, [0, 1], [0, 1]]  # of width and height
    area, ratio = shares.prod(1), shares[:, 0] / shares[:, 1]
    assert area.min() > 0.28 and area.max() <= 1 + 1e-5 and area.std() > 0.1
    assert ratio.min() > 0.749 and ratio.max() < 1.334
    corner = frame[:, :2, 2] / torch.tensor([WIDTH, HEIGHT])  # -left / wide: the crop lies inside the image
    assert (corner <= 1e-5).all() and (corner + frame[:, [0, 1], [0, 1]] >= 1 - 1e-4).all()


def test_rotation_and_zoom_are_torchvisions() -> None:
    image, batch = pictures(4, 3), batch_of(pictures(4, 3))
    moved = Turn(rotate=25.0, scale=0.2)(batch, 3)
    for row in range(4):
        a, b = moved.frame[row, 0, 0], moved.frame[row, 1, 0]
        scale = float((a * a + b * b).sqrt())
        angle = float(torch.rad2deg(torch.atan2(b, a)))
        assert abs(angle) <= 25 and abs(scale - 1) <= 0.2
        expected = theirs.affine(image[row], angle, [0, 0], scale, [0.0, 0.0], interpolation=InterpolationMode.BILINEAR)
        assert levels(moved.image[row], expected) <= 1


def test_noise_has_the_deviation_that_was_drawn() -> None:
    batch = batch_of(torch.full((6, 3, HEIGHT, WIDTH), 128, dtype=torch.uint8))
    noise = Noise(30.0)
    (draw,) = noise.draws(batch, 1, 1)
    out = noise(batch, 1).image.float()
    assert (out.std((1, 2, 3)) - 30 * draw).abs().max() < 1.0
    assert (out.mean((1, 2, 3)) - 128).abs().max() < 1.6
    assert not torch.equal(out[:, 0], out[:, 1])  # each channel has noise of its own


# ------------------------------------------------------------------------------------------ pipelines of other libraries
def small(n: int = 6) -> Batch:
    return batch_of(pictures(n, 3))


def keyed(own: Own) -> None:
    """Distinct for each sample, the same alone as among others, another with another seed; global generators are left alone."""
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    whole = own(small(), 0).image
    assert torch.equal(torch.rand(3), expected)
    same = batch_of(pictures(1, 3).repeat(6, 1, 1, 1))
    assert len({one.contiguous().numpy().tobytes() for one in own(same, 0).image}) == 6
    alone = small()
    part = Batch.of_images(
        alone.image[2:3], alone.pixels.size[2:3], alone.frame[2:3], alone.pixels.natural[2:3], alone.id[2:3],
        alone.position[2:3], alone.target,
    )  # fmt: skip
    assert torch.equal(own(part, 0).image[0], whole[2])
    assert not torch.equal(own(small(), 1).image, whole)


def test_a_pipeline_of_torchvision() -> None:
    pipeline = v2.Compose([v2.RandomResizedCrop((HEIGHT, WIDTH)), v2.ColorJitter(0.3, 0.3)])
    keyed(Own(pipeline, "mine:train"))


def test_a_function_with_numpys_generator() -> None:
    import numpy as np

    keyed(Own(lambda x: (x.float() * np.random.uniform(0.5, 1)).to(torch.uint8), "mine:dim"))


def test_a_pipeline_of_kornia() -> None:
    kornia = pytest.importorskip("kornia.augmentation")
    keyed(Own(kornia.AugmentationSequential(kornia.RandomAffine(20.0, p=1.0), data_keys=["input"]), "mine:train"))


def test_a_pipeline_of_albumentations() -> None:
    albumentations = pytest.importorskip("albumentations")
    keyed(Own(albumentations.Compose([albumentations.RandomBrightnessContrast(p=1.0)]), "mine:train"))


def test_a_pipeline_that_changes_the_size_or_meets_masks_is_refused() -> None:
    with pytest.raises(UsageError, match="made 3x8x8 of an image of 3x37x52"):
        Own(v2.Resize((8, 8)), "mine:small")(small(), 0)
    batch = batch_of(pictures(2, 3))
    masks = Batch.of_images(
        batch.image, batch.pixels.size, batch.frame, batch.pixels.natural, batch.id, batch.position,
        Masks(torch.zeros(2, HEIGHT, WIDTH, dtype=torch.int64)),
    )  # fmt: skip
    with pytest.raises(UsageError, match="masks move with them"):
        Own(v2.Identity(), "mine:none")(masks, 0)


def test_a_pipeline_is_imported_only_when_the_user_names_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "named_by_a_recipe.py").write_text("import builtins\nbuiltins.imported = True\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    make_draft({"augment": {"transform": "named_by_a_recipe:train"}}, {})
    with pytest.raises(UsageError, match="only imported when you name it"):
        transform_named("named_by_a_recipe:train")
    assert "named_by_a_recipe" not in sys.modules
    module = types.ModuleType("named_by_the_user")
    module.train = v2.Identity()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "named_by_the_user", module)
    use_transform({KEY: "named_by_the_user:train"})
    assert transform_named("named_by_the_user:train") is module.train
    with pytest.raises(UsageError, match="cannot import"):
        use_transform({KEY: "named_by_the_user:nothing"})
