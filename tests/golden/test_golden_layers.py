"""Numbers of the lecture about layers, each computed by the product. `layers.json` holds the rows as given."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.lab.seeing.kernels import image_kernel
from sightline.layers.activations import ACTIVATIONS, Maxout, ScaledTanh, softmax_steps
from sightline.layers.arithmetic import (
    Window,
    convolution_parameters,
    exact_output_size,
    kernel_between,
    linear_parameters,
    output_size,
    receptive_field,
    same_padding,
)
from sightline.layers.convolution.convolution import (
    convolve,
    correlate,
    correlate_backward,
    linear_as_convolution,
    zero_pad,
)
from sightline.layers.convolution.pooling import TrainableSubsample, average_pool, max_pool
from sightline.layers.dropout import inverted_dropout
from sightline.layers.initialise import activation_statistics, he, initialise, lecun, sparse, xavier
from sightline.layers.normalisation import (
    STATISTICS_OVER,
    LocalResponseNorm,
    batch_norm_step,
    fold_pair,
    standardise,
    window_channels,
)
from sightline.models.create import create_model
from sightline.models.describe import describe
from tests.golden.rows import Golden

torch.set_num_threads(1)
golden = Golden("layers")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def double(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def image(rows: Any) -> Tensor:
    """(h, w) → (1, 1, h, w) in float64."""
    return double(rows)[None, None]


def seeded(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


# -------------------------------------------------------------------------------------------------------- activations
def _activated(name: str):
    return lambda inputs: ACTIVATIONS[name]()(double(inputs["x"])).tolist()


golden("act-elu")(_activated("elu"))
golden("act-leaky")(_activated("leaky_relu"))
golden("act-relu")(_activated("relu"))


@golden("act-sigmoid-tanh")
def _(inputs: Inputs):
    x = double(inputs["x"])
    assert torch.allclose(ACTIVATIONS["tanh"]()(x), 2 * ACTIVATIONS["sigmoid"]()(2 * x) - 1)
    return {name: ACTIVATIONS[name]()(x).tolist() for name in ("sigmoid", "tanh")}


@golden("act-maxout")
def _(inputs: Inputs):
    unit = Maxout(1, 1).double()
    with torch.no_grad():
        unit.linear.weight.copy_(double([[inputs["w1"]], [inputs["w2"]]]))
        unit.linear.bias.copy_(double([inputs["b1"], inputs["b2"]]))
    return unit(double(inputs["x"])[:, None])[:, 0].tolist()


@golden("tanh-lecun")
def _(inputs: Inputs):
    assert (ScaledTanh().amplitude, ScaledTanh().slope) == (inputs["A"], inputs["S"])
    return ScaledTanh(inputs["A"], inputs["S"])(double(inputs["a"])).tolist()


@golden("softmax-exps-deck1")
def _(inputs: Inputs):
    return softmax_steps(double(inputs["scores"])).exponential.tolist()


@golden("exp-55")
def _(inputs: Inputs):
    return softmax_steps(double(inputs["x"])).exponential.tolist()


def _probabilities(inputs: Inputs) -> list[float]:
    return softmax_steps(double(inputs["scores"])).probability.tolist()  # exp(1003) is infinite in float64 too


golden("softmax-deck2")(_probabilities)
golden("softmax-probs-deck1")(_probabilities)
golden("softmax-shift-invariance")(_probabilities)


# -------------------------------------------------------------------------------------------------------- convolution
@golden("conv-262-480")
def _(inputs: Inputs):
    return correlate(image(inputs["image"]), image(inputs["kernel"]))[0, 0, 0, :2].tolist()


@golden("conv-vs-correlation")
def _(inputs: Inputs):
    return convolve(image(inputs["image"]), image(inputs["kernel"]))[0, 0, 0, :2].tolist()


@golden("conv-volume-demo")
def _(inputs: Inputs):
    x, w, b = double(inputs["x"])[None], double(inputs["w"]), double(inputs["bias"])
    return correlate(x, w, b, stride=inputs["stride"])[0].tolist()


@golden("conv-backprop")
def _(inputs: Inputs):
    x, kernel = seeded(1, 1, 3, 3).requires_grad_(), seeded(1, 1, 2, 2).requires_grad_()
    upstream = seeded(1, 1, 2, 2) + 1
    F.conv2d(x, kernel).backward(upstream)
    own = correlate_backward(upstream, x.detach(), kernel.detach())
    assert own.x[0, 0, 0, 0] == kernel[0, 0, 0, 0] * upstream[0, 0, 0, 0]
    return {"dF_err": (own.kernel - kernel.grad).abs().max().item(), "dX_err": (own.x - x.grad).abs().max().item()}


@golden("fc-is-conv")
def _(inputs: Inputs):
    dense = nn.Linear(16 * 5 * 5, 7).double()
    convolution = linear_as_convolution(dense, *inputs["inp"])
    x, larger = seeded(2, *inputs["inp"]), seeded(1, *inputs["larger"])
    error = (convolution(x).flatten(1) - dense(x.flatten(1))).abs().max().item()
    slid = convolution(larger)  # (1, 7, 5, 3)
    window = larger[:, :, 2:7, 1:6]
    error = max(error, (slid[:, :, 2, 1] - dense(window.flatten(1))).abs().max().item())
    return {"err": error, "map": list(slid.shape[2:])}


@golden("kernel-shift")
def _(inputs: Inputs):
    impulse, kernel = torch.zeros(1, 1, 5, 5), torch.zeros(1, 1, 3, 3)
    row, column = inputs["impulse"]
    impulse[0, 0, row, column], kernel[0, 0, 1, 0] = 1, 1
    assert convolve(impulse, kernel, padding=1).nonzero()[:, 2:].tolist() == [[2, 1]]
    return correlate(impulse, kernel, padding=1).nonzero()[0, 2:].tolist()


_KERNELS = {  # the row's names, in its order → ours
    "identity": "identity",
    "shift": "shift",
    "box 1/9": "box3",
    "[1 2 1;2 4 2;1 2 1] unnormalised": "gauss3_unnormalised",
    "gauss5x5/273": "gauss5",
    "sobel_x": "sobel_x",
    "sobel_y": "sobel_y",
    "laplace8": "laplace8",
    "laplace4": "laplace4",
    "sharpen": "sharpen",
    "gauss3x3/16": "gauss3",
    "box 1/49": "box7",
    "5x5 with -2/8": "log5",
    "5x5 of 0.04": "box5",
}


@golden("kernel-sums")
def _(inputs: Inputs):
    return [image_kernel(_KERNELS[name]).sum().item() for name in inputs["kernels"]]


@golden("sigmoid-max-slope")
def _(inputs: Inputs):
    x = torch.linspace(-8, 8, 1601, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(ACTIVATIONS["sigmoid"]()(x).sum(), x)
    return {"max_slope": slope.max().item(), "ten_layers": slope.max().item() ** inputs["k"]}


@golden("moving-average")
def _(inputs: Inputs):
    x = seeded(1, 1, 10, 10)
    return (correlate(x, x.new_full((1, 1, 3, 3), 1 / 9)) - average_pool(x, 3, stride=1)).abs().max().item()


# --------------------------------------------------------------------------------------------------------- arithmetic
@golden("conv-kernel-inference")
def _(inputs: Inputs):
    return kernel_between(inputs["inp"], inputs["out"])


@golden("conv-neuron-grid")
def _(inputs: Inputs):
    return inputs["filters"] * output_size(32, 5) ** 2


@golden("conv-pad-keeps-size")
def _(inputs: Inputs):
    return {
        "pad": [same_padding(kernel) for kernel in inputs["F"]],
        "same7": output_size(7, 3, padding=same_padding(3)),
        "valid7": output_size(7, 3),
    }


@golden("conv-shrink")
def _(inputs: Inputs):
    once = output_size(inputs["W"], inputs["F"])
    return [inputs["W"], once, output_size(once, inputs["F"])]


@golden("conv-size-deck2-example")
def _(inputs: Inputs):
    size = output_size(inputs["W"], inputs["F"], stride=inputs["S"], padding=inputs["P"])
    return [inputs["K"], size, size]


@golden("conv-size-deck3-example")
def _(inputs: Inputs):
    size = output_size(inputs["W"], inputs["F"], stride=inputs["S"], padding=inputs["P"])
    return {
        "out": [size, size, inputs["K"]],
        "params_per_filter": convolution_parameters(inputs["C"], 1, inputs["F"]),
        "params": convolution_parameters(inputs["C"], inputs["K"], inputs["F"]),
    }


@golden("conv-stride-fit")
def _(inputs: Inputs):
    return [float(exact_output_size(inputs["N"], inputs["F"], stride=stride)) for stride in inputs["S"]]


@golden("conv-torch-shape")
def _(inputs: Inputs):
    x, kernel = torch.ones(inputs["inputs"]), torch.ones(inputs["filters"])
    return list(correlate(x, kernel, padding=inputs["padding"]).shape)


@golden("ex-pad-27")
def _(inputs: Inputs):
    _, depth, height, width = zero_pad(torch.ones(1, 5, 27, 27), 2).shape
    return [height, width, depth]


@golden("ex-params-depth-unknown")
def _(inputs: Inputs):
    return [convolution_parameters(depth, 10, 5) for depth in inputs["D"]]


@golden("ex-params-stride")
def _(inputs: Inputs):
    """Built with either stride, counted by the table of layers."""
    strided = [nn.Sequential(nn.Conv2d(3, 10, 5, stride=stride, padding=2)) for stride in (1, 2)]
    return [describe(network, input=(3, 32, 32))["parameters"] for network in strided]


@golden("fc-vs-conv")
def _(inputs: Inputs):
    pixels = create_model("linear", image_size=(128, 128), num_classes=0).channels[0]
    return {
        "inputs": pixels,
        "fc": linear_parameters(pixels, 64, bias=False),
        "patch": convolution_parameters(3, 1, 3, bias=False),
        "conv": convolution_parameters(3, 64, 3, bias=False),
    }


@golden("rf-formula")
def _(inputs: Inputs):
    """By the formula, and measured by the gradient of one output position."""
    sizes = []
    for layers in inputs["L"]:
        x = torch.zeros(1, 1, 15, 15, requires_grad=True)
        kernel, y = torch.ones(1, 1, inputs["K"], inputs["K"]), x
        for _ in range(layers):
            y = correlate(y, kernel)
        middle = y.shape[2] // 2
        (gradient,) = torch.autograd.grad(y[0, 0, middle, middle], x)
        size = receptive_field([Window(inputs["K"])] * layers).size
        assert int((gradient[0, 0].sum(0) > 0).sum()) == size
        sizes.append(size)
    return sizes


@golden("vgg-27c-49c")
def _(inputs: Inputs):
    three = 3 * convolution_parameters(inputs["C"], inputs["C"], 3, bias=False)
    one = convolution_parameters(inputs["C"], inputs["C"], 7, bias=False)
    assert receptive_field([Window(3)] * 3).size == receptive_field([Window(7)]).size
    return {"three3": three, "one7": one, "ratio": one / three}


# ------------------------------------------------------------------------------------------------------------ pooling
def _max_pooled(kernel: int, stride: int):
    return lambda inputs: max_pool(image(inputs["x"]), kernel, stride=stride)[0, 0].tolist()


golden("maxpool-deck0")(_max_pooled(2, 2))
golden("maxpool-f2s1")(_max_pooled(2, 1))
golden("maxpool-f2s2")(_max_pooled(2, 2))
golden("maxpool-lec6")(_max_pooled(2, 2))
golden("avgpool-deck0")(lambda inputs: average_pool(image(inputs["x"]), 2, stride=2)[0, 0].tolist())


@golden("maxpool-neg-inf")
def _(inputs: Inputs):
    x, options = -torch.ones(1, 1, 2, 2), {"stride": inputs["s"], "padding": inputs["p"]}
    return {
        "max": max_pool(x, inputs["k"], **options)[0, 0].tolist(),
        "avg": average_pool(x, inputs["k"], **options)[0, 0].tolist(),
        "avg_no_pad": average_pool(x, inputs["k"], **options, count_padding=False)[0, 0].tolist(),
    }


@golden("lenet-subsample")
def _(inputs: Inputs):
    layer = TrainableSubsample(1).double()
    nn.init.constant_(layer.alpha, inputs["alpha"])
    nn.init.constant_(layer.beta, inputs["beta"])
    return layer(torch.arange(1.0, 17, dtype=torch.float64).reshape(1, 1, 4, 4))[0, 0].tolist()


@golden("gap-params")
def _(inputs: Inputs):
    pool = create_model("resnet18", num_classes=0).avgpool
    return {
        "out": list(pool(torch.ones(1, 1024, 7, 7))[0].shape),
        "params": sum(p.numel() for p in pool.parameters()),
        "fc": linear_parameters(7 * 7 * 1024, 1000),
    }


# ------------------------------------------------------------------------------------------------------ normalisation
@golden("bn-forward")
def _(inputs: Inputs):
    x = double(inputs["X"])
    x_hat, mean, variance = standardise(x, (0,), eps=inputs["eps"])
    gamma, beta = (variance[0] + inputs["eps"]).sqrt(), mean[0]
    step = batch_norm_step(x, gamma, beta, torch.zeros(2), torch.ones(2), eps=inputs["eps"])
    return {
        "mean": mean[0].tolist(),
        "var": variance[0].tolist(),
        "xhat": x_hat.tolist(),
        "identity_err": (step.output - x).abs().max().item(),
        "running_mean": step.running_mean.tolist(),
        "running_var": step.running_var.tolist(),
    }


@golden("bn-fusion")
def _(inputs: Inputs):
    convolution, norm = nn.Conv2d(3, 5, 3).double(), nn.BatchNorm2d(5).double()
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean):
            tensor.copy_(seeded(5) * 2)
        norm.running_var.copy_(seeded(5).exp())
    norm.eval()
    x = seeded(2, 3, 8, 8)
    error = (fold_pair(convolution, norm)(x) - norm(convolution(x))).abs().max().item()
    return 1.0 if error < 1e-10 else error


@golden("bn-kills-bias")
def _(inputs: Inputs):
    x, kernel = seeded(4, 3, 6, 6), seeded(5, 3, 3, 3)
    bias = seeded(5).requires_grad_()
    zero, one = torch.zeros(5), torch.ones(5)
    step = batch_norm_step(correlate(x, kernel, bias), one, zero, zero, one)
    (step.output * seeded(*step.output.shape)).sum().backward()
    return bool(bias.grad.abs().max() < 1e-12)


@golden("bn-learnable-names")
def _(inputs: Inputs):
    """Counted in a network of ours whose first norm has D features; named as our written-out step names them."""
    norm = create_model("resnet18").bn1
    rows = {row["name"]: row for row in describe("resnet18")["layers"]}
    assert norm.num_features == inputs["D"]
    names = list(inspect.signature(batch_norm_step).parameters)
    buffers = [name for name, buffer in norm.named_buffers() if buffer.ndim]
    return {
        "learnable": [name for name in names if name in ("gamma", "beta", "sigma", "mu")],
        "count": rows["bn1"]["parameters"],
        "buffers": [name for name in names if name in buffers],
    }


@golden("ln-same-train-test")
def _(inputs: Inputs):
    one = double([inputs["x"]])
    alone = standardise(one, (1,)).value[0]
    in_a_batch = standardise(torch.cat([one, seeded(3, 4)]), (1,)).value[0]
    assert torch.equal(alone, in_a_batch)
    return alone.tolist()


@golden("norm-family-shapes")
def _(inputs: Inputs):
    x = seeded(inputs["N"], inputs["C"], inputs["H"], inputs["W"])
    of = {name: standardise(x, over) for name, over in STATISTICS_OVER.items()}
    return {
        "bn": list(of["batch"].mean.shape),
        "ln": list(of["layer"].mean.shape),
        "inn": list(of["instance"].mean.shape),
        "gn1_is_ln": torch.allclose(of["layer"].value, F.group_norm(x, 1), atol=1e-12),
        "gnC_is_in": torch.allclose(of["instance"].value, F.group_norm(x, inputs["C"]), atol=1e-12),
    }


@golden("lrn-alexnet")
def _(inputs: Inputs):
    layer = LocalResponseNorm(inputs["n"], alpha=inputs["alpha"], beta=inputs["beta"], k=float(inputs["k"]))
    return layer(double(inputs["a"])[None, :, None, None]).flatten().tolist()


@golden("lrn-index-deck4")
def _(inputs: Inputs):
    return window_channels(inputs["i"], inputs["n"], inputs["N"])


# ------------------------------------------------------------------------------------------------ dropout, beginnings
@golden("dropout-inverted")
def _(inputs: Inputs):
    hidden = create_model("mlp", hidden=(4000,), dropout=inputs["p"]).hidden[0]
    dropout, ones = hidden[2], torch.ones(200, 200)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        dropped = dropout.train()(ones)
    mean = inverted_dropout(ones, dropped > 0, 1 - inputs["p"]).mean().item()  # our formula, its mask
    assert torch.equal(inverted_dropout(ones, dropped > 0, 1 - inputs["p"]), dropped)
    return {
        "values": dropped.unique().tolist(),
        "mean_ok": abs(mean - 1) < 5 * (1 / 200),  # one standard deviation of the mean of 40,000 is 1/200
        "eval_identity": torch.equal(dropout.eval()(ones), ones),
    }


@golden("dropout-keepprob")
def _(inputs: Inputs):
    a, keep = double([inputs["a"]] * 2), inputs["keep_prob"]
    kept, dropped = inverted_dropout(a, torch.tensor([True, False]), keep).tolist()
    return {"kept": kept, "expectation": keep * kept + (1 - keep) * dropped}


def _ten_layers(name: str, activation: str, seeds: int) -> dict[str, list[float]]:
    """Mean over seeds of mean and std, layer by layer."""
    runs = [activation_statistics(name, activation, seed=seed) for seed in range(seeds)]
    layers = list(zip(*runs, strict=True))
    return {
        "mean": [sum(spread.mean for spread in layer) / seeds for layer in layers],
        "std": [sum(spread.std for spread in layer) / seeds for layer in layers],
    }


golden("init-he-relu")(lambda inputs: _ten_layers("he", "relu", 6))
golden("init-xavier-relu")(lambda inputs: _ten_layers("lecun", "relu", 6))


@golden("init-xavier-tanh-std")
def _(inputs: Inputs):
    tables = _ten_layers("lecun", "tanh", 2)
    assert max(map(abs, tables["mean"])) < 0.002
    return tables["std"]


@golden("init-xavier-claim")
def _(inputs: Inputs):
    spreads = activation_statistics(
        "lecun", "tanh", samples=inputs["n"], width=inputs["width"], layers=inputs["layers"]
    )
    return [spreads[0].std, spreads[-1].std]


@golden("init-sparse")
def _(inputs: Inputs):
    """Our weight is (out, in) with a fixed number of inputs a unit: the transpose of the row's."""
    rows, columns = inputs["shape"]
    weight = torch.empty(columns, rows)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        sparse(weight, connections=rows - round(inputs["sparsity"] * rows))
    return (weight == 0).sum(1).tolist()


