"""Randomness as a pure function: hash(seed, purpose, integers) → a draw. There is no hidden state and nothing to advance.

The hash is SplitMix64's finaliser (Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators") folded
over the parts. It runs on int64 tensors, whose multiplication wraps as uint64's does, so a batch of keys costs a few
vector operations; `reference_hash` is the same in Python integers, and the tests require both to agree.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor

_GOLDEN = 0x9E3779B97F4A7C15
_MIX1 = 0xBF58476D1CE4E5B9
_MIX2 = 0x94D049BB133111EB
_MASK = (1 << 64) - 1

Part = int | Tensor


def _signed(value: int) -> int:
    """The int64 with the same 64 bits."""
    value &= _MASK
    return value - (1 << 64) if value >> 63 else value


def purpose_key(purpose: str) -> int:
    """64 bits of SHA-256 of the purpose's name: two purposes never share a stream."""
    return int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:8], "little")


def reference_hash(seed: int, purpose: str, *parts: int) -> int:
    """The hash in Python integers, as uint64: the definition, slow for many keys."""
    state = 0
    for part in (seed, purpose_key(purpose), *parts):
        state = (state + (part & _MASK) + _GOLDEN) & _MASK
        state = ((state ^ (state >> 30)) * _MIX1) & _MASK
        state = ((state ^ (state >> 27)) * _MIX2) & _MASK
        state ^= state >> 31
    return state


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical right shift of int64: the sign bit moves like any other bit."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def keys(seed: int, purpose: str, *parts: Part) -> Int[Tensor, "..."]:
    """The same hash over tensors: parts broadcast together; the result is int64 with the hash's bits.

    keys(7, "order", torch.tensor([[0], [1]]), torch.tensor([0, 1, 2])) is (2, 3): one hash for each pair. Parts before
    the first tensor are plain numbers and hashed once, in Python.
    """
    plain = [int(part) for part in itertools.takewhile(lambda part: not isinstance(part, Tensor), parts)]
    state = torch.tensor(
        _signed(reference_hash(seed, purpose, *plain))
    )  # 0-d, so it combines with tensors of any device
    for part in parts[len(plain) :]:
        addend = part.to(torch.int64) if isinstance(part, Tensor) else _signed(part)
        state = state + addend + _signed(_GOLDEN)
        state = (state ^ _shift(state, 30)) * _signed(_MIX1)
        state = (state ^ _shift(state, 27)) * _signed(_MIX2)
        state = state ^ _shift(state, 31)
    return state


def uniform(seed: int, purpose: str, *parts: Part) -> Float[Tensor, "..."]:
    """Float32 in [0, 1): the top 24 bits of the hash."""
    return _shift(keys(seed, purpose, *parts), 40).to(torch.float32) * (1.0 / (1 << 24))


def normal(seed: int, purpose: str, *parts: Part) -> Float[Tensor, "..."]:
    """Float32, standard normal: the quantile of the middle of one of 2^53 equal intervals, in double precision, so that the
    rounding to float32 hides what processors compute differently in the last bits."""
    share = (_shift(keys(seed, purpose, *parts), 11).to(torch.float64) + 0.5) * (1.0 / (1 << 53))
    return torch.special.ndtri(share).to(torch.float32)


def integers(high: int, seed: int, purpose: str, *parts: Part) -> Int[Tensor, "..."]:
    """Integers in [0, high), high ≤ 2^31: (top 32 bits · high) >> 32, biased by less than high / 2^32."""
    return (_shift(keys(seed, purpose, *parts), 32) * high) >> 32


def permutation(n: int, seed: int, purpose: str, *parts: Part) -> Int[Tensor, "n"]:
    """A permutation of range(n): the stable order of n hashes."""
    return keys(seed, purpose, *parts, torch.arange(n)).argsort(stable=True)


@contextmanager
def torch_seeded(seed: int, purpose: str, *parts: int) -> Iterator[None]:
    """Inside the block torch's generators start from the hash; afterwards they are restored."""
    with torch.random.fork_rng():
        seed_torch(seed, purpose, *parts)
        yield


def seed_torch(seed: int, purpose: str, *parts: int) -> None:
    """Seed torch's generators (all devices) with the hash, so the next draws (dropout, noise, init) depend on it alone.

    Not `torch.manual_seed`: without an accelerator that formats a stack trace and queues a call for every kind of device,
    a millisecond and a little memory each time.
    """
    value = _signed(reference_hash(seed, purpose, *parts))
    torch.default_generator.manual_seed(value)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(value)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(value)
