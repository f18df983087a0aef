"""A bank of Gabor filters and a linear SVM on their energy."""

from __future__ import annotations

from sightline.classical.features.banks import FilterEnergy, gabor_bank
from sightline.classical.learners.svm import HingeSvm
from sightline.classical.pipeline import Pipeline
from sightline.models.catalogue import MODELS, SOLVED
from sightline.structures.learned import Gallery


class GaborSvm(Pipeline):
    """image_size   (height, width) of all its images
    directions, wavelengths   of the filters, wavelengths in pixels
    regions      along a side, in which energies are measured
    rate, decay  of the SVM, see `classical.learners.svm`
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: tuple[int, int] = (32, 32),
        directions: int = 8,
        wavelengths: tuple[float, ...] = (4.0, 6.0, 9.0),
        regions: int = 4,
        rate: float = 10.0,
        decay: float = 1e-5,
    ) -> None:
        input_size = (in_channels, *image_size)
        side = min(2 * round(max(wavelengths)) + 1, 31)
        encoder = FilterEnergy(gabor_bank(side, wavelengths, directions), regions=regions)
        learner = HingeSvm(encoder.size, num_classes, rate=rate, decay=decay) if num_classes else None
        super().__init__(encoder, learner, input_size)

    def galleries(self) -> list[Gallery]:
        """The filters."""
        encoder = self.encoder
        assert isinstance(encoder, FilterEnergy)
        tiles = encoder.kernels[:, None].cpu().double().numpy()
        return [
            Gallery("Filters", "Each is scaled as its neighbours; grey is 0.", tiles, [""] * len(tiles), signed=True)
        ]


@MODELS.under(SOLVED)
def gabor(**options) -> GaborSvm:
    """Gabor filters in 8 directions and 3 wavelengths, their energy in 16 parts, and one linear SVM a class."""
    return GaborSvm(**options)
