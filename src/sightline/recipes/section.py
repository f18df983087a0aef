"""The base of a recipe's sections, the numbers they hold, and the section of augmentation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt

Fraction = Annotated[float, Field(ge=0, lt=1)]
Share = Annotated[float, Field(ge=0, le=1)]
# Beyond these limits a product with the number of images or steps is no number any more.
Count = Annotated[PositiveInt, Field(le=1 << 48)]
Rate = Annotated[PositiveFloat, Field(le=1e6)]
RateOrZero = Annotated[NonNegativeFloat, Field(le=1e6)]

COMPOSITES = ("mosaic", "mixup", "cutmix")  # the keys of operations that make one sample of several images
SINGLE = ("crop", "rotate", "zoom", "blur", "noise", "hue", "transform")  # operations on single images beside a preset
CLOSE = 0.15  # of the steps of a detector; published are 15 of 300 epochs, and a short training needs a larger share


class Section(BaseModel):
    """Frozen; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _range(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("the smaller factor comes first")
    return value


_Factor = Annotated[float, Field(ge=0.01, le=10)]


class DraftAugment(Section):
    preset: Literal["none", "light", "standard", "elastic", "driving", "medical"] | None = None
    flip: bool | None = Field(None, description="mirror left and right; turn it off for text")
    policy: str | None = Field(
        None, description="random operations after the preset's: rand-m9-n2, timm-rand-m9-n2 (their scale) or trivial"
    )
    mosaic: Share | None = Field(None, description="share of the samples that are made of four images")
    mosaic_scale: Annotated[tuple[_Factor, _Factor], AfterValidator(_range)] | None = Field(
        None, description="smallest and largest factor on their size (0.1 and 2)"
    )
    mixup: Share | None = Field(None, description="share of the samples that show two images through each other")
    cutmix: Share | None = Field(None, description="share of the samples with a rectangle of another image")
    alpha: Annotated[float, Field(gt=0, le=100)] | None = Field(
        None, description="mixup and cutmix of classes: shares of the two images are from Beta(alpha, alpha) (1)"
    )
    cutout: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="a square in each image that is hidden: its side, as a share of the image's shorter one"
    )
    crop: Annotated[float, Field(ge=0.01, le=1)] | None = Field(
        None, description="a part of each image, with this to all of its area, is stretched to the whole frame"
    )
    rotate: Annotated[float, Field(gt=0, lt=90)] | None = Field(None, description="degrees, at most, either way")
    zoom: Annotated[float, Field(gt=0, lt=1)] | None = Field(None, description="size drawn from 1 ± this")
    blur: Annotated[float, Field(gt=0, le=20)] | None = Field(
        None, description="largest deviation of a Gaussian, pixels"
    )
    noise: Annotated[float, Field(gt=0, le=1)] | None = Field(
        None, description="largest deviation of normal noise, as a share of the range"
    )
    hue: Annotated[float, Field(gt=0, le=0.5)] | None = Field(
        None, description="largest turn of the hue, as a share of the circle"
    )
    transform: str | None = Field(
        None, description="package.module:attribute: a pipeline of your own, of torchvision, Kornia or Albumentations"
    )
    close: Fraction | None = Field(
        None, description="share of the steps, the last ones, in which no sample is made of several images"
    )


class AugmentSection(DraftAugment):
    preset: Literal["none", "light", "standard", "elastic", "driving", "medical"]


def closes(section: DraftAugment, share: float) -> float | None:
    """`augment.close`, by rule this share where the recipe makes samples of several images."""
    return share if section.close is None and any(getattr(section, key) for key in COMPOSITES) else section.close
