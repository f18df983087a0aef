"""The layers that are written out to be read, against torch's."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.layers.activations import ACTIVATIONS, activation, hardmax, softmax_steps
from sightline.layers.arithmetic import (
    Window,
    exact_output_size,
    fitting_output_size,
    output_size,
    receptive_field,
    same_padding,
)
from sightline.layers.convolution.convolution import correlate, correlate_backward, linear_as_convolution
from sightline.layers.convolution.pooling import TrainableSubsample, average_pool, max_pool
from sightline.layers.initialise import activation_statistics, he, he_out, initialiser, lecun, sparse, uniform, xavier
from sightline.layers.linear import bias_trick
from sightline.layers.normalisation import LocalResponseNorm, batch_norm_step, fold_pair

torch.set_num_threads(1)


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def same(got: Tensor, want: Tensor) -> bool:
    return got.shape == want.shape and torch.allclose(got, want, rtol=1e-10, atol=1e-12)


# --------------------------------------------------------------------------------------------------------- arithmetic
@given(st.integers(1, 30), st.integers(1, 7), st.integers(1, 4), st.integers(0, 3), st.integers(1, 3))
@settings(max_examples=150, deadline=None)
def test_output_sizes(size: int, kernel: int, stride: int, padding: int, dilation: int) -> None:
    """As torch builds it; what fits exactly is what leaves no pixel over."""
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    reach = dilation * (kernel - 1) + 1
    if reach > size + 2 * padding:
        with pytest.raises(UsageError, match=f"use at least {reach - 2 * padding} pixels"):
            output_size(size, kernel, **options)
        return
    x, weight = torch.zeros(1, 1, size), torch.zeros(1, 1, kernel)
    expected = F.conv1d(x, weight, **options).shape[2]
    assert output_size(size, kernel, **options) == expected
    left_over = (size + 2 * padding - reach) % stride
    assert (exact_output_size(size, kernel, **options) == expected) == (left_over == 0)
    if left_over:
        with pytest.raises(UsageError, match=f"use {size - left_over} pixels: .* drop {left_over} pixel"):
            fitting_output_size(size, kernel, **options)
    else:
        assert fitting_output_size(size, kernel, **options) == expected


def test_a_stride_that_does_not_fit_is_reported() -> None:
    assert exact_output_size(7, 3, stride=3) == Fraction(7, 3)
    with pytest.raises(UsageError, match=r"stride 3 does not fit: 7 pixels, kernel 3, padding 0 give 2\.33"):
        fitting_output_size(7, 3, stride=3)


@pytest.mark.parametrize(("kernel", "dilation"), [(1, 1), (3, 1), (5, 2), (2, 2)])
def test_same_padding(kernel: int, dilation: int) -> None:
    padding = same_padding(kernel, dilation=dilation)
    assert output_size(9, kernel, padding=padding, dilation=dilation) == 9


def test_no_same_padding_for_even_kernels() -> None:
    with pytest.raises(UsageError, match="use an odd kernel"):
        same_padding(4)


def test_receptive_field_of_a_stack() -> None:
    field = receptive_field([Window(7, 2, 3), Window(3, 2, 1), Window(3, 1, 1), Window(3, 1, 2, dilation=2)])
    assert (field.size, field.jump) == (7 + 4 + 8 + 16, 4)
    assert field.first == -3 - 2 - 4 - 8  # all paddings, each in pixels of the input


# -------------------------------------------------------------------------------------------------------- convolution
CASES = list(itertools.product((1, 2, 3), (0, 2), (1, 2), (1, 2)))


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), CASES)
def test_correlate(stride: int, padding: int, dilation: int, groups: int) -> None:
    x, kernel, bias = drawn(2, 4, 9, 8), drawn(6, 4 // groups, 3, 2, seed=1), drawn(6, seed=2)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    assert same(correlate(x, kernel, bias, **options), F.conv2d(x, kernel, bias, **options))


def test_correlate_refuses_wrong_depths() -> None:
    with pytest.raises(UsageError, match="cannot see 4 channels"):
        correlate(drawn(1, 4, 5, 5), drawn(2, 3, 3, 3))


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (1, 2), (2, 1), (3, 0), (3, 2)])
def test_correlate_backward(stride: int, padding: int) -> None:
    """Also where the stride leaves pixels over."""
    x, kernel = drawn(2, 3, 9, 8).requires_grad_(), drawn(4, 3, 3, 2, seed=1).requires_grad_()
    bias = drawn(4, seed=2).requires_grad_()
    y = F.conv2d(x, kernel, bias, stride=stride, padding=padding)
    upstream = drawn(*y.shape, seed=3)
    expected = torch.autograd.grad(y, (x, kernel, bias), upstream)
    got = correlate_backward(upstream, x.detach(), kernel.detach(), stride=stride, padding=padding)
    assert all(same(g, e) for g, e in zip(got, expected, strict=True))


def test_shifting_the_image_shifts_the_map() -> None:
    x, kernel = drawn(1, 2, 8, 8), drawn(3, 2, 3, 3, seed=1)
    shifted = x.roll((1, 2), (2, 3))
    assert same(correlate(shifted, kernel)[:, :, 1:, 2:], correlate(x, kernel)[:, :, :-1, :-2])


def test_linear_as_convolution_refuses_other_maps() -> None:
    with pytest.raises(UsageError, match="they have 60 values"):
        linear_as_convolution(nn.Linear(50, 2), 3, 4, 5)
    assert linear_as_convolution(nn.Linear(60, 2, bias=False), 3, 4, 5).bias is None


def test_one_pixel_kernels_are_a_dense_layer_at_each_pixel() -> None:
    dense = nn.Linear(5, 7).double()
    x = drawn(2, 5, 4, 3)
    assert same(linear_as_convolution(dense, 5, 1, 1)(x), dense(x.movedim(1, 3)).movedim(3, 1))


def test_bias_trick() -> None:
    x, weight, bias = drawn(3, 4), drawn(2, 4, seed=1), drawn(2, seed=2)
    x1, weight1 = bias_trick(x, weight, bias)
    assert same(x1 @ weight1.T, F.linear(x, weight, bias))


# ------------------------------------------------------------------------------------------------------------ pooling
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 0), (2, 3, 1)])
def test_pooling(kernel: int, stride: int, padding: int) -> None:
    x = drawn(2, 3, 9, 8) - 5  # negative: a padding of zeros would win
    options = {"stride": stride, "padding": padding}
    assert same(max_pool(x, kernel, **options), F.max_pool2d(x, kernel, **options))
    for count in (True, False):
        expected = F.avg_pool2d(x, kernel, **options, count_include_pad=count)
        assert same(average_pool(x, kernel, **options, count_padding=count), expected)


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), [(2, 1, 0, 2), (3, 2, 1, 2), (2, 2, 1, 3)])
def test_dilated_max_pool(kernel: int, stride: int, padding: int, dilation: int) -> None:
    x = drawn(2, 3, 9, 8) - 5
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    assert same(max_pool(x, kernel, **options), F.max_pool2d(x, kernel, **options))


def test_max_pool_hands_the_gradient_to_the_largest() -> None:
    x = drawn(1, 2, 6, 6).requires_grad_()
    own = torch.autograd.grad(max_pool(x, 2, stride=2).square().sum(), x)
    assert same(own[0], torch.autograd.grad(F.max_pool2d(x, 2).square().sum(), x)[0])


def test_subsampling_learns_two_numbers_a_map() -> None:
    layer = TrainableSubsample(3)
    layer(torch.rand(2, 3, 8, 6)).sum().backward()
    assert {name: list(p.grad.shape) for name, p in layer.named_parameters()} == {"alpha": [3], "beta": [3]}
    assert layer(torch.rand(2, 3, 8, 6)).shape == (2, 3, 4, 3)


# ------------------------------------------------------------------------------------------------------ normalisation
@pytest.mark.parametrize("shape", [(6, 4), (3, 4, 5, 2)])
def test_batch_norm_step(shape: tuple[int, ...]) -> None:
    norm = (nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d)(4, momentum=0.3).double()
    for seed, tensor in enumerate((norm.weight.data, norm.bias.data, norm.running_mean)):
        tensor.copy_(drawn(4, seed=seed))
    before = norm.weight, norm.bias, norm.running_mean.clone(), norm.running_var.clone()
    x = drawn(*shape, seed=5)
    got = batch_norm_step(x, *before, momentum=0.3)
    assert same(got.output, norm(x))
    assert same(got.running_mean, norm.running_mean)
    assert same(got.running_var, norm.running_var)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
def test_fold_batchnorm(bias: bool, affine: bool) -> None:
    convolution, dense = nn.Conv2d(4, 6, 3, groups=2, stride=2, bias=bias), nn.Linear(4, 6, bias=bias)
    for layer, x in ((convolution, drawn(2, 4, 7, 7)), (dense, drawn(5, 4))):
        norm = (nn.BatchNorm2d if x.ndim == 4 else nn.BatchNorm1d)(6, affine=affine)
        with torch.no_grad():
            for seed, (name, tensor) in enumerate(norm.state_dict().items()):
                if tensor.ndim:
                    tensor.copy_(drawn(6, seed=seed).exp() if name == "running_var" else drawn(6, seed=seed))
        layer, norm = layer.double(), norm.double().eval()
        weight = layer.weight.clone()
        folded = fold_pair(layer, norm)
        assert type(folded) is type(layer)
        assert same(folded(x), norm(layer(x)))
        assert torch.equal(layer.weight, weight)


def test_what_cannot_be_folded() -> None:
    with pytest.raises(UsageError, match="cannot follow 6 outputs"):
        fold_pair(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(4))
    with pytest.raises(UsageError, match="without running statistics"):
        fold_pair(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, track_running_stats=False))


def test_local_response_norm_by_loops() -> None:
    x, layer = drawn(2, 7, 3, 2), LocalResponseNorm(3, alpha=0.2, beta=0.6, k=1.5)
    expected = torch.stack(
        [x[:, i] / (1.5 + 0.2 * x[:, max(0, i - 1) : i + 2].square().sum(1)) ** 0.6 for i in range(7)], 1
    )
    assert same(layer(x), expected)
    with pytest.raises(UsageError, match="use an odd size"):
        LocalResponseNorm(4)


# ------------------------------------------------------------------------------------------------------- initialisers
@pytest.mark.parametrize("shape", [(30, 50), (8, 6, 5, 3)])
def test_initialisers_are_torchs(shape: tuple[int, ...]) -> None:
    """Number for number, from the same seed."""
    pairs = [
        (xavier, nn.init.xavier_normal_),
        (he, lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu")),
        (he_out, lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu")),
        (lecun, lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear")),
        (uniform, lambda w: nn.init.uniform_(w, -0.01, 0.01)),
        (initialiser("zeros"), nn.init.zeros_),
    ]
    for own, theirs in pairs:
        filled = []
        for fill in (own, theirs):
            weight = torch.empty(shape)
            torch.manual_seed(0)
            fill(weight)
            filled.append(weight)
        assert torch.allclose(*filled, rtol=1e-6), own


@pytest.mark.parametrize(("inputs", "connections"), [(100, 15), (7, 3), (25, 11), (10, 10), (4, 15), (1000, 999)])
def test_sparse_fixes_the_inputs_of_a_unit(inputs: int, connections: int) -> None:
    weight = torch.empty(20, inputs)
    sparse(weight, connections=connections)
    assert (weight != 0).sum(1).tolist() == [min(connections, inputs)] * 20


def test_wrong_names() -> None:
    with pytest.raises(UsageError, match=r"unknown initialiser 'xavir' \(did you mean 'xavier"):
        initialiser("xavir")
    with pytest.raises(UsageError, match=r"unknown activation 'rellu' \(did you mean 'relu"):
        activation("rellu")


def test_he_keeps_thirty_layers_alive_where_xavier_does_not() -> None:
    for name, alive in (("he", True), ("xavier", False), ("normal", False)):
        spreads = activation_statistics(name, "relu", samples=100, width=200, layers=30)
        assert (spreads[-1].std > 0.1) == alive, name


def test_the_experiment_repeats_and_leaves_the_generator() -> None:
    torch.manual_seed(4)
    before = torch.get_rng_state()
    first, again = (activation_statistics("he", "tanh", samples=20, width=30, layers=3, seed=1) for _ in range(2))
    assert first == again
    assert activation_statistics("he", "tanh", samples=20, width=30, layers=3, seed=2) != first
    assert torch.equal(torch.get_rng_state(), before)


# -------------------------------------------------------------------------------------------------------- activations
@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("sigmoid", lambda x: 1 / (1 + (-x).exp())),
        ("tanh", lambda x: (x.exp() - (-x).exp()) / (x.exp() + (-x).exp())),
        ("scaled_tanh", lambda x: 1.7159 * (2 / 3 * x).tanh()),
        ("relu", lambda x: x.clamp(min=0)),
        ("leaky_relu", lambda x: torch.maximum(0.1 * x, x)),
        ("elu", lambda x: torch.where(x > 0, x, x.exp() - 1)),
        ("gelu", lambda x: 0.5 * x * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (x + 0.044715 * x**3)))),
        ("identity", lambda x: x),
    ],
)
def test_activations_are_their_formulas(name: str, formula) -> None:
    x = torch.linspace(-4, 4, 41, dtype=torch.float64)
    assert torch.allclose(activation(name)(x), formula(x), atol=1e-12)
    assert name in ACTIVATIONS


def test_softmax_opened() -> None:
    scores = drawn(4, 6)
    steps = softmax_steps(scores)
    assert same(steps.probability, scores.softmax(-1))
    assert same(steps.exponential / steps.normaliser, steps.probability)
    assert hardmax(torch.tensor([[1.0, 3, 3], [5, 2, 1]])).tolist() == [[0, 1, 0], [1, 0, 0]]
