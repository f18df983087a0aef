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
from sightline.storage.schema import Fields, brief

from .decoder import WHITE, Decoded, decode
from .depth import DEPTHS
from .geometry import FITS, MAX_SIDE, Geometry

if TYPE_CHECKING:
    from .normalise import Normalise

VERSION = 1
_FORMAT = "sightline-preprocessing"
_RESTORE = "restore the file, or train again"


@dataclass(frozen=True)
class Preprocessing:
    """`geometry` and decoding (`channels` 1 or 3, `background` under transparency) give uint8 in the network's frame;
    `mean` and `std` per channel, in 0-255 units, normalise it. `depth` is the number of bits that samples of 16 have in the
    training data; None in runs that took all 16 for filled."""

    geometry: Geometry
    mean: tuple[float, ...]
    std: tuple[float, ...]
    channels: int = 3
    background: tuple[int, int, int] = WHITE
    depth: int | None = None

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise UsageError(f"channels is {self.channels}", "use 1 for grey or 3 for colour")
        if len(self.mean) != self.channels or len(self.std) != self.channels:
            raise UsageError(
                f"{len(self.mean)} means and {len(self.std)} standard deviations for {self.channels} channels",
                "give one of each per channel",
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of the network's frame."""
        return self.channels, self.geometry.height, self.geometry.width

    def prepare(
        self, source: bytes | Path | np.ndarray
    ) -> tuple[UInt8[np.ndarray, "h w c"], Float[np.ndarray, "3 3"], Decoded]:
        """Pixels in the network's frame, the matrix original → network, and the decoded image. Raises `Rejected`."""
        decoded = decode(source, channels=self.channels, background=self.background, depth=self.depth)
        pixels, frame = self.geometry.apply(decoded.pixels)
        return pixels, frame, decoded

    def normaliser(self) -> Normalise:
        """The normalisation, as a module."""
        from .normalise import Normalise  # torch, which an exported model runs without

        return Normalise(self.mean, self.std)

    def to_json(self) -> dict[str, Any]:
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "geometry"}
        if self.depth is None:  # as written before there was one
            del own["depth"]
        lists = {name: list(value) if isinstance(value, tuple) else value for name, value in own.items()}
        return {"format": _FORMAT, "version": VERSION, "geometry": asdict(self.geometry), **lists}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_json`; raises `DamagedError` for anything that `to_json` cannot have written."""
        own = Fields({"depth": None, **stored}, "preprocessing.json", hint=_RESTORE)  # earlier versions wrote none
        if stored.get("format") != _FORMAT:
            raise own.wrong("format", f"is {brief(stored.get('format'))} instead of {_FORMAT!r}")
        if stored.get("version") != VERSION:
            raise DamagedError(
                f"preprocessing.json has version {brief(stored.get('version'))}; this sightline reads {VERSION}",
                "install a newer sightline",
            )
        own.require(("format", "version", *(f.name for f in fields(cls))))
        frame = own.fields("geometry")
        frame.require([f.name for f in fields(Geometry)])
        background = own.wholes("background", length=3, most=255)
        if (depth := own.raw("depth")) is not None and (type(depth) is not int or depth not in DEPTHS):
            raise own.wrong("depth", f"is {brief(depth)}")
        try:
            preprocessing = cls(
                geometry=Geometry(
                    height=frame.whole("height", 1, MAX_SIDE),
                    width=frame.whole("width", 1, MAX_SIDE),
                    fit=frame.text("fit", among=FITS),
                    pad=frame.whole("pad", 0, 255),
                    share=frame.real("share", 0, 1),
                    multiple=frame.whole("multiple", 1, MAX_SIDE),
                ),
                mean=tuple(own.reals("mean")),
                std=tuple(own.reals("std")),
                channels=own.whole("channels", 1, 3),
                background=(background[0], background[1], background[2]),
                depth=depth,
            )
            _check_statistics(preprocessing)
        except (UsageError, ValueError) as error:
            raise DamagedError(f"preprocessing.json: {error}", _RESTORE) from error
        return preprocessing


def _check_statistics(preprocessing: Preprocessing) -> None:
    mean, std = preprocessing.mean, preprocessing.std
    if not all(map(math.isfinite, (*mean, *std))) or min(std) <= 0:
        raise ValueError(f"mean {mean} and std {std} must be finite, std above 0")
