"""Dense SIFT, Fisher vectors and a linear SVM: the winner of ImageNet 2011 in small (Sánchez & Perronnin 2011, CVPR)."""

from __future__ import annotations

from sightline.classical.features.words import FisherVector
from sightline.classical.learners.quantised import QuantisedSvm
from sightline.classical.learners.svm import HingeSvm
from sightline.classical.pipeline import Learner, Pipeline
from sightline.models.catalogue import MODELS, SOLVED


class FisherSvm(Pipeline):
    """image_size   (height, width) of all its images
    gaussians, dimensions   of the mixture, and of descriptors after PCA; `bands` of the image beside the whole
    cell, step   pixels of a descriptor's cell, and from one descriptor to the next
    samples      descriptors that the vocabulary is learned from
    group, bits  product quantisation of training vectors: numbers of a group, and bits a number; none by rule
    rate, decay  of the SVM, see `classical.learners.svm`
    """

    def __init__(  # noqa: PLR0913 - the options of a recipe
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 10,
        image_size: tuple[int, int] = (32, 32),
        gaussians: int = 16,
        dimensions: int = 32,
        bands: int = 3,
        cell: int | None = None,
        step: int | None = None,
        samples: int = 50_000,
        group: int = 8,
        bits: int | None = None,
        rate: float = 10.0,
        decay: float = 1e-5,
    ) -> None:
        input_size = (in_channels, *image_size)
        encoder = FisherVector(
            input_size, gaussians=gaussians, dimensions=dimensions, bands=bands, cell=cell, step=step, samples=samples
        )
        learner: Learner | None = None
        if num_classes and bits:
            learner = QuantisedSvm(encoder.size, num_classes, group=group, bits=bits, rate=rate, decay=decay)
        elif num_classes:
            learner = HingeSvm(encoder.size, num_classes, rate=rate, decay=decay)
        super().__init__(encoder, learner, input_size)


@MODELS.under(SOLVED)
def fisher_svm(**options) -> FisherSvm:
    """Dense SIFT, Fisher vectors of 16 Gaussians in 4 regions, and one linear SVM a class."""
    return FisherSvm(**options)
