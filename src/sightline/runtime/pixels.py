"""Pixel scores → a class for each pixel of the original image, by the rule of `decoding.segments`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt8

from sightline.decoding.covering import covered

from .choosing import choose_shares
from .decodings import Arrays, Decoding, Frames, Graph, Keep

_ROWS = 256  # of the original at a time: bounds the memory of resampled scores


class PixelScores(Decoding):
    """Graph "model": image → scores (b, k, h, w)."""

    choose = staticmethod(choose_shares)

    def run(self, graphs: Mapping[str, Graph], image: UInt8[np.ndarray, "b c h w"]) -> Arrays:
        return graphs["model"](image=image)

    def rows(self, outputs: Arrays, frames: Frames, classes: Sequence[str], keep: Keep) -> list[dict[str, Any]]:
        rows = []
        for place, score in enumerate(outputs["scores"]):
            index = class_map(score, frames.frame[place], frames.natural[place])
            shares = np.bincount(index.ravel(), minlength=len(classes)) / index.size
            present = {classes[c]: float(shares[c]) for c in np.argsort(-shares, kind="stable") if shares[c]}
            rows.append({"mask": keep(place, index.astype(np.uint8)), "shares": present})
        return rows


class _Taps(NamedTuple):
    """Along one axis: each output reads `low` and `high`, the latter with `weight`."""

    low: Int[np.ndarray, "n"]
    high: Int[np.ndarray, "n"]
    weight: Float[np.ndarray, "n"]


def class_map(
    score: Float[np.ndarray, "k h w"], frame: Float[np.ndarray, "3 3"], natural: tuple[int, int]
) -> Int[np.ndarray, "height width"]:
    """The class of each pixel of the original image, as `decoding.segments.class_map` gives it for frames of `Geometry`,
    which scale and shift. Interpolated in another order of operations: near ties may fall otherwise."""
    spans = [covered(frame[axis].tolist(), axis, natural, score.shape[2 - axis]) for axis in (1, 0)]
    if spans[0] is not None and spans[1] is not None:
        score = score[:, spans[0], spans[1]]
        if score.shape[1:] == natural:
            return score.argmax(0)
        down, across = (_stretched(score.shape[1 + axis], natural[axis]) for axis in (0, 1))
    else:
        down, across = (_placed(frame, axis, natural, score.shape[2 - axis]) for axis in (1, 0))
    parts = [slice(start, start + _ROWS) for start in range(0, natural[0], _ROWS)]
    return np.concatenate([_resampled(score, _Taps(*(t[part] for t in down)), across).argmax(0) for part in parts])


def _stretched(side: int, length: int) -> _Taps:
    """Taps that stretch `side` pixels over `length`, between pixel centres."""
    position = (np.arange(length, dtype=np.float32) + 0.5) * np.float32(side / length) - np.float32(0.5)
    return _taps(position, side)


def _placed(frame: Float[np.ndarray, "3 3"], axis: int, natural: tuple[int, int], side: int) -> _Taps:
    """Taps at the pixel centres of the original, moved by the frame along x (0) or y (1)."""
    centre = np.arange(natural[1 - axis]) + 0.5
    position = float(frame[axis, axis]) * centre + float(frame[axis, 2]) - 0.5
    return _taps(position.astype(np.float32), side)


def _taps(position: Float[np.ndarray, "n"], side: int) -> _Taps:
    position = position.clip(0, side - 1)
    low = position.astype(np.int64)
    return _Taps(low, np.minimum(low + 1, side - 1), position - low.astype(np.float32))


def _resampled(score: Float[np.ndarray, "k h w"], down: _Taps, across: _Taps) -> Float[np.ndarray, "k i j"]:
    lines = [
        score[:, rows][:, :, across.low] * (1 - across.weight) + score[:, rows][:, :, across.high] * across.weight
        for rows in (down.low, down.high)
    ]  # (k, i, j) each
    weight = down.weight[:, None]
    return lines[0] * (1 - weight) + lines[1] * weight
