"""Patches coded by k-means, and a linear SVM (Coates, Lee & Ng 2011, AISTATS)."""

from __future__ import annotations

from sightline.classical.features.codes import KMeansTriangle, PatchEncoder
from sightline.classical.learners.svm import HingeSvm
from sightline.classical.pipeline import Pipeline
from sightline.models.catalogue import MODELS, SOLVED
from sightline.structures.learned import Gallery


class KMeansSvm(Pipeline):
    """image_size   (height, width) of all its images
    words, side  of the dictionary, and pixels along a patch's side; `stride` from one patch to the next
    patches      that it is learned from
    rate, decay  of the SVM, see `classical.learners.svm`
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: tuple[int, int] = (32, 32),
        words: int = 200,
        side: int = 6,
        stride: int = 1,
        patches: int = 50_000,
        rate: float = 10.0,
        decay: float = 1e-5,
    ) -> None:
        input_size = (in_channels, *image_size)
        encoder = KMeansTriangle(input_size, words=words, side=side, stride=stride, patches=patches)
        learner = HingeSvm(encoder.size, num_classes, rate=rate, decay=decay) if num_classes else None
        super().__init__(encoder, learner, input_size)

    def galleries(self) -> list[Gallery]:
        """The words as patches of pixels."""
        encoder = self.encoder
        assert isinstance(encoder, PatchEncoder)
        words = encoder.words.unflatten(1, (self.input_size[0], encoder.side, encoder.side))
        tiles = words[:, None].cpu().double().numpy()
        text = "Words of the dictionary, whitened patches; grey is 0."
        return [Gallery("Dictionary", text, tiles, [""] * len(tiles), signed=True)]


@MODELS.under(SOLVED)
def kmeans_svm(**options) -> KMeansSvm:
    """The triangle code of 200 k-means words, pooled in quarters, and one linear SVM a class."""
    return KMeansSvm(**options)
