"""Input typed at a prompt: names from other libraries, lists, plain tensors. Each is accepted, or refused with the fix."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
import torch

from sightline.decoding.suppression import nms
from sightline.errors import UsageError
from sightline.lab import updates
from sightline.lab.seeing.kernels import image_kernel
from sightline.layers.activations import activation
from sightline.layers.attention.positions import Layout, position_embedding
from sightline.layers.convolution.convolution import correlate
from sightline.layers.initialise import initialiser
from sightline.metrics import calibration, counts, ranking
from sightline.metrics.classification import classification_metrics
from sightline.models import MODELS

torch.set_num_threads(1)
COUNTS = counts.one_vs_rest(np.array([[8.0, 2.0], [1.0, 9.0]]))
TRUE = [False, True, False, True]
SCORE = [0.1, 0.9, 0.4, 0.35]


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: activation("ReLU"), r"did you mean 'relu'\?"),
        (lambda: activation("LeakyReLU"), r"did you mean 'leaky_relu'\?"),
        (lambda: activation("swish-ish"), "known: "),
        (lambda: initialiser("kaiming"), "use he"),
        (lambda: initialiser("kaiming_normal"), "use he"),
        (lambda: initialiser("glorot"), "use xavier"),
        (lambda: initialiser("Xavier"), r"did you mean 'xavier'\?"),
        (lambda: image_kernel("Sobel-X"), r"did you mean 'sobel_x'\?"),
        (lambda: image_kernel("gaussian"), "use gauss3"),
        (lambda: position_embedding("sinusoidal", Layout((2, 2), 4)), "sinusoid"),
        (lambda: MODELS["ResNet-18"], r"did you mean 'resnet18'\?"),
        (lambda: counts.rate("tpr", COUNTS), "use recall"),
        (lambda: counts.rate("sensitivity", COUNTS), "use recall"),
        (lambda: counts.rate("f1", COUNTS), "use f_beta"),
        (lambda: counts.rate("TNR", COUNTS), "use specificity"),
        (lambda: counts.rate("precison", COUNTS), r"did you mean 'precision'\?"),
        (lambda: counts.averaged("tpr", COUNTS, "macro"), "use recall"),
    ],
)
def test_a_name_from_elsewhere_gets_the_name_used_here(call, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        call()
    assert error.value.message.startswith("unknown ")
    assert re.search(hint, error.value.hint), error.value.hint


OUTSIDE = """
import numpy as np, torch
from sightline.lab import updates
from sightline.errors import UsageError
from sightline.layers.convolution.convolution import convolve, correlate, zero_pad
from sightline.layers.activations import activation
from sightline.losses.classification import binary_cross_entropy, cross_entropy, multiclass_hinge
from sightline.losses.segmentation import pixel_cross_entropy
from sightline.metrics import counts, ranking
from torch import nn

one, zero = torch.ones(3), torch.zeros(3)
image, kernel = torch.zeros(5, 5), torch.zeros(3, 3)
logits, index = torch.zeros(2, 3), torch.tensor([0, 2])
c = counts.one_vs_rest(np.eye(2))
for call in (
    lambda: updates.momentum(one, zero, {}, lr=0.1, form="anything"),
    lambda: updates.momentum(one, zero, {}, lr=0.1, form="Nesterov"),
    lambda: cross_entropy(logits, index),
    lambda: multiclass_hinge(logits, index),
    lambda: correlate(image, kernel),
    lambda: correlate(image[None, None], kernel),
    lambda: convolve(image, kernel),
    lambda: zero_pad(image, 1),
    lambda: activation(nn.ReLU),
    lambda: counts.averaged("recall", c, "mean"),
    lambda: ranking.average_precision(np.array([True, False]), np.array([1.0, 0.0]), "coco"),
    lambda: ranking.auc([0, 2], [0.1, 0.2]),
    lambda: ranking.auc([0, 1], [0.1, 0.2, 0.3]),
):
    try:
        call()
    except UsageError as error:
        print(error.message, "|", error.hint)
    except Exception as error:
        print(type(error).__name__, error)
    else:
        print("accepted")
