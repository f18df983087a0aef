"""Keyed draws: the tensor hash is the Python-integer hash, purposes do not meet, draws are even and independent."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline.randomness.keyed import integers, keys, permutation, reference_hash, seed_torch, torch_seeded, uniform

INT64 = st.integers(-(2**63), 2**63 - 1)


@given(INT64, st.text(max_size=5), st.lists(INT64, max_size=4))
def test_the_tensor_hash_is_the_reference(seed: int, purpose: str, parts: list[int]) -> None:
    got = keys(seed, purpose, *[torch.tensor(p) for p in parts]).item()
    assert int(got) % 2**64 == reference_hash(seed, purpose, *parts)


def test_known_values() -> None:
    """Fixed for ever: a change would silently change every run that was ever recorded."""
    assert reference_hash(0, "order", 0) == KNOWN[0]
    assert reference_hash(1, "augment", 2, 3) == KNOWN[1]


KNOWN = (0x7750EC96EF3E22B8, 0x07F3E5D8CF1D817B)


def test_parts_broadcast_and_do_not_depend_on_company() -> None:
    position = torch.arange(100)
    whole = keys(3, "flip", position, 7)
    assert whole[40:60].equal(keys(3, "flip", torch.arange(40, 60), 7))
    assert len(set(whole.tolist())) == 100


def test_purposes_seeds_and_parts_all_matter() -> None:
    base = keys(0, "a", torch.arange(1000))
    for other in (
        keys(1, "a", torch.arange(1000)),
        keys(0, "b", torch.arange(1000)),
        keys(0, "a", torch.arange(1000), 0),
    ):
        assert not (base == other).any()


def test_uniform_is_even_and_in_range() -> None:
    draws = uniform(0, "even", torch.arange(200_000))
    assert draws.min() >= 0
    assert draws.max() < 1
    counts = torch.histc(draws, 100, 0, 1)
    chi2 = ((counts - 2000) ** 2 / 2000).sum().item()
    assert 55 < chi2 < 155  # 99 degrees of freedom: 0.1 % to 99.9 %
    assert abs(torch.corrcoef(torch.stack([draws[:-1], draws[1:]]))[0, 1]) < 0.01


def test_integers_stay_below_and_reach_every_value() -> None:
    draws = integers(7, 0, "seven", torch.arange(10_000))
    assert set(draws.tolist()) == set(range(7))


def test_permutations_are_permutations_and_differ_by_epoch() -> None:
    first, second = permutation(1000, 0, "order", 0), permutation(1000, 0, "order", 1)
    assert sorted(first.tolist()) == list(range(1000))
    assert (first == second).float().mean() < 0.02


def test_seeding_torch_is_a_function_of_the_key_and_leaves_no_trace() -> None:
    before = torch.random.get_rng_state()
    with torch_seeded(0, "noise", 3):
        first = torch.randn(4)
    assert torch.random.get_rng_state().equal(before)
    with torch_seeded(0, "noise", 4):
        other = torch.randn(4)
    seed_torch(0, "noise", 3)
    assert torch.randn(4).equal(first)
    assert not other.equal(first)
