"""Product quantisation (Jégou, Douze & Schmid 2011, TPAMI 33), and a support vector machine on what it keeps.

A vector is cut into groups of G numbers, and each group is replaced by the nearest of 2^(b G) words of its own, found by
k-means: b bits a number. With G = 8 and b = 1 a group is one byte, and 524,288 numbers take 64 KiB instead of 2 MiB. Training
vectors are kept so; new ones are scored as they are (Sánchez & Perronnin 2011, CVPR, on ImageNet).
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from sightline.classical.pipeline import ENCODED, Figures, Vectors, blocks
from sightline.errors import UsageError

from .svm import HingeSvm

ITERATIONS, SAMPLES = 10, 4096  # of k-means, and vectors that it sees
MOST_BITS = 8  # of a group: its word is a byte at most
AT_ONCE = 16  # groups that are compared with their words at once


def packed_bytes(size: int, group: int, bits: int) -> int:
    """Bytes of one vector of so many numbers, at `bits` bits a number."""
    return -(-(-(-size // group) * group * bits) // 8)


def codebooks(x: Float[Tensor, "n size"], group: int, bits: int) -> Float[Tensor, "groups words group"]:
    """k-means in every group, from vectors that torch's generator draws. A word that nothing is near stays where it is."""
    words = 2 ** (bits * group)
    found = []
    for parts in _groups(x, group).split(AT_ONCE):  # (g, n, group)
        centre = parts[:, torch.randperm(len(x), device="cpu").repeat(-(-words // len(x)))[:words].to(x.device)]
        for _ in range(ITERATIONS):
            near = _nearest(parts, centre)
            into = near[..., None].expand(-1, -1, group)
            total = torch.zeros_like(centre).scatter_add_(1, into, parts)
            count = torch.zeros_like(centre).scatter_add_(1, into, torch.ones_like(parts))
            centre = torch.where(count > 0, total / count.clamp(min=1), centre)
        found.append(centre)
    return torch.cat(found)


def encode(x: Float[Tensor, "n size"], words: Float[Tensor, "groups words group"]) -> UInt8[Tensor, "n bytes"]:
    """The numbers of the nearest words, their bits packed, the first in the lowest bit."""
    bits = (words.shape[1] - 1).bit_length()
    parts = zip(_groups(x, words.shape[2]).split(AT_ONCE), words.split(AT_ONCE), strict=True)
    index = torch.cat([_nearest(part, own) for part, own in parts]).T  # (n, groups)
    if bits == 8:
        return index.to(torch.uint8)
    flags = ((index[..., None] >> torch.arange(bits, device=x.device)) & 1).flatten(1)
    flags = functional.pad(flags, (0, -flags.shape[1] % 8)).unflatten(1, (-1, 8))
    return (flags << torch.arange(8, device=x.device)).sum(2).to(torch.uint8)


def decode(
    code: UInt8[Tensor, "n bytes"], words: Float[Tensor, "groups words group"], size: int
) -> Float[Tensor, "n size"]:
    """The vectors that the codes stand for."""
    groups, count, _ = words.shape
    bits = (count - 1).bit_length()
    if bits == 8:
        index = code.long()
    else:
        flags = ((code[..., None].long() >> torch.arange(8, device=code.device)) & 1).flatten(1)[:, : groups * bits]
        index = (flags.unflatten(1, (groups, bits)) << torch.arange(bits, device=code.device)).sum(2)
    return words[torch.arange(groups, device=code.device), index].flatten(1)[:, :size]


def _groups(x: Float[Tensor, "n size"], group: int) -> Float[Tensor, "groups n group"]:
    return functional.pad(x, (0, -x.shape[1] % group)).unflatten(1, (-1, group)).transpose(0, 1)


def _nearest(parts: Float[Tensor, "g n d"], words: Float[Tensor, "g k d"]) -> Int[Tensor, "g n"]:
    return (words.square().sum(2)[:, None] - 2 * parts @ words.transpose(1, 2)).argmin(2)


class QuantisedSvm(HingeSvm):
    """The linear SVM on training vectors of which the codes alone are kept; `words` (groups, 2 ** (bits * group), group)."""

    words: Tensor
    ready = 3
    _kept: _Kept | None = None

    def __init__(
        self, size: int, classes: int, *, group: int, bits: int, rate: float = 10.0, decay: float = 1e-5
    ) -> None:
        super().__init__(size, classes, rate=rate, decay=decay)
        if bits * group > MOST_BITS:
            raise UsageError(f"{bits} bits a number are {bits * group} a group", f"use at most {MOST_BITS} a group")
        self.group, self.bits = group, bits
        self.register_buffer("words", torch.zeros(-(-size // group), 2 ** (bits * group), group))

    def steps(self, passes: int) -> tuple[str, ...]:
        return ("codebooks", *super().steps(passes))

    def solve(self, chunk: int, vectors: Vectors) -> Figures:
        if chunk == 0:
            x = vectors(vectors.examples.chosen(SAMPLES, "codebooks"))
            self.words.copy_(codebooks(x, self.group, self.bits))
            error = (decode(encode(x, self.words), self.words, x.shape[1]) - x).square().sum() / x.square().sum()
            return {"lost": float(error)}
        if self._kept is None or self._kept.vectors is not vectors:
            self._kept = _Kept(vectors, self.words)
        return super().solve(chunk - 1, self._kept)  # type: ignore[arg-type]


class _Kept:
    """The training vectors as their codes bring them back."""

    def __init__(self, vectors: Vectors, words: Tensor) -> None:
        self.vectors, self.words = vectors, words
        self.examples, self.labels = vectors.examples, vectors.labels
        parts = (vectors(places) for places in blocks(len(vectors), ENCODED))
        self.codes = torch.cat([encode(part, words) for part in parts])

    def __len__(self) -> int:
        return len(self.vectors)

    def __call__(self, places: Tensor) -> Tensor:
        return decode(self.codes[places], self.words, self.vectors.size)
