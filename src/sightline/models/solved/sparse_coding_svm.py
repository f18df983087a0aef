"""Sparse codes of patches over a learned dictionary, and a linear SVM (Yang et al. 2009; Coates & Ng 2011)."""

from __future__ import annotations

from sightline.classical.features.codes import PatchEncoder, SparseCodes
from sightline.classical.learners.svm import HingeSvm
from sightline.classical.pipeline import Pipeline
from sightline.models.catalogue import MODELS, SOLVED
from sightline.structures.learned import Gallery


class SparseCodingSvm(Pipeline):
    """image_size   (height, width) of all its images
    words, side  of the dictionary, and pixels along a patch's side; `stride` from one patch to the next
    patches      that it is learned from
    penalty, iterations   on the sum of magnitudes of a code, and steps of ISTA that find it
    rate, decay  of the SVM, see `classical.learners.svm`
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: tuple[int, int] = (32, 32),
        words: int = 100,
        side: int = 6,
        stride: int = 2,
        patches: int = 20_000,
        penalty: float = 0.5,
        iterations: int = 4,
        rate: float = 10.0,
        decay: float = 1e-5,
    ) -> None:
        input_size = (in_channels, *image_size)
        encoder = SparseCodes(
            input_size, words=words, side=side, stride=stride, patches=patches, penalty=penalty, iterations=iterations
        )
        learner = HingeSvm(encoder.size, num_classes, rate=rate, decay=decay) if num_classes else None
        super().__init__(encoder, learner, input_size)

    def galleries(self) -> list[Gallery]:
        """The words of the dictionary as patches of pixels."""
        encoder = self.encoder
        assert isinstance(encoder, PatchEncoder)
        words = encoder.words.unflatten(1, (self.input_size[0], encoder.side, encoder.side))
        tiles = words[:, None].cpu().double().numpy()
        text = "Words of the dictionary, whitened patches; grey is 0."
        return [Gallery("Dictionary", text, tiles, [""] * len(tiles), signed=True)]


@MODELS.under(SOLVED)
def sparse_coding_svm(**options) -> SparseCodingSvm:
    """Sparse codes over 100 learned words, pooled in quarters, and one linear SVM a class."""
    return SparseCodingSvm(**options)
