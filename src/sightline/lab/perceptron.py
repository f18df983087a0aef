"""The perceptron: a threshold unit, and the rule that corrects it by each sample that it gets wrong (Rosenblatt 1958)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Perceptron:
    """Class 1 where weight · x + bias > 0, else class 0."""

    weight: Float[Tensor, "d"]
    bias: float

    def __call__(self, x: Float[Tensor, "n d"]) -> Int[Tensor, "n"]:
        return (x @ self.weight + self.bias > 0).long()


@dataclass(frozen=True)
class Learning:
    """The unit after the last epoch, the errors of every epoch, and how often the weights were corrected."""

    unit: Perceptron
    errors: list[int]
    corrections: int

    @property
    def converged(self) -> bool:
        return self.errors[-1] == 0


def learn(x: Float[Tensor, "n d"], y: Int[Tensor, "n"], *, epochs: int) -> Learning:
    """w ← w + x for a missed sample of class 1, w ← w - x for one that is wrongly called 1; the bias likewise with a
    constant input of 1. Ends with the first epoch without an error, or after `epochs`."""
    weight, bias, errors, corrections = torch.zeros(x.shape[1], dtype=x.dtype), 0.0, [], 0
    for _ in range(epochs):
        wrong = 0
        for sample, truth in zip(x, y.tolist(), strict=True):
            answer = int(weight @ sample + bias > 0)
            if answer != truth:
                weight, bias = weight + (truth - answer) * sample, bias + (truth - answer)
                wrong += 1
        errors.append(wrong)
        corrections += wrong
        if wrong == 0:
            break
    return Learning(Perceptron(weight, bias), errors, corrections)
