"""The space before the last layer: which images are alike for the network?

nearest neighbours     Euclidean, in the last hidden layer: Krizhevsky, Sutskever & Hinton 2012, figure 4
PCA                    the two directions of largest variance; distances are a projection of the real ones
t-SNE                  van der Maaten & Hinton 2008, JMLR 9: neighbours stay neighbours, sizes and gaps mean nothing
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

NEIGHBOURS = 6
LEAST = 10  # images for a map


@dataclass(frozen=True)
class Neighbours:
    """For each query the numbers of its nearest images, nearest first, and their distances."""

    index: Int[np.ndarray, "q k"]
    distance: Float[np.ndarray, "q k"]


def neighbours(
    queries: Float[np.ndarray, "q d"], vectors: Float[np.ndarray, "n d"], k: int = NEIGHBOURS, *, itself: bool = False
) -> Neighbours:
    """The k nearest of the vectors. `itself`: the queries are the vectors, and no image counts as its own neighbour."""
    a, b = queries.astype(np.float64), vectors.astype(np.float64)
    squares = (a**2).sum(1)[:, None] - 2 * a @ b.T + (b**2).sum(1)
    if itself:
        np.fill_diagonal(squares, np.inf)
    k = min(k, len(b) - itself)
    index = np.argsort(squares, axis=1, kind="stable")[:, :k]
    gaps = a[:, None] - b[index]  # exactly: the squares above lose digits where images are alike
    return Neighbours(index, np.sqrt((gaps**2).sum(2)))


@dataclass(frozen=True)
class Plane:
    """Images as points in a plane. `explained`: the share of variance of both axes of a PCA; 0 for t-SNE."""

    title: str
    points: Float[np.ndarray, "n 2"]
    explained: float = 0.0


def pca(vectors: Float[np.ndarray, "n d"]) -> Plane:
    """Axes are turned so that their largest coordinate is positive."""
    centred = vectors.astype(np.float64) - vectors.mean(0)
    _, strength, directions = np.linalg.svd(centred, full_matrices=False)
    axes = directions[:2]
    points = centred @ axes.T
    points = np.pad(points, ((0, 0), (0, 2 - points.shape[1])))
    points *= np.where(points[np.abs(points).argmax(0), [0, 1]] < 0, -1, 1)
    total = float((strength**2).sum())
    return Plane("PCA", points, float((strength[:2] ** 2).sum() / total) if total else 0.0)


def t_sne(vectors: Float[np.ndarray, "n d"], seed: int = 0) -> Plane:
    """Begins with the PCA, so that its arrangement hardly depends on the seed."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, max(2.0, (len(vectors) - 1) / 4))
    model = TSNE(2, perplexity=perplexity, init="pca", learning_rate="auto", random_state=seed, n_jobs=1)
    deep = vectors.astype(np.float64)
    deep = deep / max(float(deep.std()), 1e-12)
    if deep.shape[1] < 2:
        deep = np.pad(deep, ((0, 0), (0, 2 - deep.shape[1])))
    return Plane("t-SNE", model.fit_transform(deep).astype(np.float64))
