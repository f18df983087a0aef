"""What a recipe says nothing about follows the network that it names: its size of images, its optimiser, its rate."""

from __future__ import annotations

import pytest

from sightline.errors import UsageError
from sightline.recipes.defaults import Traits
from sightline.recipes.reading import make_draft
from tests.complete_recipes import completed


@pytest.mark.parametrize(
    ("key", "hint"),
    [("num_classes", "classes"), ("in_channels", "input.channels"), ("seed", "seed"), ("weights", "model.weights")],
)
def test_what_is_no_option_of_a_network(key: str, hint: str) -> None:
    """It would win over the data's classes, or be read where nobody records it."""
    traits = Traits(n=100, height=8, width=8, grey=True, one_aspect=True, classes=5)
    with pytest.raises(UsageError, match=f"model.options.{key} cannot be set.*{hint}"):
        completed(make_draft({}, {"model.name": "resnet8", f"model.options.{key}": "3"}), traits)


@pytest.mark.parametrize(
    ("name", "side", "size", "rate"),
    [
        ("googlenet_paper", 70, 80, 5e-4),  # what it needs to train; no norms
        ("nin_imagenet", 20, 32, 5e-4),
        ("vit_s_16", 70, 96, 5e-4),
        ("vit_s_16", 50, 52, 5e-4),
        ("alexnet", 8, 32, 5e-4),
        ("resnet18", 8, 32, 0.1),
        ("lenet5_original", 8, 32, 2e-3),
        ("lenet_1989", 8, 16, 2e-3),
        ("mlp", 8, 8, 2e-3),
        ("mlp", 300, 96, 5e-4),  # the network that is trained counts: its first layer alone has 8 million parameters
    ],
)
def test_defaults_follow_the_network(name: str, side: int, size: int, rate: float) -> None:
    traits = Traits(n=20_000, height=side, width=side, grey=False, one_aspect=True, classes=5)
    got = completed(make_draft({}, {"model.name": name}), traits)
    assert (got.input.size, got.optim.lr) == (size, rate)


def test_defaults_with_weights() -> None:
    traits = Traits(n=300, height=64, width=64, grey=False, one_aspect=True, classes=5)
    fresh = completed(make_draft({}, {"model.name": "resnet18", "input.size": 224}), traits)
    tuned = completed(make_draft({}, {"model.name": "resnet18", "model.weights": "torchvision"}), traits)
    assert tuned.input.size == 224
    assert tuned.optim.lr == fresh.optim.lr  # of the head; the rest at a tenth
    assert tuned.optim.pretrained_rate == 0.1
    assert tuned.fit.epochs == fresh.fit.epochs / 3
