"""A network that gives pictures the style of others, in one pass.

    feedforward   one style, or the mean of several, which the network is trained for (Johnson, Alahi & Fei-Fei 2016,
                  arXiv:1603.08155)
    adain         any style: features of the picture get the mean and deviation of those of the style, and a decoder makes a
                  picture of them (Huang & Belongie 2017, arXiv:1703.06868)

Losses are divided by the size of what they compare, so weights have one meaning for all networks and layers.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sightline.losses.means import in_32_bits
from sightline.losses.style import adain, content_loss, gram, gram_loss, statistics_loss
from sightline.preprocessing.signed import HALF, to_levels, to_signed
from sightline.randomness.keyed import normal
from sightline.structures.batch import Batch
from sightline.structures.figure_rows import FigureRows
from sightline.structures.predictions import Images, Prediction
from sightline.tasks.task import Loss, Task, Turn

TRANSFER, FEATURES = "transfer", "features"
FIGURES = ("loss", "content_left", "style_left", "style_unchanged")
START = 0.3  # deviation of the noise, of pixels in [-1, 1], whose losses are the unit of what is left of them
_TINY = 1e-12
Picture = Float[Tensor, "b c h w"]


class Style(Task):
    """`transfer` makes images in [-1, 1] of such images, or of features; `features` images in levels → maps of several layers,
    and holds the style pictures as `pictures` (k, c, h, w) uint8.

    method   "feedforward" or "adain"
    layer    of the features, which the content is in and, by adain, the decoder reads
    weight   of the style beside the content
    smooth   weight of the mean squared difference between neighbouring pixels
    """

    turns = (Turn(TRANSFER, (TRANSFER,)),)
    features: Any

    def __init__(
        self,
        transfer: nn.Module,
        features: nn.Module,
        *,
        method: str,
        layer: int,
        weight: float = 1.0,
        smooth: float = 0.0,
    ) -> None:
        super().__init__()
        self.transfer, self.features = transfer, features
        self.method, self.layer, self.weight, self.smooth = method, layer, weight, smooth
        self._aims: list[Tensor] | None = None

    def loss(self, batch: Batch, turn: str = TRANSFER) -> Loss:
        image = to_signed(batch.image)
        count = len(self.features.pictures)
        which = torch.randint(count, (len(image),), device=image.device)
        total_weight = torch.tensor(float(len(image)), device=image.device)
        if self.method == "adain":
            made, parts = self._adaptive(image, self.features.pictures[which])
        else:
            made, parts = self._fixed(image)
        total = parts["content"] + self.weight * parts["style"]
        if self.smooth:
            steps = [(made.diff(dim=axis)).square().mean() for axis in (2, 3)]
            total = total + self.smooth * (steps[0] + steps[1])
        shown = {"loss": total.detach()} | {name: part.detach() for name, part in parts.items()}
        return Loss(total, total_weight, shown)

    def _fixed(self, image: Picture) -> tuple[Picture, dict[str, Tensor]]:
        made = in_32_bits(self.transfer(image))
        maps, aims = self._maps(made), self._style_aims()
        with torch.no_grad():
            aim = self._maps(image)[self.layer]
        style = [
            (gram_loss(gram(f), g.expand(len(f), -1, -1)) / _size(g)).mean() for f, g in zip(maps, aims, strict=True)
        ]
        content = (content_loss(maps[self.layer], aim) / _size(aim)).mean()
        return made, {"content": content, "style": torch.stack(style).mean()}

    def _adaptive(self, image: Picture, pictures: Tensor) -> tuple[Picture, dict[str, Tensor]]:
        with torch.no_grad():
            style = self._maps(to_signed(pictures))
            aim = adain(self._maps(image)[self.layer], style[self.layer])
        made = in_32_bits(self.transfer(aim))
        maps = self._maps(made)
        apart = [(statistics_loss(f, s) / _size(s)).mean() for f, s in zip(maps, style, strict=True)]
        content = (content_loss(maps[self.layer], aim) / _size(aim)).mean()
        return made, {"content": content, "style": torch.stack(apart).mean()}

    def styled(self, image: Picture, pictures: UInt8[Tensor, "s c i j"] | None = None) -> Picture:
        """Images in [-1, 1] in the style of one picture each, or of one for all; by default of the first that the run has. Only
        adain knows styles of others."""
        if self.method != "adain":
            return in_32_bits(self.transfer(image))
        shown = self.features.pictures[:1] if pictures is None else pictures
        style = self._maps(to_signed(shown))[self.layer].expand(len(image), -1, -1, -1)
        return in_32_bits(self.transfer(adain(self._maps(image)[self.layer], style)))

    def predict(self, batch: Batch) -> Prediction:
        return Images((self.styled(to_signed(batch.image)) + 1) * HALF)

    def rows(self, batch: Batch, prediction: Prediction) -> FigureRows:
        """What is left of content and style loss, of the rounded image, as shares of those of noise, which is a function of the
        image's id; and of the style loss of the image as it was."""
        assert isinstance(prediction, Images)
        image = to_signed(batch.image)
        made = to_signed(to_levels(prediction.image / HALF - 1))
        places = torch.arange(image[0].numel())
        drawn = normal(0, "start of a style", batch.id.cpu()[:, None], places).reshape(image.shape)
        noise = (START * drawn).clamp(-1, 1).to(image.device)
        with torch.no_grad():
            aims = self._style_aims(first=self.method == "adain")
            maps = {name: self._maps(x) for name, x in (("made", made), ("noise", noise), ("image", image))}
            aim = maps["image"][self.layer]
            if self.method == "adain":
                shown = self._maps(to_signed(self.features.pictures[:1]))[self.layer]
                aim = adain(aim, shown.expand(len(image), -1, -1, -1))
            content = {name: content_loss(maps[name][self.layer], aim) for name in ("made", "noise")}
            style = {
                name: [gram_loss(gram(f), g.expand(len(f), -1, -1)) for f, g in zip(maps[name], aims, strict=True)]
                for name in maps
            }

        def left(name: str) -> Float[Tensor, "b"]:
            shares = [a / b.clamp(min=_TINY) for a, b in zip(style[name], style["noise"], strict=True)]
            return torch.stack(shares).mean(0)

        shares = [content["made"] / content["noise"].clamp(min=_TINY), left("made"), left("image")]
        value = torch.stack([shares[0] + shares[1], *shares], 1)
        return FigureRows(batch.id.cpu().numpy(), value.cpu().double().numpy(), FIGURES)

    def metrics(self, rows: Any) -> dict[str, float | None]:
        assert isinstance(rows, FigureRows)
        return {name: float(rows.column(name).mean()) if len(rows) else None for name in FIGURES}

    def _maps(self, signed: Picture) -> list[Tensor]:
        """The features of each layer, in 32 bits: squares of large numbers are compared."""
        return [in_32_bits(f) for f in self.features((signed + 1) * HALF)]

    def _style_aims(self, first: bool = False) -> list[Tensor]:
        """The mean Gram matrix (1, k, k) of the style pictures at each layer, or that of the first."""
        if first:
            return [gram(f) for f in self._maps(to_signed(self.features.pictures[:1]))]
        if self._aims is None:  # the pictures and the features do not change
            with torch.no_grad():
                each = [self._maps(to_signed(picture[None])) for picture in self.features.pictures]
            self._aims = [torch.stack([gram(f) for f in layer]).mean(0) for layer in zip(*each, strict=True)]
        return self._aims


def _size(x: Tensor) -> Float[Tensor, ""]:
    """The mean square, which a loss is divided by."""
    return x.detach().square().mean().clamp(min=_TINY)
