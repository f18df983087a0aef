"""The evaluation of vectors, as a pure function of its rows: verification, recognition, and the same without a network.

Intervals resample identities, not images: images of one identity are alike, and what is to be known is how the network does
on others. Of a resample, a pair counts as often as its identities were drawn together: a pair of one identity w times, a pair
of two w · v times; a query counts w times. The images that are searched stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int

from sightline.evaluation.intervals import Estimate, Interval, estimate, weights_in_blocks
from sightline.evaluation.json_form import intervals_of, judgement_json, reasons_of
from sightline.metrics.counts import or_none
from sightline.metrics.ranking import auc_of_sums, code_length, rank_code
from sightline.metrics.similarity.vectors import Measured, figures_of, means_of_queries, measured, some_identities
from sightline.metrics.similarity.verification import PairDistances, equal_error_rate, error_rates, verification
from sightline.randomness.keyed import keys
from sightline.structures.vector_rows import VectorRows

RESAMPLED_PAIRS = 60_000  # of each kind, in the intervals of verification
WORST = 50  # images
HARDEST = 12  # pairs of each kind
_CELLS = 1 << 21  # weights of pairs at a time
PAIR_METRICS = ("auc", "eer", "far", "frr")
QUERY_METRICS = ("recall_at_1", "map_at_r", "one_shot")
BASELINES = {"pixels": "pixels", "pca": "components"}  # name of the figures → column of the rows
_LACKING = "pairs of one kind are missing"


class HardPair(NamedTuple):
    """Ids of two images, whether they show the same, and their distance."""

    first: int
    second: int
    same: bool
    distance: float


@dataclass(frozen=True)
class VectorJudgement:
    """n               images of known identity; `unlabelled` the others; `identities` how many they show
    metrics, intervals  auc, eer, far and frr at the threshold, recall_at_1, map_at_r, one_shot; and of pixels and of principal
                    components auc, recall_at_1, map_at_r and one_shot (`pixels_auc`, `pca_auc` …); `reasons` why one has none
    per_class       a dictionary an identity: class (its name), support, recall_at_1, map_at_r, one_shot
    worst           ids of the images with the lowest map_at_r, lowest first
    hardest         the equal pairs that are farthest apart, and the different ones that are nearest
    """

    n: int
    unlabelled: int
    identities: int
    classes: tuple[str, ...]
    metrics: dict[str, float | None]
    intervals: dict[str, Interval]
    reasons: dict[str, str]
    per_class: tuple[dict[str, Any], ...]
    worst: tuple[int, ...]
    hardest: tuple[HardPair, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON of `evaluate --json`: n, metrics, intervals, per_class by the name of the identity."""
        return judgement_json(self.n, self.metrics, self.intervals, self.reasons, self.per_class)


def judge_vectors(rows: VectorRows, classes: Sequence[str], *, seed: int = 0) -> VectorJudgement:
    """Evaluate vectors from their rows; the same rows and seed give the same judgement. `classes` names the identities."""
    known = some_identities(rows)
    own, place = np.unique(known.identity, return_inverse=True)
    whole = measured(known)
    values = figures_of(known, whole)
    drawn = _resampled(whole, place, len(own), rows.threshold, seed)
    for name, column in BASELINES.items():
        beside = measured(known, column)
        again = _resampled(beside, place, len(own), np.nan, seed)
        figures = {**verification(beside.pairs), **means_of_queries(beside.queries)}
        for metric in ("auc", *QUERY_METRICS):
            values[f"{name}_{metric}"], drawn[f"{name}_{metric}"] = figures[metric], again[metric]
    estimates = {name: _estimate(value, drawn[name]) for name, value in values.items()}
    return VectorJudgement(
        n=int((rows.identity >= 0).sum()),
        unlabelled=int((rows.identity < 0).sum()),
        identities=len(np.unique(rows.identity[rows.identity >= 0])),
        classes=tuple(classes),
        metrics={name: or_none(value) for name, value in values.items()},
        intervals=intervals_of(estimates),
        reasons=reasons_of(estimates),
        per_class=_per_identity(own, place, whole, classes),
        worst=_worst(known, whole),
        hardest=_hardest(known, whole.pairs),
    )


