"""Weights from a file: pickles that are only data, what must fit, what need not, and that all of it is said."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor, nn

from sightline.errors import DamagedError, DataError, UsageError
from sightline.models.adapting import with_eps, with_grid
from sightline.models.create import create_model
from tests.distinct import fill_distinct

torch.set_num_threads(1)
State = Mapping[str, Tensor]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own; and this process may not unpickle."""
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torch, "load", None)
    monkeypatch.setattr(pickle, "loads", None)
    return tmp_path / "cache"


def filled(name: str = "resnet8", **options: Any) -> nn.Module:
    network = create_model(name, **options)
    fill_distinct(network, seed=3)
    return network


def saved(path: Path, state: Any, **options: Any) -> Path:
    if path.suffix == ".safetensors":
        safetensors.torch.save_file(dict(state), path)
    else:
        torch.save(state, path, **options)
    return path


def same(network: nn.Module, state: State, without: tuple[str, ...] = ()) -> bool:
    own = network.state_dict()
    return all(torch.equal(own[name], x) for name, x in state.items() if name not in without)


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_file_loads_exactly(suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = filled().state_dict()
    path = saved(tmp_path / f"mine{suffix}", state)
    network = create_model("resnet8", weights=path)
    assert same(network, state)
    fit = network.origin
    assert fit.loaded == tuple(state)
    assert fit.head == fit.missing == fit.unexpected == ()
    assert fit.source is fit.preprocessing is None
    assert fit.record()["sha256"] == fit.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    said = capsys.readouterr().err
    assert f"weights: mine{suffix}, SHA-256 {fit.sha256[:12]}" in said
    assert ("converted" in said) == (suffix != ".safetensors")


def test_a_wrapper_of_parallel_training_is_taken_off(tmp_path: Path) -> None:
    state = filled().state_dict()
    wrapped = {f"module.{name}": x for name, x in state.items()}
    assert same(create_model("resnet8", weights=str(saved(tmp_path / "w.safetensors", wrapped))), state)


def test_a_pickle_is_converted_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = filled().state_dict()
    path = saved(tmp_path / "w.bin", {"state_dict": state, "epoch": 3})
    first = create_model("resnet8", weights=path).origin
    (kept,) = (cache / "weights").iterdir()
    assert kept.name == first.sha256
    with monkeypatch.context() as alone:
        alone.setattr(subprocess, "run", None)
        network = create_model("resnet8", weights=path)
    assert same(network, state)
    assert not any("converted" in line for line in network.origin.lines())
    data = bytearray((kept / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (kept / "weights.safetensors").write_bytes(data)
    assert same(create_model("resnet8", weights=path), state)  # a damaged entry is made anew
    assert (kept / "weights.safetensors").read_bytes() != bytes(data)


def test_a_cache_that_takes_nothing_is_no_reason_to_stop(tmp_path: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    state = filled().state_dict()
    network = create_model("resnet8", weights=saved(tmp_path / "w.pth", state))
    assert same(network, state)
    assert any("not cached" in line for line in network.origin.lines())


class Evil:
    """Unpickled, it would leave a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.canary}",)


def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    canary, path = tmp_path / "canary", tmp_path / "evil.pt"
    saved(path, {"conv1.weight": torch.zeros(1), "more": Evil(canary)})
    with pytest.raises(DataError, match=r"evil\.pt is refused: it asks for posix\.system") as caught:
        create_model("resnet8", weights=path)
    assert caught.value.exit_code == 3
    assert "weights_only" not in str(caught.value)  # torch's own words advise to run it
    assert "\n" not in str(caught.value)
    assert not canary.exists()


def test_a_damaged_pickle_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path / "cut.pt", filled().state_dict())
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(DamagedError, match=r"cut\.pt is damaged: ") as caught:
        create_model("resnet8", weights=path)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("length", [0, 5, 5000])
def test_damaged_safetensors_are_named(length: int, tmp_path: Path) -> None:
    path = saved(tmp_path / "cut.safetensors", filled().state_dict())
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(DamagedError, match=r"cut\.safetensors"):
        create_model("resnet8", weights=path)


def test_numbers_that_cannot_be_weights_are_refused(tmp_path: Path) -> None:
    state = filled().state_dict()
    broken = state | {"bn1.running_var": state["bn1.running_var"].clone().fill_(float("nan"))}
    with pytest.raises(DataError, match=r"bn1\.running_var is not finite"):
        create_model("resnet8", weights=saved(tmp_path / "nan.safetensors", broken))
    whole = state | {"conv1.weight": state["conv1.weight"].to(torch.int8)}
    with pytest.raises(DataError, match=r"conv1\.weight is torch\.int8"):
        create_model("resnet8", weights=saved(tmp_path / "int.safetensors", whole))
    half = {name: x.half() if x.is_floating_point() else x for name, x in state.items()}
    network = create_model("resnet8", weights=saved(tmp_path / "half.safetensors", half))
    assert network.conv1.weight.dtype == torch.float32
    assert same(network, {name: x.to(state[name].dtype) for name, x in half.items()})


def test_another_number_of_classes_draws_the_head_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = filled().state_dict()
    path, head = saved(tmp_path / "w.safetensors", state), ("fc.weight", "fc.bias")
    network = create_model("resnet8", num_classes=4, seed=5, weights=path)
    fresh = create_model("resnet8", num_classes=4, seed=5)
    assert same(network, state, without=head)
    assert torch.equal(network.fc.weight, fresh.fc.weight)
    assert torch.equal(network.fc.bias, fresh.fc.bias)
    assert network.origin.head == head
    assert "new head for other classes: fc.weight, fc.bias" in capsys.readouterr().err
    headless = create_model("resnet8", num_classes=0, weights=path)
    assert same(headless, {k: x for k, x in state.items() if k not in head})
    assert headless.origin.unexpected == ("fc.bias", "fc.weight")
    without = saved(tmp_path / "headless.safetensors", headless.state_dict())
    network = create_model("resnet8", seed=5, weights=without)
    assert network.origin.head == head
    assert torch.equal(network.fc.weight, create_model("resnet8", seed=5).fc.weight)


def test_every_layer_of_a_head_goes_together(tmp_path: Path) -> None:
    """Of a detector: a class and a shift a class, both anew; what proposes regions is loaded."""
    options = {"width": 8, "hidden": 8, "norm": "batch"}
    state = filled("faster_rcnn_resnet18_fpn", num_classes=3, **options).state_dict()
    path = saved(tmp_path / "w.safetensors", state)
    network = create_model("faster_rcnn_resnet18_fpn", num_classes=5, weights=path, **options)
    parts = [f"roi_heads.box_predictor.{part}" for part in ("cls_score", "bbox_pred")]
    assert set(network.origin.head) == {f"{part}.{kind}" for part in parts for kind in ("weight", "bias")}
    assert same(network, state, without=network.origin.head)


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("resnet8", {"in_channels": 1}, r"conv1.weight is \(16, 3, 3, 3\) in w.safetensors, \(16, 1, 3, 3\) here"),
        ("resnet8", {"in_channels": 1}, r"set in_channels=3 .*trained on 3 channels"),
        ("resnet14", {}, "w.safetensors is not of resnet14: it lacks layer1.1.bn1.bias, .* more"),
        ("resnet18", {}, "w.safetensors is not of resnet18"),
        ("lenet5", {}, "w.safetensors is not of lenet5"),
        ("densenet40_12", {}, "is not of densenet40_12"),
        ("alexnet", {"dense": (8, 8)}, "is not of alexnet"),
    ],
)
def test_anything_else_is_refused(name: str, options: dict[str, Any], words: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "w.safetensors", filled().state_dict())
    with pytest.raises(UsageError, match=words):
        create_model(name, weights=path, **options)


def test_one_name_too_few_or_too_many_is_refused(tmp_path: Path) -> None:
    state = filled().state_dict()
    fewer = {name: x for name, x in state.items() if name != "layer2.0.conv1.weight"}
    with pytest.raises(UsageError, match=r"it lacks layer2\.0\.conv1\.weight \("):
        create_model("resnet8", weights=saved(tmp_path / "fewer.safetensors", fewer))
    with pytest.raises(UsageError, match="it also contains extra"):
        create_model("resnet8", weights=saved(tmp_path / "more.safetensors", state | {"extra": torch.ones(1)}))
    fewer = {name: x for name, x in state.items() if name != "bn1.num_batches_tracked"}
    with pytest.raises(UsageError, match=r"it lacks bn1\.num_batches_tracked"):
        create_model("resnet8", weights=saved(tmp_path / "counters.safetensors", fewer))


def test_files_of_frozen_norms_hold_no_counters(tmp_path: Path) -> None:
    state = {name: x for name, x in filled().state_dict().items() if not name.endswith("num_batches_tracked")}
    network = create_model("resnet8", weights=saved(tmp_path / "w.safetensors", state))
    assert same(network, state)
    assert len(network.origin.missing) == 7
    assert all(name.endswith("num_batches_tracked") for name in network.origin.missing)


def test_auxiliary_heads_may_be_on_one_side_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = filled("googlenet").state_dict()
    plain = create_model("googlenet", aux=False, weights=saved(tmp_path / "both.safetensors", both))
    assert same(plain, {name: x for name, x in both.items() if not name.startswith("aux")})
    assert set(plain.origin.unexpected) == {name for name in both if name.startswith("aux")}
    assert "ignored: aux1.conv" in capsys.readouterr().err
    one = saved(tmp_path / "one.safetensors", plain.state_dict())
    network = create_model("googlenet", weights=one)
    assert set(network.origin.missing) == set(plain.origin.unexpected)
    assert same(network, plain.state_dict())
    assert "not in the file: aux1.conv" in capsys.readouterr().err
    part = plain.state_dict() | {name: x for name, x in both.items() if name.startswith("aux1.conv")}
    with pytest.raises(UsageError, match=r"it lacks aux1\.fc1\.bias"):
        create_model("googlenet", weights=saved(tmp_path / "part.safetensors", part))


def test_the_epsilon_of_norms_is_carried_into_their_scales() -> None:
    network = filled().eval()
    network.bn1.running_var[3] = 1e-9  # a channel that hardly moved
    exact = create_model("resnet8").eval()
    exact.load_state_dict(network.state_dict())
    for norm in exact.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.eps = 0.0
    x = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, before = exact(x), network(x)
        network.load_state_dict(with_eps(network.state_dict(), network, 0.0))
        scale = expected.abs().max()
        assert (network(x) - expected).abs().max() <= 1e-5 * scale
        assert (before - expected).abs().max() > 1e-3 * scale


@pytest.mark.parametrize("given", ["gone.pt", "gone.safetensors", Path("gone")])
def test_a_file_that_is_not_there(given: str | Path) -> None:
    with pytest.raises(UsageError, match="there is no file gone"):
        create_model("resnet8", weights=given)


def test_names_that_wrappers_put_before_ours(tmp_path: Path) -> None:
    """Saved from a compiled network, or from one that ran in parallel, or both."""
    network = filled()
    for wrapper in ("_orig_mod.", "module.", "_orig_mod.module.", "module._orig_mod."):
        state = {f"{wrapper}{name}": x for name, x in network.state_dict().items()}
        again = create_model("resnet8", weights=saved(tmp_path / "wrapped.safetensors", state))
        assert torch.equal(again.fc.weight, network.fc.weight)


def test_learned_positions_follow_the_image_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    state = filled("vit_ti_16", small_images=True, image_size=(32, 32)).state_dict()
    path = saved(tmp_path / "mine.safetensors", state)
    network = create_model("vit_ti_16", small_images=True, image_size=(24, 40), weights=path)
    name = "encoder.positions.0.weight"
    assert same(network, state, without=(name,))
    placed = network.get_parameter(name)
    assert placed.shape == (1, 1 + 6 * 10, 192)
    assert torch.equal(placed[:, 0], state[name][:, 0])  # the class token has no place
    assert "65 learned positions, taken for a square grid, resampled to 61" in capsys.readouterr().err
    oblong = filled("vit_ti_16", small_images=True, image_size=(24, 40)).state_dict()
    with pytest.raises(UsageError, match="60 learned positions are not a square grid"):
        create_model("vit_ti_16", small_images=True, weights=saved(tmp_path / "oblong.safetensors", oblong))


def test_as_many_positions_of_another_grid(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """8x8 and 4x16 patches are as many, in other places: resampled where it is known that they were square, else said."""
    square = filled("vit_ti_16", small_images=True).state_dict()
    path = saved(tmp_path / "mine.safetensors", square)
    oblong = create_model("vit_ti_16", small_images=True, image_size=(16, 64), weights=path)
    assert same(oblong, square)
    assert "65 learned positions are taken for a grid of 4x16 patches, as here" in capsys.readouterr().err
    placed, said = with_grid(square, oblong, square=True)
    name = "encoder.positions.0.weight"
    assert "resampled" in said[0]
    places = [x[0, 1:].unflatten(0, grid).mean((0, 1)) for x, grid in ((placed[name], (4, 16)), (square[name], (8, 8)))]
    assert not torch.equal(placed[name], square[name])
    assert torch.allclose(*places, atol=0.1 * square[name].std())  # the picture keeps its mean
    create_model("vit_ti_16", small_images=True, weights=path)
    assert "positions" not in capsys.readouterr().err
