"""Layers of tokens: attention read and fast, patches, positions; each against its formula or against torch."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import UsageError
from sightline.layers.attention.encoder_block import EncoderBlock
from sightline.layers.attention.multi_head import (
    AdditiveAttention,
    MultiHeadAttention,
    attention_logits,
    scaled_dot_product,
)
from sightline.layers.attention.patches import as_map, as_tokens, embed_patches, patch_convolution, patch_grid, patches
from sightline.layers.attention.positions import (
    POSITIONS,
    Layout,
    Position,
    position_embedding,
    position_similarity,
    relative_offsets,
    sinusoid,
    wavelengths,
)
from tests.distinct import fill_distinct

torch.set_num_threads(1)


def seeded(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def attention(width: int = 12, heads: int = 3) -> MultiHeadAttention:
    layer = MultiHeadAttention(width, heads).double()
    fill_distinct(layer, seed=1)
    return layer


# ---------------------------------------------------------------------------------------------------------- attention
@pytest.mark.parametrize(("causal", "biased"), [(False, False), (True, False), (False, True), (True, True)])
def test_read_and_fast_are_the_same(causal: bool, biased: bool) -> None:
    layer, x = attention(), seeded(2, 5, 12)
    bias = 2 * seeded(1, 3, 5, 5, seed=1) if biased else None
    fast = layer(x, x, x, bias=bias, causal=causal)
    output, weights = layer.with_weights(x, x, x, bias=bias, causal=causal)
    assert (fast - output).abs().max() < 1e-12
    assert weights.shape == (2, 3, 5, 5)
    assert (weights.sum(-1) - 1).abs().max() < 1e-12
    assert (weights.triu(1).max().item() == 0) is causal
    if biased:  # the same for all queries, such as a mask of padding
        row = bias[:, :, :1]
        fast, (read, _) = (run(x, x, x, bias=row, causal=causal) for run in (layer, layer.with_weights))
        assert (fast - read).abs().max() < 1e-12
    single = layer.float()(x.float(), x.float(), x.float(), causal=causal, bias=None if bias is None else bias.float())
    assert (single - output).abs().max() < 1e-6 * max(1, output.abs().max())


@pytest.mark.parametrize("memory", [None, 7])
def test_as_torch_computes_it(memory: int | None) -> None:
    """Of the tokens themselves, and of others; the names are torch's."""
    theirs = nn.MultiheadAttention(12, 3, batch_first=True).double()
    fill_distinct(theirs, seed=2)
    ours = MultiHeadAttention(12, 3).double()
    ours.load_state_dict(theirs.state_dict(), strict=True)
    x = seeded(2, 5, 12)
    key, value = (x, x) if memory is None else (seeded(2, memory, 12, seed=3), seeded(2, memory, 12, seed=4))
    expected, weights = theirs(x, key, value, average_attn_weights=False)
    output, read = ours.with_weights(x, key, value)
    assert (ours(x, key, value) - expected).abs().max() < 1e-12
    assert (output - expected).abs().max() < 1e-12
    assert (read - weights).abs().max() < 1e-12


def test_starts_as_torch_does() -> None:
    ours, theirs = MultiHeadAttention(96, 4), nn.MultiheadAttention(96, 4)
    for (key, value), expected in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
        if key.endswith("bias"):
            assert value.abs().max() == expected.abs().max() == 0, key
        else:
            assert value.std().item() == pytest.approx(expected.std().item(), rel=0.05), key
            assert value.abs().max().item() == pytest.approx(expected.abs().max().item(), rel=0.01), key


