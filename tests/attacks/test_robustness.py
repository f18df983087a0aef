"""The curve of accuracy over the budget, and whether it is to be believed."""

from __future__ import annotations

import pytest
import torch

from sightline.attacks.diagnosis import diagnose
from sightline.attacks.methods import METHODS, Plan
from sightline.attacks.robustness import Robustness, robustness
from sightline.attacks.scores import Scores
from sightline.attacks.verdict import verdict
from sightline.metrics.proportions import wilson
from tests.attacks.networks import HIDERS, held_out, plain

BUDGETS = (8.0, 16.0, 32.0)


def attacked(method: str = "pgd", scores: Scores = plain, **options) -> Robustness:
    x, y, ids = held_out(80)
    steps = {"square": 60, "one-pixel": 2}.get(method, METHODS[method].steps)
    return robustness(
        scores, x.to(torch.uint8), y, ids, METHODS[method], Plan(8.0, steps, **options.pop("plan", {})),
        budgets=options.pop("budgets", BUDGETS), **options,
    )  # fmt: skip


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name].budgets])
def test_the_curve_falls_from_the_clean_accuracy_of_the_same_rows(method: str) -> None:
    x, y, _ = held_out(80)
    found = attacked(method)
    accuracies = [point.saved.accuracy for point in found.points]
    assert found.points[0].saved.right == int((plain(x).argmax(1) == y).sum())
    assert accuracies == sorted(accuracies, reverse=True) and accuracies[-1] < accuracies[0]
    for point in found.points:
        assert point.saved.interval == wilson(point.saved.accuracy, 80, 1.959963984540054)


def test_budgets_hold_on_what_was_saved() -> None:
    x, _, _ = held_out(80)
    found = attacked()
    change = (found.attacked.int() - x.int()).abs().flatten(1).amax(1)
    for number, eps in enumerate(BUDGETS, 1):
        assert (change[found.broken_at == number] <= eps).all()
    assert change.max() == 32


def test_images_that_were_wrong_are_neither_attacked_nor_counted() -> None:
    x, y, _ = held_out(80)
    found = attacked()
    wrong = plain(x).argmax(1) != y
    assert wrong.any()
    assert torch.equal(found.attacked[wrong].float(), x[wrong])
    assert found.open == int((~wrong).sum()) and found.broken + found.points[-1].saved.right == found.open


def test_what_a_reader_finds_in_the_file_decides() -> None:
    """A file that loses the change leaves the image right, although the pixels in memory were wrong."""
    x, _, _ = held_out(80)
    found = attacked(keep=lambda row, image: x[row].to(torch.uint8))
    assert [point.saved.right for point in found.points] == [found.points[0].saved.right] * 4
    assert found.points[-1].unrounded.right < found.points[-1].saved.right


def test_a_target_counts_only_where_it_is_reached() -> None:
    found = attacked(target=3)
    _, y, _ = held_out(80)
    reached = found.broken_at > 0
    assert 0 < found.broken < found.open
    assert (found.final.index[reached] == 3).all() and not (y[reached] == 3).any()


def test_the_euclidean_budget_holds_after_rounding() -> None:
    x, _, _ = held_out(80)
    found = attacked(plan={"norm": "l2"}, budgets=(64.0, 128.0))
    size = (found.attacked.float() - x).flatten(1).norm(dim=1)
    assert size.max() <= 128 and (size[found.broken_at == 1] <= 64).all() and size.max() > 110


def test_a_network_that_has_nothing_right_is_not_attacked() -> None:
    x, _, ids = held_out(6)
    wrong = (plain(x).argmax(1) + 1) % 10
    found = robustness(plain, x.to(torch.uint8), wrong, ids, METHODS["pgd"], Plan(8.0, 2), budgets=(4.0, 8.0))
    assert [point.saved.right for point in found.points] == [0, 0, 0] and found.backwards == 0
    assert verdict(found, None).startswith("No image was attacked")


@pytest.mark.parametrize("name", HIDERS)
def test_hidden_gradients_are_named(name: str) -> None:
    """Random search breaks more than PGD on each of them, and the verdict gives no accuracy as evidence of robustness."""
    scores, sign = HIDERS[name]
    x, y, ids = held_out(64)
    found = diagnose(scores, x, y, eps=32.0, ids=ids)
    assert found is not None and sign in found.signs and "search wins" in found.signs
    assert found.left_by_search < found.left_by_gradients
    words = verdict(attacked(scores=scores, budgets=(32.0,)), found)
    assert "robust" not in words and "proves nothing" in words


def test_an_honest_network_shows_no_sign() -> None:
    x, y, ids = held_out(64)
    found = diagnose(plain, x, y, eps=32.0, ids=ids)
    assert found is not None and found.believable
    assert "Accuracy falls from" in verdict(attacked(), found)
