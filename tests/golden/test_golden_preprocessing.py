"""Numbers that must come out right: standardisation, and what two pixels of shift and a flip can make of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from sightline.augmentation.moves import Flip, Shift
from sightline.augmentation.pipeline import Pipeline
from sightline.preprocessing.normalise import Normalise, PixelStatistics
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels

from .rows import Golden

golden = Golden("preprocessing")


@golden("preprocess-standardise")
def standardise(inputs: dict[str, Any]) -> dict[str, Any]:
    """Features are channels, samples are images of one pixel."""
    x = torch.tensor(inputs["X"], dtype=torch.uint8)[:, :, None, None]  # (3, 2) → (3, 2, 1, 1)
    statistics = PixelStatistics(channels=2)
    statistics.add(x)
    mean, std = statistics.mean(), statistics.std()
    low, high = ([float(v) for v in bound] for bound in (x.amin((0, 2, 3)), x.amax((0, 2, 3))))
    return {
        "mean": list(mean),
        "std": list(std),
        "z": Normalise(mean, std)(x)[:, :, 0, 0].tolist(),
        "minmax": Normalise.between(low, high)(x)[:, :, 0, 0].tolist(),
    }


@golden("cifar-aug-2px")
def variants(inputs: dict[str, Any]) -> dict[str, Any]:
    """Distinct outcomes for one image over 2,000 positions; each of 50 is missed with probability (49/50)^2000 < 1e-17."""
    n = 2000
    image = torch.from_numpy(np.random.default_rng(0).integers(1, 256, (1, 3, 32, 32), dtype=np.uint8))
    batch = Batch.of_images(
        image=image.expand(n, -1, -1, -1).contiguous(memory_format=torch.channels_last),
        size=torch.tensor([[32, 32]]).expand(n, 2),
        frame=torch.eye(3).expand(n, 3, 3),
        natural=torch.tensor([[32, 32]]).expand(n, 2),
        id=torch.zeros(n, dtype=torch.int64),
        position=torch.arange(n),
        target=Labels.of(torch.zeros(n, dtype=torch.int64)),
    )
    assert inputs["flip"]
    out = Pipeline((Shift(inputs["max_shift"]), Flip()))(batch, seed=0).image
    return {
        "variants": len({one.contiguous().numpy().tobytes() for one in out}),
        "size": list(out.shape[2:]),
    }


@pytest.mark.parametrize("identifier", golden.rows)
def test_row(identifier: str) -> None:
    golden.check(identifier)
