"""The table of a network: its sums are the totals, its costs are what torch counts, its fields are what gradients reach."""

from __future__ import annotations

import json

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from sightline.cli.wording import describe_text
from sightline.errors import UsageError
from sightline.models.create import create_model, default_input, outline
from sightline.models.describe import describe
from sightline.models.options import model_options
from tests.smallest import SMALLEST

torch.set_num_threads(1)
COLUMNS = ["name", "kind", "output", "parameters", "multiply_adds", "receptive_field"]


def rows_of(network: nn.Module, size: tuple[int, int, int]) -> dict[str, dict]:
    return {row["name"]: row for row in describe(network, input=size)["layers"]}


@pytest.mark.parametrize("name", sorted(SMALLEST))
def test_sums_and_costs(name: str) -> None:
    network = outline(name, num_classes=7, **SMALLEST[name])
    channels, *size = network.input_size
    small = (channels, *size) if "image_size" in model_options(name) or size[0] <= 97 else (channels, 97, 81)
    table = describe(name, input=small, num_classes=7, options=SMALLEST[name])
    assert list(table) == [
        "name",
        "parameters",
        "multiply_adds",
        "attention_multiply_adds",
        "other_multiply_adds",
        "layers",
        "modules",
    ]
    assert json.loads(json.dumps(table)) == table
    layers = table["layers"]
    assert all(list(row) in (COLUMNS, [*COLUMNS, "paper"]) for row in (*layers, *table["modules"]))
    assert len({row["name"] for row in layers}) == len(layers)
    assert sum(row["parameters"] for row in layers) == table["parameters"]
    assert sum(row["multiply_adds"] for row in layers) == table["multiply_adds"]
    with FlopCounterMode(display=False) as counter:
        network.eval()(torch.zeros(1, *small, device="meta"))
    assert table["parameters"] == sum(p.numel() for p in network.parameters())
    assert 2 * (table["multiply_adds"] + table["attention_multiply_adds"]) == counter.get_total_flops()
    assert table["other_multiply_adds"] == 0
    last = [row for row in layers if row["output"]][-1]  # auxiliary heads idle
    assert last["output"] == [7]
    assert last["receptive_field"] is None


@pytest.mark.parametrize("name", ["googlenet_paper", "vgg16", "vit_ti_16", "convnet", "densenet121", "unet"])
def test_module_rows_are_totals(name: str) -> None:
    """Every module with children has a row: the totals of the layers inside, and its own output."""
    network = outline(name)
    table = describe(name)
    rows = {row["name"]: row for row in table["modules"]}
    assert set(rows) == {name for name, module in network.named_modules() if list(module.children())}
    assert (rows[""]["parameters"], rows[""]["multiply_adds"]) == (table["parameters"], table["multiply_adds"])
    for path, row in rows.items():
        inside = [each for each in table["layers"] if not path or each["name"].startswith((f"{path}.", f"{path}("))]
        assert row["parameters"] == sum(each["parameters"] for each in inside), path
        assert row["multiply_adds"] == sum(each["multiply_adds"] for each in inside), path
        assert row["kind"] == type(network.get_submodule(path)).__name__


def test_an_inception_block_shows_its_channels() -> None:
    rows = {row["name"]: row for row in describe("googlenet_paper", options={"aux": False})["modules"]}
    assert rows["inception3a"]["output"] == [256, 28, 28]
    assert rows["inception3b"]["output"] == [480, 28, 28]
    assert rows["inception3b"]["receptive_field"] == 91  # 27 + 2 · 4 · 8: two 5x5 at stride 8
    text = describe_text(describe("googlenet_paper", options={"aux": False})).splitlines()
    line = next(line for line in text if line.startswith("inception3b/"))
    assert "480x28x28" in line
    assert text.index(line) + 1 == next(i for i, line in enumerate(text) if line.startswith("  inception3b.branch1/"))
    assert any(line.startswith("A row that ends in /") for line in text)


def test_vgg_layers_carry_the_names_of_the_literature() -> None:
    paper = {row["name"]: row["paper"] for row in describe("vgg16")["layers"] if "paper" in row}
    assert list(paper.values())[:3] == ["conv1_1", "conv1_2", "pool1"]
    assert [name for name in paper.values() if name.startswith("fc")] == ["fc6", "fc7", "fc8"]
    assert sum(name.startswith("conv") for name in paper.values()) == 13
    assert paper["trunk.28"] == "conv5_3"
    assert "trunk.28 (conv5_3)" in describe_text(describe("vgg16"))


@pytest.mark.parametrize(
    ("name", "parameters", "multiply_adds"),
    [
        ("resnet18", 11_689_512, 1_814_073_344),
        ("resnet34", 21_797_672, 3_663_761_408),
        ("resnet50", 25_557_032, 4_089_184_256),
        ("resnet101", 44_549_160, 7_801_405_440),
        ("lenet5", 61_706, 416_520),
    ],
)
def test_published_totals(name: str, parameters: int, multiply_adds: int) -> None:
    """As torchvision documents them (strides on the 3x3); LeNet's follow from its table."""
    table = describe(name)
    assert (table["parameters"], table["multiply_adds"]) == (parameters, multiply_adds)


