"""The preprocessing of a run, from the file to the network's input; `preprocessing.json` stores it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, UInt8

from sightline.errors import DamagedError, UsageError

from .decoder import WHITE, Decoded, decode
from .geometry import Geometry

if TYPE_CHECKING:
    from .normalise import Normalise

VERSION = 1
_FORMAT = "sightline-preprocessing"
_RESTORE = "restore the file, or train again"


@dataclass(frozen=True)
class Preprocessing:
    """`geometry` and decoding (`channels` 1 or 3, `background` under transparency) give uint8 in the network's frame;
    `mean` and `std` per channel, in 0-255 units, normalise it."""

    geometry: Geometry
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: int = 3
    background: tuple[int, int, int] = WHITE

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise UsageError(f"channels is {self.channels}", "use 1 for grey or 3 for colour")
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise UsageError(
                f"{len(self.mean)} means and {len(self.std)} standard deviations for {self.channels} channels",
                "give one of each per channel",
            )

    def prepare(
        self, source: bytes | Path | np.ndarray
    ) -> tuple[UInt8[np.ndarray, "h w c"], Float[np.ndarray, "3 3"], Decoded]:
        """Pixels in the network's frame, the matrix original → network, and the decoded image. Raises `Rejected`."""
        decoded = decode(source, channels=self.channels, background=self.background)
        pixels, frame = self.geometry.apply(decoded.pixels)
        return pixels, frame, decoded

    def normaliser(self) -> Normalise:
        """The normalisation, as a module."""
        from .normalise import Normalise  # torch, which an exported model runs without

        return Normalise(self.mean, self.std)

    def to_json(self) -> dict[str, Any]:
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "geometry"}
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
        return {"format": _FORMAT, "version": VERSION, "geometry": asdict(self.geometry), **lists}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_json`; raises `DamagedError` for anything that `to_json` cannot have written."""
        if stored.get("format") != _FORMAT:
            raise DamagedError(
                f"preprocessing.json has the format {stored.get('format')!r} instead of {_FORMAT!r}", _RESTORE
            )
        if stored.get("version") != VERSION:
            raise DamagedError(
                f"preprocessing.json has version {stored.get('version')!r}; this sightline reads {VERSION}",
                "install a newer sightline",
            )
        own = {name: value for name, value in stored.items() if name not in ("format", "version")}
        _check_keys("preprocessing.json", own, cls)
        _check_keys("preprocessing.json: geometry", own["geometry"], Geometry)
        _check_whole(own)
        try:
            values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in own.items()}
            values["geometry"] = Geometry(**own["geometry"])
            preprocessing = cls(**values)
            _check_statistics(preprocessing)
        except (UsageError, TypeError, ValueError) as error:
            raise DamagedError(f"preprocessing.json: {error}", _RESTORE) from error
        return preprocessing


def _check_whole(own: Mapping[str, Any]) -> None:
    """Sizes, channels and colours must be whole numbers; JSON allows anything."""
    colour = own["background"] if isinstance(own["background"], list) else []
    whole = [own["channels"], *(own["geometry"][name] for name in ("height", "width", "pad", "multiple")), *colour]
    if len(colour) != 3 or not all(type(v) is int for v in whole) or not all(0 <= v <= 255 for v in colour):
        raise DamagedError("preprocessing.json: sizes, channels and colours must be whole numbers", _RESTORE)


def _check_statistics(preprocessing: Preprocessing) -> None:
    mean, std = preprocessing.mean, preprocessing.std
    if not all(map(math.isfinite, (*mean, *std))) or min(std) <= 0:
        raise ValueError(f"mean {mean} and std {std} must be finite, std above 0")


def _check_keys(where: str, stored: Any, owner: type) -> None:
    if not isinstance(stored, Mapping):
        raise DamagedError(f"{where} is not an object", _RESTORE)
    known = {f.name for f in fields(owner)}
    if strange := sorted(set(stored) ^ known):
        raise DamagedError(f"{where}: unknown or missing keys {', '.join(strange)}", _RESTORE)
