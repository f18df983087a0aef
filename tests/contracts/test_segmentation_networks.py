"""What every network for pixels promises, and what each family says of itself."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.convolution.upsampling import bilinear_upsampler
from sightline.models import MODELS
from sightline.models.create import create_model, default_input
from sightline.models.options import model_options, set_by
from sightline.models.pixels.backbones import backbone, strides
from sightline.models.pixels.unet import UNet
from sightline.models.residual.resnet import BasicBlock, ResNet

torch.set_num_threads(1)
NAMES = MODELS.matching(heading="pixel scores")
LIGHT = {"unet": 8, "fcn32s": 16, "fcn16s": 16, "fcn8s": 16, "segnet": 8, "segnet_basic": 8}  # widths for tests
# one of a kind; the others are deeper
TRAINED = [
    "fcn16s", "fcn_resnet50", "tiramisu56", "unet", "unet_resnet18", "segnet", "segnet_basic", "farabet",
    "deeplabv3_resnet18",
]  # fmt: skip


def built(name: str) -> nn.Module:
    """Five classes, three channels."""
    options = {"width": LIGHT[name]} if name in LIGHT else {}
    return create_model(name, num_classes=5, in_channels=3, seed=7, **options)


def images(height: int = 67, width: int = 50, channels: int = 3) -> Tensor:
    return torch.randn(2, channels, height, width, generator=torch.Generator().manual_seed(0))


def test_names() -> None:
    assert set(NAMES) >= {
        "unet", "unet_backbone", "unet_resnet18", "unet_resnet34", "unet_resnet50", "unet_vgg16_bn", "fcn_resnet50",
        "fcn_resnet101", "fcn32s", "fcn16s", "fcn8s", "tiramisu56", "tiramisu67", "tiramisu103", "segnet", "segnet_basic",
        "farabet", "deeplabv3_resnet18", "deeplabv3_resnet50", "deeplabv3_resnet101", "deeplabv3_efficientnet_lite0",
    }  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_scores_have_the_size_of_the_image(name: str) -> None:
    with torch.device("meta"):
        network = built(name).eval()
        for size in ((64, 33), (35, 50)):
            assert network(torch.zeros(2, 3, *size)).shape == (2, 5, *size)
        with pytest.raises(UsageError, match="reads 3 channel"):
            network(torch.zeros(2, 4, 64, 64))


@pytest.mark.parametrize("name", TRAINED)
def test_everything_learns(name: str) -> None:
    network = built(name).train()
    scores = network(images(35, 64))
    assert scores.isfinite().all()
    scores.square().mean().backward()
    for key, p in network.named_parameters():
        assert p.grad is not None, key
        assert p.grad.isfinite().all(), key
        assert p.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", NAMES)
def test_options_can_be_said_again(name: str) -> None:
    options = model_options(name)
    assert {"in_channels", "num_classes"} <= set(options)
    said = {key: option.default for key, option in options.items()}
    with torch.device("meta"):
        networks = [create_model(name), create_model(name, **said)]
        assert default_input(name)[0] == said["in_channels"]
    assert [p.shape for p in networks[0].parameters()] == [p.shape for p in networks[1].parameters()]
    for key in set_by(MODELS[name]):
        with pytest.raises(TypeError, match=key):
            MODELS[name](**{key: None})
    with pytest.raises(UsageError, match="needs classes"), torch.device("meta"):
        create_model(name, num_classes=0)


@pytest.mark.parametrize("name", ["unet", "unet_resnet18"])
def test_places_follow_the_image(name: str) -> None:
    """An image moved by the coarsest stride gives the same scores, moved: nothing depends on where a thing lies."""
    torch.manual_seed(0)
    network = built(name).eval().double()
    with torch.no_grad():
        picture = torch.zeros(1, 3, 512, 32, dtype=torch.float64)
        picture[:, :, 240:272] = torch.rand(1, 3, 32, 32)
        scores, moved = network(picture), network(picture.roll(32, 2))
    middle = slice(208, 304)  # beyond the reach of the borders above and below
    assert torch.allclose(scores.roll(32, 2)[:, :, middle], moved[:, :, middle], atol=1e-9)
    assert (scores - moved)[:, :, middle].abs().max() > 1e-3


def test_parameters_of_the_papers() -> None:
    """U-Net's by hand: pairs of 3x3 down and up, 2x2 transposed ones, the head; the others as their files say."""
    down = [(1, 64), (64, 128), (128, 256), (256, 512), (512, 1024)]
    total = sum(9 * i * o + o + 9 * o * o + o for i, o in down)
    total += sum((9 * 2 * c * c + c) + (9 * c * c + c) + (4 * 2 * c * c + c) for c in (64, 128, 256, 512))
    expected = {
        "unet": total + 64 * 2 + 2,
        "tiramisu56": 1_376_795,
        "tiramisu67": 3_463_243,
        "tiramisu103": 9_322_091,
    }
    with torch.device("meta"):
        counted = {name: sum(p.numel() for p in create_model(name).parameters()) for name in expected}
    assert counted == expected
    assert expected["unet"] == 31_030_658
    statistics = {"tiramisu67": 3_502_923, "tiramisu103": 9_425_163}  # the paper: 3.5 M, 9.4 M
    with torch.device("meta"):
        for name, count in statistics.items():
            state = create_model(name).state_dict()
            assert sum(x.numel() for key, x in state.items() if "num_batches" not in key) == count


