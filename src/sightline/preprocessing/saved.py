"""The one preprocessing of a run: what happens to a file before the network sees it; `preprocessing.json` keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from sightline.errors import DamagedError, UsageError

from .decoder import WHITE, Decoded, decode
from .geometry import Geometry
from .normalise import Normalise

VERSION = 1
_FORMAT = "sightline-preprocessing"


@dataclass(frozen=True)
class Preprocessing:
    """`geometry` and decoding (`channels` 1 or 3, `background` under transparency) make uint8 in the network's frame;
    `mean` and `std` per channel, in 0-255 units, normalise it."""

    geometry: Geometry
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: int = 3
    background: tuple[int, int, int] = WHITE

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise UsageError(f"channels is {self.channels}", "1 for grey, 3 for colour")
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise UsageError(f"{len(self.mean)} means and {len(self.std)} deviations for {self.channels} channels")

    def prepare(
        self, source: bytes | Path | np.ndarray
    ) -> tuple[UInt8[np.ndarray, "h w c"], Float[np.ndarray, "3 3"], Decoded]:
        """Pixels in the network's frame, the frame original → network, and what was decoded. Raises `Rejected`."""
        decoded = decode(source, channels=self.channels, background=self.background)
        pixels, frame = self.geometry.apply(decoded.pixels)
        return pixels, frame, decoded

    def normaliser(self) -> Normalise:
        """The other half, as a module."""
        return Normalise(self.mean, self.std)

    def to_json(self) -> dict[str, Any]:
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "geometry"}
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
        return {"format": _FORMAT, "version": VERSION, "geometry": asdict(self.geometry), **lists}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_json`; anything that it did not write is a `DamagedError`."""
        if stored.get("format") != _FORMAT:
            raise DamagedError(f"preprocessing.json: format {stored.get('format')!r}", f"expected {_FORMAT!r}")
        if stored.get("version") != VERSION:
            raise DamagedError(
                f"preprocessing.json: version {stored.get('version')!r}", f"this sightline reads version {VERSION}"
            )
        own = {name: value for name, value in stored.items() if name not in ("format", "version")}
        _check_keys("preprocessing.json", own, cls)
        _check_keys("preprocessing.json: geometry", own["geometry"], Geometry)
        _check_whole(own)
        try:
            values: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in own.items()}
            values["geometry"] = Geometry(**own["geometry"])
            made = cls(**values)
            made.normaliser()  # finite, above zero
        except (UsageError, TypeError, ValueError) as error:
            raise DamagedError(f"preprocessing.json: {error}") from error
        return made


def _check_whole(own: Mapping[str, Any]) -> None:
    """Sizes, channels and colours are whole numbers; JSON would let anything through."""
    colour = own["background"] if isinstance(own["background"], list) else []
    whole = [own["channels"], *(own["geometry"][name] for name in ("height", "width", "pad", "multiple")), *colour]
    if len(colour) != 3 or not all(type(v) is int for v in whole) or not all(0 <= v <= 255 for v in colour):
        raise DamagedError("preprocessing.json: sizes, channels and colours are whole numbers")


def _check_keys(where: str, stored: Any, kind: type) -> None:
    if not isinstance(stored, Mapping):
        raise DamagedError(f"{where}: not an object")
    known = {f.name for f in fields(kind)}
    if strange := sorted(set(stored) ^ known):
        raise DamagedError(f"{where}: unknown or missing {', '.join(strange)}")
