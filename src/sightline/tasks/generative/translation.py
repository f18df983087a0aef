"""Images of one domain to images of another: with pairs (pix2pix), or without (CycleGAN)."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from sightline.losses.generative import critic_loss, generator_loss
from sightline.losses.means import in_32_bits
from sightline.metrics.generation.pictures import mean_difference, psnr, ssim
from sightline.preprocessing.signed import HALF, to_levels, to_signed
from sightline.structures.batch import Batch
from sightline.structures.figure_rows import FigureRows
from sightline.structures.predictions import Images, Prediction
from sightline.structures.targets import Pictures
from sightline.tasks.task import Loss, Task, Turn

GENERATOR, CRITIC = "generator", "critic"
THERE, BACK = "there", "back"  # the generators of CycleGAN
OF_TARGET, OF_SOURCE = "critic_of_target", "critic_of_source"
CLOSENESS = ("psnr", "ssim", "l1")  # of a translation to its true partner
FIGURES = (*CLOSENESS, "cycle_l1", "rounded_cycle_l1", "backward")
Picture = Float[Tensor, "b c h w"]


class PairedTranslation(Task):
    """pix2pix: the generator makes the partner of an image; the critic sees both, and tells whether the partner is real.

    generator   images in [-1, 1] → images in [-1, 1]
    critic      image and partner in one, (b, 2c, h, w) → logits (b, n)
    l1          weight of the mean |made - true| beside the adversarial loss
    source      the domain that is translated
    """

    turns = (Turn(CRITIC, (CRITIC,)), Turn(GENERATOR, (GENERATOR,)))

    def __init__(self, generator: nn.Module, critic: nn.Module, *, l1: float = 100.0, source: int = 0) -> None:
        super().__init__()
        self.generator, self.critic = generator, critic
        self.l1, self.source = l1, source

    def loss(self, batch: Batch, turn: str) -> Loss:
        target = pictures_of(batch)
        image, true = to_signed(batch.image[target.known]), to_signed(target.image[target.known])
        weight = torch.tensor(float(len(image)), device=image.device)
        if not len(image):
            return _nothing(self, turn, weight)
        if turn == GENERATOR:
            made = in_32_bits(self.generator(image))
            fooled = generator_loss("non_saturating", self.critic(torch.cat([image, made], 1)).flatten())
            far = (made - true).abs().mean()
            return Loss(fooled + self.l1 * far, weight, {GENERATOR: fooled.detach(), "l1": far.detach()})
        with torch.no_grad():
            made = in_32_bits(self.generator(image))
        real, artificial = (self.critic(torch.cat([image, other], 1)).flatten() for other in (true, made))
        total = critic_loss("non_saturating", real, artificial) / 2  # the paper slows the critic down by this half
        return Loss(total, weight, {CRITIC: total.detach()})

    def predict(self, batch: Batch) -> Prediction:
        return Images(_levels(self.generator(to_signed(batch.image))))

    def rows(self, batch: Batch, prediction: Prediction) -> FigureRows:
        assert isinstance(prediction, Images)
        n = len(batch)
        unknown = torch.full((n, 2), torch.nan, device=batch.image.device)
        backward = torch.zeros(n, 1, device=batch.image.device)
        return _rows(batch, torch.cat([closeness(batch, prediction), unknown, backward], 1))

    def metrics(self, rows: Any) -> dict[str, float | None]:
        return means(rows)


class CycleTranslation(Task):
    """CycleGAN: a generator for each direction, a critic for each domain; an image that goes there and back must return.

    there, back      images in [-1, 1] of the source → of the target, and the reverse
    critic_of_…      images of that domain → logits (b, n); `remember=True` shows it earlier ones too
    cycle            weight of the mean |image - there and back|
    identity         weight, in multiples of `cycle`, of the mean |image - translated| of what is of the target already
    source           the domain that `there` translates
    """

    turns = (Turn("critics", (OF_TARGET, OF_SOURCE)), Turn("generators", (THERE, BACK)))

    def __init__(
        self,
        there: nn.Module,
        back: nn.Module,
        critic_of_target: nn.Module,
        critic_of_source: nn.Module,
        *,
        cycle: float = 10.0,
        identity: float = 0.5,
        source: int = 0,
    ) -> None:
        super().__init__()
        self.there, self.back = there, back
        self.critic_of_target, self.critic_of_source = critic_of_target, critic_of_source
        self.cycle, self.identity, self.source = cycle, identity, source

    def loss(self, batch: Batch, turn: str) -> Loss:
        image, domain = to_signed(batch.image), pictures_of(batch).domain
        one, other = image[domain == self.source], image[(domain != self.source) & (domain >= 0)]
        weight = torch.tensor(float(min(len(one), len(other))), device=image.device)
        if not len(one) or not len(other):
            return _nothing(self, self.turns[turn == "generators"].learns[0], weight)
        if turn == "critics":
            with torch.no_grad():
                made_other, made_one = self.there(one), self.back(other)
            total = _judged(self.critic_of_target, other, made_other) + _judged(self.critic_of_source, one, made_one)
            return Loss(total, weight, {CRITIC: total.detach()})
        made_other, made_one = in_32_bits(self.there(one)), in_32_bits(self.back(other))
        scores = self.critic_of_target(made_other), self.critic_of_source(made_one)
        fooled = sum((generator_loss("least_squares", score.flatten()) for score in scores), torch.zeros_like(weight))
        around = _distance(self.back(made_other), one) + _distance(self.there(made_one), other)
        total = fooled + self.cycle * around
        parts = {GENERATOR: fooled.detach(), "cycle": around.detach() / 2}
        if self.identity:
            same = _distance(self.there(other), other) + _distance(self.back(one), one)
            total, parts["identity"] = total + self.cycle * self.identity * same, same.detach() / 2
        return Loss(total, weight, parts)

    def predict(self, batch: Batch) -> Prediction:
        """Every image in the other domain; one of unknown domain is taken for the source's."""
        return Images(_levels(self._translated(to_signed(batch.image), self._backward(batch))))

    def rows(self, batch: Batch, prediction: Prediction) -> FigureRows:
        """Beside the closeness to the partner, the mean |image - there and back| in levels: with the middle as the generator
        made it, and with the middle rounded to levels, as a file holds it."""
        assert isinstance(prediction, Images)
        backward, image = self._backward(batch), batch.image.float()
        middle = prediction.image / HALF - 1
        with torch.no_grad():
            returns = [
                mean_difference(_levels(self._translated(x, ~backward)), image)
                for x in (middle, to_signed(to_levels(middle)))
            ]
        return _rows(batch, torch.cat([closeness(batch, prediction), torch.stack([*returns, backward.float()], 1)], 1))

    def metrics(self, rows: Any) -> dict[str, float | None]:
        return means(rows)

    def _backward(self, batch: Batch) -> Bool[Tensor, "b"]:
        if not isinstance(batch.target, Pictures):
            return torch.zeros(len(batch), dtype=torch.bool, device=batch.image.device)
        return (batch.target.domain >= 0) & (batch.target.domain != self.source)

    def _translated(self, image: Picture, backward: Bool[Tensor, "b"]) -> Picture:
        out = torch.empty_like(image)
        for which, direction in ((~backward, THERE), (backward, BACK)):
            if bool(which.any()):
                out[which] = in_32_bits(self.there(image[which]) if direction == THERE else self.back(image[which]))
        return out