@golden("init-xavier-vs-torch")
def _(inputs: Inputs):
    weight = torch.empty(inputs["fan_out"], inputs["fan_in"])
    stds = {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for name, fill in (("xavier_normal_std", xavier), ("lecture_formula_std", lecun), ("kaiming_std", he)):
            fill(weight)
            stds[name] = weight.std().item()
    return stds


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


def test_the_four_tables_of_the_initialisation_experiment() -> None:
    """Means and spreads of ten layers, as printed; the small start has no row of its own."""
    printed = [0.213667, 0.047754, 0.010667, 0.002391, 0.000535, 0.000119, 0.000027, 0.000006, 0.000001, 0.0]
    spreads = activation_statistics("normal", "tanh")
    for layer, (spread, std) in enumerate(zip(spreads, printed, strict=True)):
        assert spread.std == pytest.approx(std, rel=0.05, abs=5e-7), layer  # six printed digits
        assert abs(spread.mean) < 0.002


def test_zeros_keep_all_units_alike() -> None:
    network = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    initialise(network, "zeros")
    nn.init.constant_(network[2].weight, 0.5)  # else no gradient at all comes back
    network(torch.rand(8, 4)).square().sum().backward()
    gradient = network[0].weight.grad
    assert torch.equal(gradient, gradient[:1].expand_as(gradient))