def test_maps_of_the_tiramisu() -> None:
    """The column m of the paper's table 2, at the entrance of each transition; 578 there is 576 here."""
    with torch.device("meta"):
        network = create_model("tiramisu103")
    down = [shrink[0][0].num_features for shrink in network.shrink]
    assert down == [112, 192, 304, 464, 656]
    rows = [len(block.layers) * 16 for block in (network.middle, *network.up)]
    up = [block.layers[0][0].num_features + made for block, made in zip(network.up, rows[1:], strict=True)]
    assert up == [1088, 816, 576, 384, 256]
    assert network.head.in_channels == 256


def test_unet_of_the_paper_sees_572_for_388() -> None:
    network = UNet(width=2, padding="valid").eval()
    assert network._mirrored(torch.zeros(1, 1, 388, 372)).shape == (1, 1, 572, 556)
    x = torch.rand(1, 1, 120, 133)
    with torch.no_grad():
        assert network(x).shape == (1, 2, 120, 133)
        # mirrored beforehand (by a multiple of 16, for the poolings) it finds the same surrounding: the same answer
        whole = network(nn.functional.pad(x, (112, 112, 112, 112), mode="reflect"))
        assert torch.allclose(network(x), whole[:, :, 112:232, 112:245], atol=1e-6)
    with pytest.raises(UsageError, match="at least 108x108"):
        network(torch.zeros(1, 1, 107, 120))


@pytest.mark.parametrize("up", ["transposed", "bilinear", "bicubic", "nearest"])
@pytest.mark.parametrize("norm", ["none", "batch", "group"])
def test_ways_to_build_a_unet(up: str, norm: str) -> None:
    network = create_model("unet", width=4, depth=2, up=up, norm=norm, num_classes=3)
    assert network(images(19, 22, 1)).shape == (2, 3, 19, 22)
    kinds = {type(m) for m in network.modules()} & {nn.BatchNorm2d, nn.GroupNorm, nn.ConvTranspose2d}
    assert kinds == {"none": set(), "batch": {nn.BatchNorm2d}, "group": {nn.GroupNorm}}[norm] | (
        {nn.ConvTranspose2d} if up == "transposed" else set()
    )


def test_unet_on_any_backbone() -> None:
    network = create_model("unet_backbone", backbone="resnet8", num_classes=4, width=8)
    assert network(images(21, 30)).shape == (2, 4, 21, 30)
    with torch.device("meta"):
        grouped = create_model("unet_backbone", norm="group")
    assert not [m for m in grouped.modules() if isinstance(m, nn.BatchNorm2d)]
    for name, message in (("lenet5", "no pyramid"), ("unet", "no classifier"), ("resnet5", "did you mean")):
        with pytest.raises(UsageError, match=message):
            create_model("unet_backbone", backbone=name)