def test_a_built_network_gives_the_same_table() -> None:
    for name in ("resnet8", "resnet18", "lenet5", "mlp"):
        network = create_model(name).train()
        size = default_input(name)
        state = {key: value.clone() for key, value in network.state_dict().items()}
        assert describe(network, input=size)["layers"] == describe(name)["layers"]
        assert all(module.training for module in network.modules())
        assert all(torch.equal(value, state[key]) for key, value in network.state_dict().items())
        assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_a_network_of_ones_own_needs_a_size() -> None:
    with pytest.raises(UsageError, match=r"input=\(c, h, w\)"):
        describe(nn.Conv2d(3, 4, 3))


def test_options_of_a_network() -> None:
    table = describe("resnet18", options={"in_channels": 1, "num_classes": 7}, input=(1, 64, 64))
    assert table["layers"][-1]["output"] == [7]
    with pytest.raises(UsageError, match="change no shape"):
        describe("resnet18", options={"seed": 3})
    with pytest.raises(UsageError, match="given twice"):
        describe("resnet18", num_classes=4, options={"num_classes": 3})


class Reuse(nn.Module):
    """One convolution run twice, one never; two layers that share a weight; a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.idle = nn.Linear(3, 2)
        self.stem = nn.Conv2d(3, 4, 1)
        self.twice = nn.Conv2d(4, 4, 3, padding=1)
        self.head, self.tied = nn.Linear(4, 4, bias=False), nn.Linear(4, 4)
        self.tied.weight = self.head.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.twice(self.twice(self.stem(x))) * self.scale
        return self.tied(self.head(x.mean((2, 3))))


def test_reused_tied_idle_and_own() -> None:
    table = describe(Reuse(), input=(3, 8, 8))
    rows = {row["name"]: row for row in table["layers"]}
    assert list(rows) == ["(own)", "stem", "twice", "head", "tied", "idle"]
    assert [row["parameters"] for row in rows.values()] == [4, 16, 148, 16, 4, 8]
    assert table["parameters"] == 196 == sum(p.numel() for p in Reuse().parameters())
    assert rows["twice"]["multiply_adds"] == 2 * 64 * 144
    assert (rows["twice"]["output"], rows["twice"]["receptive_field"]) == ([4, 8, 8], 3)
    assert (rows["idle"]["output"], rows["idle"]["multiply_adds"]) == (None, 0)
    assert rows["tied"]["multiply_adds"] == 16
    with FlopCounterMode(display=False) as counter:
        Reuse()(torch.zeros(1, 3, 8, 8))
    assert 2 * table["multiply_adds"] == counter.get_total_flops()


def test_transposed_convolution_costs() -> None:
    network = nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2))
    table = describe(network, input=(3, 9, 7))
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 9, 7))
    assert 2 * table["multiply_adds"] == counter.get_total_flops()
    assert [row["receptive_field"] for row in table["layers"]] == [3, None]  # not followed through an up-sampling


# --------------------------------------------------------------------------------------------------- receptive fields
def make_positive(network: nn.Module) -> nn.Module:
    """Only positive numbers, so that no path to a pixel is cut or cancelled; averages small, so that none saturates."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.state_dict().items():
            if tensor.ndim >= 2:
                tensor.copy_((0.5 + torch.rand(tensor.shape, generator=generator)) / tensor[0].numel())
            elif "running" not in name and tensor.is_floating_point():
                tensor.fill_(0.5)
    return network.double().eval()


