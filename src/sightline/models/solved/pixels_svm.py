"""A linear SVM on the pixels: what all features have to beat."""

from __future__ import annotations

from sightline.classical.features.fixed import Pixels
from sightline.classical.learners.svm import HingeSvm
from sightline.classical.pipeline import Pipeline
from sightline.models.catalogue import MODELS, SOLVED
from sightline.structures.learned import Gallery


class PixelsSvm(Pipeline):
    """image_size   (height, width) of all its images
    rate, decay  of the SVM, see `classical.learners.svm`
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: tuple[int, int] = (32, 32),
        rate: float = 10.0,
        decay: float = 1e-5,
    ) -> None:
        input_size = (in_channels, *image_size)
        encoder = Pixels(input_size)
        learner = HingeSvm(encoder.size, num_classes, rate=rate, decay=decay) if num_classes else None
        super().__init__(encoder, learner, input_size)

    def galleries(self) -> list[Gallery]:
        """The weights of each class as an image."""
        learner = self.learner
        assert isinstance(learner, HingeSvm)
        tiles = (learner.weight * learner.scale).unflatten(1, self.input_size)[:, None].cpu().double().numpy()
        return [Gallery("Templates", "The weights of each class as an image; grey is 0.", tiles, signed=True)]


@MODELS.under(SOLVED)
def pixels_svm(**options) -> PixelsSvm:
    """Pixels and one linear SVM a class: 36,874 learned numbers at (3, 32, 32) with 10 classes."""
    return PixelsSvm(**options)
