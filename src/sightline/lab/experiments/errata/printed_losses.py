"""Losses and linear classifiers: what is printed, what is right.

Which worked examples of scores, losses and penalties do not come out when they are computed?
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import one_hot

from sightline.lab.errata import Erratum, judged
from sightline.lab.experiment import Experiment, Formula, Result
from sightline.layers.activations import softmax_steps
from sightline.losses.classification import multiclass_hinge
from sightline.losses.detection.yolo_v1 import BACKGROUND, cell_loss
from sightline.losses.information import cross_entropy_between
from sightline.losses.penalties import l1_penalty
from sightline.losses.regression import smooth_l1
from sightline.models.early.linear import LinearClassifier
from sightline.structures.grids import CellPredictions, CellTargets
from sightline.structures.targets import Labels


@dataclass(frozen=True)
class Parameters:
    pass


def double(values: object) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def scores(weight: list[list[float]], bias: list[float], x: list[float]) -> list[float]:
    """Of the product's linear classifier over four pixels."""
    network = LinearClassifier(in_channels=1, image_size=(2, 2), num_classes=len(weight)).double()
    with torch.no_grad():
        network.get_parameter("fc.weight").copy_(double(weight))
        network.get_parameter("fc.bias").copy_(double(bias))
        return network(double(x).reshape(1, 1, 2, 2))[0].tolist()


def hinge(values: list[float], y: int) -> float:
    return multiclass_hinge(double([values]), Labels.of(torch.tensor([y])))[0].item()


def hinge_term() -> float:
    """The term of the class with score 10 beside a true one of 3.2."""
    return hinge([3.2, 10.0], 0)


def slope_at_probabilities() -> list[float]:
    p = double([0.2, 0.5, 0.3]).requires_grad_()
    return torch.autograd.grad(cross_entropy_between(one_hot(torch.tensor(1), 3).double(), p), p)[0].tolist()


def three_terms() -> float:
    guessed = double([[0.71, 0.26, 0.04], [0.02, 0.0, 0.98], [0.49, 0.49, 0.02]])
    return cross_entropy_between(one_hot(torch.tensor([0, 2, 1]), 3).double(), guessed).sum().item()


def slope_inside_the_knee() -> float:
    x = double([1 - 1e-9]).requires_grad_()
    return torch.autograd.grad(smooth_l1(x, double([0.0]))[0], x)[0].item()


def yolo_terms(side: int, predictors: int) -> float:
    """Without objects and with a confidence of 1 each of them costs λnoobj."""
    none, cells = torch.zeros(0, dtype=torch.long), torch.zeros(1, side, side)
    boxes, confidence = cells[..., None, None].expand(-1, -1, -1, predictors, 4), torch.ones(1, side, side, predictors)
    predicted = CellPredictions(boxes, confidence, cells[..., None])
    empty = CellTargets(none.new_zeros(0, 3), torch.zeros(0, 4), none, none, cells.bool())
    return cell_loss(predicted, empty).background.item() / BACKGROUND


CATS = [[0.2, -0.5, 0.1, 2.0], [1.5, 1.3, 2.1, 0.0], [0.0, 0.25, 0.2, -0.3]]
ROWS = (
    Erratum("the ship's score beside cat −96.8 and dog 437.9", 61.95, 60.75,
            lambda: scores(CATS, [1.1, 3.2, -1.2], [56, 231, 24, 2])[2], "the bias −1.2 was forgotten"),
    Erratum("hinge of a score of 10 beside the true 3.2, margin 1", 6.8, 7.8, hinge_term, "the case form lost its + m"),
    Erratum("hinge of 0.05 W, where W has none", 0, 0.855, lambda: hinge([0.005, 0.7, 0.25], 1),
            "αW keeps a margin only for α ≥ 1"),
    Erratum("Σ|w| of 0.2, 0.8, 0.2, 0.1", 1.4, 1.3, lambda: l1_penalty([double([0.2, 0.8, 0.2, 0.1])]).item(), "miscalculated"),
    Erratum("scores of (2, 0.1, 0.1, 0.5) by W₁ = (0.2, 0.8, 0.2, 0.1) and W₂ = (1, 0, 0, 0)", (2, 2), (0.55, 2),
            lambda: scores([[0.2, 0.8, 0.2, 0.1], [1, 0, 0, 0]], [0, 0], [2, 0.1, 0.1, 0.5]),
            "they are not equal, so the example does not show what a penalty decides"),
    Erratum("sum of exponentials of 3.2, −5, 10", 22026.4658, 22051.0051,
            lambda: softmax_steps(double([3.2, -5.0, 10.0])).normaliser.item(), "e¹⁰ alone", 1e-7),
    Erratum("∂L/∂p at p = (0.2, 0.5, 0.3), true class 2", (0.2, -0.5, 0.3), (0, -2, 0), slope_at_probabilities,
            "p − y is the slope at the scores; at p it is −y/p"),
    Erratum("0.34 + 0.02 + 0.71 from −log 0.71, 0.98, 0.49", 1.07, 1.0760, three_terms, "rounded terms were added",
        1e-4),
    Erratum("slope of smooth L1 just inside its knee", 2, 1, slope_inside_the_knee,
            "x²/β inside has slope 2 there, and |x| outside slope 1: not smooth", 1e-6),
    Erratum("terms in YOLO's sums, S = 7 and B = 2", 50 * 3, 49 * 2, lambda: yolo_terms(7, 2),
            "0 … S² and 0 … B are one too many of each (also in the paper)"),
)  # fmt: skip


def run(parameters: Parameters, seed: int) -> Result:
    return judged(ROWS, "Worked examples of course notes on linear classifiers.")


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "Most slips are one forgotten term. A number that was computed, and not copied, has it.",
        "One row is a matter of rounding only: terms that were rounded before they were added.",
    ),
    formulas=(
        Formula("Σ_{j≠y} max(0, sⱼ − s_y + m)", "Weston and Watkins 1999, ESANN"),
        Formula("½d²/β inside β, |d| − ½β outside", "Girshick 2015, arXiv:1504.08083"),
    ),
    code=(multiclass_hinge, cross_entropy_between, smooth_l1, judged),
    random=False,
)
