"""The fourteen operations of RandAugment and TrivialAugment against torchvision's, and the scales against those of timm."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from timm.data.auto_augment import LEVEL_TO_ARG
from torchvision.transforms.v2 import InterpolationMode, RandAugment, TrivialAugmentWide

from sightline.augmentation.policies.policy import NAMES, SIGNED, Policy, strengths
from sightline.errors import UsageError
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels

THEIRS = {
    "identity": "Identity", "shear_x": "ShearX", "shear_y": "ShearY", "translate_x": "TranslateX",
    "translate_y": "TranslateY", "rotate": "Rotate", "brightness": "Brightness", "colour": "Color",
    "contrast": "Contrast", "sharpness": "Sharpness", "posterize": "Posterize", "solarize": "Solarize",
    "autocontrast": "AutoContrast", "equalize": "Equalize",
}  # fmt: skip
HEIGHT, WIDTH = 37, 52


def pictures(n: int, channels: int) -> torch.Tensor:
    """Smooth colours with noise, of a part of the range."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.rand(n, channels, 5, 6, generator=generator) * 160 + 30
    smooth = torch.nn.functional.interpolate(coarse, (HEIGHT, WIDTH), mode="bilinear")
    return (smooth + torch.randn(smooth.shape, generator=generator) * 8).round().clamp(0, 255).to(torch.uint8)


def batch_of(image: torch.Tensor) -> Batch:
    n = len(image)
    size, place = torch.tensor([HEIGHT, WIDTH]).expand(n, 2), torch.arange(n)
    return Batch.of_images(image, size, torch.eye(3).repeat(n, 1, 1), size, place, place, Labels.of(place))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("scale", "theirs"), [("torchvision", RandAugment()), ("wide", TrivialAugmentWide())])
@pytest.mark.parametrize("name", THEIRS)
def test_an_operation_is_torchvisions(name: str, scale: Any, theirs: Any, channels: int) -> None:
    magnitudes, signed = theirs._AUGMENTATION_SPACE[THEIRS[name]]
    assert signed == (name in SIGNED)
    image, policy = pictures(2, channels), Policy(1, 9, scale)
    table = magnitudes(31, HEIGHT, WIDTH)
    for level in (0, 4, 9, 17, 30) if table is not None else (9,):
        for sign in (1.0, -1.0) if signed else (1.0,):
            magnitude = 0.0 if table is None else float(table[level]) * sign
            expected = theirs._apply_image_or_video_transform(
                image, THEIRS[name], magnitude, interpolation=InterpolationMode.BILINEAR, fill={}
            )
            which = torch.full((2,), NAMES.index(name))
            out = policy.apply(batch_of(image), which, torch.full((2,), level), torch.full((2,), sign))
            assert (out.image.int() - expected.int()).abs().max() <= 1, (level, sign)
            if name != "identity" and level == 30 and not (channels == 1 and name == "colour"):
                assert not torch.equal(out.image, image)


@pytest.mark.parametrize(
    ("name", "theirs", "arg"),
    [
        ("shear_x", "ShearX", abs), ("translate_y", "TranslateYRel", abs), ("rotate", "Rotate", abs),
        ("brightness", "BrightnessIncreasing", lambda factor: abs(factor - 1)),
        ("contrast", "ContrastIncreasing", lambda factor: abs(factor - 1)),
        ("posterize", "PosterizeIncreasing", lambda bits: bits),
        ("solarize", "SolarizeIncreasing", lambda threshold: threshold / 255),
    ],
)  # fmt: skip
def test_levels_are_timms(name: str, theirs: str, arg: Any) -> None:
    own = strengths("timm")[name]
    for level in range(11):
        (told,) = LEVEL_TO_ARG[theirs](level, {})
        assert own[level] == pytest.approx(arg(told)), level


def test_a_policy_by_name() -> None:
    assert Policy.of("rand-m9-n2") == Policy(2, 9, "torchvision")
    assert Policy.of("timm-rand-m9-n3") == Policy(3, 9, "timm")
    assert Policy.of("trivial") == Policy(1, None, "wide")
    for text in ("rand-m31-n2", "timm-rand-m11-n2", "rand", "rand-m9-n0", "triviall"):
        with pytest.raises(UsageError, match="is no policy"):
            Policy.of(text)


def test_every_operation_is_drawn_as_often_and_every_image_is_its_own() -> None:
    image = pictures(1, 3).expand(2800, -1, -1, -1)
    drawn: list[torch.Tensor] = []

    class Counting(Policy):
        def apply(self, batch: Batch, which: Any, level: Any, sign: Any) -> Batch:
            drawn.append(torch.bincount(which, minlength=len(NAMES)))
            return batch

    Counting(2, 9)(batch_of(image), 0)
    assert len(drawn) == 2 and all(((counts > 150) & (counts < 250)).all() for counts in drawn)
    out = Policy.of("rand-m9-n2")(batch_of(image[:8]), 0)
    assert len({one.numpy().tobytes() for one in out.image}) == 8