"""
ANSWERS = [
    ("unknown momentum form 'anything'", "known: alexnet, average, nesterov, sum"),
    ("unknown momentum form 'Nesterov'", "did you mean 'nesterov'?"),
    ("labels are a Tensor", "pass Labels.of(index)"),
    ("labels are a Tensor", "pass Labels.of(index)"),
    ("x has shape (5, 5)", "x[None, None]"),
    ("kernel has shape (3, 3)", "kernel[None, None]"),
    ("x has shape (5, 5)", "x[None, None]"),
    ("x has shape (5, 5)", "x[None, None]"),
    ("unknown activation", "known: "),
    ("unknown averaging rule 'mean'", "macro"),
    ("unknown interpolation 'coco'", "coco_101"),
    ("positive holds values other than 0 and 1", "pass"),
    ("2 labels for 3 scores", "pass"),
]


def test_calls_without_a_type_checker() -> None:
    """In a separate process, because here jaxtyping and beartype reject such calls before the function sees them."""
    done = subprocess.run([sys.executable, "-c", OUTSIDE], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == len(ANSWERS)
    for line, (message, hint) in zip(lines, ANSWERS, strict=True):
        got, _, fix = line.partition(" | ")
        assert message in got, line
        assert hint in fix, line


def test_image_kernels_meet_images_of_32_bits() -> None:
    image = torch.arange(25.0).view(1, 1, 5, 5)
    for dtype in (torch.float32, torch.float64):
        answer = correlate(image.to(dtype), image_kernel("sobel_x", dtype=dtype)[None, None])
        assert answer.dtype == dtype
    assert image_kernel("box3").dtype == torch.float32
    assert torch.allclose(correlate(image, image_kernel("sobel_x")[None, None]), torch.full((1, 1, 3, 3), 8.0))
    assert image_kernel("box3", dtype=torch.float64).sum().item() == pytest.approx(1, abs=1e-15)


def test_lists_are_arrays() -> None:
    truth, score = np.array(TRUE), np.array(SCORE)
    assert ranking.auc(TRUE, SCORE) == ranking.auc([0, 1, 0, 1], SCORE) == ranking.auc(truth, score) == 0.75
    for curve in (ranking.roc_curve, ranking.precision_recall_curve):
        for listed, given in zip(curve(TRUE, SCORE), curve(truth, score), strict=True):
            assert np.array_equal(listed, given)
    assert ranking.average_precision(TRUE, SCORE) == ranking.average_precision(truth, score)
    rows = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    assert ranking.top_k_accuracy([0, 1, 1], rows, 1) == pytest.approx(2 / 3)
    assert ranking.one_vs_rest_auc([0, 1, 1], rows).tolist() == [1.0, 1.0]
    assert counts.confusion_matrix([0, 1, 1], [0, 1, 0], 2).tolist() == [[1, 0], [1, 1]]
    assert classification_metrics([0, 1, 1], rows) == classification_metrics(np.array([0, 1, 1]), np.array(rows))
    assert calibration.log_loss([0, 1], rows[:2]) == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)
    assert calibration.brier_score([0, 1], rows[:2]) == pytest.approx(0.02 / 2 + 0.08 / 2)
    assert calibration.expected_calibration_error([0.9, 0.8], [True, True]) == pytest.approx(0.15)


def test_nms_takes_lists_and_whole_numbers() -> None:
    boxes = [[0, 0, 10, 10], [0, 0, 10, 9], [20, 20, 30, 30]]
    assert nms(boxes, [0.5, 0.9, 0.1], 0.5).tolist() == [1, 2]
    assert nms(torch.tensor(boxes), torch.tensor([1, 2, 3]), 0.5).tolist() == [2, 1]
    assert nms([], [], 0.5).tolist() == []


def test_momentum_knows_its_forms() -> None:
    w, g = torch.ones(2), torch.ones(2)
    first = {"average": 0.99, "sum": 0.9, "alexnet": 0.9, "nesterov": 0.81}  # of weight 1 and gradient 1, β = 0.9
    for form, expected in first.items():
        moved, _ = updates.momentum(w, g, {}, lr=0.1, form=form)
        assert moved.tolist() == pytest.approx([expected] * 2)
