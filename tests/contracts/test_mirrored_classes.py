"""Classes that are each other's mirror image are not mirrored by default; a user who asks for flips gets them."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from sightline.data.dataset import build_dataset
from sightline.data.mirrors import mirrored_pair
from sightline.kinds.catalogue import KINDS
from sightline.kinds.opening import complete, draft, traits_of
from sightline.recipes.defaults import Traits
from tests.tiny_data import write_folder

SIDES = [
    ("left", "right"), ("Left", "Right"), ("LEFT", "RIGHT"), ("L", "R"), ("links", "rechts"), ("gauche", "droite"),
    ("izquierda", "derecha"), ("vänster", "höger"), ("east", "west"), ("左", "右"), ("clockwise", "counter-clockwise"),
]  # fmt: skip
FORMS = ["{}", "turn_{}", "{}_turn", "turn-{}-2", "hand ({})", "sharp {} ahead", "a.{}"]
ALONE = [
    ("b", "d"),
    ("p", "q"),
    ("<", ">"),
    ("turnleft", "turnright"),
    ("TurnLeft", "TurnRight"),
    ("OD", "OS"),
    ("arrowL", "arrowR"),
]
UNLIKE = [
    ("cat", "dog"), ("left", "straight"), ("grade_b", "grade_d"), ("up", "down"), ("bright", "light"), ("0", "1", "2"),
    ("lion", "rabbit"), ("model_l", "model_m"), ("bleft", "right"), ("east", "north"), ("Sol", "Luna"), ("a", "b", "c"),
]  # fmt: skip


def test_sides_in_any_spelling_and_place_are_mirrored() -> None:
    tried = [(form.format(one), form.format(two)) for form, (one, two) in product(FORMS, SIDES)] + ALONE
    assert [pair for pair in tried if mirrored_pair((*pair, "stop")) is None] == []
    assert [pair for pair in tried if mirrored_pair(("stop", pair[1])) is not None] == []
    assert len(tried) >= 80


@pytest.mark.parametrize("classes", UNLIKE)
def test_other_names_are_not(classes: tuple[str, ...]) -> None:
    assert mirrored_pair(classes) is None


def test_an_audit_says_so_and_training_does_not_flip(tmp_path: Path) -> None:
    for classes, flips in ((("turn_left", "turn_right"), False), (("cat", "dog"), True)):
        folder = write_folder(tmp_path / classes[0], dict.fromkeys(classes, 12))
        data = build_dataset(str(folder))
        assert (
            any("turn_left and turn_right" in note and "augment.flip=true" in note for note in data.notes) is not flips
        )
        kind = KINDS["classification"]
        assert complete(draft(folder, (), {}), kind, traits_of(data)).augment.flip is flips
        for wish in (True, False):  # what the user sets is kept
            assert complete(draft(folder, {"augment.flip": wish}, {}), kind, traits_of(data)).augment.flip is wish


@pytest.mark.parametrize("kind", ["segmentation", "detection", "instances"])
def test_pixels_and_boxes_are_not_mirrored_either(kind: str, tmp_path: Path) -> None:
    knows = {"segmentation": "masks", "detection": "boxes", "instances": "outlines"}[kind]
    for mirrored in (True, False):
        traits = Traits(
            n=300, height=64, width=64, grey=False, one_aspect=True, classes=2, knows=knows, mirrored=mirrored
        )
        recipe = complete(draft(tmp_path, {"task.kind": kind}, {}), KINDS[kind], traits)
        assert recipe.augment.flip is not mirrored
