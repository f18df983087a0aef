"""What every registered network promises, whichever family it is of (the contract stands in `sightline.models`)."""

from __future__ import annotations

import copy
import os
from functools import cache, lru_cache

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.activations import ACTIVATIONS
from sightline.models import MODELS
from sightline.models.create import create_model, default_input, list_models
from sightline.models.options import model_options, set_by
from sightline.models.residual.resnet import BasicBlock, ResNet
from sightline.models.residual.resnet_cifar import CifarResNet
from tests.distinct import farthest, fill_lively, picture
from tests.smallest import SMALLEST

torch.set_num_threads(1)
LAST = torch.channels_last
EVERY = "SIGHTLINE_EVERY_VARIANT" in os.environ  # `make contracts`: as published, not only the smallest of each family
NAMES = MODELS.matching(heading="class scores") if EVERY else sorted(SMALLEST)
FIXED = [name for name in NAMES if "image_size" in model_options(name)]  # one image size only


@lru_cache(1 if EVERY else None)
def built(name: str) -> nn.Module:
    """Five classes, every weight distinct and norms as images leave them: fresh deep networks answer every image alike.
    Tests that change its weights or mode make their own."""
    network = fresh(name)
    fill_lively(network, picture(4, network.input_size[0], *size_of(name), seed=1), seed=1)
    return network.eval()


def fresh(name: str, num_classes: int = 5, seed: int = 7) -> nn.Module:
    """The smallest; or as published, but no block is left out by lot: it would have no gradient then."""
    whole = {"stochastic_depth": 0.0} if "stochastic_depth" in model_options(name) else {}
    return create_model(name, num_classes=num_classes, seed=seed, **(whole if EVERY else SMALLEST[name]))


@cache
def size_of(name: str) -> tuple[int, int]:
    """Odd, and not square, where the network allows."""
    network = fresh(name)
    channels, *fixed = network.input_size
    if name in FIXED:
        return tuple(fixed)
    return (33, 41) if _accepts(network, torch.zeros(4, channels, 33, 41)) else (97, 105)


def images(name: str, batch: int = 2, seed: int = 0) -> Tensor:
    return picture(batch, built(name).input_size[0], *size_of(name), seed=seed)


