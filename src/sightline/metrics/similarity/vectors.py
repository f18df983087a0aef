"""All metrics of vectors from their rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from sightline.metrics.counts import or_none
from sightline.randomness.keyed import permutation
from sightline.structures.vector_rows import VectorRows

from .recognition import map_at_r, one_shot, ranked_hits, recall_at_1
from .verification import PairDistances, distance_matrix, error_rates, pairs_of, verification

MOST_IMAGES = 2_000  # of whole identities; 2 million pairs


class Measured(NamedTuple):
    """The pairs, and the values of each query by metric, of one kind of vector."""

    pairs: PairDistances
    queries: dict[str, Float[np.ndarray, "n"]]


def some_identities(rows: VectorRows) -> VectorRows:
    """The rows of known identity; of more than 2,000, those of as many whole identities as fit, in an order of hashes."""
    known = rows.take(rows.identity >= 0)
    if len(known) <= MOST_IMAGES:
        return known
    own, place, count = np.unique(known.identity, return_inverse=True, return_counts=True)
    order = permutation(len(own), 0, "identities measured").numpy()
    fitting = order[: max(int((np.cumsum(count[order]) <= MOST_IMAGES).sum()), 2)]
    return known.take(np.isin(place, fitting))


def measured(rows: VectorRows, column: str = "vector") -> Measured:
    """The pairs and queries of rows whose identities are known, by one of their vectors."""
    weight = rows.weight if column == "vector" else None
    vectors = getattr(rows, column)
    distance = distance_matrix(vectors, vectors, weight, rows.bias)
    hits = ranked_hits(rows.identity, distance)
    shot = one_shot(rows.identity, distance, rows.ways)
    queries = {"recall_at_1": recall_at_1(hits), "map_at_r": map_at_r(hits), "one_shot": shot}
    return Measured(pairs_of(rows.identity, distance), queries)


def means_of_queries(queries: dict[str, Float[np.ndarray, "n"]]) -> dict[str, float]:
    """The mean of each metric over the queries for which it is defined; NaN without any."""
    return {name: float(np.nanmean(x)) if np.isfinite(x).any() else np.nan for name, x in queries.items()}


def figures_of(rows: VectorRows, whole: Measured) -> dict[str, float]:
    """auc, eer, far and frr at the threshold of the rows, recall_at_1, map_at_r, one_shot; NaN where undefined."""
    far = frr = np.nan
    if not np.isnan(rows.threshold):
        far, frr = error_rates(whole.pairs, rows.threshold, np.ones((1, len(whole.pairs.same))))[:, 0].tolist()
    return {**verification(whole.pairs), "far": far, "frr": frr, **means_of_queries(whole.queries)}


def vector_metrics(rows: VectorRows) -> dict[str, float | None]:
    """`figures_of` of the network's vectors; None where undefined."""
    return {name: or_none(value) for name, value in figures_of(rows, measured(some_identities(rows))).items()}
