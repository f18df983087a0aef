"""Whether a picture looks like a map of classes: few values, in patches, as no photograph has them.

Asked only where names do not decide between images beside their masks and two classes whose files are numbered alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sightline.preprocessing.decoder import decode
from sightline.preprocessing.rejection import Rejected

FEW = 64  # values of a map of classes
SAME = 0.7  # neighbours that are equal, at least
STEP = 32  # JPEG invents values around the true ones, which rounding to so much takes back
SAMPLE = 6


def looks_like_labels(path: Path, lossy: bool) -> tuple[bool, tuple[int, int]] | None:
    """Whether the picture at `path` looks like a map of classes, and its size; None where it cannot be decoded."""
    try:
        decoded = decode(path, keep_samples=True)
    except Rejected:
        return None
    # 12 bits in files of 16 would look like a few values in 8 bits
    pixels = decoded.pixels if decoded.samples is None else decoded.samples
    flat = pixels.astype(np.int64)
    if lossy:
        flat = (flat + STEP // 2) // STEP
    codes = flat @ np.array([1, 1 << 17, 1 << 34], np.int64)[: flat.shape[2]]  # (h, w)
    values = len(np.unique(codes))
    across = np.concatenate([(codes[:, 1:] == codes[:, :-1]).ravel(), (codes[1:] == codes[:-1]).ravel()])
    patches = bool(across.size) and float(across.mean()) >= SAME
    return 2 <= values <= FEW and patches, (pixels.shape[0], pixels.shape[1])


def are_masks_of(root: Path, pairs: Sequence[tuple[str, str]]) -> bool:
    """Whether, of pairs (picture, other file), most others look like maps of classes of the size of their picture, and most
    pictures do not."""
    step = max(len(pairs) // SAMPLE, 1)
    labels = pictures = seen = 0
    for picture, other in pairs[::step][: 2 * SAMPLE]:
        one, two = (
            looks_like_labels(root / name, name.lower().endswith((".jpg", ".jpeg"))) for name in (picture, other)
        )
        if one is None or two is None:
            continue
        seen += 1
        labels += two[0] and one[1] == two[1]
        pictures += not one[0]
    return seen > 0 and labels > seen / 2 and pictures > seen / 2