def test_the_combined_form_is_head_by_head() -> None:
    """Each head projects by its own rows, attends by itself at 1/√(d/heads), and the joined heads are projected."""
    layer, x = attention(12, 3), seeded(2, 5, 12)
    read = []
    for head in range(3):
        rows = [slice(part * 12 + head * 4, part * 12 + (head + 1) * 4) for part in range(3)]
        q, k, v = (x @ layer.in_proj_weight[r].T + layer.in_proj_bias[r] for r in rows)  # (2, 5, 4)
        read.append(((q @ k.transpose(1, 2) / math.sqrt(4)).softmax(-1)) @ v)
    expected = torch.cat(read, -1) @ layer.out_proj.weight.T + layer.out_proj.bias
    assert (layer(x, x, x) - expected).abs().max() < 1e-12


def test_additive_attention_written_out() -> None:
    layer = AdditiveAttention(5, 7, 6).double()
    fill_distinct(layer, seed=1)
    query, key, value = seeded(2, 3, 5), seeded(2, 4, 7, seed=1), seeded(2, 4, 8, seed=2)
    output, weights = layer(query, key, value)
    v, w, u, b = layer.score.weight[0], layer.of_query.weight, layer.of_key.weight, layer.of_key.bias
    for image in range(2):
        for i in range(3):
            scores = torch.stack([v @ torch.tanh(w @ query[image, i] + u @ key[image, j] + b) for j in range(4)])
            assert (weights[image, i] - scores.softmax(0)).abs().max() < 1e-12
            assert (output[image, i] - scores.softmax(0) @ value[image]).abs().max() < 1e-12
    assert (weights.sum(-1) - 1).abs().max() < 1e-12


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_block_is_torchs_encoder_layer(norm_first: bool) -> None:
    theirs = nn.TransformerEncoderLayer(
        12, 3, 48, 0.0, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=norm_first
    ).double()
    fill_distinct(theirs, seed=2)
    names = {"self_attn": "self_attention", "linear1": "mlp.0", "linear2": "mlp.3", "norm1": "ln_1", "norm2": "ln_2"}
    ours = EncoderBlock(12, 3, norm_first=norm_first).double()
    state = theirs.state_dict()
    for one, other in names.items():
        state = {key.replace(one, other): value for key, value in state.items()}
    ours.load_state_dict(state, strict=True)
    x = seeded(2, 5, 12)
    assert (ours(x) - theirs.train()(x)).abs().max() < 1e-12
    other = EncoderBlock(12, 3, norm_first=not norm_first).double()
    other.load_state_dict(state)
    assert (other(x) - theirs(x)).abs().max() > 1e-2
    assert (ours.attention(x).sum(-1) - 1).abs().max() < 1e-12


@pytest.mark.parametrize("explicit", [False, True])
def test_no_token_learns_from_a_later_one(explicit: bool) -> None:
    layer, x = attention(), seeded(1, 6, 12).requires_grad_()
    for i in range(6):
        output = layer.with_weights(x, x, x, causal=True).output if explicit else layer(x, x, x, causal=True)
        (gradient,) = torch.autograd.grad(output[0, i].sum(), x)
        reached = gradient[0].abs().amax(1) > 0
        assert reached.tolist() == [True] * (i + 1) + [False] * (5 - i)


def test_a_bias_hides_and_prefers() -> None:
    x = seeded(1, 4, 6)
    hidden = torch.zeros(4, 4, dtype=torch.float64)
    hidden[:, 2] = -torch.inf
    weights = scaled_dot_product(x, x, x, bias=hidden).weights
    assert weights[..., 2].abs().max() == 0
    rest = [0, 1, 3]
    alone = scaled_dot_product(x, x[:, rest], x[:, rest]).weights
    assert torch.allclose(weights[..., rest], alone)
    twice = torch.full((4, 4), 0.0, dtype=torch.float64)
    twice[:, 1] = math.log(2)  # as if the token stood there twice
    again = [0, 1, 1, 2, 3]
    expected = scaled_dot_product(x, x[:, again], x[:, again]).output
    assert torch.allclose(scaled_dot_product(x, x, x, bias=twice).output, expected)


