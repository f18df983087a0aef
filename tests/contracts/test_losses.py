"""What every loss promises: torch's values, exact means over parts, nothing from the unknown, no number out of range."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from sightline.errors import UsageError
from sightline.losses.classification import binary_cross_entropy, cross_entropy, focal_of_classes, multiclass_hinge
from sightline.losses.penalties import l1_penalty, l2_penalty, weight_decay_term
from sightline.losses.regression import smooth_l1, squared_error
from sightline.structures.targets import Labels

torch.set_num_threads(1)
CLASS_WEIGHT = torch.tensor([0.5, 2.0, 1.0, 0.1, 3.0], dtype=torch.float64)


def drawn(seed: int, n: int = 12, k: int = 5, unknown: bool = True) -> tuple[Tensor, Labels]:
    g = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(n, k, dtype=torch.float64, generator=g)
    index = torch.randint(-1 if unknown else 0, k, (n,), generator=g)
    return logits, Labels.of(index)


def mixed(labels: Labels, k: int = 5) -> Labels:
    g = torch.Generator().manual_seed(9)
    soft = torch.rand(len(labels.index), k, dtype=torch.float64, generator=g)
    return Labels(labels.index, labels.known, soft=soft / soft.sum(1, keepdim=True))


def torch_index(labels: Labels) -> Tensor:
    return labels.index.where(labels.known, -100)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weight", [None, CLASS_WEIGHT])
@pytest.mark.parametrize("seed", range(3))
def test_cross_entropy_is_torchs(seed: int, weight: Tensor | None, smoothing: float) -> None:
    logits, labels = drawn(seed)
    logits.requires_grad_()
    mean, total_weight = cross_entropy(logits, labels, smoothing=smoothing, class_weight=weight)
    expected = F.cross_entropy(logits, torch_index(labels), weight, ignore_index=-100, label_smoothing=smoothing)
    assert mean.item() == pytest.approx(expected.item(), rel=1e-12)
    (own,), (theirs,) = torch.autograd.grad(mean, logits), torch.autograd.grad(expected, logits)
    assert torch.allclose(own, theirs, rtol=1e-12, atol=1e-15)
    counted = labels.known.double() if weight is None else labels.known * weight[labels.index]
    assert total_weight.item() == pytest.approx(counted.sum().item())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_mixed_labels_are_torchs(smoothing: float) -> None:
    logits, labels = drawn(0, unknown=False)
    labels = mixed(labels)
    mean, weight = cross_entropy(logits, labels, smoothing=smoothing)
    expected = F.cross_entropy(logits, labels.soft, label_smoothing=smoothing)
    assert mean.item() == pytest.approx(expected.item(), rel=1e-12)
    assert weight.item() == pytest.approx(12)
    mean, weight = cross_entropy(logits, labels, smoothing=smoothing, class_weight=CLASS_WEIGHT)
    total = F.cross_entropy(logits, labels.soft, CLASS_WEIGHT, label_smoothing=smoothing, reduction="sum")
    assert (mean * weight).item() == pytest.approx(total.item(), rel=1e-12)
    assert weight.item() == pytest.approx((labels.soft * CLASS_WEIGHT).sum().item())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weight", [None, CLASS_WEIGHT])
def test_a_mixed_label_of_one_class_is_that_class(weight: Tensor | None, smoothing: float) -> None:
    logits, labels = drawn(1)
    soft = Labels(labels.index, labels.known, soft=F.one_hot(labels.index, 5).double())
    options = {"smoothing": smoothing, "class_weight": weight}
    for got, want in zip(cross_entropy(logits, soft, **options), cross_entropy(logits, labels, **options), strict=True):
        assert got.item() == pytest.approx(want.item(), rel=1e-12)


def losses(logits: Tensor, labels: Labels) -> dict[str, tuple[Tensor, Tensor]]:
    """Every loss of this room on a batch: yes-or-no and number losses see the scores as such, each sample known or not."""
    known = labels.known[:, None].expand_as(logits)
    target = torch.sin(7 * torch.arange(logits.shape[1]) + labels.index[:, None]).to(logits.dtype)
    return {
        "cross_entropy": cross_entropy(logits, labels),
        "weighted, smoothed": cross_entropy(logits, labels, smoothing=0.1, class_weight=CLASS_WEIGHT),
        "mixed": cross_entropy(logits, Labels(labels.index, labels.known, soft=target.softmax(1)), smoothing=0.1),
        "hinge": multiclass_hinge(logits, labels),
        "weighted hinge": multiclass_hinge(logits, labels, class_weight=CLASS_WEIGHT, margin=0.5),
        "binary": binary_cross_entropy(logits, target.sigmoid(), known=known),
        "squared": squared_error(logits, target, known=known),
        "smooth": smooth_l1(logits, target, known=known, beta=0.5),
    }


NAMES = list(losses(*drawn(0)))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 12))
def test_parts_make_the_whole(seed: int, cut: int) -> None:
    """Σ w·L / Σ w over two parts of a batch is the loss of the batch, wherever it is cut and whatever is unknown."""
    logits, labels = drawn(seed)
    whole = losses(logits, labels)
    halves = [
        losses(logits[part], Labels(labels.index[part], labels.known[part])) for part in (slice(cut), slice(cut, None))
    ]
    for name, (mean, weight) in whole.items():
        parts = [half[name] for half in halves]
        total = sum(w for _, w in parts)
        assert total.item() == pytest.approx(weight.item()), name
        if total > 0:
            assert (sum(m * w for m, w in parts) / total).item() == pytest.approx(mean.item(), rel=1e-9), name


@pytest.mark.parametrize("name", NAMES)
def test_nothing_known_is_nothing(name: str) -> None:
    logits, _ = drawn(0)
    logits.requires_grad_()
    mean, weight = losses(logits, Labels.of(torch.full((12,), -1)))[name]
    mean.backward()
    assert mean.item() == weight.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_classes_of_no_weight_are_nothing() -> None:
    """Not even what smoothing moves to the others: a mean over no weight could not be joined with another."""
    logits = torch.randn(3, 5, requires_grad=True)
    weight = torch.tensor([0.0, 1, 1, 1, 1])
    mean, total = cross_entropy(logits, Labels.of(torch.zeros(3, dtype=torch.long)), smoothing=0.1, class_weight=weight)
    mean.backward()
    assert mean.item() == total.item() == 0
    assert torch.equal(logits.grad, torch.zeros(3, 5))


@pytest.mark.parametrize("name", NAMES)
def test_the_unknown_gets_no_gradient(name: str) -> None:
    logits, labels = drawn(3)
    logits.requires_grad_()
    losses(logits, labels)[name][0].backward()
    assert not labels.known.all()
    assert logits.grad[~labels.known].abs().max() == 0
    assert logits.grad[labels.known].abs().max() > 0


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_numerical_ones(name: str) -> None:
    logits, labels = drawn(4)
    assert torch.autograd.gradcheck(lambda x: losses(x, labels)[name][0], logits.requires_grad_())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_extreme_scores_stay_numbers(name: str, dtype: torch.dtype) -> None:
    """A softmax and a logarithm one after the other would give infinities here; 16 bits are judged in 32."""
    logits, labels = drawn(5)
    logits = (300 * logits).to(dtype).requires_grad_()
    mean, weight = losses(logits, labels)[name]
    mean.backward()
    assert mean.isfinite()
    assert logits.grad.isfinite().all()
    assert mean.ndim == weight.ndim == 0
    assert mean.dtype == weight.dtype == torch.float32


@pytest.mark.parametrize("margin", [1.0, 0.25])
def test_hinge_by_loops(margin: float) -> None:
    logits, labels = drawn(6)
    rows = [
        sum(max(0.0, (s[j] - s[y] + margin).item()) for j in range(5) if j != y)
        for s, y, known in zip(logits, labels.index, labels.known, strict=True)
        if known
    ]
    mean, weight = multiclass_hinge(logits, labels, margin=margin)
    assert mean.item() == pytest.approx(sum(rows) / len(rows))
    assert weight.item() == len(rows)


def test_focal_of_classes() -> None:
    """(1 - p)² of each known image's cross-entropy; γ = 0 is cross-entropy, with weights; the unknown has no gradient."""
    logits = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 1.0]], requires_grad=True)
    labels = Labels.of(torch.tensor([1, 0, -1]))
    mean, weight = focal_of_classes(logits, labels)
    sure = 1 / (1 + math.exp(-2))
    wanted = (0.25 * math.log(2) - (1 - sure) ** 2 * math.log(sure)) / 2
    assert (float(mean.detach()), float(weight)) == (pytest.approx(wanted, rel=1e-6), 2)
    mean.backward()
    assert logits.grad is not None and not logits.grad[2].any() and logits.grad[1].any()
    weights = torch.tensor([1.0, 3.0])
    plain, focal = (
        f(logits.detach(), labels, class_weight=weights) for f in (cross_entropy, partial(focal_of_classes, gamma=0.0))
    )
    assert float(focal[0]) == pytest.approx(float(plain[0]), rel=1e-6) and float(focal[1]) == float(plain[1]) == 4


