"""What kinds of task over annotated images share: from an annotation to a target."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from sightline.data.dataset import Dataset
from sightline.data.targets import target_of
from sightline.preprocessing.saved import Preprocessing
from sightline.structures.targets import Target


def annotated_target(
    data: Dataset,
    id: int,
    preprocessing: Preprocessing,
    natural: tuple[int, int],
    frame: Float[np.ndarray, "3 3"],
    judging: bool,
    *,
    outlines: bool = False,
) -> Target:
    """The annotation of one image in the network's frame; see `Truths.target`. `outlines`: objects with their pixels."""
    return target_of(data.truth(id), preprocessing.geometry, natural, frame, outlines=outlines, judging=judging)
