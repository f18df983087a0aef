"""Filters learned by independent component analysis, and a linear SVM on their energy (Bell & Sejnowski 1997)."""

from __future__ import annotations

from sightline.classical.features.banks import FilterEnergy, IndependentComponents
from sightline.classical.learners.svm import HingeSvm
from sightline.classical.pipeline import Pipeline
from sightline.models.catalogue import MODELS, SOLVED
from sightline.structures.learned import Gallery


class IcaSvm(Pipeline):
    """image_size   (height, width) of all its images
    components, side   how many filters, and pixels along their side
    regions      along a side of the image, in which energies are measured
    patches      that they are learned from
    rate, decay  of the SVM, see `classical.learners.svm`
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: tuple[int, int] = (32, 32),
        components: int = 64,
        side: int = 8,
        regions: int = 4,
        patches: int = 20_000,
        rate: float = 10.0,
        decay: float = 1e-5,
    ) -> None:
        input_size = (in_channels, *image_size)
        encoder = IndependentComponents(in_channels, components=components, side=side, regions=regions, patches=patches)
        learner = HingeSvm(encoder.size, num_classes, rate=rate, decay=decay) if num_classes else None
        super().__init__(encoder, learner, input_size)

    def galleries(self) -> list[Gallery]:
        """The independent components as filters."""
        encoder = self.encoder
        assert isinstance(encoder, FilterEnergy)
        tiles = encoder.kernels[:, None].cpu().double().numpy()
        return [
            Gallery("Filters", "Each is scaled as its neighbours; grey is 0.", tiles, [""] * len(tiles), signed=True)
        ]


@MODELS.under(SOLVED)
def ica_filters(**options) -> IcaSvm:
    """Independent components of patches as filters, their energy in 16 parts, and one linear SVM a class."""
    return IcaSvm(**options)
