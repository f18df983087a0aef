"""Images out of noise, step by step: the network learns to find the noise in an image, or its velocity towards the image.

Images are in [-1, 1] while they are computed. With an autoencoder the network works on its codes instead (latent diffusion,
Rombach et al. 2021, arXiv:2112.10752); the autoencoder learns nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.losses.denoising import diffused, interpolated, squared_errors
from sightline.preprocessing.signed import to_signed
from sightline.randomness.keyed import normal, uniform
from sightline.structures.batch import Batch
from sightline.structures.figure_rows import FigureRows
from sightline.structures.predictions import Embeddings, Prediction
from sightline.structures.targets import Labels
from sightline.tasks.task import Loss, Task

NOISE_SCALE = 1000  # of the times that the network reads: 0 is an image, 1000 is noise
FIGURES = ("loss", "time")  # of each image that is measured
_KEY = 0  # of the draws for measuring: the same for all runs, so that they can be compared


@dataclass(frozen=True)
class Usual:
    """How images are made where nobody says otherwise; and the words that the network reads, of a table of `rows` rows."""

    sampler: str
    steps: int
    guidance: float = 1.0
    words: tuple[str, ...] = ()
    rows: int = 0


class Diffusion(Task):
    """`model` maps noisy images (b, c, h, w), times (b,), classes (b,) or None and words (b, n) or None to noise or velocities.

    schedule      ᾱ (t,) of diffusion; None: flow matching
    classes       how many there are; class `classes` is the empty condition; 0: the network knows none
    texts         (k, n) words of the text of each class; None: the network reads none. Word 0 n times is the empty text
    drop          share of the images whose condition is left out, for classifier-free guidance (Ho & Salimans 2022)
    autoencoder   with `encode` and `decode`; None: the network works on pixels
    shape         (c, h, w) of what the network works on
    usual         for sampling
    """

    texts: Tensor | None
    schedule: Tensor | None

    def __init__(
        self,
        model: nn.Module,
        *,
        shape: tuple[int, int, int],
        usual: Usual,
        schedule: Float[Tensor, "t"] | None = None,
        classes: int = 0,
        texts: Int[Tensor, "k n"] | None = None,
        drop: float = 0.1,
        autoencoder: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        if autoencoder is not None:
            self.autoencoder = autoencoder
        self.shape, self.usual, self.classes, self.drop = shape, usual, classes, drop
        self.register_buffer("texts", texts, persistent=False)
        self.register_buffer("schedule", schedule, persistent=False)

    @property
    def conditional(self) -> bool:
        """Whether the network knows classes or words."""
        return self.classes > 0 or self.texts is not None

    @property
    def on_pixels(self) -> bool:
        """Whether the network works on pixels, which end at -1 and 1."""
        return not hasattr(self, "autoencoder")

    def loss(self, batch: Batch, turn: str = "model") -> Loss:
        image = self.encoded(to_signed(batch.image))
        dropped = torch.rand(len(image), device=image.device) < self.drop
        time, noise = torch.rand(len(image), device=image.device), torch.randn_like(image)
        errors = self._errors(image, noise, time, *self._conditions(batch, dropped))
        total = errors.mean()
        return Loss(total, torch.tensor(float(len(errors)), device=errors.device), {"loss": total.detach()})

    def predict(self, batch: Batch) -> Prediction:
        """(b, 2): the loss of each image at a time and with noise that are functions of its id, and that time in [0, 1)."""
        image = self.encoded(to_signed(batch.image))
        id = batch.id.cpu()
        places = torch.arange(image[0].numel())
        noise = normal(_KEY, "measuring noise", id[:, None], places).reshape(image.shape).to(image.device)
        time = uniform(_KEY, "measuring time", id).to(image.device)
        kept = torch.zeros(len(image), dtype=torch.bool, device=image.device)
        errors = self._errors(image, noise, time, *self._conditions(batch, kept))
        return Embeddings(torch.stack([errors, time], 1))

    def rows(self, batch: Batch, prediction: Prediction) -> FigureRows:
        assert isinstance(prediction, Embeddings)
        return FigureRows(batch.id.cpu().numpy(), prediction.vector.cpu().double().numpy(), FIGURES)

    def metrics(self, rows: Any) -> dict[str, float | None]:
        assert isinstance(rows, FigureRows)
        return {"loss": float(np.mean(rows.column("loss"))) if len(rows) else None}

    def answer(
        self, x: Float[Tensor, "b c h w"], time: Tensor, label: Tensor | None, words: Tensor | None
    ) -> Float[Tensor, "b c h w"]:
        """The noise in x at times (b,) of the schedule, or its velocity at times (b,) from 0 (noise) to 1 (data)."""
        scaled = time if self.schedule is not None else NOISE_SCALE * (1 - time)
        return self.model(x, scaled, label, words).float()

    def empty(self, n: int) -> tuple[Tensor | None, Tensor | None]:
        """The empty condition of n images."""
        device = next(self.model.parameters()).device
        label = torch.full((n,), self.classes, device=device) if self.classes else None
        return label, None if self.texts is None else torch.zeros_like(self.texts[:1]).expand(n, -1)

    def encoded(self, image: Float[Tensor, "b c h w"]) -> Float[Tensor, "b k i j"]:
        """What the network works on."""
        if self.on_pixels:
            return image
        with torch.no_grad():
            return self._coder().encode(image)

    def decoded(self, x: Float[Tensor, "b k i j"]) -> Float[Tensor, "b c h w"]:
        """The images in [-1, 1]."""
        return x if self.on_pixels else self._coder().decode(x)

    def _coder(self) -> Any:
        return self.autoencoder

    def noisy(
        self, image: Float[Tensor, "b c h w"], noise: Float[Tensor, "b c h w"], time: Float[Tensor, "b"]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Images at times (b,) from 0 (hardly any noise) to 1 (noise): (x, what the network is to find, time of its scale)."""
        if self.schedule is None:
            x, velocity = interpolated(image, noise, 1 - time)
            return x, velocity, 1 - time
        step = (time * len(self.schedule)).long().clamp(max=len(self.schedule) - 1)
        return diffused(image, noise, step, self.schedule), noise, step

    def _errors(self, image: Tensor, noise: Tensor, time: Tensor, label: Tensor | None, words: Tensor | None) -> Tensor:
        x, truth, at = self.noisy(image, noise, time)
        return squared_errors(self.answer(x, at, label, words), truth)

    def _conditions(self, batch: Batch, dropped: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Classes (b,) and words (b, n); of images in `dropped` (b,), and of those without a known class, the empty ones."""
        if not self.conditional:
            return None, None
        assert isinstance(batch.target, Labels)
        index, empty = batch.target.index, dropped | ~batch.target.known
        label = torch.where(empty, self.classes, index) if self.classes else None
        return label, None if self.texts is None else torch.where(empty[:, None], 0, self.texts[index])
