"""Slices: groups of images, named by what they share, on which the model does worse than on the rest.

Whoever looks through a thousand groups finds bad ones by chance. So the images are divided into two halves, by a hash of
(seed, id). Slices are *found* on the first half and *confirmed* on the second, which had no part in the choice:

1. Every condition (`conditions`) is tested on the first half: is the mean score of its images below that of the others? Those
   that pass Benjamini-Hochberg at 5 % are candidates. Nothing that is reported rests on this step.
2. The candidate with the largest z is taken; a pair of conditions if it has a larger one, and the images that either condition
   excludes do much better than those that both keep. Its images are then set aside, and the rest is searched again, up to 8
   slices: what is merely the shadow of a cause already named (dark images are also of low contrast) does not come up again.
   Clusters of the embedding name no cause, so they are tried only where measurements, classes and columns explain nothing more.
3. The chosen slices, without images of those before, are tested on the second half: Fisher's exact test where a score is
   right or wrong, else Mann-Whitney's, and Benjamini-*Yekutieli* at 5 %, because slices overlap and exclude each other, so
   their tests are dependent either way.

A slice has at least 30 images. Its figures are those of the second half, so they are not inflated by the choice; whoever
permutes the scores loses every slice (`benchmarks/slices.py`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from sightline.metrics.proportions import wilson
from sightline.randomness.keyed import uniform

from .conditions import CLUSTER, Condition, conditions_on
from .false_discovery import benjamini_hochberg, benjamini_yekutieli
from .images import ImageTable

SUPPORT = 30  # images of a slice
MOST = 8  # slices
RATE = 0.05  # of false discoveries, in either half
NARROWER = 4.0  # z by which the images that a second condition excludes must do better than those that it keeps
PAIRS = 40  # of conditions that are looked at, those of the largest z
Z = 1.96
_IMAGES = " images"


@dataclass(frozen=True)
class ImageScores:
    """How well each image was answered.

    id, value  (n,) the higher the better; NaN where nothing is known of the image
    name       of the score in words, such as "accuracy"
    share      whether a value is 1 (right) or 0 (wrong), so that means are shares
    table      what the rows themselves know of the images, such as the class
    """

    id: Int[np.ndarray, "n"]
    value: Float[np.ndarray, "n"]
    name: str
    share: bool
    table: ImageTable


@dataclass(frozen=True)
class Slice:
    """A slice that was confirmed. `n` images in both halves, `ids` of them, worst first; of the second half: `confirmed` images
    with the mean score `value` and its interval, against `rest` on the others; `p` of that test."""

    conditions: tuple[Condition, ...]
    n: int
    confirmed: int
    value: float
    interval: tuple[float, float]
    rest: float
    p: float
    ids: tuple[int, ...]

    @property
    def words(self) -> str:
        """ "dark images (brightness < 41)"."""
        plain = [c.words for c in self.conditions]
        if len(plain) > 1 and all(p.endswith(_IMAGES) for p in plain):  # "dark and blurred images"
            plain = [*(p.removesuffix(_IMAGES) for p in plain[:-1]), plain[-1]]
        precise = [c.precise for c in self.conditions if c.words != c.precise and c.sign != "is"]
        return " and ".join(plain) + (f" ({', '.join(precise)})" if precise else "")

    def to_json(self) -> dict[str, Any]:
        return {
            "words": self.words,
            "conditions": [{"column": c.name, "sign": c.sign, "value": c.value} for c in self.conditions],
            "n": self.n, "confirmed": self.confirmed, "value": self.value, "interval": list(self.interval),
            "rest": self.rest, "p": self.p, "ids": list(self.ids[:48]),
        }  # fmt: skip


@dataclass(frozen=True)
class Slices:
    """`found`: the confirmed slices, the one with most lost score first; `tried` the number of conditions; `candidates` those
    that were tested on the second half; `score` in words; `share` as in ImageScores; `reason` why none was searched."""

    found: tuple[Slice, ...]
    tried: int
    candidates: int
    score: str
    share: bool
    n: int
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "score": self.score, "share": self.share, "n": self.n, "tried": self.tried, "candidates": self.candidates,
            "rate": RATE, "reason": self.reason, "found": [one.to_json() for one in self.found],
        }  # fmt: skip


def halves(id: Int[np.ndarray, "n"], seed: int = 0) -> Bool[np.ndarray, "n"]:
    """Which images are in the first half: a function of seed and id, so that it does not change with the other images."""
    return uniform(seed, "slices", torch.from_numpy(np.ascontiguousarray(id))).numpy() < 0.5


def find_slices(scores: ImageScores, table: ImageTable, *, seed: int = 0) -> Slices:
    """The slices of these images by their scores. The same scores, table and seed give the same slices."""
    known = np.isfinite(scores.value)
    id, value = scores.id[known], scores.value[known]
    n = len(id)
    if n < 4 * SUPPORT:
        return Slices((), 0, 0, scores.name, scores.share, n, f"fewer than {4 * SUPPORT} images")
    if np.ptp(value) == 0:
        return Slices((), 0, 0, scores.name, scores.share, n, "all images have the same score")
    own = scores.table.of(id)
    columns = table.of(id)
    columns = ImageTable(id, {**columns.numbers, **own.numbers}, {**own.words, **columns.words})
    first = halves(id, seed)
    every = conditions_on(_rows(columns, first), SUPPORT // 2)
    every = [c for c, masks in zip(every, _masks(every, columns), strict=True) if masks[~first].sum() >= SUPPORT // 2]
    masks = _masks(every, columns)
    chosen = _search(every, masks[:, first], value[first])
    drafts = _apart(chosen, columns, first)
    tests = [_test(mask[~first], value[~first], scores.share) for _, mask in drafts]
    kept = benjamini_yekutieli(np.array([p for *_, p in tests]), RATE)
    found = [_slice(*draft, test, id, value) for draft, test, keep in zip(drafts, tests, kept, strict=True) if keep]
    found.sort(key=lambda s: -(s.rest - s.value) * math.sqrt(s.confirmed))
    return Slices(tuple(found), len(every), len(drafts), scores.name, scores.share, n)


def _apart(
    chosen: Sequence[tuple[Condition, ...]], table: ImageTable, first: Bool[np.ndarray, "n"]
) -> list[tuple[tuple[Condition, ...], Bool[np.ndarray, "n"]]]:
    """The candidates with those of their images that are in no slice before, without candidates of which less than half, or too
    few images, are left: these are shadows of a cause that is already named."""
    found: list[tuple[tuple[Condition, ...], Bool[np.ndarray, "n"]]] = []
    taken = np.zeros(len(table), bool)
    for conditions in chosen:
        whole = _all_hold(conditions, table)
        own = whole & ~taken
        if 2 * own.sum() >= whole.sum() and own[~first].sum() >= SUPPORT // 2 and own.sum() >= SUPPORT:
            found.append((conditions, own))
            taken |= whole
    return found


def _rows(table: ImageTable, which: Bool[np.ndarray, "n"]) -> ImageTable:
    return table.of(table.id[which])


def _masks(conditions: Sequence[Condition], table: ImageTable) -> Bool[np.ndarray, "c n"]:
    return np.array([c.holds(table) for c in conditions], bool).reshape(len(conditions), len(table))


def _all_hold(conditions: Sequence[Condition], table: ImageTable) -> Bool[np.ndarray, "n"]:
    return np.logical_and.reduce([c.holds(table) for c in conditions])


def _z(
    count: Float[np.ndarray, "..."] | np.floating,
    total: Float[np.ndarray, "..."] | np.floating,
    value: Float[np.ndarray, "n"],
) -> np.ndarray:
    """How many standard errors the mean of groups with `count` images and the sum `total` lies below that of the rest, if
    both had the same distribution; -∞ for groups with fewer than half the support on one side."""
    n = len(value)
    within = total / np.maximum(count, 1)
    rest = (value.sum() - total) / np.maximum(n - count, 1)
    error = (value.std() if n else 0.0) * np.sqrt(1 / np.maximum(count, 1) + 1 / np.maximum(n - count, 1))
    enough = (count >= SUPPORT / 2) & (n - count >= SUPPORT / 2)
    return np.where(enough & (error > 0), (rest - within) / np.maximum(error, 1e-300), -np.inf)


def _z_of(mask: Bool[np.ndarray, "n"], value: Float[np.ndarray, "n"]) -> float:
    return float(_z(np.float64(mask.sum()), np.float64(value[mask].sum()), value))


def _search(
    conditions: Sequence[Condition], masks: Bool[np.ndarray, "c n"], value: Float[np.ndarray, "n"]
) -> list[tuple[Condition, ...]]:
    """The candidates on the first half."""
    chosen: list[tuple[Condition, ...]] = []
    left = np.ones(len(value), bool)
    groups = np.array([c.name == CLUSTER for c in conditions], bool)
    for allowed in (np.flatnonzero(~groups), np.flatnonzero(groups)):
        while len(chosen) < MOST and len(allowed):
            own, scores = masks[np.ix_(allowed, left)], value[left]
            z = _z(own.sum(1).astype(float), own @ scores, scores)
            p = np.array([NormalDist().cdf(-x) if x > -np.inf else 1.0 for x in z])
            if not benjamini_hochberg(p, RATE).any():
                break
            best = int(z.argmax())
            which = _pair([conditions[i].name for i in allowed.tolist()], own, scores, z[best]) or (best,)
            chosen.append(tuple(conditions[int(allowed[i])] for i in which))
            left &= ~np.logical_and.reduce(masks[allowed[list(which)]])
    return chosen


def _pair(
    names: Sequence[str], masks: Bool[np.ndarray, "c n"], value: Float[np.ndarray, "n"], single: float
) -> tuple[int, int] | None:
    """The two conditions on different columns that together have the largest z, above that of the best single one; each must
    earn its place: the images that it excludes from the other's do much better than those that it keeps."""
    floats = masks.astype(np.float32)
    count = (floats @ floats.T).astype(float)  # (c, c)
    total = ((floats * value.astype(np.float32)) @ floats.T).astype(float)
    z = _z(count, total, value)
    code = np.unique(names, return_inverse=True)[1]
    z[(code[:, None] == code[None]) | np.tri(len(names), dtype=bool)] = -np.inf  # each pair once
    for flat in np.argsort(-z, axis=None)[:PAIRS]:
        one, two = divmod(int(flat), len(names))
        if z[one, two] <= single:
            return None
        if all(_z_of(masks[b][masks[a]], value[masks[a]]) >= NARROWER for a, b in ((one, two), (two, one))):
            return (one, two) if single < _z_of(masks[one] & masks[two], value) else None
    return None


