"""Encoders against their formulas and against scikit-image."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from skimage.feature import fisher_vector as theirs
from skimage.filters import gabor_kernel
from sklearn.mixture import GaussianMixture
from torch import Tensor

from sightline.classical.features.banks import gabor, gabor_bank, leung_malik_bank
from sightline.classical.features.codes import SparseCodes
from sightline.classical.features.colours import histogram
from sightline.classical.features.sift import DenseSift
from sightline.classical.features.words import BagOfWords, fisher_size, fisher_vector
from sightline.classical.learners.quantised import codebooks, decode, encode, packed_bytes


def mixture(gaussians: int, dimensions: int) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(3)
    weight = torch.rand(gaussians, generator=draw, dtype=torch.float64) + 0.2
    centre = torch.randn(gaussians, dimensions, generator=draw, dtype=torch.float64)
    deviation = torch.rand(gaussians, dimensions, generator=draw, dtype=torch.float64) + 0.5
    return weight / weight.sum(), centre, deviation


def log_likelihood(x: Tensor, weight: Tensor, centre: Tensor, deviation: Tensor) -> Tensor:
    """The mean over the points, by torch's own densities."""
    parts = torch.distributions.Normal(centre, deviation).log_prob(x[:, None]).sum(2)
    return (weight.log() + parts).logsumexp(1).mean()


def test_fisher_vector_is_the_numerical_gradient_of_the_log_likelihood() -> None:
    weight, centre, deviation = mixture(3, 4)
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    step, expected = 1e-5, []
    for parameters, scale in (
        (centre, deviation / weight.sqrt()[:, None]),
        (deviation, deviation / (2 * weight).sqrt()[:, None]),
    ):
        slopes = torch.zeros_like(parameters)
        for place in np.ndindex(*parameters.shape):
            values = []
            for sign in (1, -1):
                parameters[place] += sign * step
                values.append(log_likelihood(x, weight, centre, deviation))
                parameters[place] -= sign * step
            slopes[place] = (values[0] - values[1]) / (2 * step)
        expected.append((slopes * scale).flatten())
    assert (fisher_vector(x[None], weight, centre, deviation)[0] - torch.cat(expected)).abs().max() < 1e-6


