"""Maps from what happens to the score when parts of the image are hidden. Forward passes only: any network can be explained.

    occlusion   S(x) - S(x with a patch covered), the mean over the patches that cover a pixel
                                                        Zeiler & Fergus 2013, arXiv:1311.2901, section 4.2
    RISE        mean of p(x · M) over random masks M that show a pixel, minus its mean over all masks
                                                        Petsiuk, Das & Saenko 2018, arXiv:1806.07421

RISE's paper leaves out the subtraction; it moves the map by a constant, makes 0 mean "no effect", and removes the noise of
pixels that happened to be shown more often.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.explanation.subject import Attribution, Subject, undisturbed
from sightline.randomness.keyed import integers, uniform

Sides = int | tuple[int, int]
CHUNK = 16  # images of one forward pass
GRID = 7  # cells of a mask's raster
SHARE, MOVES = 5, 2  # patches are a fifth of each side, moved by half of theirs
MASKS = 1000


def occlusion(
    subject: Subject,
    pixels: Float[Tensor, "b c h w"],
    target: Int[Tensor, "b"],
    *,
    window: Sides | None = None,
    stride: Sides | None = None,
    fill: float | None = None,
    share: int = SHARE,
    moves: int = MOVES,
) -> Attribution:
    """How far the score falls where a patch of `window` pixels (default: a `share`-th of each side), moved by `stride` (a
    `moves`-th of it), is covered with `fill` in 0-255 units (default: the image's mean, channel by channel)."""
    height, width = int(pixels.shape[2]), int(pixels.shape[3])
    (high, wide), (down, across) = _window(height, width, window, stride, share, moves)
    corners = [(top, left) for top in _starts(height, high, down) for left in _starts(width, wide, across)]
    values, lowest, whole = [], [], []
    with undisturbed(subject.network), torch.no_grad():
        for image, index in zip(pixels, target, strict=True):
            cover = image.mean((1, 2), keepdim=True) if fill is None else torch.full_like(image[:, :1, :1], fill)
            (clean,), (certain,) = subject.both(image[None], index[None])
            whole.append(float(certain))
            total = torch.zeros(height, width, dtype=clean.dtype, device=image.device)
            times = torch.zeros_like(total)
            sure = math.inf
            size = min(CHUNK, subject.batch)
            for part in (corners[start : start + size] for start in range(0, len(corners), size)):
                covered = image.repeat(len(part), 1, 1, 1)
                for row, (top, left) in enumerate(part):
                    covered[row, :, top : top + high, left : left + wide] = cover
                own = index.expand(len(part))
                scores, confident = subject.both(covered, own)
                sure = min(sure, float(confident.min()))
                for (top, left), fall in zip(part, clean - scores, strict=True):
                    total[top : top + high, left : left + wide] += fall
                    times[top : top + high, left : left + wide] += 1
            values.append((total / times)[None])
            lowest.append(sure)
    settings = {
        "window": [high, wide], "stride": [down, across], "fill": "mean of the image" if fill is None else fill,
        "confidence": whole, "lowest_confidence": lowest,
    }  # fmt: skip
    what = "probability" if subject.classes else "score"
    notes = tuple(
        f"covering the most important patch moves the {what} from {a:.3g} to {b:.3g}"
        for a, b in zip(whole, lowest, strict=True)
    )
    return Attribution(torch.stack(values), "sum", signed=True, unit="score", settings=settings, notes=notes)


def patches(
    height: int,
    width: int,
    *,
    window: Sides | None = None,
    stride: Sides | None = None,
    share: int = SHARE,
    moves: int = MOVES,
) -> int:
    """How many patches `occlusion` covers one after the other."""
    (high, wide), (down, across) = _window(height, width, window, stride, share, moves)
    return len(_starts(height, high, down)) * len(_starts(width, wide, across))


def _window(
    height: int, width: int, window: Sides | None, stride: Sides | None, share: int, moves: int
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width of a patch, and its moves down and across."""
    high, wide = _pair(window) if window is not None else (max(1, round(height / share)), max(1, round(width / share)))
    return (high, wide), _pair(stride) if stride is not None else (math.ceil(high / moves), math.ceil(wide / moves))


def _pair(side: int | tuple[int, int]) -> tuple[int, int]:
    return (side, side) if isinstance(side, int) else side


def _starts(side: int, window: int, stride: int) -> range:
    """Where patches begin: as many as are needed to cover the side; the last one may reach beyond it."""
    return range(0, math.ceil(max(0, side - window) / stride) * stride + 1, stride)


def rise(
    subject: Subject,
    pixels: Float[Tensor, "b c h w"],
    target: Int[Tensor, "b"],
    *,
    masks: int = MASKS,
    grid: int = GRID,
    shown: float = 0.5,
    seed: int = 0,
) -> Attribution:
    """How much the target's probability gains where a pixel is shown. Each of `masks` shows the cells of a `grid` x `grid`
    raster with probability `shown`, enlarged bilinearly and shifted at random; what is hidden turns black. Mask i depends on
    (seed, i) only. The paper uses 4,000 to 8,000 masks for 224 pixels."""
    height, width = int(pixels.shape[2]), int(pixels.shape[3])
    values = []
    with undisturbed(subject.network), torch.no_grad():
        for image, index in zip(pixels, target, strict=True):
            weighted, plain, sums = torch.zeros(height, width), torch.zeros(height, width), 0.0
            for numbers in torch.arange(masks).split(min(CHUNK, subject.batch)):
                mask = random_masks(numbers, height, width, grid=grid, shown=shown, seed=seed)  # (n, h, w)
                masked = image * mask[:, None].to(image)
                sure = subject.confidence(masked, index.expand(len(numbers))).cpu()
                weighted += (sure[:, None, None] * mask).sum(0)
                plain += mask.sum(0)
                sums += float(sure.sum())
            values.append(((weighted - sums / masks * plain) / (shown * masks))[None].to(pixels))
    settings = {"masks": masks, "grid": grid, "shown": shown, "seed": seed, "fill": 0.0}
    unit = "probability" if subject.classes else "score"
    return Attribution(torch.stack(values), "sum", signed=True, unit=unit, settings=settings)


def random_masks(
    numbers: Int[Tensor, "n"], height: int, width: int, *, grid: int, shown: float, seed: int
) -> Float[Tensor, "n h w"]:
    """Masks with values in [0, 1], by number. The raster is one cell larger than the image, so that it can be shifted."""
    cell_high, cell_wide = math.ceil(height / grid), math.ceil(width / grid)
    cells = torch.arange(grid * grid)
    raster = (uniform(seed, "rise cells", numbers[:, None], cells) < shown).float().view(-1, 1, grid, grid)
    size = ((grid + 1) * cell_high, (grid + 1) * cell_wide)
    large = F.interpolate(raster, size=size, mode="bilinear", align_corners=False)[:, 0]  # (n, H, W)
    down = integers(cell_high, seed, "rise down", numbers).tolist()
    across = integers(cell_wide, seed, "rise across", numbers).tolist()
    rows = [one[y : y + height, x : x + width] for one, y, x in zip(large, down, across, strict=True)]
    return torch.stack(rows)
