"""A vector for each image, so that images of one identity lie near each other: similarity, verification, recognition."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.layers.embedding import COMPONENTS, SHOTS, Embedded, Embedder
from sightline.losses import similarity
from sightline.metrics.similarity.vectors import vector_metrics
from sightline.metrics.similarity.verification import distance_matrix, pairs_of, threshold_of_equal_errors
from sightline.structures.batch import Batch
from sightline.structures.predictions import Embeddings, Prediction
from sightline.structures.targets import Labels
from sightline.structures.vector_rows import VectorRows

from .task import Loss, Task

SimilarityLoss = Literal["contrastive", "batch_hard", "semi_hard", "arcface", "nt_xent", "sup_con", "siamese"]
SMALL = 24  # pixels; the largest side of the grey image whose pixels are compared


def small_side(height: int, width: int) -> tuple[int, int]:
    """The size of the small grey image of an image in the network's frame."""
    shrink = max(height, width, SMALL) / SMALL
    return max(round(height / shrink), 1), max(round(width / shrink), 1)


class Embedding(Task):
    """`model` maps images (b, c, h, w) in 0-255 units to vectors (b, d), an `Embedder` behind its normalisation.

    A batch holds several images of each identity. After the last step the gallery, the threshold and the principal components
    are computed from the training images. `threshold`, chosen on other people than those, takes the place of theirs.
    """

    concludes = True
    coupled = True

    def __init__(
        self,
        model: nn.Module,
        *,
        loss: SimilarityLoss = "batch_hard",
        margin: float | None = None,
        temperature: float | None = None,
        scale: float = 64.0,
        threshold: float | None = None,
        ways: int = 5,
    ) -> None:
        super().__init__()
        self.model = model
        self.kind = loss
        self.margin = margin
        self.temperature = temperature
        self.scale = scale
        self.chosen = threshold
        self.ways = ways

    @property
    def embedder(self) -> Embedder:
        found = [module for module in self.modules() if isinstance(module, Embedder)]
        return found[0]

    @property
    def threshold(self) -> float:
        """NaN before any is known."""
        own = float(self.embedder.threshold)
        return self.chosen if self.chosen is not None else own if own >= 0 else np.nan

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        labels = _labels(batch)
        outputs = self.model(batch.image)
        vectors = outputs.vector if isinstance(outputs, Embedded) else outputs
        kept = labels.known
        identity, image = labels.index[kept].long(), batch.id[kept]
        mean, weight = self._criterion(vectors[kept], identity, image, outputs)
        return Loss(mean, weight, {"loss": (mean.detach(), weight.detach())})

    def _criterion(
        self, vectors: Tensor, identity: Tensor, image: Tensor, outputs: Tensor | Embedded
    ) -> similarity.Mean:
        margins = {} if self.margin is None else {"margin": self.margin}
        if self.kind in ("arcface", "siamese"):
            assert isinstance(outputs, Embedded)
            if self.kind == "arcface":
                return similarity.arcface(vectors, identity, outputs.weight, scale=self.scale, **margins)
            assert outputs.bias is not None
            return similarity.siamese(vectors, identity, outputs.weight[0], outputs.bias[0], image)
        if self.kind in ("nt_xent", "sup_con"):
            own = {} if self.temperature is None else {"temperature": self.temperature}
            shared = similarity.nt_xent if self.kind == "nt_xent" else similarity.sup_con
            return shared(vectors, identity, image, **own)
        chosen = {
            "contrastive": similarity.contrastive,
            "batch_hard": similarity.batch_hard,
            "semi_hard": similarity.semi_hard,
        }
        return chosen[self.kind](vectors, identity, image, **margins)

    def predict(self, batch: Batch) -> Embeddings:
        outputs = self.model(batch.image)
        return Embeddings(outputs.vector if isinstance(outputs, Embedded) else outputs)

    def rows(self, batch: Batch, prediction: Prediction) -> VectorRows:
        assert isinstance(prediction, Embeddings)
        labels, embedder = _labels(batch), self.embedder
        pixels = small_grey(batch.image)
        weight, bias = self.likeness()
        return VectorRows(
            id=batch.id.cpu().numpy(),
            identity=torch.where(labels.known, labels.index, -1).cpu().numpy(),
            vector=prediction.vector.cpu().double().numpy(),
            pixels=pixels.cpu().double().numpy(),
            components=((pixels - embedder.mean) @ embedder.axes).cpu().double().numpy(),
            weight=weight,
            bias=bias,
            threshold=self.threshold,
            ways=self.ways,
        )

    def metrics(self, rows: VectorRows) -> dict[str, float | None]:
        return vector_metrics(rows)

    def likeness(self) -> tuple[Float[np.ndarray, "w"], float]:
        """Weight and bias of a siamese head; (0,) and 0 where distances are Euclidean."""
        head = self.embedder.head
        if self.kind != "siamese" or head is None:
            return np.zeros(0), 0.0
        return head.weight[0].detach().cpu().double().numpy(), float(head.bias[0].detach())

    def nearest(self, vectors: Float[Tensor, "b d"]) -> Float[np.ndarray, "b k"]:
        """The distance of each vector to the nearest gallery image of each identity; infinite where there is none."""
        gallery = self.embedder.gallery.cpu().double().numpy()
        k, shots, d = gallery.shape
        weight, bias = self.likeness()
        distance = distance_matrix(vectors.cpu().double().numpy(), gallery.reshape(k * shots, d), weight, bias)
        there = np.arange(shots) < self.embedder.filled.cpu().numpy()[:, None]  # (k, shots)
        return np.where(there, distance.reshape(-1, k, shots), np.inf).min(2)

    @torch.no_grad()
    def conclude(self, batches: Iterable[Batch]) -> None:
        """Fill the gallery with the first five images of each identity, set the threshold to that of equal errors among them,
        and compute the principal components of the small grey images (Turk & Pentland 1991, "Eigenfaces for recognition")."""
        embedder = self.embedder
        embedder.gallery.zero_()
        embedder.filled.zero_()
        p = len(embedder.mean)
        total, products, n = torch.zeros(p).double(), torch.zeros(p, p).double(), 0
        for batch in batches:
            labels, vectors = _labels(batch), self.predict(batch).vector
            pixels = small_grey(batch.image).cpu().double()
            total, products, n = total + pixels.sum(0), products + pixels.T @ pixels, n + len(pixels)
            for row in torch.nonzero(labels.known).flatten().tolist():
                who = int(labels.index[row])
                place = int(embedder.filled[who])
                if place < SHOTS:
                    embedder.gallery[who, place] = vectors[row].to(embedder.gallery)
                    embedder.filled[who] += 1
        mean = total / max(n, 1)
        _, axes = torch.linalg.eigh(products / max(n, 1) - mean[:, None] * mean[None])  # by rising variance
        most = min(COMPONENTS, p, max(n - 1, 1))
        embedder.mean.copy_(mean)
        embedder.axes.zero_()
        embedder.axes[:, :most] = axes.flip(1)[:, :most].to(embedder.axes)
        embedder.threshold.fill_(self._threshold_of_gallery())

    def _threshold_of_gallery(self) -> float:
        filled = self.embedder.filled.cpu().numpy().astype(np.int64)
        there = np.arange(SHOTS) < filled[:, None]
        vectors = self.embedder.gallery.cpu().double().numpy()[there][:2000]
        identity = np.repeat(np.arange(len(filled)), filled)[:2000]
        found = threshold_of_equal_errors(pairs_of(identity, distance_matrix(vectors, vectors, *self.likeness())))
        return -1.0 if found is None else found


def small_grey(image: Num[Tensor, "b c h w"]) -> Float[Tensor, "b p"]:
    """The mean of the channels, shrunk to at most 24 pixels a side."""
    side = small_side(*image.shape[2:])
    return F.adaptive_avg_pool2d(image.float().mean(1, keepdim=True), side).flatten(1)


def _labels(batch: Batch) -> Labels:
    if not isinstance(batch.target, Labels):
        raise TypeError(f"Embedding needs Labels, but the batch has {type(batch.target).__name__}")
    return batch.target
