"""Vision Transformers beyond what every network promises: positions, the class token, attention, sizes of images."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.attention.positions import POSITIONS, RelativeBias
from sightline.models.create import create_model, default_input
from sightline.models.describe import describe
from sightline.models.transformers.vit import Size, VisionTransformer
from tests.distinct import fill_distinct

torch.set_num_threads(1)
SIZE = Size(width=16, depth=3, heads=2)
INJECT = ("stem", "every_layer", "every_layer_shared")
PLACED = [(position, inject) for position, inject in product(POSITIONS, INJECT) if position != "none"]


def tiny(**options) -> VisionTransformer:
    """2x3 patches of 4, every value distinct, float64."""
    network = VisionTransformer(SIZE, 4, **({"image_size": (8, 12), "num_classes": 5} | options)).double().eval()
    fill_distinct(network, seed=1)
    return network


def images(seed: int = 0, batch: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, 8, 12, dtype=torch.float64, generator=generator)


def shuffled(x: Tensor) -> Tensor:
    """Its 2x3 patches of 4 in another order."""
    cut = x.unflatten(3, (3, 4)).unflatten(2, (2, 4)).permute(0, 2, 4, 1, 3, 5).flatten(1, 2)  # (b, 6, c, 4, 4)
    moved = cut[:, [4, 2, 5, 0, 3, 1]].unflatten(1, (2, 3))
    return moved.permute(0, 3, 1, 4, 2, 5).flatten(4).flatten(2, 3)


@pytest.mark.parametrize("pool", ["cls", "mean"])
@torch.no_grad()
def test_without_positions_an_image_is_a_bag_of_patches(pool: str) -> None:
    x = images()
    for position in POSITIONS:
        network = tiny(position=position, pool=pool)
        change = (network(shuffled(x)) - network(x)).abs().max()
        assert (change < 1e-12) if position == "none" else (change > 1e-4), position


@torch.no_grad()
def test_the_class_token_is_read() -> None:
    network, x = tiny(), images()
    tokens = network.encoder(network.tokens(x))
    grid, vector = network.features(x)
    assert tokens.shape == (2, 7, 16)
    assert torch.equal(vector.flatten(1), tokens[:, 0])
    assert torch.equal(grid[:, :, 1, 2], tokens[:, 6])
    assert torch.equal(network(x), network.heads.head(tokens[:, 0]))
    assert torch.equal(network.tokens(x)[:, 0], network.class_token[0].expand(2, -1))


@torch.no_grad()
def test_without_a_class_token_the_mean_is_read() -> None:
    network, x = tiny(pool="mean"), images()
    grid, vector = network.features(x)
    assert network.encoder(network.tokens(x)).shape == (2, 6, 16)
    assert torch.allclose(vector, grid.mean((2, 3), keepdim=True))
    assert "class_token" not in network.state_dict()
    assert sum(p.numel() for p in tiny().parameters()) - sum(p.numel() for p in network.parameters()) == 2 * 16


@pytest.mark.parametrize("position", ["learned_1d", "relative"])
@torch.no_grad()
def test_attention_of_each_block(position: str) -> None:
    network, x = tiny(position=position), images()
    maps = network.attention(x)
    assert [tuple(m.shape) for m in maps] == [(2, 2, 7, 7)] * 3
    for m in maps:
        assert (m.sum(-1) - 1).abs().max() < 1e-12
    assert not torch.allclose(maps[0], maps[1])
    # by those weights the last block's tokens come out as they do
    encoder, tokens = network.encoder, network.tokens(x)
    for layer in range(2):
        tokens = encoder.layers[layer](*encoder.add_positions(tokens, layer))
    tokens = encoder.add_positions(tokens, 2)[0]
    block = encoder.layers[2]
    values = torch.nn.functional.linear(
        block.ln_1(tokens), block.self_attention.in_proj_weight[32:], block.self_attention.in_proj_bias[32:]
    )
    read = torch.cat([maps[2][:, head] @ values[..., 8 * head : 8 * head + 8] for head in range(2)], -1)
    tokens = tokens + block.self_attention.out_proj(read)
    tokens = encoder.ln(tokens + block.mlp(block.ln_2(tokens)))
    assert (tokens[:, :1] - network.features(x)[-1].flatten(2).transpose(1, 2)).abs().max() < 1e-12


@pytest.mark.parametrize(("position", "inject"), PLACED)
@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_positions_learn(position: str, inject: str, pool: str) -> None:
    """Gradients reach every table of every kind, and as many tables are there as were asked for."""
    network = tiny(position=position, inject=inject, pool=pool).train()
    network(images()).square().sum().backward()
    tokens = 6 + (pool == "cls")
    table = {"learned_1d": tokens * 16, "learned_2d": 5 * 8, "sinusoid": 0, "relative": 3 * 5 * 2}[position]
    tables = list(network.encoder.positions.parameters())
    assert sum(p.numel() for p in tables) == table * (SIZE.depth if inject == "every_layer" else 1)
    # of the last block only the class token is read, and it has no place that could be relative
    idle = tables[-1] if (position, inject, pool) == ("relative", "every_layer", "cls") else None
    for p in tables:
        assert p.grad is not None
        assert (p.grad.abs() > 0).all() if p is not idle else p.grad.abs().max() == 0
    bare = sum(p.numel() for p in tiny(position="none", pool=pool).parameters())
    assert sum(p.numel() for p in network.parameters()) == bare + sum(p.numel() for p in tables)


@pytest.mark.parametrize("position", ["learned_1d", "learned_2d", "sinusoid"])
@torch.no_grad()
def test_where_positions_are_added(position: str) -> None:
    """Before each block its own; the stem's is the first of them alone; shared, all are the same one."""
    x = images()
    own, stem, shared = (
        tiny(position=position, inject=inject) for inject in ("every_layer", "stem", "every_layer_shared")
    )
    for other in (stem, shared):
        state = own.state_dict() | {k: v for k, v in own.state_dict().items() if ".positions.0." in k}
        other.load_state_dict({key: state[key] for key in other.state_dict()})
    tokens, expected = own.tokens(x), []
    tables = [embedding.embeddings() for embedding in own.encoder.positions]
    for added in (tables, [tables[0], 0, 0], [tables[0]] * 3):
        y = tokens
        for block, table in zip(own.encoder.layers, added, strict=True):
            y = block(y + table)
        expected.append(own.heads(own.encoder.ln(y)[:, 0]))
    for network, scores in zip((own, stem, shared), expected, strict=True):
        assert (network(x) - scores).abs().max() < 1e-12
    assert (expected[1] - expected[2]).abs().max() > 1e-4
    if position != "sinusoid":
        assert (expected[0] - expected[2]).abs().max() > 1e-5


