"""Images with one attribute changed: an encoder and decoder against a critic that also knows attributes.

He et al. 2017, arXiv:1711.10678. The editor reconstructs an image from its code and its own attributes, and makes an edit from
the same code and other attributes. Only the reconstruction is compared with pixels; an edit must have its attributes in the
eyes of a classifier that learned from real images, and must look real to the critic.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Num
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from sightline.losses.generative import critic_loss, generator_loss, gradient_penalty
from sightline.losses.means import in_32_bits
from sightline.metrics.generation.pictures import psnr
from sightline.preprocessing.signed import HALF, to_levels, to_signed
from sightline.structures.batch import Batch
from sightline.structures.figure_rows import FigureRows
from sightline.structures.predictions import Images, Prediction
from sightline.structures.targets import Values
from sightline.tasks.task import Loss, Task, Turn

GENERATOR, CRITIC = "generator", "critic"
GAME = "wasserstein"
MEANS = ("edited", "changed", "kept", "psnr")  # of an image over its edits; the first three are shares


class Attributes(Task):
    """`critic_steps` turns of the critic, then one of the generator.

    generator        images (b, c, h, w) in [-1, 1] and attributes (b, k), 1 or -1 → such images; `encode`, `decode`
    critic           images → (score (b,), logits (b, k))
    reconstruction   λ₁, weight of the mean |reconstruction - image|
    attribute        λ₂, weight of the edit's attributes in the generator's turn
    classify         λ₃, weight of the real images' attributes in the critic's turn
    penalty          weight of the gradient penalty
    names            of the attributes
    """

    def __init__(
        self,
        generator: nn.Module,
        critic: nn.Module,
        *,
        reconstruction: float = 100.0,
        attribute: float = 10.0,
        classify: float = 1.0,
        penalty: float = 10.0,
        critic_steps: int = 5,
        names: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.generator, self.critic = generator, critic
        self.reconstruction, self.attribute = reconstruction, attribute
        self.classify, self.penalty, self.names = classify, penalty, tuple(names)
        self.turns = (*(Turn(CRITIC, (CRITIC,)),) * critic_steps, Turn(GENERATOR, (GENERATOR,)))

    def loss(self, batch: Batch, turn: str) -> Loss:
        real, own = self._complete(batch)
        weight = torch.tensor(float(len(real)), device=real.device)
        if len(real) < 2:  # nothing to exchange attributes with
            return Loss(sum((p.sum() * 0 for p in getattr(self, turn).parameters()), torch.zeros(())), weight * 0)
        other = own[torch.randperm(len(own), device=own.device)]  # of another image: combinations that occur
        if turn == GENERATOR:
            return self._edit(real, own, other, weight)
        with torch.no_grad():
            made = self.generator(real, signs(other))
        of_real, of_made = self.critic(real), self.critic(made)
        total = critic_loss(GAME, of_real.score, of_made.score)
        share = torch.rand(len(real), device=real.device)
        slope = gradient_penalty(lambda x: self.critic(x).score, real, made, share)
        known = binary_cross_entropy_with_logits(in_32_bits(of_real.logits), own)
        parts = {CRITIC: total.detach(), "penalty": slope.detach(), "attributes_real": known.detach()}
        return Loss(total + self.penalty * slope + self.classify * known, weight, parts)

    def _edit(self, real: Tensor, own: Tensor, other: Tensor, weight: Tensor) -> Loss:
        n = len(real)
        both = self.generator(torch.cat([real, real]), signs(torch.cat([own, other])))  # one batch for the norms
        again, made = in_32_bits(both).split(n)
        opinion = self.critic(made)
        fooled = generator_loss(GAME, opinion.score)
        has = binary_cross_entropy_with_logits(in_32_bits(opinion.logits), other)
        far = (again - real).abs().mean()
        total = fooled + self.attribute * has + self.reconstruction * far
        return Loss(total, weight, {GENERATOR: fooled.detach(), "attributes": has.detach(), "l1": far.detach()})

    def _complete(self, batch: Batch) -> tuple[Float[Tensor, "n c h w"], Float[Tensor, "n k"]]:
        """The images in [-1, 1] all of whose attributes are known, and these."""
        assert isinstance(batch.target, Values)
        known = batch.target.known.all(1)
        return to_signed(batch.image[known]), batch.target.value[known].float()

    def attributes_of(self, batch: Batch) -> Float[Tensor, "b k"]:
        """1 and 0 of each image: as it is labelled, and where it is not, as the critic's classifier sees it."""
        seen = (self.critic(to_signed(batch.image)).logits > 0).float()
        target = batch.target
        return torch.where(target.known, target.value.float(), seen) if isinstance(target, Values) else seen

    def predict(self, batch: Batch) -> Prediction:
        """(b, (1 + k)·c, h, w): the reconstruction, then the edit of each attribute alone: taken away where the image has it,
        else given."""
        own = self.attributes_of(batch)
        maps = self.generator.encode(to_signed(batch.image))  # type: ignore[operator]
        made = [self.generator.decode(maps, signs(own))]  # type: ignore[operator]
        made += [self.generator.decode(maps, signs(flipped(own, j))) for j in range(own.shape[1])]  # type: ignore[operator]
        return Images((in_32_bits(torch.cat(made, 1)) + 1) * HALF)

    def rows(self, batch: Batch, prediction: Prediction) -> FigureRows:
        """Of each image whether its edits have what they were to have, in the eyes of the critic's classifier; and the same
        of each attribute. NaN for an attribute that is not known of the image."""
        assert isinstance(prediction, Images)
        again, *edits = parted(prediction.image, batch.image.shape[1])
        own, k = self.attributes_of(batch), len(edits)
        known = batch.target.known if isinstance(batch.target, Values) else torch.ones_like(own, dtype=torch.bool)
        changed, kept = torch.full((len(batch), k), torch.nan), torch.full((len(batch), k), torch.nan)
        for j, edit in enumerate(edits):
            seen = self.critic(edit / HALF - 1).logits > 0
            right = (seen == (flipped(own, j) > 0.5)).float()
            others = known.clone()
            others[:, j] = False
            share = (right * others).sum(1) / others.sum(1)  # NaN where there are none
            changed[:, j] = torch.where(known[:, j], right[:, j], torch.nan).cpu()
            kept[:, j] = torch.where(known[:, j], share, torch.nan).cpu()
        whole = torch.where(changed.isnan(), torch.nan, changed * (kept.nan_to_num(1.0) == 1))
        close = psnr(to_levels(again / HALF - 1).float(), batch.image.float()).cpu()
        means = torch.stack([*(figure.nanmean(1) for figure in (whole, changed, kept)), close], 1)
        names = (*MEANS, *(f"{what} {j}" for what in ("changed", "kept") for j in self.names or range(k)))
        return FigureRows(batch.id.cpu().numpy(), torch.cat([means, changed, kept], 1).double().numpy(), names)

    def metrics(self, rows: Any) -> dict[str, float | None]:
        assert isinstance(rows, FigureRows)
        return {name: mean_of(rows.column(name)) for name in MEANS}


def mean_of(values: Float[np.ndarray, "n"]) -> float | None:
    """The mean of those that are known; None where none is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def signs(attributes: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
    """1 and 0 → 1 and -1."""
    return 2 * attributes - 1


def flipped(attributes: Float[Tensor, "b k"], which: int) -> Float[Tensor, "b k"]:
    """The attributes with one of them exchanged."""
    changed = attributes.clone()
    changed[:, which] = 1 - changed[:, which]
    return changed


def parted(image: Num[Tensor, "b kc h w"], channels: int) -> tuple[Tensor, ...]:
    """The reconstruction and the edits (b, c, h, w) of a prediction."""
    return image.split(channels, dim=1)
