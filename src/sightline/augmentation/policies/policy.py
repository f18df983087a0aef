"""RandAugment (Cubuk et al. 2019, arXiv:1909.13719) and TrivialAugment (Müller & Hutter 2021, arXiv:2103.10158).

Each image goes through `count` operations, drawn from fourteen: nothing, two shears, two translations, rotation, brightness,
colour, contrast, sharpness, posterising, solarising, automatic contrast, equalising. All have one strength: RandAugment's is a
level that is set, TrivialAugment's is drawn. Libraries count levels differently:

    torchvision   level m of 30; translations up to 150/331 of the side
    timm          level m of 10, in its increasing form (`inc1`); translations up to 0.45 of the side, whole bits
    wide          TrivialAugment's: 30 levels of a wider range, translations up to 32 pixels

timm's m9 is therefore as strong as torchvision's 27. timm also leaves each operation out with probability 0.5 and draws from
another list; here all three draw from the fourteen. Images are resampled bilinearly, black outside.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from sightline.errors import UsageError
from sightline.structures.batch import Batch

from ..affine import warp
from ..operation import Operation, inside, matrix, pixels_first, pixels_last
from . import pixels

Scale = Literal["torchvision", "timm", "wide"]
MOVES = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
NAMES = ("identity", *MOVES, *pixels.OPERATIONS)
SIGNED = (*MOVES, "brightness", "colour", "contrast", "sharpness")
TOP: Mapping[Scale, int] = {"torchvision": 30, "timm": 10, "wide": 30}


def strengths(scale: Scale) -> dict[str, list[float]]:
    """Operation → its strength at each level. Shears as tangents, rotation in degrees, translations as a share of the side
    (wide: in pixels), posterising in bits that are kept, solarising as the share of 255 from which pixels are inverted."""
    top = TOP[scale]
    shares = [level / top for level in range(top + 1)]
    wide = scale == "wide"
    most = 0.99 if wide else 0.3
    move = {"torchvision": 150 / 331, "timm": 0.45, "wide": 32.0}[scale]
    if scale == "timm":
        bits = [float(4 - int(share * 4)) if share else 4.0 for share in shares]
        invert = [(256 - min(256, int(share * 256))) / 255 for share in shares]
    else:
        bits = [float(round(8 - share * (6 if wide else 4))) for share in shares]
        invert = [1 - share for share in shares]
    factor = [share * (0.99 if wide else 0.9) for share in shares]
    return {
        **{name: [0.0] * (top + 1) for name in NAMES},
        **{name: [share * most for share in shares] for name in ("shear_x", "shear_y")},
        **{name: [share * move for share in shares] for name in ("translate_x", "translate_y")},
        "rotate": [share * (135.0 if wide else 30.0) for share in shares],
        **{name: factor for name in ("brightness", "colour", "contrast", "sharpness")},
        "posterize": bits,
        "solarize": invert,
    }


@dataclass(frozen=True)
class Policy(Operation):
    """`count` operations at `level` of `scale`; without a level, one drawn for each."""

    count: int = 2
    level: int | None = 9
    scale: Scale = "torchvision"
    name: ClassVar[str] = "policy"

    @classmethod
    def of(cls, text: str) -> Policy:
        """`rand-m9-n2`, `timm-rand-m9-n2` or `trivial`. UsageError for any other."""
        if text == "trivial":
            return cls(1, None, "wide")
        found = re.fullmatch(r"(timm-)?rand-m(\d{1,2})-n([1-9])", text)
        scale: Scale = "timm" if found and found[1] else "torchvision"
        if found is None or int(found[2]) > TOP[scale]:
            raise UsageError(
                f"augment.policy={text!r} is no policy",
                "use rand-m9-n2 (levels 0 to 30, torchvision's), timm-rand-m9-n2 (0 to 10), or trivial",
            )
        return cls(int(found[3]), int(found[2]), scale)

    def __call__(self, batch: Batch, seed: int) -> Batch:
        draws = self.draws(batch, seed, 3 * self.count)
        for turn in range(self.count):
            which, sign, level = draws[3 * turn : 3 * turn + 3]
            at = (
                (level * (TOP[self.scale] + 1)).long()
                if self.level is None
                else torch.full_like(which, self.level).long()
            )
            batch = self.apply(batch, (which * len(NAMES)).long(), at, torch.where(sign < 0.5, -1.0, 1.0))
        return batch

    def apply(self, batch: Batch, which: Int[Tensor, "b"], level: Int[Tensor, "b"], sign: Float[Tensor, "b"]) -> Batch:
        """Each image after operation `NAMES[which]` at its level, in the direction of its sign."""
        strength = _table(self.scale).to(which.device)[which, level]  # (b,)
        signed = torch.tensor([name in SIGNED for name in NAMES], device=which.device)[which]
        strength = torch.where(signed, strength * sign, strength)
        if bool(((which >= 1) & (which <= len(MOVES))).any()):
            turn = _turns(self.scale).to(which.device)[level]  # (b, 2)
            batch = warp(batch, _motion(batch, which, strength, turn, sign, pixels=self.scale == "wide"))
        x, within = pixels_last(batch.image).clone(), inside(batch)
        for name, operation in pixels.OPERATIONS.items():
            rows = (which == NAMES.index(name)).nonzero()[:, 0]
            if len(rows):
                x[rows] = operation(x[rows], strength[rows], within[rows]) * within[rows][..., None]
        return batch.with_pixels(image=pixels_first(x))


def _motion(
    batch: Batch, which: Tensor, strength: Tensor, turn: Tensor, sign: Tensor, *, pixels: bool
) -> Float[Tensor, "b 3 3"]:
    """Old → new pixel edges: shears about the upper left corner, rotation about the centre, counter-clockwise if positive."""
    height, width = batch.size.float().unbind(1)
    zero, one = torch.zeros_like(strength), torch.ones_like(strength)

    def only(name: str, value: Tensor) -> Tensor:
        return torch.where(which == NAMES.index(name), value, zero)

    # whole pixels, rounded towards zero as in the libraries
    right = only("translate_x", (strength * (1 if pixels else width)).trunc())
    down = only("translate_y", (strength * (1 if pixels else height)).trunc())
    rotated = which == NAMES.index("rotate")
    cos, sin = torch.where(rotated, turn[:, 0], one), torch.where(rotated, turn[:, 1] * sign, zero)
    x, y = width / 2, height / 2
    right = right + only("rotate", x - (cos * x + sin * y))
    down = down + only("rotate", y - (cos * y - sin * x))
    return matrix((cos, sin - only("shear_x", strength), right), (-sin - only("shear_y", strength), cos, down))


@lru_cache
def _table(scale: Scale) -> Float[Tensor, "o l"]:
    by_name = strengths(scale)
    return torch.tensor([by_name[name] for name in NAMES])


@lru_cache
def _turns(scale: Scale) -> Float[Tensor, "l 2"]:
    """Cosine and sine of the rotation at each level, in double precision on the host: the same bits in every batch."""
    degrees: Sequence[float] = strengths(scale)["rotate"]
    return torch.tensor([(math.cos(math.radians(d)), math.sin(math.radians(d))) for d in degrees])
