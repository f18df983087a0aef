"""Principal components and nearest neighbours; eigenfaces where the images are faces (Turk & Pentland 1991)."""

from __future__ import annotations

from sightline.classical.features.fixed import Pixels
from sightline.classical.learners.neighbours import Neighbours
from sightline.classical.pipeline import Pipeline
from sightline.models.catalogue import MODELS, SOLVED
from sightline.structures.learned import Gallery


class PcaKnn(Pipeline):
    """image_size   (height, width) of all its images
    components   that are kept of the pixels
    neighbours, memory   that answer, and training images that are remembered
    """

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: tuple[int, int] = (32, 32),
        components: int = 64,
        neighbours: int = 5,
        memory: int = 5_000,
    ) -> None:
        input_size = (in_channels, *image_size)
        encoder = Pixels(input_size)
        learner = (
            Neighbours(encoder.size, num_classes, components=components, k=neighbours, memory=memory)
            if num_classes
            else None
        )
        super().__init__(encoder, learner, input_size)

    def galleries(self) -> list[Gallery]:
        """The principal components as images, the strongest first."""
        learner = self.learner
        assert isinstance(learner, Neighbours)
        tiles = learner.basis.T.unflatten(1, self.input_size)[:, None].cpu().double().numpy()
        used = tiles[abs(tiles).max((1, 2, 3, 4)) > 0]
        names = [str(number + 1) for number in range(len(used))]
        text = "Principal components as images, the strongest first; grey is 0."
        return [Gallery("Principal components", text, used, names, signed=True)]


@MODELS.under(SOLVED)
def pca_knn(**options) -> PcaKnn:
    """64 principal components and the 5 nearest of at most 5,000 training images."""
    return PcaKnn(**options)
