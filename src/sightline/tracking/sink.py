"""Where tracked figures go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from jaxtyping import UInt8

Picture = UInt8[np.ndarray, "h w 3"]
Value = str | int | float | bool


class Sink(Protocol):
    """One place for tracked figures. Any method may raise: the tracker then does without the sink.

    name    for messages
    last    tag → the last step that the place has a value for: what a resumed run computes again is not written again
    """

    name: str
    last: dict[str, int]

    def settings(self, values: Mapping[str, Value], results: Sequence[str]) -> None:
        """The run's settings by dotted key, and the tags of its final results; called at every start."""

    def scalars(self, values: Mapping[str, float], step: int) -> None: ...

    def picture(self, tag: str, picture: Picture, step: int) -> None: ...

    def flush(self) -> None: ...

    def finish(self, folder: Path, files: tuple[str, ...]) -> None:
        """The run is finished; `files` are those of `folder` worth keeping with it."""

    def close(self, status: str) -> None:
        """`status` as in run.json."""
