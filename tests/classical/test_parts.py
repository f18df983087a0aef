"""Deformable parts: the distance transform, placement, learning."""

from __future__ import annotations

import torch

from sightline.classical.parts import PartModel, distance_transform, latent_svm


def test_distance_transform_is_the_maximum_over_all_places() -> None:
    score = torch.rand(2, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    at = torch.cartesian_prod(torch.arange(6.0), torch.arange(8.0)).double()
    gaps = torch.cdist(at, at).square()
    for cost in (0.0, 0.05, 10.0):
        expected = (score.flatten(1)[:, None] - cost * gaps).amax(2).view_as(score)
        assert torch.allclose(distance_transform(score, cost), expected)


def test_a_part_is_found_where_it_moved_to() -> None:
    model = PartModel(1, (5, 5), (2, 2), [(1, 1)])
    with torch.no_grad():
        model.parts.fill_(1.0)
        model.cost.fill_(0.5)
    x = torch.zeros(1, 1, 7, 7)
    x[..., 3:5, 2:4] = 1  # the part's upper left corner is at (3, 2); the root at (0, 0) expects it at (1, 1)
    with torch.no_grad():
        maps = model.maps(x)[0]
    assert maps.shape == (3, 3)
    assert float(maps[2, 1]) == 4  # exactly where it belongs
    assert float(maps[0, 0]) == max(4 - 0.5 * (2**2 + 1**2), 2 - 0.5 * 1)  # moved by (2, 1), or half of it for less


def test_latent_svm_separates_and_costs_stay_positive() -> None:
    draw = torch.Generator().manual_seed(0)
    x = 0.1 * torch.rand(40, 1, 9, 9, generator=draw)
    for number in range(20):
        y0, x0 = (2 + int(n) for n in torch.randint(0, 3, (2,), generator=draw))
        x[number, 0, y0 : y0 + 2, x0 : x0 + 2] += 1
    label = torch.cat([torch.ones(20), -torch.ones(20)])
    model = PartModel(1, (7, 7), (2, 2), [(2, 2)])
    with torch.no_grad():
        model.parts.fill_(0.1)
    losses = latent_svm(model, x, label, steps=60)
    assert losses[-1] < 0.3 * losses[0]
    assert ((model(x) > 0) == (label > 0)).all() and float(model.cost.detach().min()) > 0
