"""A generator against a critic: the generator makes images of noise, the critic scores how real they are."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from sightline.losses.generative import critic_loss, generator_loss, gradient_penalty
from sightline.preprocessing.signed import to_signed
from sightline.structures.batch import Batch
from sightline.structures.predictions import Embeddings, Prediction
from sightline.structures.targets import Labels
from sightline.tasks.task import Loss, Task, Turn

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
        """The critic's score of each image, (b, 1); where it knows classes, one for each of them, (b, k)."""
        x = to_signed(batch.image)
        if not self.classes:
            return Embeddings(self.critic(x)[:, None])
        scores = [self.critic(x, torch.full((len(x),), k, device=x.device)) for k in range(self.classes)]
        return Embeddings(torch.stack(scores, 1))

    def rows(self, batch: Batch, prediction: Prediction) -> Any:
        raise AssertionError("nothing measures a GAN yet")

    def metrics(self, rows: Any) -> dict[str, float | None]:
        raise AssertionError("nothing measures a GAN yet")