@pytest.mark.parametrize("position", POSITIONS)
def test_what_embeds_patches_is_followed_by_dropout(position: str) -> None:
    """Whatever the positions: the first block reads tokens with half their numbers gone."""
    network = tiny(position=position, dropout=0.5).train()
    read: list[Tensor] = []
    network.encoder.layers[0].register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    torch.manual_seed(0)
    network(images(batch=64))
    assert 0.45 < (read[0] == 0).double().mean() < 0.55


@torch.no_grad()
def test_relative_positions_act_in_every_block() -> None:
    x = images()
    bare = tiny(position="none")
    for inject, tables in (("stem", 1), ("every_layer_shared", 1), ("every_layer", 3)):
        network = tiny(position="relative", inject=inject)
        network.load_state_dict(bare.state_dict(), strict=False)
        biases = [m for m in network.modules() if isinstance(m, RelativeBias)]
        assert len(biases) == tables
        assert (network(x) - bare(x)).abs().max() > 1e-4
        last = network.attention(x)[2]
        biases[-1].weight.mul_(3)
        assert (network.attention(x)[2] - last).abs().max() > 1e-3
        for bias in biases:
            bias.weight.zero_()
        assert (network(x) - bare(x)).abs().max() < 1e-12


def test_nothing_to_inject() -> None:
    for inject in INJECT[1:]:
        with pytest.raises(UsageError, match=f"without positions there is nothing to inject in {inject}"):
            create_model("vit_ti_16", position="none", inject=inject)


# --------------------------------------------------------------------------------------------------- sizes and options
def test_image_sizes() -> None:
    assert default_input("vit_b_16") == (3, 224, 224)
    assert default_input("vit_b_16", small_images=True) == (3, 32, 32)
    wide = create_model("vit_s_32", image_size="64,96", num_classes=2)
    assert wide.input_size == (3, 64, 96)
    assert wide.grid == (2, 3)
    assert describe("vit_ti_16", input=(1, 48, 64))["layers"][1]["output"] == [192, 3, 4]
    small = create_model("vit_ti_16", small_images=True, image_size=(28, 36))
    assert small.grid == (7, 9)
    assert small.conv_proj.kernel_size == (4, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": (225, 230)}, "patches of 16 do not tile 225x230 pixels.*use 224x224"),
        ({"image_size": (30, 32), "small_images": True}, "patches of 4 do not tile 30x32 pixels.*use 32x32"),
        ({"image_size": (224,)}, r"image_size=\(224,\) is not a height and a width"),
        ({"dropout": 1}, "leaves nothing"),
        ({"stochastic_depth": 1.0}, "stochastic depth 1.0"),
        ({"position": "learned"}, "position='learned'.*one of none, learned_1d"),
        ({"inject": "stam"}, "inject='stam'.*one of stem"),
        ({"pool": "max"}, "pool='max'.*one of cls, mean"),
    ],
)
def test_wrong_options(options: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        create_model("vit_ti_16", **options)


def test_dropping() -> None:
    """Dropout follows positions and dense layers; blocks are skipped more the deeper they are; neither at test time."""
    network = tiny(dropout=0.1, stochastic_depth=0.2)
    assert [block.skip.rate for block in network.encoder.layers] == [0, 0.1, 0.2]
    dropouts = [layer for layer in network.modules() if isinstance(layer, nn.Dropout)]
    assert len(dropouts) == 1 + 3 * 3
    assert {layer.p for layer in dropouts} == {0.1}
    x = images()
    with torch.no_grad():
        assert torch.equal(network(x), tiny()(x))
        network.train()
        assert not torch.equal(network(x), network(x))
        # a block whose branches are all skipped hands on what it got
        block = network.encoder.layers[2]
        block.skip.rate = 1 - 1e-12
        assert torch.equal(block(network.tokens(x)), network.tokens(x))


@pytest.mark.parametrize(("name", "parameters", "giga"), [("vit_ti_16", 5_717_416, 1.3), ("vit_s_16", 22_050_664, 4.6)])
def test_totals_of_deit(name: str, parameters: int, giga: float) -> None:
    """5.7M and 1.3G (in PVT's table, arXiv:2102.12122), 22M and 4.6G (in Swin's, arXiv:2103.14030); attention counts."""
    table = describe(name)
    assert table["parameters"] == parameters
    assert round((table["multiply_adds"] + table["attention_multiply_adds"]) / 1e9, 1) == giga
