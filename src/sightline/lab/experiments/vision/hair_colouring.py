"""Another hair colour, the same light.

How does a segmentation change the colour of hair in a picture, and what would painting over it destroy?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from sightline.drawing.overlay import recoloured, tinted
from sightline.lab.datasets import Labelled
from sightline.lab.descent import descend
from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Variation
from sightline.lab.seeing.heads import HAIR, head
from sightline.lab.seeing.pixels import named_grid
from sightline.models.create import create_model

LUMA = np.array([0.299, 0.587, 0.114])
DYES = {"red": (170, 30, 40), "blue": (40, 70, 190), "violet": (120, 40, 150)}


@dataclass(frozen=True)
class Parameters:
    images: Annotated[int, Field(ge=20, le=2_000)] = 200
    steps: Annotated[int, Field(ge=10, le=5_000)] = 300
    strength: Annotated[float, Field(ge=0, le=1)] = 1.0


def heads(numbers: range, seed: int) -> Labelled:
    drawn = [head((seed, i)) for i in numbers]
    x = torch.from_numpy(np.stack([picture for picture, _ in drawn])).permute(0, 3, 1, 2).float() / 255 - 0.5
    return Labelled(x, torch.from_numpy(np.stack([mask for _, mask in drawn])).long())


def overlap(answer: Tensor, truth: Tensor) -> float:
    """IoU of the hair over all images."""
    return float((answer & truth).sum() / (answer | truth).sum())


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    train, test = heads(range(p.images), seed), heads(range(10_000, 10_040), seed)
    options: dict[str, Any] = {"in_channels": 3, "width": 8, "depth": 3, "norm": "batch"}
    network = create_model("unet", seed=seed, num_classes=2, **options)
    descend(network, train, steps=p.steps, lr=0.05, batch=8, seed=seed)
    network.eval()
    with torch.no_grad():
        masks = network(test.x).argmax(1).bool()
    truth = test.y.bool()
    shades = torch.tensor(HAIR).float()[:, :, None, None] / 255 - 0.5  # (5, 3, 1, 1)
    by_colour = ((test.x[:, None] - shades).norm(dim=2) < 0.15).any(1)  # (n, h, w): near a colour that hair has
    found, alone = overlap(masks, truth), overlap(by_colour, truth)

    pictures = [head((seed, i))[0] for i in range(10_000, 10_003)]
    dyed = [
        recoloured(picture, mask.numpy(), hue, strength=p.strength)
        for picture, mask, hue in zip(pictures, masks[:3], DYES.values(), strict=True)
    ]
    light = max(float(abs(after @ LUMA - before @ LUMA).max()) for after, before in zip(dyed, pictures, strict=True))
    outside = max(
        int(abs(after.astype(int) - before)[~mask.numpy()].max())
        for after, before, mask in zip(dyed, pictures, masks, strict=False)
    )
    moved = min(
        float(abs(after.astype(int) - before)[mask.numpy()].mean())
        for after, before, mask in zip(dyed, pictures, masks, strict=False)
    )
    strands = float((pictures[0] @ LUMA)[masks[0].numpy()].std())
    painted = pictures[0].copy()
    painted[masks[0].numpy()] = DYES["red"]
    shown = [
        *(("before", picture) for picture in pictures),
        *(("hair by the network", tinted(q, m.long().numpy())) for q, m in zip(pictures, masks, strict=False)),
        *((name, after) for name, after in zip(DYES, dyed, strict=True)),
    ]
    return Result(
        claims=[
            Claim("The network finds the hair of heads that it has not seen (IoU of at least 0.75).", found >= 0.75,
                  f"{found:.3f}"),
            Claim("Colour alone does not: coats and walls have the colours of hair.", alone < found - 0.2,
                  f"{alone:.3f} for pixels near one of the {len(HAIR)} hair colours"),
            Claim("The new colour changes the hair and keeps its light: brightness moves by at most one level.",
                  light <= 1.0 and moved > 5 * p.strength, f"brightness {light:.2f}, colour {moved:.0f} levels"),
            Claim("Outside the mask no pixel changes.", outside == 0, f"{outside} levels"),
            Claim("Paint would destroy the strands, which are differences of light.", strands > 5,
                  f"deviation of the brightness {strands:.0f} levels; 0 where painted over"),
        ],
        numbers={"IoU of hair": found, "IoU by colour alone": alone},
        pictures=[Picture(named_grid(shown, 3, 160), "Drawn heads, the hair that the network finds, and the hair in other "
                          "colours.", wide=True),
                  Picture(named_grid([("coloured", dyed[0]), ("painted over", painted)], 2, 200),
                          "The first head again: in another colour, and painted over.")],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("Errors of the mask show as coloured skin or as hair in its old colour: the edge decides how real it looks.",
            "Black hair hardly takes a colour, because near black there is little room for one; dyers bleach first."),
    formulas=(Formula("y' = y + s · m · t(y) · (c − luma(c)),  luma(y') = luma(y)",
                      "luma of ITU-R BT.601; t is the largest step that leaves all channels in 0 to 255"),),
    code=(recoloured, head),
    variations=(Variation("strength=0.4", "A tint instead of a colour."),
                Variation("steps=20", "A poor mask: the colour spills.")),
)  # fmt: skip
