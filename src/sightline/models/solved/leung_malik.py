"""The filters of Leung and Malik, and a linear SVM on their energy: textures (Leung & Malik 2001)."""

from __future__ import annotations

from sightline.classical.features.banks import FilterEnergy, leung_malik_bank
from sightline.classical.learners.svm import HingeSvm
from sightline.classical.pipeline import Pipeline
from sightline.models.catalogue import MODELS, SOLVED
from sightline.structures.learned import Gallery


class LeungMalikSvm(Pipeline):
    """image_size   (height, width) of all its images
    side         of the filters in pixels; by rule the published 49, or less for smaller images
    regions      along a side of the image, in which energies are measured
    rate, decay  of the SVM, see `classical.learners.svm`
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: tuple[int, int] = (32, 32),
        side: int | None = None,
        regions: int = 2,
        rate: float = 10.0,
        decay: float = 1e-5,
    ) -> None:
        input_size = (in_channels, *image_size)
        side = side or min(49, max(2 * (min(image_size) // 3) + 1, 9))
        encoder = FilterEnergy(leung_malik_bank(side), regions=regions)
        learner = HingeSvm(encoder.size, num_classes, rate=rate, decay=decay) if num_classes else None
        super().__init__(encoder, learner, input_size)

    def galleries(self) -> list[Gallery]:
        """The 48 filters."""
        encoder = self.encoder
        assert isinstance(encoder, FilterEnergy)
        tiles = encoder.kernels[:, None].cpu().double().numpy()
        return [
            Gallery("Filters", "Each is scaled as its neighbours; grey is 0.", tiles, [""] * len(tiles), signed=True)
        ]


@MODELS.under(SOLVED)
def leung_malik(**options) -> LeungMalikSvm:
    """The 48 filters of Leung and Malik, their energy in 4 parts of the image, and one linear SVM a class."""
    return LeungMalikSvm(**options)
