"""Numbers that must come out right: standardisation, and what two pixels of shift and a flip can make of an image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.augmentation.moves import Flip, Shift
from sightline.augmentation.pipeline import Pipeline
from sightline.preprocessing.normalise import Normalise, PixelStatistics
from sightline.structures.batch import Batch
from sightline.structures.targets import Labels

ROWS: dict[str, dict[str, Any]] = {
    row["id"]: row for row in json.loads(Path(__file__).with_name("preprocessing.json").read_text())
}


def close(got: Tensor | tuple[float, ...], expected: list[Any], tolerance: float) -> bool:
    return bool(np.abs(np.asarray(got) - np.asarray(expected)).max() <= tolerance)


def test_preprocess_standardise() -> None:
    """Features are channels, samples are images of one pixel."""
    row = ROWS["preprocess-standardise"]
    expected, tolerance = row["expected"], row["tolerance"]
    x = torch.tensor(row["inputs"]["X"], dtype=torch.uint8)[:, :, None, None]  # (3, 2) → (3, 2, 1, 1)
    statistics = PixelStatistics(channels=2)
    statistics.add(x)
    assert close(statistics.mean(), expected["mean"], tolerance)
    assert close(statistics.std(), expected["std"], tolerance)
    z = Normalise(statistics.mean(), statistics.std()).double()(x)
    assert close(z[:, :, 0, 0], expected["z"], tolerance)
    low, high = ([float(v) for v in bound] for bound in (x.amin((0, 2, 3)), x.amax((0, 2, 3))))
    assert close(Normalise.between(low, high)(x)[:, :, 0, 0], expected["minmax"], tolerance)


def test_cifar_aug_2px() -> None:
    row = ROWS["cifar-aug-2px"]
    assert row["inputs"] == {"max_shift": 2, "flip": True}
    height, width = row["expected"]["size"]
    n = 2000  # each of 50 variants is missed with probability (49/50)^2000 < 1e-17
    image = torch.from_numpy(np.random.default_rng(0).integers(1, 256, (1, 3, height, width), dtype=np.uint8))
    batch = Batch(
        image=image.expand(n, -1, -1, -1).contiguous(memory_format=torch.channels_last),
        size=torch.tensor([[height, width]]).expand(n, 2),
        frame=torch.eye(3).expand(n, 3, 3),
        id=torch.zeros(n, dtype=torch.int64),
        position=torch.arange(n),
        target=Labels.of(torch.zeros(n, dtype=torch.int64)),
    )
    out = Pipeline((Shift(2), Flip()))(batch, seed=0).image
    assert tuple(out.shape[2:]) == (height, width)
    assert len({bytes(one.contiguous().numpy().tobytes()) for one in out}) == row["expected"]["variants"]