def pictures_of(batch: Batch) -> Pictures:
    if not isinstance(batch.target, Pictures):
        raise TypeError(f"a translation needs Pictures, but the batch has {type(batch.target).__name__}")
    return batch.target


def closeness(batch: Batch, prediction: Images) -> Float[Tensor, "b 3"]:
    """PSNR, SSIM and mean difference of each translation, rounded to levels, to its true partner; NaN where it has none."""
    figures = torch.full((len(batch), len(CLOSENESS)), torch.nan, device=batch.image.device)
    target = batch.target
    if isinstance(target, Pictures) and bool(target.known.any()):
        made = prediction.image[target.known].round().clamp(0, 255)
        true = target.image[target.known].float()
        figures[target.known] = torch.stack([measure(made, true) for measure in (psnr, ssim, mean_difference)], 1)
    return figures


def means(rows: Any) -> dict[str, float | None]:
    """The mean of each figure over the images that have it; None where none has."""
    assert isinstance(rows, FigureRows)
    known = {name: values[~values.isnan()] for name in FIGURES[:-1] for values in [torch.from_numpy(rows.column(name))]}
    return {name: float(values.mean()) if len(values) else None for name, values in known.items()}


def _rows(batch: Batch, figures: Float[Tensor, "b k"]) -> FigureRows:
    return FigureRows(batch.id.cpu().numpy(), figures.cpu().double().numpy(), FIGURES)


def _levels(signed: Picture) -> Picture:
    return (in_32_bits(signed) + 1) * HALF


def _judged(critic: nn.Module, real: Picture, made: Picture) -> Float[Tensor, ""]:
    """The critic's loss on real images, and on made ones with earlier ones among them."""
    return critic_loss("least_squares", critic(real).flatten(), critic(made, remember=True).flatten())


def _distance(one: Picture, other: Picture) -> Float[Tensor, ""]:
    return (in_32_bits(one) - other).abs().mean()


def _nothing(task: Task, learner: str, weight: Tensor) -> Loss:
    """The loss of a micro-batch in which nothing can be compared."""
    none = torch.zeros((), device=weight.device)
    return Loss(sum((p.sum() * 0 for p in getattr(task, learner).parameters()), none), torch.zeros_like(weight))