def _resampled(
    whole: Measured, place: Int[np.ndarray, "n"], identities: int, threshold: float, seed: int
) -> dict[str, Float[np.ndarray, "r"]]:
    """Each metric in every resample of the identities."""
    pairs = _some_pairs(whole.pairs)
    code = rank_code(pairs.same, -pairs.distance)
    pairs, code = PairDistances(*(column[np.argsort(code, kind="stable")] for column in pairs)), np.sort(code)
    own, start = np.unique(code, return_index=True)
    first, second = place[pairs.first], place[pairs.second]
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in (*PAIR_METRICS, *QUERY_METRICS)}
    for block in weights_in_blocks(identities, seed):
        for draws in np.array_split(block, max(len(block) * len(code) // _CELLS, 1)) if len(code) else ():
            counted = draws[:, first] * np.where(pairs.same, 1.0, draws[:, second])  # (r, m)
            sums = np.zeros((len(draws), code_length(code)))
            sums[:, own] = np.add.reduceat(counted, start, axis=1)
            figures = (auc_of_sums(sums), equal_error_rate(sums), *error_rates(pairs, threshold, counted))
            for name, value in zip(PAIR_METRICS, figures, strict=True):
                drawn[name].append(value)
        for name, values in whole.queries.items():
            there = np.isfinite(values)
            total, count = (np.bincount(place[there], x, identities) for x in (values[there], np.ones(there.sum())))
            with np.errstate(invalid="ignore"):
                drawn[name].append((block @ total) / (block @ count) if identities else np.zeros(0))
    return {name: np.concatenate(parts) if parts else np.zeros(0) for name, parts in drawn.items()}


def _some_pairs(pairs: PairDistances) -> PairDistances:
    """At most 60,000 pairs of each kind, chosen by hashes."""
    chosen = []
    for kind in (pairs.same, ~pairs.same):
        ids = np.flatnonzero(kind)
        if len(ids) > RESAMPLED_PAIRS:
            hashes = keys(0, "pairs resampled", torch.from_numpy(ids)).numpy()
            ids = ids[np.argpartition(hashes, RESAMPLED_PAIRS)[:RESAMPLED_PAIRS]]
        chosen.append(ids)
    kept = np.concatenate(chosen)
    return PairDistances(*(column[kept] for column in pairs))


def _estimate(value: float, drawn: Float[np.ndarray, "r"]) -> Estimate:
    if np.isnan(value):
        return Estimate(None, "undefined: identities, pairs or a threshold are missing")
    return estimate(value, drawn, lacking=_LACKING)


def _per_identity(
    own: Int[np.ndarray, "i"], place: Int[np.ndarray, "n"], whole: Measured, classes: Sequence[str]
) -> tuple[dict[str, Any], ...]:
    found = []
    for i, identity in enumerate(own.tolist()):
        mine = place == i
        figures = means_of_queries({name: values[mine] for name, values in whole.queries.items()})
        row = {"class": classes[identity], "support": int(mine.sum()), "intervals": {}}
        found.append(row | {name: or_none(value) for name, value in figures.items()})
    return tuple(found)


def _worst(rows: VectorRows, whole: Measured) -> tuple[int, ...]:
    precision = whole.queries["map_at_r"]
    defined = np.flatnonzero(np.isfinite(precision) & (precision < 1))
    order = defined[np.lexsort((rows.id[defined], precision[defined]))][:WORST]
    return tuple(int(i) for i in rows.id[order])


def _hardest(rows: VectorRows, pairs: PairDistances) -> tuple[HardPair, ...]:
    found = []
    for kind, sign in ((pairs.same, -1), (~pairs.same, 1)):
        ids = np.flatnonzero(kind)
        order = ids[np.argsort(sign * pairs.distance[ids], kind="stable")][:HARDEST]
        for p in order.tolist():
            first, second = int(rows.id[pairs.first[p]]), int(rows.id[pairs.second[p]])
            found.append(HardPair(first, second, bool(pairs.same[p]), float(pairs.distance[p])))
    return tuple(found)