def test_wide_heads_do_not_saturate() -> None:
    """Unscaled, the softmax of 512-wide vectors is all but a hard choice and its gradient vanishes."""
    q, k = seeded(1, 64, 512), seeded(1, 64, 512, seed=1)
    largest = {scale: scaled_dot_product(q, k, k, scale=scale).weights.amax(-1).mean() for scale in (None, 1.0)}
    assert largest[None] < 0.25
    assert largest[1.0] > 0.9
    assert attention_logits(q, k).std().item() == pytest.approx(1, abs=0.05)


def test_heads_must_share_the_width() -> None:
    with pytest.raises(UsageError, match="5 heads cannot share a width of 12"):
        MultiHeadAttention(12, 5)


# ------------------------------------------------------------------------------------------------------------ patches
def test_a_patch_convolution_is_a_dense_layer() -> None:
    convolution = patch_convolution(3, 10, 4).double()
    fill_distinct(convolution, seed=1)
    x = seeded(2, 3, 8, 12)
    assert (as_tokens(convolution(x)) - embed_patches(x, convolution)).abs().max() < 1e-12


def test_patches_lie_row_by_row() -> None:
    x = torch.arange(2 * 4 * 6.0).reshape(1, 2, 4, 6)
    cut = patches(x, 2)
    assert cut.shape == (1, 6, 8)
    assert cut[0, 0].tolist() == [0, 1, 6, 7, 24, 25, 30, 31]
    assert cut[0, 1, 0] == 2
    assert cut[0, 3, 0] == 12
    assert torch.equal(as_map(as_tokens(x), (4, 6)), x)
    assert as_tokens(x)[0, 7].tolist() == [7, 31]


@pytest.mark.parametrize(
    ("size", "near"), [((225, 224), "224x224"), ((24, 23), "32x16"), ((1, 40), "16x48"), ((224, 7), "224x16")]
)
def test_sizes_that_do_not_tile(size: tuple[int, int], near: str) -> None:
    with pytest.raises(UsageError, match=f"patches of 16 do not tile {size[0]}x{size[1]} pixels.*use {near}"):
        patch_grid(size, 16)
    assert patch_grid((32, 48), 16) == (2, 3)


# ---------------------------------------------------------------------------------------------------------- positions
def test_sinusoid_values() -> None:
    table = sinusoid(50, 8)
    for place in (0, 1, 7, 49):
        for i in range(4):
            angle = place / 10_000 ** (2 * i / 8)
            assert table[place, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-12)
            assert table[place, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-12)
    with pytest.raises(UsageError, match="width 7 has half a pair"):
        sinusoid(3, 7)


def test_wavelengths_are_geometric_and_true() -> None:
    lengths = wavelengths(512)
    assert len(lengths) == 256
    ratios = lengths[1:] / lengths[:-1]
    assert (ratios - 10_000 ** (1 / 256)).abs().max() < 1e-9
    # the shortest column comes back after its wavelength: 44 places are 7 times 2π but for 0.018
    table = sinusoid(45, 512)
    assert (table[44, :2] - table[0, :2]).abs().max() < 0.02


def test_a_shift_of_a_sinusoid_is_a_rotation() -> None:
    """PE(p + k) is a linear function of PE(p), the same for every p: what the formula was chosen for."""
    table, k = sinusoid(40, 6), 5
    angle = 2 * math.pi * k / wavelengths(6)  # (3,)
    sin, cos = table[:, ::2], table[:, 1::2]
    assert (table[k:, ::2] - (sin * angle.cos() + cos * angle.sin())[:-k]).abs().max() < 1e-12
    assert (table[k:, 1::2] - (cos * angle.cos() - sin * angle.sin())[:-k]).abs().max() < 1e-12


