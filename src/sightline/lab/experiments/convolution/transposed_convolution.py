"""A transposed convolution stamps its kernel, and uneven overlaps make a checkerboard.

How does a network enlarge a map, why do some enlargements have a pattern, and which have none?
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.lab.experiment import Claim, Experiment, Formula, Picture, Result, Table, Variation
from sightline.lab.seeing.pixels import grey, named_grid
from sightline.layers.convolution.upsampling import bilinear, bilinear_upsampler, spread


@dataclass(frozen=True)
class Parameters:
    kernel: Annotated[int, Field(ge=2, le=7)] = 3
    stride: Annotated[int, Field(ge=2, le=4)] = 2
    channels: Annotated[int, Field(ge=1, le=64)] = 32


def overlaps(kernel: int, stride: int, side: int = 8) -> Tensor:
    """How many stamps cover each output pixel (h, w), without the border: a flat map, a flat kernel."""
    covered = spread(torch.ones(1, 1, side, side), torch.ones(1, 1, kernel, kernel), stride=stride)[0, 0]
    return covered[kernel:-kernel, kernel:-kernel]


def unevenness(image: Tensor) -> float:
    """Standard deviation over mean magnitude of an enlarged flat map: 0 where it is flat."""
    return (image.std() / image.abs().mean()).item()


def run(parameters: Parameters, seed: int) -> Result:
    p = parameters
    x, kernel = torch.randn(2, 3, 5, 6, dtype=torch.float64), torch.randn(3, 4, p.kernel, p.kernel, dtype=torch.float64)
    forward = spread(x, kernel, stride=p.stride)
    difference = (forward - F.conv_transpose2d(x, kernel, stride=p.stride)).abs().max().item()
    image = torch.zeros_like(forward, requires_grad=True)
    # the weight of a convolution (out, in, …) is that of its transpose (in, out, …): 4 maps to 3 here, 3 to 4 above
    (gradient,) = torch.autograd.grad(F.conv2d(image, kernel, stride=p.stride), image, x)
    as_gradient = (gradient - forward).abs().max().item()
    ours = spread(torch.tensor([[[[0.0, 1], [2, 3]]]]), torch.tensor([[[[0.0, 1], [2, 3]]]]))[0, 0].tolist()

    counts = {k: overlaps(k, p.stride) for k in (p.stride, p.stride + 1, 2 * p.stride)}
    flat = torch.ones(1, p.channels, 10, 10)
    even = 2 * p.stride
    layers: dict[str, nn.Module] = {
        f"transposed, kernel {p.kernel}": nn.ConvTranspose2d(p.channels, 1, p.kernel, p.stride, bias=False),
        "bilinear, then 3 × 3": nn.Sequential(_Bilinear(p.stride), nn.Conv2d(p.channels, 1, 3, bias=False)),
        f"bilinear start, kernel {len(bilinear_upsampler(1, p.stride).weight[0, 0])}": bilinear_upsampler(
            p.channels, p.stride
        ),
    }
    with torch.no_grad():
        maps = {name: layer(flat)[0, 0, 6:-6, 6:-6] for name, layer in layers.items()}
    rough = {name: unevenness(m) for name, m in maps.items()}
    names = list(rough)
    pictures = [(name, grey(m, m.mean().item() - 0.3 * m.abs().mean().item(),
                            m.mean().item() + 0.3 * m.abs().mean().item()))
                for name, m in maps.items()]  # fmt: skip
    return Result(
        claims=[
            Claim("Stamps that are added where they overlap are torch's transposed convolution.", difference < 1e-10,
                  f"largest difference {difference:.0e}"),
            Claim("It is the gradient of the convolution with the same kernel.", as_gradient < 1e-10,
                  f"largest difference {as_gradient:.0e}"),
            Claim("By hand: [0 1; 2 3] stamped by [0 1; 2 3].", ours == [[0, 0, 1], [0, 4, 6], [4, 12, 9]],
                  str([[int(v) for v in r] for r in ours])),
            Claim("Pixels are covered equally often only where the stride divides the kernel.",
                  all((c.unique().numel() == 1) == (k % p.stride == 0) for k, c in counts.items()),
                  "; ".join(f"kernel {k}: {'/'.join(f'{v:g}' for v in c.unique().tolist())} stamps" for k,
                            c in counts.items())),
            Claim("Before any training, a flat map is already a checkerboard behind the transposed convolution.",
                  rough[names[0]] > 0.1, f"unevenness {rough[names[0]]:.2f}"),
            Claim("Interpolation before a convolution, or a bilinear kernel, keeps it flat.",
                  max(rough[n] for n in names[1:]) < 1e-4,
                  f"unevenness {max(rough[n] for n in names[1:]):.0e}"),
        ],
        numbers={f"unevenness, {name}": value for name, value in rough.items()},
        pictures=[Picture(named_grid(pictures, 3, 200), "A flat map, enlarged by three layers at their random start.",
                          wide=True)],
        tables=[Table(("kernel", "stride", "stamps on a pixel"),
                      [(k, p.stride, " or ".join(f"{v:g}" for v in c.unique().tolist())) for k, c in counts.items()],
                      f"A stride of {p.stride}; an even one needs kernel {p.stride} or {even}.")],
    )  # fmt: skip


class _Bilinear(nn.Module):
    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return bilinear(x, (x.shape[2] * self.factor, x.shape[3] * self.factor))


EXPERIMENT = Experiment(
    run=run,
    parameters=Parameters(),
    notice=(
        "It undoes a convolution's change of size, not the convolution.",
        "A network can learn to cancel the pattern, but starts with it, and every step of the gradient brings it back.",
    ),
    formulas=(
        Formula("O = Σ_(i,j) x(i, j) · K placed at (S·i, S·j)\nsize = S (N − 1) + F − 2P",
                "Dumoulin and Visin 2016, arXiv:1603.07285, section 4"),
        Formula("even cover ⇔ S divides F",
                "Odena, Dumoulin and Olah 2016, Deconvolution and Checkerboard Artifacts, Distill"),
    ),
    code=(spread, overlaps, bilinear_upsampler),
    variations=(Variation("kernel=4",
                          "The stride divides the kernel: the cover is even, but random weights of the four phases "
                          "still differ."),
                Variation("kernel=5 stride=3", "A pattern with a period of three.")),
)  # fmt: skip
