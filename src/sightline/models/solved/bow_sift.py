"""Dense SIFT, a bag of visual words over a spatial pyramid, and a linear SVM (Csurka et al. 2004; Lazebnik et al. 2006)."""

from __future__ import annotations

import numpy as np

from sightline.classical.features.hog import glyphs
from sightline.classical.features.words import BagOfWords
from sightline.classical.learners.svm import HingeSvm
from sightline.classical.pipeline import Pipeline
from sightline.models.catalogue import MODELS, SOLVED
from sightline.structures.learned import Gallery


class BowSift(Pipeline):
    """image_size   (height, width) of all its images
    words, levels   of the vocabulary, and of the spatial pyramid
    cell, step   pixels of a descriptor's cell, and from one descriptor to the next
    samples      descriptors that the vocabulary is learned from
    rate, decay  of the SVM, see `classical.learners.svm`
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: tuple[int, int] = (32, 32),
        words: int = 200,
        levels: int = 2,
        cell: int | None = None,
        step: int | None = None,
        samples: int = 50_000,
        rate: float = 10.0,
        decay: float = 1e-5,
    ) -> None:
        input_size = (in_channels, *image_size)
        encoder = BagOfWords(input_size, words=words, levels=levels, cell=cell, step=step, samples=samples)
        learner = HingeSvm(encoder.size, num_classes, rate=rate, decay=decay) if num_classes else None
        super().__init__(encoder, learner, input_size)

    def galleries(self) -> list[Gallery]:
        """Visual words as what they are: 4 x 4 cells of 8 directions."""
        encoder = self.encoder
        assert isinstance(encoder, BagOfWords)
        cells = encoder.words.cpu().double().numpy().reshape(-1, 4, 4, 8)
        tiles = np.stack([glyphs(one, turn=2)[None, None] for one in cells])
        text = "Centres of the vocabulary: lines point to where it gets brighter, as bright as their weight."
        return [Gallery("Visual words", text, tiles, [""] * len(tiles))]


@MODELS.under(SOLVED)
def bow_sift(**options) -> BowSift:
    """Dense SIFT, 200 visual words in a pyramid of 2 levels, and one linear SVM a class."""
    return BowSift(**options)
