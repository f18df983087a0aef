"""A shipped recipe names a network for its own kind of task; asked for another kind, the rules of that kind choose."""

from __future__ import annotations

import pytest

from sightline.kinds.opening import draft


@pytest.mark.parametrize(("kind", "network"), [("classification", "lenet5"), ("gan", None), ("embedding", None)])
def test_the_network_of_a_recipe_is_for_its_own_kind(kind: str, network: str | None) -> None:
    recipe = draft("digits", {"task.kind": kind}, {})
    assert recipe.model.name == network and recipe.task is not None and recipe.task.kind == kind


def test_a_network_that_is_named_stays() -> None:
    assert draft("digits", {"task.kind": "gan"}, {"model.name": "stylegan"}).model.name == "stylegan"
