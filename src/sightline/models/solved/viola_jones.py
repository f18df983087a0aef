"""A cascade of boosted Haar features: windows with a face, and windows without (Viola & Jones 2001, CVPR)."""

from __future__ import annotations

import numpy as np

from sightline.classical.features.haar import Window
from sightline.classical.learners.cascade import Cascade
from sightline.classical.pipeline import Pipeline
from sightline.errors import UsageError
from sightline.models.catalogue import MODELS, SOLVED
from sightline.structures.learned import Gallery


class ViolaJones(Pipeline):
    """image_size   (height, width) of the window, a square
    stages, rounds   of the cascade, and stumps of a stage at most
    candidates       Haar features that AdaBoost chooses from
    detection        share of the positive windows that every stage lets pass
    passing          share of the negative ones that a stage may let pass
    positive         the class, 0 or 1, that is looked for: the first by name
    """

    def __init__(
        self,
        *,
        in_channels: int = 1,
        num_classes: int = 2,
        image_size: tuple[int, int] = (24, 24),
        stages: int = 10,
        rounds: int = 30,
        candidates: int = 2000,
        detection: float = 0.995,
        passing: float = 0.4,
        positive: int = 0,
    ) -> None:
        height, width = image_size
        if height != width:
            raise UsageError(f"a window of {height}x{width} is no square", "set input.width to input.size")
        if num_classes not in (0, 2):
            raise UsageError(f"a cascade tells two classes apart, not {num_classes}", "use two classes, or hog_svm")
        learner = None
        if num_classes:
            learner = Cascade(
                height, stages=stages, rounds=rounds, candidates=candidates, detection=detection, passing=passing,
                positive=min(positive, 1),
            )  # fmt: skip
        super().__init__(Window(height), learner, (in_channels, height, width))

    def galleries(self) -> list[Gallery]:
        """The features of each stage in the order of their votes: white pixels count for, black ones against."""
        learner = self.learner
        assert isinstance(learner, Cascade)
        stages, names, tiles = learner.feature.cpu(), [], []
        for stage, row in enumerate(stages):
            for number in (row >= 0).nonzero()[:, 0].tolist():
                sign = float(learner.sign[stage, number])
                tiles.append(sign * learner.candidates[int(row[number])].template(learner.side)[None, None])
                names.append(f"{stage + 1}.{number + 1}")
        if not tiles:
            return []
        words = (
            "Each feature of the cascade by stage and order; pixels that speak for the class are bright, others dark."
        )
        return [Gallery("Haar features", words, np.stack(tiles), names, signed=True)]


@MODELS.under(SOLVED)
def viola_jones(**options) -> ViolaJones:
    """A cascade of at most 10 stages of boosted Haar features, for windows of two classes."""
    return ViolaJones(**options)