def test_similarity_of_places() -> None:
    maps = position_similarity(sinusoid(35, 64), (5, 7))
    assert maps.shape == (5, 7, 5, 7)
    flat = maps.flatten(2).flatten(0, 1)  # (35, 35)
    assert torch.allclose(flat.diagonal(), torch.ones(35, dtype=torch.float64))
    assert torch.allclose(flat, flat.T)
    assert maps[2, 3, 2, 4] > maps[2, 3, 2, 6]  # nearer places are more alike
    assert maps[2, 3, 2, 4] == pytest.approx(maps[0, 0, 0, 1].item())  # by their distance only
    embedding = position_embedding("learned_2d", Layout((5, 7), 4096)).double()  # so wide that chance is 0.02
    rows = position_similarity(embedding.embeddings()[0].detach(), (5, 7))
    same_row, elsewhere = rows[2, 3, 2, 5], rows[2, 3, 0, 0]
    assert same_row.item() == pytest.approx(0.5, abs=0.1)  # half the vector is the row's
    assert elsewhere.item() == pytest.approx(0.0, abs=0.1)


def test_learned_2d_is_a_row_and_a_column() -> None:
    embedding = position_embedding("learned_2d", Layout((2, 3), 4, ahead=1))
    fill_distinct(embedding, seed=1)
    table = embedding.embeddings()[0]
    assert table.shape == (7, 4)
    assert table[0].abs().max() == 0
    for i in range(2):
        for j in range(3):
            assert torch.equal(table[1 + 3 * i + j], torch.cat([embedding.row[i], embedding.column[j]]))
    with pytest.raises(UsageError, match="width of 5 cannot be halved"):
        position_embedding("learned_2d", Layout((2, 3), 5))


def test_relative_bias_is_one_number_an_offset() -> None:
    layout = Layout((3, 4), 8, heads=2, ahead=1)
    embedding = position_embedding("relative", layout)
    fill_distinct(embedding, seed=1)
    bias = embedding()[0]
    assert bias.shape == (2, 13, 13)
    assert bias[:, 0].abs().max() == bias[:, :, 0].abs().max() == 0  # a class token has no place
    places = [(i, j) for i in range(3) for j in range(4)]
    seen: dict[tuple[int, int], Tensor] = {}
    for a, (i, j) in enumerate(places):
        for b, (k, m) in enumerate(places):
            value = seen.setdefault((k - i, m - j), bias[:, 1 + a, 1 + b])
            assert torch.equal(value, bias[:, 1 + a, 1 + b])
    assert len(seen) == 5 * 7 == len(embedding.weight)
    assert len({value[0].item() for value in seen.values()}) == 35
    assert sorted(relative_offsets((3, 4)).unique().tolist()) == list(range(35))


@pytest.mark.parametrize("name", POSITIONS)
def test_positions_by_name(name: Position) -> None:
    """Parameters of a 3x4 grid behind one token, width 8, 2 heads; and gradients reach all of them."""
    layout = Layout((3, 4), 8, heads=2, ahead=1)
    embedding = position_embedding(name, layout)
    count = {"none": 0, "sinusoid": 0, "learned_1d": 13 * 8, "learned_2d": (3 + 4) * 4, "relative": 35 * 2}[name]
    assert sum(p.numel() for p in embedding.parameters()) == count
    assert len(embedding.state_dict()) == len(list(embedding.parameters()))
    layer, x = MultiHeadAttention(8, 2), torch.randn(2, 13, 8)
    placed, bias = (x, embedding()) if name == "relative" else (embedding(x), None)
    layer(placed, placed, placed, bias=bias).square().sum().backward()
    for p in embedding.parameters():
        assert (p.grad.abs() > 0).all()
    for p in position_embedding(name, Layout((30, 40), 256, heads=8, ahead=1)).parameters():  # 7,680 numbers and more
        assert p.std().item() == pytest.approx(0.02, rel=0.05)


def test_unknown_position() -> None:
    with pytest.raises(UsageError, match=r"unknown position embedding 'sinusoids'.*did you mean 'sinusoid"):
        position_embedding("sinusoids", Layout((2, 2), 4))
