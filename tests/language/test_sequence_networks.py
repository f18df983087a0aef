"""Attention over words and the networks that write: equal to torch's, blind to the future, the same with a cache."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.layers.attention.decoder_block import DecoderBlock
from sightline.layers.attention.encoder_block import EncoderBlock
from sightline.layers.attention.multi_head import Cache, MultiHeadAttention, rotated, visible
from sightline.layers.attention.sequences import POSITIONS, OffsetBias
from sightline.models.language.options import WRITERS, build_text_network
from sightline.models.language.recurrent import Recurrent
from sightline.models.language.transformer import Transformer

V = 11


def _tokens(*shape: int) -> torch.Tensor:
    return torch.randint(5, V, shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("norm_first", [True, False])
def test_the_decoder_block_equals_torchs(norm_first: bool):
    torch.manual_seed(0)
    ours = DecoderBlock(16, 4, norm_first=norm_first).eval()
    theirs = nn.TransformerDecoderLayer(
        16, 4, 64, 0.0, F.gelu, layer_norm_eps=1e-6, batch_first=True, norm_first=norm_first
    ).eval()
    names = {
        "self_attn": "self_attention", "multihead_attn": "cross_attention", "norm1": "ln_1", "norm2": "ln_2",
        "norm3": "ln_3", "linear1": "mlp.0", "linear2": "mlp.3",
    }  # fmt: skip
    own = ours.state_dict()
    theirs.load_state_dict({k: own[k.replace(k.split(".")[0], names[k.split(".")[0]], 1)] for k in theirs.state_dict()})
    x, memory = torch.randn(2, 5, 16), torch.randn(2, 7, 16)
    mask = torch.ones(2, 7, dtype=torch.bool)
    mask[1, 4:] = False
    future = nn.Transformer.generate_square_subsequent_mask(5)
    expected = theirs(x, memory, tgt_mask=future, tgt_is_causal=True, memory_key_padding_mask=~mask)
    torch.testing.assert_close(ours(x, memory, memory_bias=visible(mask)), expected)


def test_hidden_keys_are_torchs():
    torch.manual_seed(0)
    ours, theirs = MultiHeadAttention(16, 4), nn.MultiheadAttention(16, 4, batch_first=True)
    theirs.load_state_dict(ours.state_dict())
    x, mask = torch.randn(2, 6, 16), torch.ones(2, 6, dtype=torch.bool)
    mask[0, 3:] = False
    expected, weights = theirs(x, x, x, key_padding_mask=~mask)
    torch.testing.assert_close(ours(x, x, x, bias=visible(mask)), expected)
    read = ours.with_weights(x, x, x, bias=visible(mask))
    torch.testing.assert_close(read.weights.mean(1), weights)
    torch.testing.assert_close(read.weights.sum(-1), torch.ones(2, 4, 6))


def test_rotary_logits_depend_on_the_distance_only():
    torch.manual_seed(0)
    q, k = torch.randn(1, 1, 1, 8), torch.randn(1, 1, 1, 8)
    near = (rotated(q, 3) * rotated(k, 1)).sum()
    far = (rotated(q, 103) * rotated(k, 101)).sum()
    torch.testing.assert_close(near, far, rtol=1e-4, atol=1e-4)
    assert not torch.isclose(near, (rotated(q, 4) * rotated(k, 1)).sum())


def test_offsets_far_away_share_their_bias():
    bias = OffsetBias(2, far=2)
    with torch.no_grad():
        bias.weight.copy_(torch.arange(10.0).view(5, 2))
    assert bias(1, 5)[0, 0, 0].tolist() == [0.0, 0.0, 0.0, 2.0, 4.0]  # offsets -4 … 0


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("norm_first", [True, False])
def test_nothing_flows_back_from_future_tokens(positions: str, norm_first: bool):
    """The gradient of a score with respect to later tokens is exactly 0."""
    torch.manual_seed(0)
    network = Transformer(V, width=16, depth=2, heads=2, longest=12, positions=positions, norm_first=norm_first).eval()  # type: ignore[arg-type]
    caught: list[torch.Tensor] = []

    def keep(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        output.retain_grad()
        caught.append(output)

    handle = network.embedding.register_forward_hook(keep)
    scores = network(_tokens(2, 6), None, _tokens(2, 8))
    handle.remove()
    scores[:, 3].sum().backward()
    gradient = caught[-1].grad
    assert gradient is not None
    assert torch.equal(gradient[:, 4:], torch.zeros_like(gradient[:, 4:]))
    assert (gradient[:, :4].abs().sum((0, 2)) > 0).all()


@pytest.mark.parametrize("positions", POSITIONS)
def test_decoding_with_a_cache_is_the_full_pass(positions: str):
    torch.manual_seed(0)
    network = Transformer(V, width=16, depth=2, heads=2, longest=12, positions=positions).eval()  # type: ignore[arg-type]
    source, prefix = _tokens(3, 6), _tokens(3, 7)
    mask = torch.ones(3, 6, dtype=torch.bool)
    mask[1, 4:] = False
    state = network.start(source, mask)
    steps = torch.stack([network.step(prefix[:, i : i + 1], state) for i in range(7)], 1)
    torch.testing.assert_close(steps, network(source, mask, prefix), rtol=1e-5, atol=1e-5)


def test_a_block_with_a_cache_reads_several_tokens_at_once():
    torch.manual_seed(0)
    block, x, cache = EncoderBlock(16, 2, rotary=True).eval(), torch.randn(2, 7, 16), Cache()
    parts = [block(x[:, a:b], causal=True, cache=cache) for a, b in ((0, 3), (3, 4), (4, 7))]
    torch.testing.assert_close(torch.cat(parts, 1), block(x, causal=True), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", list(WRITERS))
def test_padding_changes_nothing(name: str):
    torch.manual_seed(0)
    network = build_text_network(name, WRITERS, V, seed=0, options={"width": 16}).eval()
    source, prefix = _tokens(1, 5), _tokens(1, 4)
    padded = F.pad(source, (0, 3))
    mask = torch.arange(8)[None] < 5
    alone = network(source, torch.ones(1, 5, dtype=torch.bool), prefix)
    torch.testing.assert_close(network(padded, mask, prefix), alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
@pytest.mark.parametrize("attention", ["additive", "dot", "none"])
def test_recurrent_networks_write(cell: str, attention: str):
    torch.manual_seed(0)
    network = Recurrent(V, width=8, cell=cell, attention=attention).eval()  # type: ignore[arg-type]
    scores = network(_tokens(2, 5), None, _tokens(2, 3))
    assert scores.shape == (2, 3, V)
    scores.sum().backward()
    unused = [name for name, p in network.named_parameters() if p.grad is None]
    assert not unused


def test_unknown_names_and_options_are_refused():
    with pytest.raises(UsageError, match="did you mean 'transformer'"):
        build_text_network("transfomer", WRITERS, V, seed=0, options={})
    with pytest.raises(UsageError, match="no option 'widht'"):
        build_text_network("transformer", WRITERS, V, seed=0, options={"widht": 3})
    with pytest.raises(UsageError, match="takes no 'wide' as width"):
        build_text_network("transformer", WRITERS, V, seed=0, options={"width": "wide"})
    with pytest.raises(UsageError, match="the network takes 4"):
        Transformer(V, width=8, heads=2, longest=4)(_tokens(1, 5))
