"""HOG and a linear SVM: histograms of oriented gradients (Dalal & Triggs 2005, CVPR), one hinge classifier a class."""

from __future__ import annotations

import numpy as np

from sightline.classical.features.fixed import HogVector
from sightline.classical.features.hog import Norm, glyphs
from sightline.classical.learners.svm import HingeSvm
from sightline.classical.pipeline import Pipeline
from sightline.models.catalogue import MODELS, SOLVED
from sightline.structures.learned import Gallery

SMALL_SIDE = 48  # pixels; up to this side, cells are 4 pixels wide, not 8


class HogSvm(Pipeline):
    """image_size   (height, width) of all its images
    cell, bins   pixels of a cell's side, and directions; cell 0: 4 for small images, else the published 8
    block, norm  cells of a block's side, and how it is normalised
    rate, decay  of the SVM, see `classical.learners.svm`
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 10,
        image_size: tuple[int, int] = (28, 28),
        cell: int | None = None,
        bins: int = 9,
        block: int = 2,
        norm: Norm = "l2_hys",
        rate: float = 10.0,
        decay: float = 1e-5,
    ) -> None:
        height, width = image_size
        cell = cell or (4 if max(image_size) <= SMALL_SIDE else 8)
        encoder = HogVector(height, width, cell=cell, bins=bins, block=block, norm=norm, soft=True)
        learner = HingeSvm(encoder.size, num_classes, rate=rate, decay=decay) if num_classes else None
        super().__init__(encoder, learner, (in_channels, height, width))

    def galleries(self) -> list[Gallery]:
        """For each class the directions that speak for it, and those that speak against it."""
        learner, encoder = self.learner, self.encoder
        assert isinstance(learner, HingeSvm) and isinstance(encoder, HogVector)
        weight = (learner.weight * learner.scale).detach().cpu().double().numpy()
        cells = [encoder.hog.of_cells(row, *self.input_size[1:]) for row in weight]
        tiles = np.stack([[glyphs(sign * one)[None] for sign in (1, -1)] for one in cells])
        words = "Lines lie along edges, one for each direction of each cell, as bright as its weight."
        return [Gallery("HOG templates", words, tiles, views=("for the class", "against it"))]


@MODELS.under(SOLVED)
def hog_svm(**options) -> HogSvm:
    """HOG and one linear SVM a class: 15,562 learned numbers at (1, 28, 28) with 10 classes."""
    return HogSvm(**options)
