"""Images as bags of local descriptors: visual words, and Fisher vectors."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.classical.pipeline import ENCODED, Encoder, Examples, Figures
from sightline.errors import UsageError

from .sift import LENGTH, DenseSift

SMALL_SIDE = 48  # pixels; up to this side, cells of descriptors are 3 pixels wide and their grid 2 pixels fine
IMAGES = 2048  # that a vocabulary is learned from, at most


class Descriptors(Encoder):
    """Dense SIFT, and a vocabulary of it that is learned from at most `samples` descriptors.

    regions   of the image, each a tuple of rows and columns that it is cut into; what they hold is encoded apart
    """

    regions: tuple[tuple[int, int], ...] = ((1, 1),)

    def __init__(self, input_size: tuple[int, int, int], *, cell: int | None, step: int | None, samples: int) -> None:
        super().__init__()
        small = max(input_size[1:]) <= SMALL_SIDE
        self.sift = DenseSift(cell=cell or (3 if small else 6), step=step or (2 if small else 6))
        self.rows, self.columns = self.sift.grid(*input_size[1:])
        self.samples = samples

    def sampled(self, examples: Examples) -> Float[Tensor, "n 128"]:
        """Descriptors of training images, without those of flat places: a function of the seed."""
        places, found = examples.chosen(IMAGES, "descriptors"), []
        each = -(-self.samples // len(places))
        for part in places.split(ENCODED):
            every = self.sift(examples.images(part))
            which = torch.randint(every.shape[1], (len(part), each), device="cpu").to(every.device)
            found.append(every[torch.arange(len(part), device=every.device)[:, None], which].flatten(0, 1))
        descriptors = torch.cat(found)
        return descriptors[descriptors.square().sum(1) > 0.5][: self.samples]

    def cut(self, codes: Float[Tensor, "b p k"]) -> list[Float[Tensor, "b q k"]]:
        """The codes of the descriptors in each region, one region after the other."""
        maps = codes.unflatten(1, (self.rows, self.columns))
        parts = []
        for rows, columns in self.regions:
            for i in range(rows):
                for j in range(columns):
                    top, bottom = i * self.rows // rows, (i + 1) * self.rows // rows
                    left, right = j * self.columns // columns, (j + 1) * self.columns // columns
                    parts.append(maps[:, top:bottom, left:right].flatten(1, 2))
        return parts


def pyramid(levels: int) -> tuple[tuple[int, int], ...]:
    """The whole image, its quarters, its sixteenths … (Lazebnik, Schmid & Ponce 2006)."""
    return tuple((2**level, 2**level) for level in range(levels))


class BagOfWords(Descriptors):
    """Histograms of visual words (Csurka et al. 2004) in the cells of a spatial pyramid of `levels`.

    A descriptor is shared by the words near it, in proportion to exp(-sharpness · squared distance) (van Gemert et al. 2008),
    so that the histogram is a smooth function of the pixels. The square root of the shares makes a linear learner compare
    histograms by Hellinger's distance.
    """

    words: Tensor
    sharpness: Tensor

    def __init__(
        self,
        input_size: tuple[int, int, int],
        *,
        words: int,
        levels: int,
        cell: int | None,
        step: int | None,
        samples: int,
    ) -> None:
        super().__init__(input_size, cell=cell, step=step, samples=samples)
        self.regions = pyramid(levels)
        if 2 ** (levels - 1) > min(self.rows, self.columns):
            raise UsageError(f"{levels} levels are too many for {self.rows} rows of descriptors", "use fewer levels")
        self.register_buffer("words", torch.zeros(words, LENGTH))
        self.register_buffer("sharpness", torch.ones(()))
        self.size = words * sum(rows * columns for rows, columns in self.regions)

    def codes(self, descriptors: Float[Tensor, "b p 128"]) -> Float[Tensor, "b p k"]:
        """The share of each word in each descriptor. Of descriptors of flat places all shares are 0."""
        square = (
            descriptors.square().sum(-1, keepdim=True) - 2 * descriptors @ self.words.T + self.words.square().sum(1)
        )
        there = descriptors.detach().square().sum(-1, keepdim=True) > 0.5
        return (-self.sharpness * square).softmax(-1) * there

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b size"]:
        parts = self.cut(self.codes(self.sift(x)))
        return torch.cat([(part.mean(1) + 1e-6).sqrt() for part in parts], 1)

    def steps(self, passes: int) -> tuple[str, ...]:
        return ("vocabulary",)

    def solve(self, chunk: int, examples: Examples) -> Figures:
        from sklearn.cluster import KMeans

        descriptors = self.sampled(examples)
        if len(descriptors) < len(self.words):
            raise UsageError(
                f"{len(descriptors)} descriptors are too few for {len(self.words)} words", "use fewer words"
            )
        model = KMeans(len(self.words), n_init=1, max_iter=30, random_state=examples.seed % (1 << 32))
        model.fit(descriptors.cpu().double().numpy())
        self.words.copy_(torch.from_numpy(model.cluster_centers_))
        error = float(model.inertia_) / len(descriptors)
        self.sharpness.fill_(5 / max(error, 1e-6))
        return {"inertia": error, "iterations": float(model.n_iter_)}


class FisherVector(Descriptors):
    """How the parameters of a mixture of Gaussians would have to move to fit the image's descriptors better (Perronnin, Sánchez
    & Mensink 2010): for descriptors of D numbers after PCA and N Gaussians 2 · D · N numbers for each region, here the whole
    image and three bands. Power and length are normalised.

    mean, basis        of the PCA (Jégou et al. 2012: Gaussians with diagonal covariance need decorrelated numbers)
    weight, centre, deviation   of the Gaussians
    """

    mean: Tensor
    basis: Tensor
    weight: Tensor
    centre: Tensor
    deviation: Tensor

    def __init__(
        self, input_size: tuple[int, int, int], *, gaussians: int, dimensions: int, bands: int, cell: int | None,
        step: int | None, samples: int,
    ) -> None:  # fmt: skip
        super().__init__(input_size, cell=cell, step=step, samples=samples)
        self.regions = ((1, 1), (bands, 1)) if bands > 1 else ((1, 1),)
        if dimensions > LENGTH:
            raise UsageError(f"a descriptor has {LENGTH} numbers, not {dimensions}", f"use dimensions={LENGTH} or less")
        self.register_buffer("mean", torch.zeros(LENGTH))
        self.register_buffer("basis", torch.eye(LENGTH)[:, :dimensions].contiguous())
        self.register_buffer("weight", torch.full((gaussians,), 1 / gaussians))
        self.register_buffer("centre", torch.zeros(gaussians, dimensions))
        self.register_buffer("deviation", torch.ones(gaussians, dimensions))
        self.size = fisher_size(dimensions, gaussians, sum(rows * columns for rows, columns in self.regions))

    def forward(self, x: Float[Tensor, "b c h w"]) -> Float[Tensor, "b size"]:
        reduced = (self.sift(x) - self.mean) @ self.basis
        parts = [fisher_vector(part, self.weight, self.centre, self.deviation) for part in self.cut(reduced)]
        return torch.cat([improved(part) for part in parts], 1)

    def steps(self, passes: int) -> tuple[str, ...]:
        return ("principal components", "mixture")

    def solve(self, chunk: int, examples: Examples) -> Figures:
        descriptors = self.sampled(examples).cpu().double()
        if chunk == 0:
            mean = descriptors.mean(0)
            values, vectors = torch.linalg.eigh((descriptors - mean).T @ (descriptors - mean))
            self.mean.copy_(mean)
            self.basis.copy_(vectors.flip(1)[:, : self.basis.shape[1]])
            return {"variance": float(values.flip(0)[: self.basis.shape[1]].sum() / values.sum())}
        from sklearn.mixture import GaussianMixture

        reduced = ((descriptors - self.mean.cpu()) @ self.basis.cpu().double()).numpy()
        if len(reduced) < 2 * len(self.weight):
            raise UsageError(f"{len(reduced)} descriptors are too few for {len(self.weight)} Gaussians", "use fewer")
        model = GaussianMixture(
            len(self.weight),
            covariance_type="diag",
            reg_covar=1e-5,
            max_iter=50,
            random_state=examples.seed % (1 << 32),
        ).fit(reduced)
        for buffer, values in ((self.weight, model.weights_), (self.centre, model.means_)):
            buffer.copy_(torch.from_numpy(values))
        self.deviation.copy_(torch.from_numpy(model.covariances_).sqrt())
        return {"log_likelihood": float(model.lower_bound_)}


def fisher_size(dimensions: int, gaussians: int, regions: int) -> int:
    """2 · D · N · R."""
    return 2 * dimensions * gaussians * regions


def fisher_vector(
    x: Float[Tensor, "b p d"], weight: Float[Tensor, "n"], centre: Float[Tensor, "n d"], deviation: Float[Tensor, "n d"]
) -> Float[Tensor, "b 2nd"]:
    """The gradient of the mean log-likelihood of the descriptors by the means, then by the deviations, of all Gaussians, each
    divided by the root of its own variance (Sánchez et al. 2013, IJCV 105, equations 17 and 18):

        by μ: Σ γ (x - μ) / σ / (p √w)        by σ: Σ γ ((x - μ)² / σ² - 1) / (p √(2 w))

    The sign of the second half is that of the gradient. scikit-image 0.26 returns its negative.
    """
    gap = (x[:, :, None] - centre) / deviation  # (b, p, n, d)
    log = weight.log() - deviation.log().sum(1) - 0.5 * (gap.square().sum(3) + x.shape[2] * math.log(2 * math.pi))
    share = log.softmax(2)[..., None]  # γ
    by_mean = (share * gap).mean(1) / weight.sqrt()[:, None]
    by_deviation = (share * (gap.square() - 1)).mean(1) / (2 * weight).sqrt()[:, None]
    return torch.cat([by_mean.flatten(1), by_deviation.flatten(1)], 1)


def improved(vector: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
    """The signed square root, then length 1. Where an entry is 0, so is its gradient, which would be infinite."""
    there = vector.abs() > 1e-8
    root = torch.where(there, vector, 1.0).abs().sqrt() * vector.sign() * there
    return root / (root.square().sum(1, keepdim=True) + 1e-12).sqrt()