def test_the_deviations_of_scikit_image_have_the_other_sign() -> None:
    """Its vector has the weights first; after them the means agree, and the deviations are the negative ones."""
    weight, centre, deviation = mixture(3, 4)
    model = GaussianMixture(3, covariance_type="diag")
    model.weights_, model.means_, model.covariances_ = (t.numpy() for t in (weight, centre, deviation.square()))
    model.precisions_cholesky_ = 1 / deviation.numpy()
    x = torch.randn(20, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    ours, other = fisher_vector(x[None], weight, centre, deviation)[0].numpy(), theirs(x.numpy(), model)
    n = 3 * 4
    assert np.abs(ours[:n] - other[3 : 3 + n]).max() < 1e-12
    assert np.abs(ours[n:] + other[3 + n :]).max() < 1e-12


def test_sizes_of_the_2011_winner() -> None:
    assert fisher_size(64, 1024, 4) == 524_288
    assert packed_bytes(524_288, 8, 1) == 65_536


@pytest.mark.parametrize(("group", "bits"), [(8, 1), (4, 1), (3, 2)])
def test_quantised_vectors_are_the_nearest_words(group: int, bits: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(300, 22)  # the last group is not full
    words = codebooks(x, group, bits)
    code = encode(x, words)
    assert code.shape == (300, packed_bytes(22, group, bits)) and code.dtype == torch.uint8
    again = decode(code, words, 22)
    padded = torch.nn.functional.pad(x, (0, -22 % group)).unflatten(1, (-1, group))
    gaps = (padded[:, :, None] - words).square().sum(3)
    assert torch.allclose((again - x).square().sum(1), gaps.amin(2).sum(1), atol=1e-4)
    assert (again - x).square().sum() < 0.75 * x.square().sum()


@pytest.mark.parametrize(("angle", "frequency"), [(0.0, 0.2), (math.pi / 4, 0.25), (1.0, 0.1)])
def test_gabor_is_scikit_images(angle: float, frequency: float) -> None:
    """Which divides by 2πσ², and calls σ_y what is σ / γ here."""
    expected = gabor_kernel(frequency, angle, sigma_x=3.0, sigma_y=6.0, dtype=np.complex128)
    high, wide = (side // 2 for side in expected.shape)
    y, x = np.mgrid[-high : high + 1, -wide : wide + 1].astype(float)
    ours = gabor(*map(torch.from_numpy, (x, y)), wavelength=1 / frequency, orientation=angle, sigma=3.0, aspect=0.5)
    assert np.abs(ours.numpy() / (2 * math.pi * 18) - expected).max() < 1e-12


def test_banks() -> None:
    lm = leung_malik_bank()
    assert lm.shape == (48, 1, 49, 49)
    assert lm[:44].sum((2, 3)).abs().max() < 1e-5 and torch.allclose(lm[44:].sum((1, 2, 3)), torch.ones(4))
    bank = gabor_bank(15, (6.0,), 4)
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    for number in range(4):
        angle = number * math.pi / 4
        wave = torch.sin(2 * math.pi / 6 * (x * math.cos(angle) + y * math.sin(angle)))
        energy = torch.nn.functional.conv2d(wave[None, None], bank).square().mean((2, 3)).view(4, 2).sum(1)
        assert energy.argmax() == number and energy[number] > 5 * energy[(number + 2) % 4]


def test_colour_histogram_ignores_where_pixels_are() -> None:
    x = torch.rand(1, 3, 12, 10, generator=torch.Generator().manual_seed(0))
    mixed = x.flatten(2)[:, :, torch.randperm(120, generator=torch.Generator().manual_seed(1))].view_as(x)
    assert torch.allclose(histogram(x, 4), histogram(mixed, 4), atol=1e-7)
    assert abs(float(histogram(x, 4).sum()) - 1) < 1e-5
    corner = histogram(torch.tensor([1.0, 0.0, 1.0]).view(1, 3, 1, 1), 4)[0]
    assert corner.argmax() == 3 * 16 + 0 * 4 + 3 and float(corner.max()) == 1


def test_dense_sift() -> None:
    """128 numbers of length 1; a brighter or paler image has the same; a ramp votes for one direction only."""
    x = torch.rand(1, 1, 24, 20, generator=torch.Generator().manual_seed(0))
    sift = DenseSift(cell=4, step=2)
    found = sift(x)
    assert found.shape == (1, 5 * 3, 128) and sift.grid(24, 20) == (5, 3)
    assert torch.allclose(found.norm(dim=2), torch.ones(1, 15), atol=0.02)
    assert torch.allclose(sift(0.5 * x + 0.3), found, atol=1e-4)
    ramp = (
        torch.arange(20.0).expand(1, 1, 24, 20) / 40
    )  # brighter to the right: 0°, shared by the first and the last bin
    directions = sift(ramp).unflatten(2, (4, 4, 8))[0].sum((0, 1, 2))
    assert directions[[0, 7]].min() > 1 and directions[1:7].abs().max() < 1e-6


def test_sparse_codes_reconstruct_and_are_sparse() -> None:
    encoder = SparseCodes((1, 8, 8), words=24, side=4, stride=1, patches=10, penalty=0.1, iterations=200).double()
    words = torch.randn(24, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    encoder.words.copy_(words / words.norm(dim=1, keepdim=True))
    encoder.step.fill_(1 / torch.linalg.eigvalsh(encoder.words @ encoder.words.T)[-1])
    truth = torch.zeros(5, 24, dtype=torch.float64)
    truth[torch.arange(5)[:, None], torch.tensor([[0, 5], [3, 9], [7, 8], [11, 20], [2, 23]])] = 2.0
    x = truth @ encoder.words
    z = encoder.signed(x)
    assert (z @ encoder.words - x).norm() < 0.2 * x.norm()
    assert (z.abs() > 1e-3).sum(1).max() <= 8
    slack = (
        x - z @ encoder.words
    ) @ encoder.words.T  # optimal: |slack| ≤ penalty, equal with z's sign where z is not 0
    assert slack.abs().max() < 0.1 + 1e-3
    assert torch.allclose(slack[z.abs() > 1e-2], 0.1 * z[z.abs() > 1e-2].sign(), atol=1e-2)


def test_spatial_pyramid_counts_words_where_they_are() -> None:
    encoder = BagOfWords((1, 24, 24), words=3, levels=2, cell=3, step=2, samples=10)
    assert encoder.regions == ((1, 1), (2, 2)) and encoder.size == 15
    codes = torch.zeros(1, encoder.rows * encoder.columns, 3)
    maps = codes.view(1, encoder.rows, encoder.columns, 3)
    maps[:, : encoder.rows // 2, : encoder.columns // 2, 1] = 1
    parts = [part.mean(1) for part in encoder.cut(codes)]
    assert float(parts[1][0, 1]) == 1 and all(float(part.sum()) == 0 for part in parts[2:])
    assert 0.15 < float(parts[0][0, 1]) < 0.35
