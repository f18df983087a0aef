"""Joint colour histograms and a linear SVM: neither texture nor place (Swain & Ballard 1991)."""

from __future__ import annotations

import numpy as np
import torch

from sightline.classical.features.colours import ColourHistogram
from sightline.classical.learners.svm import HingeSvm
from sightline.classical.pipeline import Pipeline
from sightline.models.catalogue import MODELS, SOLVED
from sightline.structures.learned import Gallery

SHOWN = 8  # colours of a class


class ColourHistogramSvm(Pipeline):
    """image_size   (height, width) of all its images
    bins         of each channel
    rate, decay  of the SVM, see `classical.learners.svm`
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: tuple[int, int] = (32, 32),
        bins: int = 8,
        rate: float = 10.0,
        decay: float = 1e-5,
    ) -> None:
        input_size = (in_channels, *image_size)
        encoder = ColourHistogram(in_channels, bins=bins)
        learner = HingeSvm(encoder.size, num_classes, rate=rate, decay=decay) if num_classes else None
        super().__init__(encoder, learner, input_size)

    def galleries(self) -> list[Gallery]:
        """For each class the colours that speak for it, and those that speak against it, the strongest first."""
        learner, encoder = self.learner, self.encoder
        assert isinstance(learner, HingeSvm) and isinstance(encoder, ColourHistogram)
        weight = (learner.weight * learner.scale).cpu()
        levels = torch.cartesian_prod(*[torch.linspace(0, 1, encoder.bins)] * self.input_size[0]).view(
            encoder.size, self.input_size[0]
        )
        tiles = []
        for row in weight:
            order = row.argsort(descending=True)
            views = [levels[places].T[:, None].repeat(1, 4, 1) for places in (order[:SHOWN], order.flip(0)[:SHOWN])]
            tiles.append(torch.stack(views))
        shown = np.asarray(torch.stack(tiles).double())
        words = f"The {SHOWN} colours with the largest weights, the strongest on the left."
        return [Gallery("Colours", words, shown, views=("for the class", "against it"))]


@MODELS.under(SOLVED)
def colour_histogram(**options) -> ColourHistogramSvm:
    """Joint colour histogram and one linear SVM a class: 6,154 learned numbers for colour images and 10 classes."""
    return ColourHistogramSvm(**options)
