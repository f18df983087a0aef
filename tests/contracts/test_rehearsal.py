"""`--smoke`: every stage within seconds, whatever the kind of task."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from sightline.kinds.catalogue import kind_named
from sightline.recipes.reading import make_draft
from sightline.recipes.recipe import completed as with_values
from sightline.runs.console import Console
from sightline.training.prepare import SMOKE_PIXELS, _with_small_inputs
from tests.complete_recipes import DIGITS, KNOWN, completed

PHOTOS = dataclasses.replace(DIGITS, n=300, height=480, width=640, grey=False, small_object=0.2)


@pytest.mark.parametrize("kind", [kind for kind, knows in KNOWN.items() if knows != "labels"])
def test_annotated_images_are_rehearsed_small_and_in_their_shape(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    recipe = completed(make_draft({}), dataclasses.replace(PHOTOS, knows=KNOWN[kind]))
    small: Any = _with_small_inputs(recipe, kind_named(kind), Console())
    assert (small.input.size, small.input.width) == (96, 128)
    assert small.input.size * small.input.width <= SMOKE_PIXELS < recipe.input.size * recipe.input.width
    said = capfd.readouterr().err
    assert said == f"a rehearsal: inputs of 96x128 instead of {recipe.input.size}x{recipe.input.width}\n"


def test_small_inputs_and_classifiers_stay_as_they_are(capfd: pytest.CaptureFixture[str]) -> None:
    tiny = completed(make_draft({}), dataclasses.replace(PHOTOS, knows="boxes", height=64, width=64))
    assert _with_small_inputs(tiny, kind_named("detection"), Console()) is tiny
    digits = with_values(completed(make_draft({}), PHOTOS), input={"size": 256, "width": 256})
    assert _with_small_inputs(digits, kind_named("classification"), Console()) is digits
    assert not capfd.readouterr().err
