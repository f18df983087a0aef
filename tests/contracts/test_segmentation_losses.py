"""Losses over pixels: their values, what is unknown, and that parts of a batch add up to the whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from sightline.losses.segmentation import class_planes, focal, pixel_cross_entropy, soft_dice, summed_cross_entropy
from sightline.structures.targets import IGNORE

torch.set_num_threads(1)
LOSSES = {"cross_entropy": pixel_cross_entropy, "focal": focal, "dice": soft_dice}
WEIGHT = torch.tensor([0.5, 2.0, 3.0, 1.0])


def case(seed: int = 0, images: int = 3) -> tuple[Tensor, Tensor]:
    """Scores and classes of 4; the first image knows nothing, the second half, class 2 occurs only in the last."""
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(images, 4, 6, 5, generator=generator, dtype=torch.float64)
    index = torch.randint(0, 4, (images, 6, 5), generator=generator)
    index[:-1][index[:-1] == 2] = 1
    index[0] = IGNORE
    index[1, :3] = IGNORE
    return logits.requires_grad_(), index


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["even", "weighted"])
@pytest.mark.parametrize("name", LOSSES)
def test_parts_add_up(name: str, weight: Tensor | None) -> None:
    """Σ w·L / Σ w over any parts is the loss of the whole, and so is its gradient; all losses have the same weight."""
    logits, index = case()
    whole, total = LOSSES[name](logits, index, class_weight=weight)
    parts = [LOSSES[name](logits[i : i + 1], index[i : i + 1], class_weight=weight) for i in range(3)]
    joined = sum(mean * w for mean, w in parts) / sum(w for _, w in parts)
    assert parts[0][0] == parts[0][1] == 0
    assert torch.allclose(whole, joined)
    assert torch.allclose(*(torch.autograd.grad(value, logits, retain_graph=True)[0] for value in (whole, joined)))
    known = index[index != IGNORE]
    assert total.item() == pytest.approx(len(known) if weight is None else weight[known].sum().item())
    assert not total.requires_grad


@pytest.mark.parametrize("name", LOSSES)
def test_unknown_pixels_count_nowhere(name: str) -> None:
    logits, index = case()
    mean, _ = LOSSES[name](logits, index)
    (gradient,) = torch.autograd.grad(mean, logits)
    assert gradient[(index == IGNORE)[:, None].expand_as(gradient)].abs().max() == 0
    assert gradient[1, :, 3:].abs().min() > 0
    changed = logits.detach().clone()
    changed[(index == IGNORE)[:, None].expand_as(changed)] += 5
    assert torch.allclose(LOSSES[name](changed, index)[0], mean)


@pytest.mark.parametrize("name", LOSSES)
def test_nothing_known(name: str) -> None:
    logits, index = case()
    mean, weight = LOSSES[name](logits, torch.full_like(index, IGNORE))
    assert mean == weight == 0
    assert torch.autograd.grad(mean, logits)[0].abs().max() == 0


@pytest.mark.parametrize("name", LOSSES)
def test_sixteen_bits_are_judged_in_thirty_two(name: str) -> None:
    logits, index = case()
    coarse = logits.detach().to(torch.bfloat16)
    mean, _ = LOSSES[name](coarse, index)
    assert mean.dtype == torch.float32
    assert torch.equal(mean, LOSSES[name](coarse.float(), index)[0])


@pytest.mark.parametrize("name", LOSSES)
def test_gradients(name: str) -> None:
    logits, index = case()
    function: Callable[[Tensor], Tensor] = lambda x: LOSSES[name](x, index, class_weight=WEIGHT.double())[0]
    assert torch.autograd.gradcheck(function, logits)


def test_cross_entropy_is_torch_s() -> None:
    logits, index = case()
    for weight in (None, WEIGHT.double()):
        expected = torch.nn.functional.cross_entropy(logits, index, weight, ignore_index=IGNORE)
        assert torch.allclose(pixel_cross_entropy(logits, index, class_weight=weight)[0], expected)
    sums, pixels = summed_cross_entropy(logits, index)
    assert pixels.tolist() == [0, 15, 30]
    assert torch.allclose(sums.sum() / pixels.sum(), pixel_cross_entropy(logits, index)[0])
    assert sums[0] == 0


def test_focal() -> None:
    """As printed, (1 - p)^γ · -log p, one pixel at a time; with γ = 0 it is cross-entropy."""
    logits, index = case()
    assert torch.allclose(focal(logits, index, gamma=0.0)[0], pixel_cross_entropy(logits, index)[0])
    p = logits.softmax(1)[2].gather(0, index[2][None])[0]
    for gamma in (0.5, 1.0, 2.0, 5.0):
        expected = ((1 - p) ** gamma * -p.log()).mean()
        assert torch.allclose(focal(logits[2:], index[2:], gamma=gamma)[0], expected)
    sure = torch.tensor([1e3, 0, 0, 0]).view(1, 4, 1, 1).requires_grad_()  # (4,) → (1, 4, 1, 1)
    mean, _ = focal(sure, torch.zeros(1, 1, 1, dtype=torch.int64), gamma=0.5)
    assert torch.autograd.grad(mean, sure)[0].isfinite().all()


def test_dice_by_hand() -> None:
    """Of each image over the classes that occur in it, each image by its pixels."""
    logits, index = case()
    p = logits.softmax(1)
    images = []
    for row in (1, 2):
        known = index[row] != IGNORE
        scores = []
        for c in index[row][known].unique():
            y, q = index[row][known] == c, p[row, c][known]
            scores.append(2 * q[y].sum() / (q.sum() + y.sum()))
        images.append(1 - torch.stack(scores).mean())
    assert torch.allclose(soft_dice(logits, index)[0], (15 * images[0] + 30 * images[1]) / 45)


def test_dice_of_right_and_wrong_answers() -> None:
    index = torch.tensor([[[0, 0, 1, 1]]])
    right = 100 * class_planes(index, 3).float()
    assert soft_dice(right, index)[0] == 0
    wrong = 100 * class_planes(1 - index, 3).float()
    assert soft_dice(wrong, index)[0] == 1
    elsewhere = 100 * class_planes(torch.full_like(index, 2), 3).float()  # all to a class that does not occur
    assert soft_dice(elsewhere, index)[0] == 1
    one = 100 * class_planes(torch.zeros_like(index), 3).float()
    assert soft_dice(one, index)[0].item() == pytest.approx(1 - (2 * 2 / (4 + 2) + 0) / 2)
    weighted = soft_dice(one, index, class_weight=torch.tensor([3.0, 1.0, 7.0]))[0]
    assert weighted.item() == pytest.approx(1 - 3 * (2 / 3) / 4)
