"""Convolution in which each output map reads only some of the input maps, given by a table.

    LeCun et al. 1989, "Backpropagation applied to handwritten zip code recognition": every map of H2 reads 8 of 12
    LeCun et al. 1998, "Gradient-based learning applied to document recognition": the maps of C3 read 3, 4 or 6 of 6

It saves parameters, and breaks the symmetry between maps: those with different inputs cannot learn the same feature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from sightline.errors import UsageError


class PartialConvolution(nn.Conv2d):
    """`table[j]` lists the input maps that output map j reads; `kernels` holds one for each of them, in that order.

    It is computed as a full convolution whose other kernels are zero (`weight`), and its multiply-adds are counted that way:
    for so few maps a grouped convolution takes twenty times as long. UsageError for a table that repeats a map or names
    one out of range.
    """

    def __init__(
        self,
        in_channels: int,
        table: Sequence[Sequence[int]],
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        for number, maps in enumerate(table):
            if not maps or len(set(maps)) < len(maps) or not set(maps) <= set(range(in_channels)):
                raise UsageError(
                    f"map {number} cannot read {tuple(maps)}", f"use different maps from 0 to {in_channels - 1}"
                )
        super().__init__(in_channels, len(table), kernel, stride, padding, bias=bias)
        del self.weight  # as a parameter
        self.table = tuple(map(tuple, table))
        places = [number * in_channels + read for number, maps in enumerate(table) for read in maps]
        self.kernels = nn.Parameter(torch.empty(len(places), kernel, kernel))
        self.register_buffer("places", torch.tensor(places), persistent=False)
        nn.init.normal_(self.kernels, std=len(table) ** 0.5 / self.kernels.numel() ** 0.5)  # variance 1 / mean fan-in

    def fill_kernels(self, fill: Callable[[Tensor], None]) -> None:
        """Fill the kernels of each output map as the first row of a weight (readers, maps read, p, q).

        `readers` is the mean number of output maps that read an input map, so an initialiser sees the true fan-in and the
        mean fan-out.
        """
        readers = max(round(len(self.kernels) / self.in_channels), 1)
        for read in self.kernels.detach().split([len(maps) for maps in self.table]):
            rows = read.new_empty(readers, *read.shape)
            fill(rows)
            read.copy_(rows[0])

    @property
    def weight(self) -> Float[Tensor, "k c p q"]:  # type: ignore[override]
        """All kernels (k, c, p, q), zero for maps that are not read."""
        none = self.kernels.new_zeros(self.out_channels * self.in_channels, *self.kernel_size)
        every = none.index_copy(0, self.get_buffer("places"), self.kernels)  # (k · c, p, q)
        return every.unflatten(0, (self.out_channels, self.in_channels))