def footprints(network: nn.Module, size: tuple[int, int, int], only: str | None = None) -> dict[str, list[int]]:
    """For every layer with a map: height and width of the input that the middle of its first output depends on."""
    scores: dict[str, Tensor] = {}

    def listen(name: str):
        def hook(module: nn.Module, inputs: tuple, output: Tensor) -> None:
            if name not in scores and output.ndim == 4 and output.shape[2] > 1:  # now: a later layer may write over it
                scores[name] = output[:, :, output.shape[2] // 2, output.shape[3] // 2].sum()

        return hook

    for name, module in network.named_modules():
        if not list(module.children()) and only in (None, name):
            module.register_forward_hook(listen(name))
    x = torch.rand(1, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    network(x)
    found = {}
    for name, score in scores.items():
        (gradient,) = torch.autograd.grad(score, x, retain_graph=True)
        reached = gradient[0].abs().sum(0) > 0
        found[name] = [_extent(reached.any(1)), _extent(reached.any(0))]
    return found


def _extent(reached: Tensor) -> int:
    places = reached.nonzero()
    return int(places.max() - places.min()) + 1


def as_pair(field: int | list[int]) -> list[int]:
    return field if isinstance(field, list) else [field, field]


@pytest.mark.parametrize(
    ("name", "size"), [("lenet5", (1, 32, 32)), ("resnet8", (3, 41, 45)), ("resnet20", (3, 113, 117))]
)
def test_fields_are_what_gradients_reach(name: str, size: tuple[int, int, int]) -> None:
    network = make_positive(create_model(name))
    rows = rows_of(network, size)
    measured = footprints(network, size)
    assert len(measured) == sum(len(row["output"]) == 3 and row["output"][1] > 1 for row in rows.values())
    for layer, extent in measured.items():
        assert as_pair(rows[layer]["receptive_field"]) == extent, layer


def test_the_deepest_field_of_resnet18() -> None:
    """435 pixels, by the table and by the gradient (through an average: a maximum hands it to one pixel only)."""
    network = make_positive(create_model("resnet18", in_channels=1, num_classes=2))
    field = rows_of(network, (1, 64, 64))["layer4.1.bn2"]["receptive_field"]
    assert field == 435
    network.maxpool = nn.AvgPool2d(3, stride=2, padding=1)
    assert footprints(network, (1, 455, 455), only="layer4.1.bn2") == {"layer4.1.bn2": [435, 435]}


class Branches(nn.Module):
    """Whatever shifts, thins or joins maps outside of layers."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Conv2d(1, 2, (5, 3), padding=(2, 1))
        self.spread = nn.Conv2d(1, 2, 3, dilation=3, padding=3)
        self.after_join = nn.Identity()
        self.pool = nn.AvgPool2d(2)
        self.after_shift = nn.Identity()
        self.last = nn.Conv2d(4, 1, 3)
        self.gate = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        x = self.after_join(torch.cat([self.wide(x), self.spread(x)], 1))
        x = self.pool(x)
        thinned = F.pad(x[:, :, 1::2, ::2], (2, 0, 1, 0))[:, :, : x.shape[2] // 2, : x.shape[3] // 2]
        x = self.after_shift(thinned + x[:, :, ::2, 1::2])
        x = self.last(x)
        return self.gate(x * x.mean((2, 3), keepdim=True))


def test_fields_through_slices_paddings_and_joins() -> None:
    network = make_positive(Branches())
    rows, measured = rows_of(network, (1, 64, 72)), footprints(network, (1, 64, 72))
    for layer in ("wide", "spread", "after_join", "pool", "after_shift", "last"):
        assert as_pair(rows[layer]["receptive_field"]) == measured[layer], layer
    assert rows["wide"]["receptive_field"] == [5, 3]
    assert rows["gate"]["receptive_field"] is None  # every position weighs by the mean of all


@pytest.mark.parametrize(
    ("norm", "field"),
    [
        (nn.BatchNorm2d(4), 5),
        (nn.BatchNorm2d(4, track_running_stats=False), None),
        (nn.InstanceNorm2d(4), None),
        (nn.LayerNorm([4, 16, 16]), None),
    ],
)
def test_what_measures_an_image_mixes_its_places(norm: nn.Module, field: int | None) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), norm, nn.Conv2d(4, 4, 3, padding=1))
    fields = [row["receptive_field"] for row in describe(network, input=(3, 16, 16))["layers"]]
    assert fields == [3, 3 if field else None, field]


class OutsideLayers(nn.Module):
    """A convolution that is no layer."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 3, 4, 4))
        self.fc = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(F.conv2d(x, self.kernel, stride=4).mean((2, 3)))


class Attending(nn.Module):
    """Torch's own attention, whose fused form nobody can count within."""

    def __init__(self) -> None:
        super().__init__()
        self.cut, self.attention = nn.Conv2d(3, 32, 4, 4), nn.MultiheadAttention(32, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.cut(x).flatten(2).transpose(1, 2)  # (b, 64, 32)
        return self.attention(tokens, tokens, tokens, need_weights=False)[0]


def test_work_outside_layers_is_counted_apart() -> None:
    found = describe(OutsideLayers(), input=(3, 16, 16))
    assert (found["multiply_adds"], found["other_multiply_adds"]) == (8 * 5, 16 * 8 * 48)
    tokens = Attending()
    found = describe(tokens, input=(3, 32, 32))
    products = 4 * 64 * 32 * 32 + 2 * 64 * 64 * 32  # projections of 64 tokens; q·k and the weighted values
    assert found["multiply_adds"] + found["other_multiply_adds"] == 64 * 32 * 48 + products
    for name in ("resnet18", "vit_ti_16", "lenet_1989", "efficientnet_b0", "maxout"):
        assert describe(name)["other_multiply_adds"] == 0


def test_a_group_norm_sees_everything() -> None:
    rows = rows_of(create_model("resnet18", norm="group", small_images=True), (3, 32, 32))
    assert rows["conv1"]["receptive_field"] == 3
    assert {row["receptive_field"] for name, row in rows.items() if name != "conv1"} == {None}
