"""What the experiments stand on: the perceptron's rule, surfaces, films, and losses that only they use so far."""

from __future__ import annotations

import io
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

from sightline.drawing.figures.animation import SIDE, moving_paths
from sightline.drawing.plane import Path
from sightline.lab import updates
from sightline.lab.errata import Erratum, agree, judged, text
from sightline.lab.perceptron import learn
from sightline.lab.surfaces import LANDSCAPES, ravine, walked
from sightline.losses.penalties import soft_threshold
from sightline.losses.regression import absolute_error, age_error, cycle_error

X = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def test_a_perceptron_learns_what_a_line_separates_and_never_ends_otherwise() -> None:
    found = learn(X, torch.tensor([0, 0, 0, 1]), epochs=50)
    assert found.converged
    assert found.unit(X).tolist() == [0, 0, 0, 1]
    assert sum(found.errors) == found.corrections
    endless = learn(X, torch.tensor([0, 1, 1, 0]), epochs=50)
    assert not endless.converged
    assert len(endless.errors) == 50


@pytest.mark.parametrize("name", LANDSCAPES)
def test_the_least_value_of_a_surface_is_where_it_says(name: str) -> None:
    land = LANDSCAPES[name]
    least = torch.tensor(land.least, dtype=torch.float64)
    around = least + 0.3 * torch.randn(500, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert (land.height(around) >= land.height(least)).all()


def test_a_film_of_paths_is_a_gif_that_moves() -> None:
    land = ravine()
    path = walked(land, partial(updates.sgd, lr=0.01), 20).numpy()
    broken = path.copy()
    broken[10:] = np.nan
    film = moving_paths(land.window, land.drawn(40), [Path(path, "SGD"), Path(broken, "lost", "two")], frames=5)
    with Image.open(io.BytesIO(film)) as image:
        assert (image.format, image.size, image.n_frames) == ("GIF", (SIDE, SIDE), 5)
        first = np.asarray(image.convert("RGB"))
        image.seek(4)
        assert (np.asarray(image.convert("RGB")) != first).any()


def test_losses_of_ages_reconstructions_and_cycles() -> None:
    guess, truth = torch.tensor([3.0, 50.0]).double(), torch.zeros(2).double()
    mean, weight = age_error(guess, truth, known=torch.tensor([True, False]))
    assert weight == 1
    assert mean.item() == pytest.approx(2.4467, abs=1e-4)
    assert age_error(guess[:1], truth[:1], share=0.0)[0].item() == pytest.approx(4.5)
    assert age_error(guess[1:], truth[1:], share=1.0)[0].item() == pytest.approx(1.0)
    wide = age_error(guess[:1], truth[:1], sigma=torch.tensor([30.0]).double(), share=1.0)[0]
    assert wide.item() == pytest.approx(1 - np.exp(-9 / 1800))
    assert absolute_error(guess, truth)[0].item() == pytest.approx(26.5)
    assert cycle_error(guess, guess, truth, truth + 0.5)[0].item() == pytest.approx(0.5)


def test_the_step_of_an_absolute_penalty_is_its_proximal_map() -> None:
    """It minimises ½(u - w)² + a |u|, which a grid confirms."""
    w = torch.tensor([-2.0, -0.3, 0.0, 0.2, 1.7]).double()
    u = torch.linspace(-3, 3, 6001, dtype=torch.float64)
    best = u[(0.5 * (u - w[:, None]) ** 2 + 0.5 * u.abs()).argmin(1)]
    assert soft_threshold(w, 0.5).tolist() == pytest.approx(best.tolist(), abs=1e-3)
    assert (soft_threshold(w, 0.5) == 0).sum() == 3


def test_an_erratum_fails_where_the_product_is_wrong_or_repeats_what_is_printed() -> None:
    right = Erratum("a", 2.0, 3.0, lambda: 3.0, "?")
    repeats = Erratum("b", "x", "y", lambda: "x", "?")
    assert [c.holds for c in judged([right], "").claims] == [True, True]
    assert [c.holds for c in judged([right, repeats], "").claims] == [False, False]
    assert agree((1, float("nan")), (1.0, float("nan")), 0)
    assert not agree((1, 2), (1,), 0)
    assert not agree(1.0, "1", 0)
    assert text((22051.0051, -0.5)) == "22,051.0051, −0.5"