def _test(
    mask: Bool[np.ndarray, "n"], value: Float[np.ndarray, "n"], share: bool
) -> tuple[int, float, tuple[float, float], float, float]:
    """Of one half: the images within, their mean with its 95 % interval, the mean of the rest, and the one-sided p."""
    inside, rest = value[mask], value[~mask]
    k, m = len(inside), len(rest)
    if not k or not m:
        return k, math.nan, (math.nan, math.nan), math.nan, 1.0
    mean, other = float(inside.mean()), float(rest.mean())
    if share:
        low, high = wilson(mean, k, Z)
        return k, mean, (low, high), other, _fisher(int(inside.sum()), k, int(rest.sum()), m)
    half = Z * float(inside.std(ddof=1)) / math.sqrt(k) if k > 1 else math.inf
    return k, mean, (mean - half, mean + half), other, _mann_whitney(inside, rest)


def _fisher(right: int, k: int, right_of_rest: int, m: int) -> float:
    """P(at most `right` of k are right), if right answers fall on the k + m images at random (Fisher's exact test)."""
    from scipy.stats import hypergeom  # half a second that importing this package should not cost

    return float(hypergeom.cdf(right, k + m, right + right_of_rest, k))


def _mann_whitney(inside: Float[np.ndarray, "k"], rest: Float[np.ndarray, "m"]) -> float:
    """P of values within at least as low beside the rest, if both have the same distribution (Mann & Whitney 1947)."""
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(inside, rest, alternative="less").pvalue)


def _slice(
    conditions: tuple[Condition, ...],
    mask: Bool[np.ndarray, "n"],
    test: tuple[int, float, tuple[float, float], float, float],
    id: Int[np.ndarray, "n"],
    value: Float[np.ndarray, "n"],
) -> Slice:
    confirmed, mean, interval, rest, p = test
    order = np.argsort(value[mask], kind="stable")
    ids = tuple(int(i) for i in id[mask][order])
    return Slice(conditions, int(mask.sum()), confirmed, mean, interval, rest, p, ids)
