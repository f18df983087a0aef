"""GoogLeNet: the paper's table, what each edition and option changes, and the smallest images, exactly."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.convolution.inception import Inception, NaiveInception
from sightline.layers.normalisation import LocalResponseNorm
from sightline.models.create import create_model
from sightline.models.describe import describe
from sightline.models.early.googlenet import WithAuxiliaries

torch.set_num_threads(1)

# name → side of its maps, weights, millions of multiply-adds; without biases and auxiliary heads
TABLE: dict[str, tuple[int, int, float]] = {
    "conv1": (112, 9_408, 118.0),
    "conv2": (56, 4_096, 12.8),  # this and the next: one row in the paper, 114,688 and 359.7
    "conv3": (56, 110_592, 346.8),
    "inception3a": (28, 163_328, 128.0),
    "inception3b": (28, 388_096, 304.3),
    "inception4a": (14, 375_552, 73.6),
    "inception4b": (14, 448_512, 87.9),
    "inception4c": (14, 509_440, 99.9),
    "inception4d": (14, 604_672, 118.5),
    "inception4e": (14, 867_328, 170.0),
    "inception5a": (7, 1_042_432, 51.1),
    "inception5b": (7, 1_442_816, 70.7),
    "fc": (1, 1_024_000, 1.0),
}


def on_meta(name: str, **options) -> nn.Module:
    with torch.device("meta"):
        return create_model(name, **options)


def test_table_of_the_paper() -> None:
    network = on_meta("googlenet_paper", aux=False)
    table = describe(network, input=(3, 224, 224))
    for name, (side, weights, millions) in TABLE.items():
        rows = [row for row in table["layers"] if row["name"].split(".")[0] == name]
        assert sum(p.numel() for p in network.get_submodule(name).parameters() if p.ndim > 1) == weights, name
        cost = sum(row["multiply_adds"] for row in rows)
        assert cost == weights * side**2, name
        assert round(cost / 1e6, 1) == millions, name
        assert name == "fc" or {tuple(row["output"][1:]) for row in rows} == {(side, side)}, name
    assert (table["parameters"], table["multiply_adds"]) == (6_998_552, 1_582_671_872)
    assert {row["parameters"] for row in table["layers"] if row["name"].split(".")[0] not in TABLE} == {0}
    assert round((TABLE["conv2"][1] + TABLE["conv3"][1]) * 56**2 / 1e6, 1) == 359.7


def test_heads_do_not_run_when_asked() -> None:
    """`describe` counts them as layers without output; a backbone has none."""
    table = describe("googlenet_paper")
    idle = [row for row in table["layers"] if row["output"] is None]
    assert {row["name"].split(".")[0] for row in idle} == {"aux1", "aux2"}
    first = (512 + 1) * 128 + (2048 + 1) * 1024 + (1024 + 1) * 1000
    assert sum(row["parameters"] for row in idle) == 2 * first + 16 * 128
    assert table["multiply_adds"] == 1_582_671_872
    assert describe("googlenet")["parameters"] == 13_004_888
    for options in ({"aux": False}, {"num_classes": 0}):
        assert not any("aux" in key for key in on_meta("googlenet", **options).state_dict())


@pytest.mark.parametrize("name", ["googlenet", "googlenet_paper"])
def test_what_it_answers(name: str) -> None:
    network, x = on_meta(name), torch.zeros(2, 3, 100, 90, device="meta")
    answer = network.train()(x)
    assert isinstance(answer, WithAuxiliaries)
    assert {scores.shape for scores in answer} == {(2, 1000)}
    assert isinstance(network.eval()(x), Tensor)
    assert isinstance(on_meta(name, aux=False).train()(x), Tensor)
    assert on_meta(name, num_classes=0).train()(x).shape == (2, 1024)
    assert [m.shape[2:] for m in network.features(torch.zeros(2, 3, 224, 160, device="meta"))] == [
        (112, 80), (56, 40), (28, 20), (14, 10), (7, 5),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "small_images", "to_see", "to_train"),
    [
        ("googlenet", False, 15, 15),
        ("googlenet", True, 4, 4),
        ("googlenet_paper", False, 31, 79),  # an auxiliary head averages 5x5 of a map of stride 16
        ("googlenet_paper", True, 8, 20),
    ],
)
def test_smallest_images(name: str, small_images: bool, to_see: int, to_train: int) -> None:
    """The sizes promised can be seen and trained on; one pixel less is refused, and rightly: the layers cannot."""
    for aux, training, smallest in ((True, False, to_see), (True, True, to_train), (False, True, to_see)):
        network = on_meta(name, small_images=small_images, aux=aux).train(training)
        network(torch.zeros(2, 3, smallest, smallest + 1, device="meta"))
        one_less = torch.zeros(2, 3, smallest + 1, smallest - 1, device="meta")
        with pytest.raises(UsageError, match=f"at least {smallest}x{smallest} pixels"):
            network(one_less)
        network.smallest = network.smallest_to_train = 0
        with pytest.raises(RuntimeError, match="too small"):
            network(one_less)


def test_small_images() -> None:
    network = on_meta("googlenet", small_images=True)
    assert network.input_size == (3, 32, 32)
    maps = network.features(torch.zeros(1, 3, 32, 32, device="meta"))
    assert [m.shape[2] for m in maps] == [32, 32, 16, 8, 4]
    assert len(list(network.parameters())) == len(list(on_meta("googlenet").parameters()))


def test_editions() -> None:
    paper, other = on_meta("googlenet_paper"), on_meta("googlenet")

    def kinds(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
        return [layer for layer in network.modules() if isinstance(layer, kind)]

    assert (len(kinds(paper, LocalResponseNorm)), len(kinds(paper, nn.BatchNorm2d))) == (2, 0)
    assert (len(kinds(other, LocalResponseNorm)), len(kinds(other, nn.BatchNorm2d))) == (0, 3 + 9 * 6 + 2)
    assert all(layer.bias is not None for layer in kinds(paper, nn.Conv2d))
    assert [layer.p for layer in kinds(paper, nn.Dropout)] == [0.4, 0.7, 0.7]
    assert [layer.p for layer in kinds(other, nn.Dropout)] == [0.2, 0.7, 0.7]
    for network, kernel in ((paper, 5), (other, 3)):
        assert {m.branch3[1].conv.kernel_size for m in kinds(network, Inception)} == {(kernel, kernel)}


@torch.no_grad()
def test_the_first_responses_are_damped_before_the_1x1_and_before_the_second_pooling() -> None:
    network = create_model("googlenet_paper", small_images=True, num_classes=3).eval()
    x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    seen: dict[str, tuple[Tensor, Tensor]] = {}
    for name in ("maxpool1", "lrn1", "conv2", "conv3", "lrn2", "maxpool2"):
        network.get_submodule(name).register_forward_hook(
            lambda _layer, inputs, output, name=name: seen.update({name: (inputs[0], output)})
        )
    network(x)
    for earlier, later in (("maxpool1", "lrn1"), ("lrn1", "conv2"), ("conv3", "lrn2"), ("lrn2", "maxpool2")):
        assert torch.equal(seen[earlier][1], seen[later][0])
    assert (seen["lrn2"][1].abs() <= seen["lrn2"][0].abs() / 2**0.75).all()


@torch.no_grad()
def test_auxiliary_heads_see_an_average_of_5x5() -> None:
    """4x4 of them on a map of 14x14, 3 pixels apart; the third row of the first ones ends at pixel 10."""
    head = create_model("googlenet_paper", num_classes=3).aux1.eval()
    x = torch.randn(2, 512, 14, 14, generator=torch.Generator().manual_seed(0))
    averaged = head.to4x4(head.pool(x))
    assert averaged.shape == (2, 512, 4, 4)
    assert torch.allclose(averaged[:, :, 2, 3], x[:, :, 6:11, 9:14].mean((2, 3)), atol=1e-6)
    assert head(x[..., :12, :5]).shape == (2, 3)


@torch.no_grad()
def test_modules_are_their_branches_side_by_side() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 6, 9, 7, generator=generator)
    naive = NaiveInception(6, 2, 3, 4)
    y = naive(x)
    assert y.shape == (2, 15, 9, 7)
    assert torch.equal(y[:, :2], naive.branch1.conv(x).relu())
    assert torch.equal(y[:, 2:5], naive.branch2.conv(x).relu())
    assert torch.equal(y[:, 5:9], naive.branch3.conv(x).relu())
    assert torch.equal(y[:, 9:, 3, 3], x[:, :, 2:5, 2:5].amax((2, 3)))
    module = Inception(6, 2, 5, 3, 4, 1, 8)
    assert [module.branch2[0].conv.weight.shape, module.branch2[1].conv.weight.shape] == [(5, 6, 1, 1), (3, 5, 3, 3)]
    assert [module.branch3[0].conv.weight.shape, module.branch3[1].conv.weight.shape] == [(4, 6, 1, 1), (1, 4, 5, 5)]
    pooled = nn.functional.max_pool2d(x, 3, 1, 1)
    assert torch.allclose(module(x)[:, 6:], module.branch4[1].conv(pooled).relu(), atol=1e-6)


def test_start_of_the_paper_keeps_the_signal() -> None:
    """He's, variance 2 / fan-in: after 22 layers scores are still numbers of about one."""
    network = create_model("googlenet_paper", num_classes=10, small_images=True, seed=0).eval()
    assert network.conv3.conv.weight.var().item() == pytest.approx(2 / (64 * 9), rel=0.05)
    assert all(p.abs().max() == 0 for key, p in network.named_parameters() if key.endswith("bias"))
    scores = network(torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)))
    assert 0.2 < scores.std() < 5
