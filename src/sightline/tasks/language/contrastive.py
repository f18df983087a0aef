"""Images and texts in one space.

Radford et al. 2021, arXiv:2103.00020
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.losses.contrastive import image_text_loss
from sightline.metrics.texts.retrieval import retrieval_metrics
from sightline.preprocessing.tokens.vocabulary import Vocabulary
from sightline.structures.batch import Batch
from sightline.structures.predictions import Embeddings
from sightline.structures.rows.pairs import PairRows
from sightline.tasks.task import Frozen, Loss, Task

from .tokens import Tokenised, first_wording, one_wording

TEXTS_AT_ONCE = 256


class Contrastive(Task):
    """`model` maps images (b, c, h, w) in 0-255 units, texts and their mask to both vectors and a scale: `Normalised` around a
    `Clip`. `captions` are those among which a single image finds its text."""

    coupled = True

    def __init__(
        self,
        model: nn.Module,
        vocabulary: Vocabulary,
        *,
        longest: int,
        captions: Sequence[str] = (),
        frozen: Frozen | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self.tokenised = Tokenised(vocabulary, longest)
        self.captions = tuple(captions)
        self.frozen = frozen or Frozen()
        self._known: Tensor | None = None

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        text, mask = self.tokenised(one_wording(batch), batch.id.device)
        image_vector, text_vector, scale = self.model(batch.image, text, mask)
        total, logits = image_text_loss(image_vector, text_vector, scale)
        right = (logits.argmax(1) == torch.arange(len(logits), device=logits.device)).float().mean()
        weight = torch.tensor(float(len(batch)), device=logits.device)
        return Loss(total, weight, {"loss": total.detach(), "batch_recall": right, "scale": scale.detach()})

    def predict(self, batch: Batch) -> Embeddings:
        """The vector of each image, and after it that of its text (zeros where that is unknown): (b, 2 d)."""
        model: Any = self.model
        image = model.network.encode_image(model.normalise(batch.image))
        texts = first_wording(batch)
        vectors = self.vectors(texts, batch.id.device)
        known = torch.tensor([float(bool(text)) for text in texts], device=batch.id.device)
        return Embeddings(torch.cat([image, vectors * known[:, None]], 1))

    def vectors(self, texts: Sequence[str], device: torch.device | str = "cpu") -> Float[Tensor, "n d"]:
        """The vectors of texts."""
        model: Any = self.model
        parts = [texts[i : i + TEXTS_AT_ONCE] for i in range(0, len(texts), TEXTS_AT_ONCE)]
        return torch.cat([model.network.encode_text(*self.tokenised(part, device)) for part in parts])

    def prototypes(self, prompts: Sequence[Sequence[str]], device: torch.device | str = "cpu") -> Float[Tensor, "k d"]:
        """A vector for each label: the mean of those of its prompts, of length 1 (section 3.1.4)."""
        return torch.stack([F.normalize(self.vectors(some, device).mean(0), dim=0) for some in prompts])

    def known(self, device: torch.device | str = "cpu") -> Float[Tensor, "n d"]:
        """The vectors of the captions that the run knows."""
        if self._known is None or self._known.device != torch.device(device):
            with torch.no_grad():
                self._known = self.vectors(self.captions, device)
        return self._known

    def probabilities(self, image: Float[Tensor, "b d"], text: Float[Tensor, "k d"]) -> Float[Tensor, "b k"]:
        """Of each text for each image, among these texts."""
        model: Any = self.model
        return (model.network.scale().detach() * image @ text.T).softmax(1)

    def rows(self, batch: Batch, prediction: Any) -> PairRows:
        assert isinstance(prediction, Embeddings)
        image, text = prediction.vector.cpu().double().numpy().reshape(len(batch), 2, -1).transpose(1, 0, 2)
        return PairRows(
            batch.id.cpu().numpy(), np.ascontiguousarray(image), np.ascontiguousarray(text), tuple(first_wording(batch))
        )

    def metrics(self, rows: PairRows) -> dict[str, float | None]:
        return retrieval_metrics(rows)
