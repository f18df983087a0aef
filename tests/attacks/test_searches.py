"""Attacks that ask for scores only."""

from __future__ import annotations

import torch

from sightline.attacks.methods import Plan, method_named
from sightline.attacks.robustness import robustness
from sightline.attacks.scores import Counted, margin
from sightline.attacks.search.one_pixel import _children, one_pixel
from sightline.attacks.search.square import share, square
from tests.attacks.networks import held_out, plain


def test_exactly_one_pixel_differs() -> None:
    """The constraint of the one-pixel attack: one place, whatever happens to its channels; also where it does not succeed."""
    x, y, ids = held_out(8)
    moved = one_pixel(plain, x, y, population=40, generations=3, ids=ids)
    assert moved.dtype == torch.uint8
    assert ((moved.float() != x).any(1).flatten(1).sum(1) == 1).all()


def test_one_pixel_differs_although_the_best_value_is_the_old_one() -> None:
    x = torch.full((1, 3, 4, 4), 128.0)
    blind = lambda pixels: torch.zeros(len(pixels), 2)
    moved = one_pixel(blind, x, torch.tensor([0]), population=10, generations=2, ids=torch.tensor([1]))
    assert (moved.float() != x).any(1).sum() == 1


def test_a_generation_is_one_forward_of_the_population() -> None:
    x, y, ids = held_out(1)
    sizes: list[int] = []

    def scores(pixels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        return torch.nn.functional.one_hot(y.expand(len(pixels)), 10).float() * 50

    one_pixel(scores, x, y, population=30, generations=4, ids=ids)
    assert sizes == [30] * 4


def test_candidates_are_compared_quickly_and_judged_by_the_network() -> None:
    """A quick function that calls everything a success: only what the network confirms ends a search."""
    x, y, ids = held_out(2)
    quick_sizes, sizes = [], []

    def quick(pixels: torch.Tensor) -> torch.Tensor:
        quick_sizes.append(len(pixels))
        return torch.nn.functional.one_hot((y[:1].expand(len(pixels)) + 1) % 10, 10).float() * 50

    def stubborn(pixels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(pixels))
        return torch.nn.functional.one_hot(y[:1].expand(len(pixels)), 10).float() * 50

    one_pixel(stubborn, x[:1], y[:1], population=20, generations=3, ids=ids[:1], quick=quick)
    assert quick_sizes == [20] * 3 and sizes == [20] * 3, "every claimed success is confirmed, and none is one"
    sizes.clear()
    same = one_pixel(plain, x, y, population=30, generations=4, ids=ids)
    assert torch.equal(one_pixel(plain, x, y, population=30, generations=4, ids=ids, quick=plain), same)


def test_forward_passes_of_the_quick_function_are_counted() -> None:
    x, y, ids = held_out(4)
    rows = [
        robustness(
            plain, x.to(torch.uint8), y, ids, method_named("one-pixel"), Plan(0.0, 2, quick=quick), budgets=(0.0,)
        )
        for quick in (None, plain)
    ]
    assert rows[1].forwards >= rows[0].forwards > 0 and torch.equal(rows[0].attacked, rows[1].attacked)


def test_the_three_parents_are_others_and_differ() -> None:
    own = torch.arange(12.0)[:, None].repeat(1, 3)
    for generation in range(20):
        # a + (b - c) / 2 of candidates numbered 0..11 in powers would hide repeats, so the draw itself is repeated here
        children = _children(own, 0, torch.tensor([3]), generation)
        assert children.shape == own.shape and not torch.equal(children, own)
    same = torch.full((5, 3), 7.0)
    assert torch.equal(_children(same, 0, torch.tensor([0]), 1), same)


def test_square_lowers_margins_and_keeps_its_budget() -> None:
    x, y, ids = held_out(60)
    counted = Counted(plain)
    moved = square(counted, x, y, eps=24.0, queries=150, ids=ids)
    assert (moved - x).abs().max() <= 24 and counted.backwards == 0
    assert (margin(plain(moved), y) < 0).float().mean() > 2 * (margin(plain(x), y) < 0).float().mean()


def test_square_asks_no_more_about_images_that_are_wrong() -> None:
    x, y, ids = held_out(20)
    counted = Counted(plain)
    square(counted, x, (y + 1) % 10, eps=8.0, queries=50, ids=ids)  # all of them wrong from the start
    assert counted.forwards < 2 * 20


def test_square_is_keyed_by_image() -> None:
    x, y, ids = held_out(12)
    every = square(plain, x, y, eps=16.0, queries=20, seed=5, ids=ids)
    alone = square(plain, x[7:8], y[7:8], eps=16.0, queries=20, seed=5, ids=ids[7:8])
    assert torch.equal(every[7:8], alone)


def test_squares_shrink_by_the_papers_schedule() -> None:
    shares = [share(q, 10_000) for q in (0, 10, 11, 51, 201, 501, 1001, 2001, 4001, 6001, 8001)]
    assert shares == [0.8, 0.8, *(0.8 / 2**k for k in range(1, 10))]


def test_margin_is_negative_exactly_where_another_class_wins() -> None:
    scores = torch.tensor([[3.0, 1.0, 2.0], [1.0, 3.0, 2.0]])
    assert margin(scores, torch.tensor([0, 0])).tolist() == [1.0, -2.0]
