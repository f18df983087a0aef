"""Encoders with a dictionary of patches: the triangle of k-means, and sparse codes."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from sightline.classical.pipeline import Encoder, Examples, Figures
from sightline.errors import UsageError

from .patches import ROWS, Whitening, even, patches_of, pooled, sampled


class PatchEncoder(Encoder):
    """Patches → whitening → codes → the mean of each code in four quarters of the image.

    words (k, d)   the dictionary, for whitened patches
    """

    words: Tensor
    per_word = 1  # codes of a word

    def __init__(self, input_size: tuple[int, int, int], *, words: int, side: int, stride: int, patches: int) -> None:
        super().__init__()
        channels, height, width = input_size
        if side > min(height, width):
            raise UsageError(f"patches of {side} pixels do not fit into {height}x{width}", "use a smaller patch")
        self.side, self.stride, self.patches = side, stride, patches
        self.grid = ((height - side) // stride + 1, (width - side) // stride + 1)
        self.white = Whitening(channels * side * side)
        self.register_buffer("words", torch.zeros(words, channels * side * side))
        self.size = 4 * words * self.per_word

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b size"]:
        parts = x.split(
            max(ROWS // (self.grid[0] * self.grid[1]), 1)
        )  # a few images, so that distances fit into memory
        return torch.cat([pooled(self.codes(self._white(part)), *self.grid) for part in parts])

    def _white(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b p d"]:
        return self.white(even(patches_of(x, self.side, self.stride)))

    def codes(self, patches: Float[Tensor, "b p d"]) -> Float[Tensor, "b p k"]:
        raise NotImplementedError

    def steps(self, passes: int) -> tuple[str, ...]:
        return ("whitening", "dictionary")

    def solve(self, chunk: int, examples: Examples) -> Figures:
        patches = sampled(examples, self.side, self.patches, "patches")
        if chunk == 0:
            self.white.learn(patches)
            return {"patches": float(len(patches))}
        white = self.white(patches).cpu().double().numpy()
        if len(white) < len(self.words):
            raise UsageError(f"{len(white)} patches are too few for {len(self.words)} words", "use fewer words")
        words, figures = self.learn(white, examples.seed)
        self.words.copy_(torch.from_numpy(words))
        return figures

    def learn(self, white: Float[np.ndarray, "n d"], seed: int) -> tuple[Float[np.ndarray, "k d"], Figures]:
        raise NotImplementedError


class KMeansTriangle(PatchEncoder):
    """max(0, mean distance to all words - distance to this word): about half of the words answer, in proportion to how near
    they are (Coates, Lee & Ng 2011)."""

    def codes(self, patches: Float[Tensor, "b p d"]) -> Float[Tensor, "b p k"]:
        square = patches.square().sum(-1, keepdim=True) - 2 * patches @ self.words.T + self.words.square().sum(1)
        distance = square.clamp(min=1e-8).sqrt()
        return (distance.mean(-1, keepdim=True) - distance).clamp(min=0)

    def learn(self, white: Float[np.ndarray, "n d"], seed: int) -> tuple[Float[np.ndarray, "k d"], Figures]:
        from sklearn.cluster import KMeans

        model = KMeans(len(self.words), n_init=1, max_iter=30, random_state=seed % (1 << 32)).fit(white)
        return model.cluster_centers_, {
            "inertia": float(model.inertia_) / len(white),
            "iterations": float(model.n_iter_),
        }


class SparseCodes(PatchEncoder):
    """Codes z that minimise ½ ‖x - Σ z_k w_k‖² + penalty · Σ |z_k| over unit words, by a few steps of ISTA (Daubechies et al.
    2004); positive and negative ones apart, as in Coates & Ng 2011."""

    per_word = 2

    def __init__(
        self, input_size: tuple[int, int, int], *, words: int, side: int, stride: int, patches: int, penalty: float,
        iterations: int,
    ) -> None:  # fmt: skip
        super().__init__(input_size, words=words, side=side, stride=stride, patches=patches)
        self.penalty, self.iterations = penalty, iterations
        self.register_buffer("step", torch.ones(()))  # 1 / the largest eigenvalue of the words' products

    step: Tensor

    def signed(self, patches: Float[Tensor, "... d"]) -> Float[Tensor, "... k"]:
        """The codes with their signs."""
        z = functional.softshrink(self.step * (patches @ self.words.T), float(self.step) * self.penalty)
        for _ in range(self.iterations - 1):
            rest = patches - z @ self.words
            z = functional.softshrink(z + self.step * (rest @ self.words.T), float(self.step) * self.penalty)
        return z

    def codes(self, patches: Float[Tensor, "b p d"]) -> Float[Tensor, "b p k2"]:
        z = self.signed(patches)
        return torch.cat([z.clamp(min=0), (-z).clamp(min=0)], -1)

    def learn(self, white: Float[np.ndarray, "n d"], seed: int) -> tuple[Float[np.ndarray, "k d"], Figures]:
        from sklearn.decomposition import MiniBatchDictionaryLearning

        model = MiniBatchDictionaryLearning(
            len(self.words), alpha=self.penalty, max_iter=10, batch_size=256, fit_algorithm="cd",
            random_state=seed % (1 << 32), n_jobs=1,
        ).fit(white)  # fmt: skip
        words = model.components_ / np.linalg.norm(model.components_, axis=1, keepdims=True).clip(1e-12)
        largest = np.linalg.eigvalsh(words @ words.T)[-1]
        self.step.fill_(float(1 / largest))
        return words, {"largest": float(largest)}
