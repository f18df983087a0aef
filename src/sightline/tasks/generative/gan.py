"""A generator against a critic: the generator makes images of noise, the critic scores how real they are."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.losses.generative import critic_loss, generator_loss, gradient_penalty
from sightline.metrics.distributions import frechet_distance
from sightline.preprocessing.signed import to_signed
from sightline.randomness.keyed import normal
from sightline.structures.batch import Batch
from sightline.structures.predictions import Prediction, Rivals
from sightline.structures.rows.sets import SetRows
from sightline.structures.targets import Labels
from sightline.tasks.task import Loss, Task, Turn

from .cells import cells

CRITIC, GENERATOR = "critic", "generator"


class Gan(Task):
    """`critic_steps` turns of the critic, each on real images of its own, then one of the generator.

    generator     noise (b, latent) and classes (b,) or None → images (b, c, h, w) in [-1, 1]
    critic        such images and classes → logits of "real" (b,)
    game          the losses, see `losses.generative`
    penalty       weight of the gradient penalty; 0: none
    classes       how many there are; 0: the networks know none
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        *,
        game: str = "hinge",
        penalty: float = 0.0,
        critic_steps: int = 1,
        latent: int = 100,
        classes: int = 0,
    ) -> None:
        super().__init__()
        self.generator, self.critic = generator, critic
        self.game, self.penalty, self.latent, self.classes = game, penalty, latent, classes
        self.turns = (*(Turn(CRITIC, (CRITIC,)),) * critic_steps, Turn(GENERATOR, (GENERATOR,)))

    def loss(self, batch: Batch, turn: str) -> Loss:
        real, label = self._real(batch)
        weight = torch.tensor(float(len(real)), device=real.device)
        if not len(real):  # nothing in this batch has a class
            return Loss(sum((p.sum() * 0 for p in getattr(self, turn).parameters()), torch.zeros(())), weight)
        z = torch.randn(len(real), self.latent, device=real.device)
        if turn == GENERATOR:
            score = self.critic(self.generator(z, label), label)
            total = generator_loss(self.game, score)
            return Loss(total, weight, {GENERATOR: total.detach()})
        with torch.no_grad():
            made = self.generator(z, label)
        of_real, of_made = self.critic(real, label), self.critic(made, label)
        total = critic_loss(self.game, of_real, of_made)
        parts = {CRITIC: total.detach(), "score_real": of_real.detach().mean(), "score_made": of_made.detach().mean()}
        if self.penalty:
            share = torch.rand(len(real), device=real.device)
            slope = gradient_penalty(lambda x: self.critic(x, label), real, made, share)
            parts["penalty"] = slope.detach()
            total = total + self.penalty * slope
        return Loss(total, weight, parts)

    def _real(self, batch: Batch) -> tuple[Float[Tensor, "b c h w"], Int[Tensor, "b"] | None]:
        """The real images in [-1, 1] and their classes; without those of unknown class where classes are used."""
        real = to_signed(batch.image)
        if not self.classes:
            return real, None
        assert isinstance(batch.target, Labels)
        known = batch.target.known
        return (real, batch.target.index) if bool(known.all()) else (real[known], batch.target.index[known])

    def predict(self, batch: Batch) -> Prediction:
        """Scores of the images, and features of them and of as many made ones: noise and class of these depend on the ids."""
        real = to_signed(batch.image)
        score, label = self._scores(real, batch)
        index = batch.id.cpu()
        noise = normal(0, "validation", index[:, None], torch.arange(self.latent)).to(real.device)
        own = None
        if self.classes:
            assert isinstance(batch.target, Labels)
            own = torch.where(batch.target.known, batch.target.index, batch.id % self.classes)
        made = self.generator(noise, own)
        return Rivals(score, label, cells(real), cells(made), self.critic(made, own))

    def _scores(self, real: Float[Tensor, "b c h w"], batch: Batch) -> tuple[Float[Tensor, "b"], Int[Tensor, "b"]]:
        """The critic's score of each image and the class that it belongs to."""
        if not self.classes:
            return self.critic(real), torch.zeros_like(batch.id)
        assert isinstance(batch.target, Labels)
        if bool(batch.target.known.all()):
            return self.critic(real, batch.target.index), batch.target.index
        each = [self.critic(real, torch.full_like(batch.id, k)) for k in range(self.classes)]
        best, label = torch.stack(each, 1).max(1)
        return best, label

    def rows(self, batch: Batch, prediction: Prediction) -> SetRows:
        assert isinstance(prediction, Rivals)
        tensors = (batch.id, prediction.real, prediction.made, prediction.score, prediction.score_made)
        id, *figures = (tensor.cpu().numpy() for tensor in tensors)
        return SetRows(id, *(figure.astype(np.float64) for figure in figures))

    def metrics(self, rows: SetRows) -> dict[str, float | None]:
        """The Fréchet distance in the features `cells`, and the mean scores of the critic."""
        enough = len(rows) > 2
        return {
            "frechet": frechet_distance(rows.real, rows.made) if enough else None,
            "score_real": float(rows.score_real.mean()) if len(rows) else None,
            "score_made": float(rows.score_made.mean()) if len(rows) else None,
        }
