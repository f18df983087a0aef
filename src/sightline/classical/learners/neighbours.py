"""Principal components and the nearest neighbours among them: eigenfaces, where the images are faces (Turk & Pentland 1991)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from sightline.classical.pipeline import Figures, Learner, Vectors, blocks

MOST = 8192  # images that the components are computed from


class Neighbours(Learner):
    """Scores: for each class the logarithm of the summed weights of its images among the `k` nearest, whose weight falls with
    their squared distance (Dudani 1976).

    mean, basis   of the principal components; the part of the variance that they keep is reported
    memory (m, d), label (m,)   training images as components; -1 where a place is not used
    width         squared distance over which a weight falls by a factor e: the mean of the nearest ones
    """

    mean: Tensor
    basis: Tensor
    memory: Tensor
    label: Tensor
    width: Tensor
    ready = 2

    def __init__(self, size: int, classes: int, *, components: int, k: int, memory: int) -> None:
        super().__init__()
        self.classes, self.k = classes, k
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("basis", torch.zeros(size, min(components, size)))
        self.register_buffer("memory", torch.zeros(memory, min(components, size)))
        self.register_buffer("label", torch.full((memory,), -1, dtype=torch.int64))
        self.register_buffer("width", torch.ones(()))

    def forward(self, x: Float[Tensor, "b size"]) -> Float[Tensor, "b k"]:
        z = (x - self.mean) @ self.basis
        square = z.square().sum(1, keepdim=True) - 2 * z @ self.memory.T + self.memory.square().sum(1)
        square = torch.where(self.label >= 0, square, torch.inf)
        near, place = square.topk(min(self.k, square.shape[1]), 1, largest=False)
        log = torch.where(near.isinf(), -torch.inf, -near / self.width)
        mine = self.label[place][..., None] == torch.arange(self.classes, device=x.device)  # (b, k, classes)
        found = torch.where(mine, log[..., None], -torch.inf)
        best = found.detach().amax((1, 2), keepdim=True).clamp(min=-1e30)
        # 1e-4 of the nearest one's weight for every class: none is impossible
        return ((found - best).exp().sum(1) + 1e-4).log()

    def steps(self, passes: int) -> tuple[str, ...]:
        return ("principal components", "memory")

    def solve(self, chunk: int, vectors: Vectors) -> Figures:
        if chunk == 0:
            from sklearn.decomposition import PCA

            x = vectors(vectors.examples.chosen(MOST, "components"))
            count = min(self.basis.shape[1], *x.shape)
            model = PCA(count, random_state=vectors.examples.seed % (1 << 32)).fit(x.cpu().numpy())
            directions = torch.from_numpy(model.components_)
            largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
            self.mean.copy_(torch.from_numpy(model.mean_))
            self.basis[:, :count].copy_((directions * largest.sign()).T)  # the sign means nothing
            return {"variance": float(model.explained_variance_ratio_.sum())}
        places = vectors.examples.chosen(len(self.label), "memory")
        for part, into in zip(places.split(256), blocks(len(places), 256), strict=True):
            self.memory[into] = (vectors(part) - self.mean) @ self.basis
            self.label[into] = vectors.labels[part].to(self.label.device)
        known = self.memory[: min(len(places), 512)]
        gaps = torch.cdist(known, self.memory[: len(places)]).square()
        gaps[torch.arange(len(known)), torch.arange(len(known))] = torch.inf
        nearest = gaps.amin(1)
        width = float(nearest[nearest.isfinite()].mean()) if len(places) > 1 else 1.0
        self.width.fill_(max(width, 1e-12))
        return {"images": float(len(places)), "nearest": width}