def test_backbones() -> None:
    trunk = backbone("vgg16_bn", in_channels=1)
    assert trunk.channels == (64, 128, 256, 512, 512)
    assert sum(p.numel() for p in trunk.parameters()) == 14_721_984  # no dense layers; 2 x 576 weights fewer for grey
    assert strides("vgg16_bn") == (2, 4, 8, 16, 32)
    assert strides("resnet50") == (4, 8, 16, 32)
    assert strides("resnet20") == (1, 2, 4)
    assert [m.shape[1:] for m in trunk.features(torch.zeros(1, 1, 64, 32))][-1] == (512, 2, 1)
    with pytest.raises(UsageError, match="no group normalisation"):
        backbone("vgg11", norm="group")


def test_group_norm_keeps_the_names() -> None:
    for name in ("resnet18", "resnet50"):
        with torch.device("meta"):
            batch, group = (create_model(name, norm=norm) for norm in ("batch", "group"))
        assert dict(batch.named_parameters()).keys() == dict(group.named_parameters()).keys()
        assert not [m for m in group.modules() if isinstance(m, nn.BatchNorm2d)]
        assert {m.num_groups for m in group.modules() if isinstance(m, nn.GroupNorm)} == {32}
    narrow = UNet(width=8, norm="group")
    assert {m.num_groups for m in narrow.modules() if isinstance(m, nn.GroupNorm)} == {8, 16, 32}


@pytest.mark.parametrize(("stride", "sizes"), [(32, [16, 8, 4, 2]), (16, [16, 8, 4, 4]), (8, [16, 8, 8, 8])])
def test_output_stride(stride: int, sizes: list[int]) -> None:
    network = ResNet(BasicBlock, (1, 1, 2, 2), output_stride=stride).eval()
    with torch.no_grad():
        assert [m.shape[2] for m in network.features(torch.rand(1, 3, 64, 64))] == sizes
        network(torch.rand(1, 3, stride // 2 + 1, stride // 2 + 1))
    with pytest.raises(UsageError, match=f"at least {stride // 2 + 1}x"):
        network(torch.rand(1, 3, stride // 2, 64))


def test_output_stride_of_nothing_else() -> None:
    with pytest.raises(UsageError, match=r"output_stride=4 .*8, 16 or 32"):
        create_model("resnet18", output_stride="4")


def test_auxiliary_scores_only_while_training() -> None:
    with torch.device("meta"):
        network = create_model("fcn_resnet50", num_classes=3, aux=True)
        x = torch.zeros(2, 3, 67, 50)
        answer = network.train()(x)
        assert answer._fields == ("scores", "auxiliary")
        assert answer.scores.shape == answer.auxiliary.shape == (2, 3, 67, 50)
        assert isinstance(network.eval()(x), Tensor)
        assert isinstance(create_model("fcn_resnet50", num_classes=3).train()(x), Tensor)


@pytest.mark.parametrize("stride", [2, 8, 16, 32])
@pytest.mark.parametrize("groups", [1, 3])
def test_transposed_convolutions_start_bilinear(stride: int, groups: int) -> None:
    x = torch.rand(1, 3, 5, 6, dtype=torch.float64)
    with torch.no_grad():
        got = bilinear_upsampler(3, stride, mixing=groups == 1).double()(x)
    expected = nn.functional.interpolate(x, scale_factor=stride, mode="bilinear", align_corners=False)
    inside = (..., slice(stride, -stride), slice(stride, -stride))  # at the border zeros come in
    assert got.shape == expected.shape
    assert torch.allclose(got[inside], expected[inside], atol=1e-6)


def test_skips_of_the_fcn_start_silent() -> None:
    """Scores of a fresh fcn8s are those of its coarsest map; once the skips speak, they are not."""
    network = built("fcn8s").eval()
    x = images(32, 32)
    with torch.no_grad():
        silent = network(x)
        assert [skip.weight.abs().max() for skip in network.skips] == [0, 0]
        network.skips[1].weight.fill_(1.0)
        assert (network(x) - silent).abs().max() > 1e-3