def answers(output: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The scores, and those of auxiliary heads where the network has some and trains."""
    return output if isinstance(output, tuple) else (output,)


def test_names() -> None:
    assert list_models("resnet??") == [
        "resnet14",
        "resnet18",
        "resnet20",
        "resnet32",
        "resnet34",
        "resnet44",
        "resnet50",
        "resnet56",
    ]
    families = {MODELS[name].__module__ for name in MODELS.matching(heading="class scores")}
    assert {MODELS[name].__module__ for name in NAMES} == families
    with pytest.raises(UsageError, match=r"did you mean .*resnet50"):
        create_model("resnet5O")


@pytest.mark.parametrize("name", NAMES)
def test_forward_and_backward(name: str) -> None:
    network = fresh(name).train()
    scores = answers(network(images(name)))
    assert {score.shape for score in scores} == {(2, 5)}
    torch.stack(scores).square().mean().backward()
    for key, p in network.named_parameters():
        assert p.grad is not None, key
        assert p.grad.isfinite().all(), key
        assert p.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_the_image_matters(name: str) -> None:
    """Else the tests below would compare constants."""
    assert farthest(built(name)(images(name)), built(name)(images(name, seed=2))) > 0.01


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_features_and_headless(name: str) -> None:
    network, x = built(name), images(name)
    maps = network.features(x)
    assert [m.shape[:2] for m in maps] == [(2, channels) for channels in network.channels]
    areas = [m.shape[2] * m.shape[3] for m in maps]
    assert areas == sorted(areas, reverse=True)
    headless = fresh(name, num_classes=0, seed=8).eval()
    missing, unexpected = headless.load_state_dict(network.state_dict(), strict=False)
    assert not missing
    (head,) = {key.rsplit(".", 1)[0] for key in unexpected if "aux" not in key}
    vector = headless(x)
    assert vector.shape == (2, network.channels[-1])
    assert torch.allclose(vector, maps[-1].mean((2, 3)), rtol=1e-5, atol=1e-6)
    assert torch.allclose(network.get_submodule(head)(vector), network(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_impossible_images(name: str) -> None:
    network, x = built(name), images(name)
    _, height, width = x.shape[1:]
    with pytest.raises(UsageError, match="channel"):
        network(torch.zeros(2, x.shape[1] + 1, height, width))
    if name in FIXED:
        with pytest.raises(UsageError, match=f"sees {height}x{width} pixels, these images have {height - 1}x{width}"):
            network(x[:, :, 1:])
        return
    smallest = next(size for size in range(1, 100) if _accepts(network, x[:, :, :size, :]))
    with pytest.raises(UsageError, match=f"at least {smallest}x{smallest} pixels, .* have {height}x{smallest - 1}"):
        network(x[:, :, :, : smallest - 1])
    assert network(x[:, :, :smallest, :smallest]).isfinite().all()


def _accepts(network: nn.Module, x: Tensor) -> bool:
    try:
        network(x)
    except UsageError:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_channels_last_is_the_same_function(name: str) -> None:
    """Deep variants round by more than 1e-5 in either layout, so they are asked in 64 bits."""
    network, x = built(name), images(name)
    if EVERY:
        network, x = copy.deepcopy(network).double(), x.double()
    turned = copy.deepcopy(network).to(memory_format=LAST)
    assert farthest(turned(x.contiguous(memory_format=LAST)), network(x)) <= 1e-5


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_low_precision_is_nearly_the_same_function(name: str) -> None:
    """bfloat16 has eight bits, so each of up to fifty layers errs by some thousandths; a wrong layer errs by the whole. A
    deeper network may err a few times as much as it does when only its weights and images are rounded so."""
    network, x = built(name), images(name)
    low = copy.deepcopy(network).bfloat16()
    rounded = copy.deepcopy(low).float()(x.bfloat16().float())
    expected = network(x)
    most = max(0.25, 4 * farthest(rounded, expected))
    assert farthest(low(x.bfloat16()).float(), expected) <= most


@pytest.mark.parametrize("name", NAMES)
def test_start_is_a_function_of_the_seed(name: str) -> None:
    """And the weights are all there is: loaded elsewhere they answer the same. The caller's generator stays as it was."""
    torch.manual_seed(3)
    before = torch.get_rng_state()
    again, other = (fresh(name, seed=seed).eval() for seed in (7, 8))
    assert torch.equal(torch.get_rng_state(), before)
    for (key, p), q in zip(fresh(name).named_parameters(), again.parameters(), strict=True):
        assert torch.equal(p, q), key
    assert any(not torch.equal(p, q) for p, q in zip(again.parameters(), other.parameters(), strict=True))
    other.load_state_dict(built(name).state_dict())  # lively ones: fresh, a thousand layers overflow before they train
    with torch.no_grad():
        assert torch.equal(other(images(name)), built(name)(images(name)))


@pytest.mark.parametrize("name", NAMES)
def test_export_with_any_batch(name: str) -> None:
    network = built(name)
    shapes = {"x": {0: torch.export.Dim("batch", min=2, max=64)}}
    program = torch.export.export(network, (images(name),), dynamic_shapes=shapes, strict=False)
    x = images(name, batch=5, seed=1)
    with torch.no_grad():
        assert farthest(program.module()(x), network(x)) <= 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_options_have_plain_defaults(name: str) -> None:
    """Every option can be said again with its default, also as text, and the same network comes out."""
    options = model_options(name)
    assert {"in_channels", "num_classes"} <= set(options)
    said = {key: option.default for key, option in options.items()}
    as_text = {key: value if key in ("in_channels", "num_classes") else str(value) for key, value in said.items()}
    with torch.device("meta"):
        networks = [create_model(name), create_model(name, **said), create_model(name, **as_text)]
    shapes = [{key: value.shape for key, value in network.state_dict().items()} for network in networks]
    assert shapes[0] == shapes[1] == shapes[2]


def test_text_is_understood() -> None:
    network = create_model("mlp", hidden="64,32", dropout="1e-1", image_size="(8, 6)", activation="tanh", num_classes=3)
    assert network.channels == (64, 32)
    assert network.input_size == (1, 8, 6)
    assert network.hidden[0][2].p == 0.1
    assert network.fc.out_features == 3
    flat = create_model("mlp", hidden="")
    assert flat.channels == (784,)
    assert torch.equal(flat(images("mlp")), flat.fc(images("mlp").flatten(1)))  # a linear classifier
    assert create_model("resnet18", small_images="true").input_size == (3, 32, 32)
    assert create_model("resnet18", small_images=False).input_size == (3, 224, 224)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mlp", {"hiden": "3"}, "mlp has no option 'hiden'.*did you mean 'hidden"),
        ("mlp", {"hidden": "a,3"}, "hidden=.*any number of whole numbers with commas"),
        ("mlp", {"image_size": "28"}, "image_size=.*2 whole numbers with commas"),
        ("mlp", {"activation": "rel"}, "activation='rel'.*one of identity, sigmoid"),
        ("mlp", {"dropout": "much"}, "dropout='much'.*a number"),
        ("resnet50", {"small_images": "perhaps"}, "small_images='perhaps'.*true or false"),
        ("resnet50", {"attention": "se"}, "has no option 'attention'"),
        ("resnet18", {"groups": 2}, "change a bottleneck"),
        ("resnet18", {"num_classes": -1}, "num_classes=-1 is too small.*at least 0"),
        ("resnet20", {"in_channels": 0}, "in_channels=0 is too small.*at least 1"),
        ("mlp", {"hidden": "64,0"}, "hidden=.*too small"),
        ("mlp", {"dropout": -0.1}, "dropout=-0.1 is too small.*at least 0"),
        ("mlp", {"dropout": 1}, "leaves nothing"),
        ("lenet5", {"image_size": (28, 28)}, "28x28.*use size 32"),
        ("resnet50", {"widen": "nan"}, "widen='?nan'? is not finite"),
        ("mobilenet_v1", {"width": float("inf")}, "width=inf is not finite"),
        ("resnext50_32x4d", {"widen": 0.1}, "base_width=4 leaves 6 planes no channels"),
        ("preact_resnet18", {"planes": "64"}, "has no option 'planes'"),
        ("unet_backbone", {"backbone": "alexnet"}, "alexnet has no pyramid of maps"),
    ],
)
def test_wrong_options(name: str, options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_model(name, **options)


def small_wide(**options) -> ResNet:
    return ResNet(BasicBlock, (1, 1, 1, 1), groups=1, **options)


def small_wide_gray(**options) -> ResNet:
    return small_wide(in_channels=1, **options)


def test_what_a_variant_sets_is_no_option(monkeypatch: pytest.MonkeyPatch) -> None:
    assert set_by(small_wide) == {"groups"}
    assert set_by(small_wide_gray) == {"groups", "in_channels"}
    monkeypatch.setitem(MODELS._functions, "small_wide_gray", small_wide_gray)
    assert set(model_options("small_wide_gray")) == {
        "num_classes",
        "base_width",
        "widen",
        "stride_on",
        "small_images",
        "norm",
        "output_stride",
    }
    with pytest.raises(UsageError, match="no option 'groups': the variant sets it itself"):
        create_model("small_wide_gray", groups=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_variant_is_one_line(name: str) -> None:
    """Which keywords it sets is read from that line; the constructor must agree that they are taken."""
    for key in set_by(MODELS[name]):
        with pytest.raises(TypeError, match=key):
            MODELS[name](**{key: None})


def test_activations_of_mlp_are_all_there_are() -> None:
    (annotation, _) = model_options("mlp")["activation"]
    assert set(annotation.__args__) == set(ACTIVATIONS)


@pytest.mark.parametrize(
    ("name", "options", "weight", "variance"),
    [
        ("resnet20", {}, "layer3.0.conv1.weight", 2 / (64 * 9)),  # 2 / fan-out
        ("resnet50", {}, "layer3.0.conv1.weight", 2 / 256),
        ("lenet5", {}, "conv3.weight", 2 / (16 * 25 + 120 * 25)),  # Glorot's
        ("mlp", {}, "hidden.0.0.weight", 2 / 784),  # He's, for it rectifies
        ("mlp", {"activation": "tanh"}, "hidden.0.0.weight", 2 / (784 + 300)),
        ("linear", {}, "fc.weight", 0.01**2),
    ],
)
def test_published_starts(name: str, options: dict, weight: str, variance: float) -> None:
    network = create_model(name, **options)
    assert network.get_parameter(weight).var().item() == pytest.approx(variance, rel=0.05)


def test_published_sizes() -> None:
    assert default_input("resnet50") == (3, 224, 224)
    assert default_input("lenet5") == (1, 32, 32)
    assert default_input("resnet20") == (3, 32, 32)


def test_attention_sits_before_the_sum() -> None:
    """A layer that re-weights by 0 leaves the shortcuts alone."""

    class Nothing(nn.Module):
        def __init__(self, channels: int) -> None:
            super().__init__()
            self.channels = channels

        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[1] == self.channels
            return 0 * x

    network = ResNet(BasicBlock, (2, 1, 1, 1), attention=Nothing, num_classes=5).eval()
    x = torch.rand(1, 64, 6, 6)
    with torch.no_grad():
        assert torch.equal(network.layer1(x), x)


def test_padded_shortcut_is_the_image_itself() -> None:
    """With zero weights a stage hands on its input, subsampled, zeros around its channels."""
    network = CifarResNet(1).eval()
    with torch.no_grad():
        network.layer2[0].bn2.weight.zero_()
        x = torch.rand(1, 16, 5, 6)
        y = network.layer2(x)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert y.shape == (1, 32, 3, 3)
    assert y[:, :8].abs().max() == y[:, 24:].abs().max() == 0
