"""An embedder as a graph, and its likeness to an identity as a score: for `export`, `explain` and `attack`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import DataError, UsageError
from sightline.explanation.question import Choice, Question
from sightline.explanation.subject import Subject
from sightline.exports.agreement import vector_difference
from sightline.exports.plan import IMAGE, Arrays, Export, Graph, Shape
from sightline.layers.embedding import Embedder
from sightline.structures.batch import Batch
from sightline.structures.predictions import Embeddings
from sightline.tasks.embedding import Embedding
from sightline.tasks.task import Task

FAR = 1e6  # the distance to identities without an image, where infinity would spread


class Nearest(nn.Module):
    """Images (b, c, h, w) → vectors (b, d), and the distance (b, k) to the nearest gallery image of each identity."""

    gallery: Tensor
    absent: Tensor

    def __init__(self, task: Embedding) -> None:
        super().__init__()
        embedder: Embedder = task.embedder
        self.model = task.model
        self.head = embedder.head if task.kind == "siamese" else None
        shots = torch.arange(embedder.gallery.shape[1], device=embedder.gallery.device)
        self.register_buffer("gallery", embedder.gallery.detach().clone())  # (k, s, d)
        self.register_buffer("absent", shots >= embedder.filled[:, None])  # (k, s)

    def forward(self, image: Tensor) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b k"]]:
        vector = self.model(image)
        difference = vector[:, None, None, :] - self.gallery  # (b, k, s, d)
        if self.head is None:
            each = (difference.square().sum(3) + 1e-12).sqrt()  # the root has no slope at 0
        else:
            score = (difference.abs() * self.head.weight[0]).sum(3) + self.head.bias[0]
            each = nn.functional.softplus(-score)
        return vector, each.masked_fill(self.absent, FAR).amin(2)


def _graphs(task: Task, shape: Shape) -> dict[str, Graph]:
    assert isinstance(task, Embedding)
    names = {"vector": "batch", "distance": "batch"}
    return {"model": Graph(Nearest(task), {IMAGE: "batch"}, names, logits=("vector",))}


def _settings(task: Task, classes: int) -> dict[str, Any]:
    assert isinstance(task, Embedding)
    threshold = task.threshold
    return {"threshold": threshold if threshold == threshold else None, "filled": (task.embedder.filled > 0).tolist()}


def _exported(outputs: Arrays) -> Embeddings:
    return Embeddings(torch.from_numpy(outputs["vector"]))


EXPORT = Export(
    decoding="nearest identities",
    graphs=_graphs,
    settings=_settings,
    prediction=_exported,
    difference=vector_difference,
    figure="max_difference",
    page=False,
)


def ask_likeness(task: Task, batch: Batch, choice: Choice, classes: Sequence[str]) -> Question:
    """The negative distance to the chosen identity's nearest image in the gallery, or to the nearest identity's: where
    the map is high, the image is like that identity's.

    DataError where the gallery has no image of it: people that training did not see are explained by those it saw.
    """
    assert isinstance(task, Embedding)
    if choice.number is not None:
        raise UsageError("--object needs a run that detects objects", "use --target with the name of an identity")
    nearest = Nearest(task).to(batch.image.device).eval()
    with torch.no_grad():
        distance = nearest(batch.image)[1][0]
    best = int(distance.argmin())
    target = best if choice.target is None else choice.target
    if float(distance[target]) >= FAR:
        raise DataError(f"the gallery has no image of {classes[target]!r}", f"choose another, such as {classes[best]}")

    def scores(pixels: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k"]:
        found: Tensor = nearest(pixels)[1]
        return -found

    answer = f"nearest {classes[best]} at a distance of {float(distance[best]):.3f}"
    if target != best:
        answer += f"; {classes[target]} at {float(distance[target]):.3f}"
    return Question(Subject(task.model, scores, classes=False), target, f"the likeness to {classes[target]!r}", answer)
