"""Kernels made by hand: blur, edges, relief.

What can a single convolution do to an image before anything is learned, and what do its nine numbers tell in advance?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.kernels import KERNELS, image_kernel
from sightline.lab.seeing.pixels import grey, named_grid, signed
from sightline.layers.convolution.convolution import correlate, zero_pad
from sightline.layers.convolution.pooling import average_pool

# the mean of 3 x 3 over a block of 90 with a hole and a spot, by hand
MOVING = (
    (0, 10, 20, 30, 30, 30, 20, 10), (0, 20, 40, 60, 60, 60, 40, 20), (0, 30, 60, 90, 90, 90, 60, 30),
    (0, 30, 50, 80, 80, 90, 60, 30), (0, 30, 50, 80, 80, 90, 60, 30), (0, 20, 30, 50, 50, 60, 40, 20),
    (10, 20, 30, 30, 30, 30, 20, 10), (10, 10, 10, 0, 0, 0, 0, 0),
)  # fmt: skip


@dataclass(frozen=True)
class Parameters:
    image: Literal["shapes", "text"] = "shapes"
    noise: float = 0.1


def shapes(side: int = 48) -> Tensor:
    """A bright disc, a square and a slope from dark to light (1, 1, side, side)."""
    y, x = torch.meshgrid(
        torch.arange(side, dtype=torch.float64), torch.arange(side, dtype=torch.float64), indexing="ij"
    )
    picture = 0.2 + 0.4 * x / side
    picture[(y - 16) ** 2 + (x - 15) ** 2 < 81] = 1.0
    picture[28:42, 26:40] = 0.0
    return picture[None, None]


def strokes(side: int = 48) -> Tensor:
    """Dark strokes on white paper."""
    picture = torch.ones(side, side, dtype=torch.float64)
    for at in (6, 20, 34):
        picture[8:40, at : at + 4] = 0
        picture[at : at + 3, 4:44] = 0
    return picture[None, None]


def filtered(image: Tensor, name: str) -> Tensor:
    kernel = image_kernel(name, dtype=torch.float64)[None, None]
    return correlate(image, kernel, padding=kernel.shape[2] // 2)


def run(parameters: Parameters, seed: int) -> Result:
    clean = shapes() if parameters.image == "shapes" else strokes()
    noise = torch.randn_like(clean) * parameters.noise
    inner = slice(4, -4)
    outputs = {name: filtered(clean, name) for name in KERNELS}
    sums = {name: image_kernel(name, dtype=torch.float64).sum().item() for name in KERNELS}
    flat = {
        name: filtered(torch.full((1, 1, 16, 16), 0.5, dtype=torch.float64), name)[0, 0, 8, 8].item()
        for name in KERNELS
    }
    boxes = [(filtered(noise, f"box{n}")[..., inner, inner].std() / noise.std()).item() for n in (3, 5, 7)]
    sharp = [filtered(clean, f"box{n}")[..., inner, inner].diff(dim=3).abs().max().item() for n in (3, 5, 7)]
    table = torch.zeros(1, 1, 10, 10, dtype=torch.float64)
    table[..., 2:7, 3:8] = 90
    table[..., 5, 4], table[..., 8, 2] = 0, 90
    moving = correlate(table, image_kernel("box3", dtype=torch.float64)[None, None])
    same = (moving - average_pool(table, 3, stride=1)).abs().max().item()
    step = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    step[..., 4:] = 1
    across, along = filtered(step, "sobel_x")[0, 0, 4], filtered(step, "sobel_y")[0, 0, 4]
    shift = filtered(clean, "shift")
    sharpened = outputs["identity"] - outputs["laplace4"]
    smoothing = [
        n for n in KERNELS if n.startswith(("box", "identity", "shift", "sharpen")) or n in ("gauss3", "gauss5")
    ]
    edges = [n for n in KERNELS if n.startswith(("sobel", "laplace", "log"))]
    chosen = ("identity", "box7", "gauss5", "sharpen", "sobel_x", "sobel_y", "laplace8", "log5")
    shown = [
        (n, signed(outputs[n][0, 0, inner, inner]) if n in edges else grey(outputs[n][0, 0], 0, 1)) for n in chosen
    ]
    blurred = [(f"noise, box {n} × {n}", grey(filtered(clean + noise, f"box{n}")[0, 0], 0, 1)) for n in (3, 5, 7)]
    return Result(
        claims=[
            Claim("A flat image becomes itself under kernels that sum to 1, and 0 under those that sum to 0.",
                  all(abs(flat[n] - 0.5 * sums[n]) < 1e-12 for n in KERNELS)
                  and all(abs(sums[n] - 1) < 1e-12 for n in smoothing)
                  and all(abs(sums[n]) < 1e-12 for n in edges), f"{len(smoothing)} sum to 1, {len(edges)} to 0"),
            Claim("A larger box removes more noise, about 1/n of it is left, and blurs edges more.",
                  boxes == sorted(boxes, reverse=True) and sharp == sorted(sharp, reverse=True)
                  and all(abs(b * n - 1) < 0.35 for b, n in zip(boxes, (3, 5, 7), strict=True)),
                  f"left {', '.join(f'{b:.2f}' for b in boxes)}; steepest edge {', '.join(f'{s:.2f}' for s in sharp)}"),
            Claim("The moving average is an average pooling of stride 1; by hand, 10 × 10 → 8 × 8.",
                  same < 1e-12 and moving[0, 0].round().int().tolist() == [list(row) for row in MOVING],
                  f"difference {same:.0e}; third row {' '.join(f'{v:.0f}' for v in moving[0, 0, 2].tolist())}"),
            Claim("Sobel's pair answers to its own direction only.",
                  across.max().item() == 4 and along[1:-1].abs().max().item() == 0,
                  f"upright edge: {across.max():g} and {along[1:-1].abs().max():g}"),
            Claim("Sharpening is the image minus its Laplacian.",
                  (sharpened - outputs["sharpen"]).abs().max().item() < 1e-12, "equal"),
            Claim("A single 1 beside the middle moves the image by a pixel.",
                  torch.equal(shift[..., 1:], clean[..., :-1]), "to the right, in correlation"),
            Claim("A border of zeros is an edge that was not there.",
                  zero_pad(clean, 1).shape[2] == 50 and filtered(torch.ones_like(clean),
                                                                 "laplace4")[0, 0, 0].abs().min().item() > 0,
                  "the Laplacian of a white image is not 0 at its border"),
        ],
        numbers={f"noise left by box {n} × {n}": b for n, b in zip((3, 5, 7), boxes, strict=True)},
        pictures=[Picture(named_grid(shown, 4, 128),
                          "Eight kernels; of those that sum to 0, red is positive and blue negative.", wide=True),
                  Picture(named_grid([("with noise", grey((clean + noise)[0, 0], 0, 1)), *blurred], 4, 128),
                          "A larger box: less noise, less image.", wide=True)],
        tables=[Table(("kernel", "rows", "sum"),
                      [(n, "; ".join(" ".join(map(str, r)) for r in rows) + (f"  / {d}" if d > 1 else ""),
                        round(sums[n], 12))
                                                  for n, (rows, d) in KERNELS.items() if len(rows) == 3])],
    )  # fmt: skip


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=("The sum of a kernel says what becomes of brightness, its signs what becomes of edges.",
            "First layers of trained networks come to look like these: nobody tells them to."),
    formulas=(Formula("G_x = [−1 0 1; −2 0 2; −1 0 1] ⋆ I,  G_y its transpose", "Sobel and Feldman 1968"),
              Formula("sharpen = I − ∇²I", "Gonzalez and Woods, Digital Image Processing, chapter 3")),
    code=(image_kernel, filtered, correlate),
    variations=(Variation("image=text", "Strokes: Sobel separates upright from lying ones."),
                Variation("noise=0.4", "More noise: the small box is no longer enough.")),
)  # fmt: skip
