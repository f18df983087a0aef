"""Batch norms of whole networks: folded into the layers before them with equal answers, or frozen: nothing moves them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightline.layers.normalisation import FrozenBatchNorm, freeze_batchnorm
from sightline.models.create import create_model
from sightline.models.folding import fold_batchnorm
from tests.distinct import fill_distinct

torch.set_num_threads(1)


def norms(model: nn.Module) -> int:
    return sum(isinstance(module, _BatchNorm) for module in model.modules())


def filled(model: nn.Module) -> nn.Module:
    fill_distinct(model, seed=4)
    return model.eval()


def image(side: int = 64) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))


def close(ours: Tensor, theirs: Tensor) -> bool:
    return bool((ours - theirs).abs().max() <= 1e-5 * theirs.abs().max())


# name, options, norms, norms that stay: of pre-activation those that read a sum, of DenseNet those that read many maps
FOLDED: list[tuple[str, dict[str, Any], int, int]] = [
    ("resnet18", {}, 20, 0),
    ("resnet8", {}, 7, 0),
    ("se_resnet18", {"small_images": True}, 20, 0),
    ("vgg11_bn", {"dense": (64, 64)}, 8, 0),
    ("googlenet", {"aux": False}, 57, 0),
    ("mobilenet_v1", {"width": 0.25}, 27, 0),
    ("efficientnet_b0", {"stochastic_depth": 0.2}, 49, 0),
    ("preact_resnet18", {}, 17, 9),
    ("densenet121", {"growth": 8}, 121, 62),
    ("lenet5", {"in_channels": 3}, 0, 0),
    ("vit_ti_16", {"small_images": True}, 0, 0),
]


@pytest.mark.parametrize(("name", "options", "before", "after"), FOLDED, ids=[row[0] for row in FOLDED])
@torch.no_grad()
def test_a_folded_network_answers_alike(name: str, options: dict[str, Any], before: int, after: int) -> None:
    model = filled(create_model(name, num_classes=10, **options)).train()
    state = {key: x.clone() for key, x in model.state_dict().items()}
    side = 32 if model.input_size[1] == 32 else 64
    folded = fold_batchnorm(model, torch.zeros(1, 3, side, side))
    assert (norms(model), norms(folded)) == (before, after)
    assert model.training
    assert not folded.training
    assert all(torch.equal(x, state[key]) for key, x in model.state_dict().items())
    model.eval()
    x = image(side)
    assert close(folded(x), model(x))
    for ours, theirs in zip(folded.features(x), model.features(x), strict=True):
        assert close(ours, theirs)


@torch.no_grad()
def test_the_published_size_is_the_example_where_none_is_given() -> None:
    model = filled(create_model("resnet8"))
    assert close(fold_batchnorm(model)(image(32)), model(image(32)))


class Odd(nn.Module):
    """Every way in which a norm behind a layer must not be folded, and two in which it may."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.conv, self.other = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1)
        self.norm, self.dense_norm = nn.BatchNorm2d(3), nn.BatchNorm1d(3)
        self.dense = nn.Linear(3, 3)
        if way.startswith("tied"):
            self.other = nn.Conv2d(3, 3, 3, padding=1)
            self.other.weight = self.conv.weight
        if way == "measures":
            self.norm = nn.BatchNorm2d(3, track_running_stats=False)

    def features(self, x: Tensor) -> list[Tensor]:
        if self.way == "shown":
            y = self.conv(x)
            return [y, self.norm(y)]
        return [self.forward(x)]

    def forward(self, x: Tensor) -> Tensor:  # noqa: C901 - one line a way
        y = self.conv(x)
        if self.way == "added":
            return self.norm(y) + y
        if self.way == "changed":
            y.add_(1.0)
        if self.way == "indexed":
            y[:, 0] = 1.0
        if self.way == "asked":
            assert y.shape[1] == 3 and y.dtype == x.dtype and y.size(1) == 3
        if self.way == "layer twice":
            return self.norm(self.conv(y))
        if self.way == "norm twice":
            return self.norm(self.norm(y))
        if self.way == "tied":
            return self.norm(y) + self.other(x)
        if self.way == "rectified":
            y = y.relu()
        if self.way == "transposed":
            return self.norm(y.transpose(2, 3))
        y = self.norm(y)
        if self.way == "dense":
            return self.dense_norm(self.dense(y.mean((2, 3))))
        if self.way == "dense of places":
            return self.dense_norm(self.dense(y.flatten(2)[:, :, :3]))
        return y


@pytest.mark.parametrize(
    ("way", "after"),
    [("plain", 1), ("asked", 1), ("dense", 0), ("added", 2), ("changed", 2), ("indexed", 2), ("layer twice", 2),
     ("norm twice", 2), ("tied", 2), ("tied, one silent", 2), ("rectified", 2), ("transposed", 2), ("measures", 2),
     ("shown", 2), ("dense of places", 1)],
)  # fmt: skip
@torch.no_grad()
def test_only_what_nobody_else_reads_is_folded(way: str, after: int) -> None:
    model = filled(Odd(way))
    folded = fold_batchnorm(model, torch.zeros(1, 3, 8, 8))
    assert norms(folded) == after
    x = image(8)
    assert close(folded(x), model(x))
    assert all(close(ours, theirs) for ours, theirs in zip(folded.features(x), model.features(x), strict=True))


def test_frozen_norms_answer_as_in_evaluation_and_stay_as_they_are() -> None:
    model = filled(create_model("resnet8"))
    expected, before = model(image(32)), {key: x.clone() for key, x in model.state_dict().items()}
    parameters = sum(p.numel() for p in model.parameters())
    assert freeze_batchnorm(model) == 7
    assert freeze_batchnorm(model) == 0
    assert sum(p.numel() for p in model.parameters()) == parameters - 2 * (3 * 16 + 2 * 32 + 2 * 64)
    model.train().requires_grad_(True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, weight_decay=0.1)
    answer = model(image(32))
    assert torch.equal(answer, expected)
    answer.square().mean().backward()
    optimizer.step()
    after = model.state_dict()
    assert after.keys() == before.keys()
    moved = {key for key, x in after.items() if not torch.equal(x, before[key])}
    assert moved == {key for key in after if "bn" not in key}
    norm = model.layer1[0].bn1
    assert isinstance(norm, FrozenBatchNorm)
    assert not norm.training
    assert not norm.weight.requires_grad


def test_a_frozen_network_takes_and_gives_the_states_of_any_other() -> None:
    model, frozen = filled(create_model("resnet8")), create_model("resnet8")
    freeze_batchnorm(frozen)
    frozen.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(frozen(image(32)), model(image(32)))
    back = create_model("resnet8")
    back.load_state_dict(frozen.state_dict(), strict=True)
    assert torch.equal(back.eval()(image(32)), model(image(32)))
    assert close(fold_batchnorm(frozen)(image(32)), model(image(32)))


def test_norms_of_vectors_freeze_too_and_shared_ones_once() -> None:
    norm = nn.BatchNorm1d(3, affine=False)
    model = nn.Sequential(nn.Linear(2, 3), norm, nn.Sequential(norm))
    assert freeze_batchnorm(model) == 1
    assert model[1] is model[2][0]
    assert model.train()(torch.ones(4, 2)).shape == (4, 3)
    assert norm.num_batches_tracked == 0
