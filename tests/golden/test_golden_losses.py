"""Numbers of the lecture about losses, each computed by the product. `losses.json` holds the rows as given."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from sightline.losses.classification import binary_cross_entropy, cross_entropy, multiclass_hinge
from sightline.losses.information import cross_entropy_between, entropy, information
from sightline.losses.penalties import l1_penalty, l2_penalty, weight_decay_term
from sightline.losses.regression import cycle_error
from sightline.models.create import create_model
from sightline.structures.targets import Labels
from tests.golden.rows import Golden

torch.set_num_threads(1)
golden = Golden("losses")
Inputs = dict[str, Any]


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)


def test_every_row_is_computed() -> None:
    assert golden.computed.keys() == golden.rows.keys()


def double(values: Any) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def one_hot(labels: list[int], classes: int) -> Tensor:
    return torch.nn.functional.one_hot(torch.tensor(labels), classes).double()


# ------------------------------------------------------------------------------------------------------ cross-entropy
def _terms(inputs: Inputs) -> Tensor:
    """-log of the true class's probability, row by row."""
    return cross_entropy_between(one_hot(inputs["labels"], 3), double(inputs["probs"]))


golden("ce-deck0-terms")(lambda inputs: _terms(inputs).tolist())
golden("ce-deck0-total")(lambda inputs: _terms(inputs).sum().item())


@golden("ce-deck0-mean")
def _(inputs: Inputs):
    """By the loss itself: log-probabilities are scores whose softmax gives them back, up to the printed rounding."""
    probabilities = double(inputs["probs"])
    total = probabilities.sum(1).log().mean()  # the printed rows sum to 1.01 and 1: what softmax takes away
    mean, weight = cross_entropy(probabilities.clamp(min=1e-300).log(), Labels.of(torch.tensor(inputs["labels"])))
    assert weight == 3
    return (mean - total).item()


@golden("ce-grad-logits")
def _(inputs: Inputs):
    scores = double([inputs["scores"]]).requires_grad_()
    cross_entropy(scores, Labels.of(torch.tensor([inputs["label"]])))[0].backward()
    return scores.grad[0].tolist()


@golden("ce-grad-probs")
def _(inputs: Inputs):
    p = double(inputs["p"]).requires_grad_()
    cross_entropy_between(one_hot([inputs["label"]], 3)[0], p).backward()
    return p.grad.tolist()


@golden("ce-perfect")
def _(inputs: Inputs):
    return cross_entropy_between(double(inputs["p"]), double(inputs["q"])).item()


@golden("onehot-ce-index")
def _(inputs: Inputs):
    scores, index = double([inputs["s"]]).log(), torch.tensor([inputs["c"]])
    by_index, _ = cross_entropy(scores, Labels.of(index))
    soft = Labels(index, index >= 0, soft=one_hot([inputs["c"]], 3))
    by_one_hot, _ = cross_entropy(scores, soft)
    assert by_index.item() == pytest.approx(by_one_hot.item(), abs=1e-15)
    return by_one_hot.item()


@golden("bce-grad")
def _(inputs: Inputs):
    logit = double([inputs["logit"]]).requires_grad_()
    p = logit.detach().sigmoid().requires_grad_()
    binary_cross_entropy(logit, double([inputs["y"]]))[0].backward()
    binary_cross_entropy(p.logit(), double([inputs["y"]]))[0].backward()
    return {"dp": p.grad.item(), "dlogit": logit.grad.item()}


# -------------------------------------------------------------------------------------------------------------- hinge
@golden("hinge-at-init")
def _(inputs: Inputs):
    one = Labels.of(torch.tensor([0]))
    return [
        multiclass_hinge(torch.zeros(1, classes), one, margin=float(inputs["margin"]))[0].item()
        for classes in inputs["classes"]
    ]


@golden("hinge-min")
def _(inputs: Inputs):
    labels = Labels.of(torch.tensor([inputs["label"]]))
    just_less = multiclass_hinge(double([inputs["scores"]]) - double([[0.001, 0, 0]]), labels)[0]
    assert just_less.item() == pytest.approx(0.002)
    return multiclass_hinge(double([inputs["scores"]]), labels, margin=float(inputs["margin"]))[0].item()


@golden("hinge-per-image")
def _(inputs: Inputs):
    rows = zip(double(inputs["scores"]), inputs["labels"], strict=True)
    return [
        multiclass_hinge(s[None], Labels.of(torch.tensor([y])), margin=float(inputs["margin"]))[0].item()
        for s, y in rows
    ]


@golden("hinge-total")
def _(inputs: Inputs):
    mean, weight = multiclass_hinge(double(inputs["scores"]), Labels.of(torch.tensor(inputs["labels"])))
    assert weight == 3
    return mean.item()


# ---------------------------------------------------------------------------------------------------------- penalties
@golden("l1-deck1")
def _(inputs: Inputs):
    return [l1_penalty([double(inputs[name])]).item() for name in ("W1", "W2")]


@golden("l2-deck0")
def _(inputs: Inputs):
    return [l2_penalty([double(inputs[name])]).item() for name in ("w1", "w2")]


@golden("l2-deck1")
def _(inputs: Inputs):
    return [l2_penalty([double(inputs[name])]).item() for name in ("W1", "W2")]


@golden("l2-deck1-dot")
def _(inputs: Inputs):
    network = create_model("linear", in_channels=1, image_size=(2, 2), num_classes=2).double()
    with torch.no_grad():
        network.fc.weight.copy_(double([inputs["W1"], inputs["W2"]]))
    return network(double(inputs["x"]).reshape(1, 1, 2, 2))[0].tolist()


@golden("weight-decay-frobenius")
def _(inputs: Inputs):
    weights = [double(w) for w in inputs["W"]]
    return weight_decay_term(weights, strength=inputs["lam"], samples=inputs["m"]).item()


# -------------------------------------------------------------------------------------------------------- information
@golden("entropy-binary")
def _(inputs: Inputs):
    return [entropy(double(p)).item() for p in inputs["p"]]


@golden("information")
def _(inputs: Inputs):
    values = information(double(inputs["p"])).tolist()
    assert values == sorted(values)
    return values


# --------------------------------------------------------------------------------------------------------- round trips
@golden("cyclegan-cycle-loss")
def _(inputs: Inputs):
    x, y = double(inputs["x"]), double(inputs["y"])

    def there(v: Tensor) -> Tensor:
        return 2 * v + 1

    def back(v: Tensor) -> Tensor:
        return (v - 1) / 2 + 0.1

    return cycle_error(x, back(there(x)), y, there(back(y)))[0].item()