def test_hinge_refuses_mixed_labels() -> None:
    logits, labels = drawn(0)
    with pytest.raises(UsageError, match="no mixed labels"):
        multiclass_hinge(logits, mixed(labels))


def test_at_the_start_the_loss_is_log_of_the_classes() -> None:
    mean, _ = cross_entropy(torch.zeros(4, 10), Labels.of(torch.tensor([0, 3, 9, 1])))
    assert mean.item() == pytest.approx(torch.tensor(10.0).log().item())


def test_two_classes_are_one_question() -> None:
    """A sigmoid of z is the softmax of (z, 0)."""
    z = torch.randn(9, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    yes = torch.tensor([0, 1, 1, 0, 1, 0, 0, 1, 1])
    two = torch.stack([z, torch.zeros_like(z)], 1)
    binary = binary_cross_entropy(z, yes.double())[0]
    assert binary.item() == pytest.approx(cross_entropy(two, Labels.of(1 - yes))[0].item(), rel=1e-12)


def test_binary_and_numbers_are_torchs() -> None:
    logits, labels = drawn(7, unknown=False)
    target = F.one_hot(labels.index, 5).double()
    rare = torch.tensor([1.0, 2, 3, 4, 5], dtype=torch.float64)
    mean, weight = binary_cross_entropy(logits, target, positive_weight=rare)
    assert mean.item() == pytest.approx(F.binary_cross_entropy_with_logits(logits, target, pos_weight=rare).item())
    assert weight.item() == 60
    assert squared_error(logits, target)[0].item() == pytest.approx(F.mse_loss(logits, target).item())
    assert smooth_l1(logits, target, beta=2.0)[0].item() == pytest.approx(
        F.smooth_l1_loss(logits, target, beta=2.0).item()
    )


@pytest.mark.parametrize("beta", [0.5, 1.0, 3.0])
def test_smooth_l1_is_smooth(beta: float) -> None:
    """Value and slope meet at the knee: 0.5 d²/β there is |d| - 0.5 β, with slope 1."""
    d = torch.tensor([beta - 1e-7, beta, beta + 1e-7, -4 * beta], dtype=torch.float64, requires_grad=True)
    values = [smooth_l1(x, torch.zeros_like(x), beta=beta)[0] for x in d]
    (slopes,) = torch.autograd.grad(sum(values), d)
    assert [v.item() for v in values] == pytest.approx([beta / 2] * 3 + [3.5 * beta], abs=1e-6)
    assert slopes.tolist() == pytest.approx([1, 1, 1, -1], abs=1e-6)


def test_penalties_and_their_gradients() -> None:
    weights = [torch.tensor([[1.0, -2.0]], requires_grad=True), torch.tensor([0.5], requires_grad=True)]
    assert l1_penalty(weights).item() == 3.5
    assert l2_penalty(weights).item() == 5.25
    weight_decay_term(weights, strength=0.6, samples=3).backward()
    assert weights[0].grad.tolist() == [[pytest.approx(0.2), pytest.approx(-0.4)]]  # λ/m · W, as an optimiser's decay
