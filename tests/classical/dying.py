"""Solves a pipeline and dies by SIGKILL before a chunk: `python -m tests.classical.dying DATA RUN MODEL CHUNK OPTION...`."""

from __future__ import annotations

import os
import signal
import sys

import sightline
from sightline.classical.pipeline import Solving

_advance = Solving.advance


def dying(solving: Solving, chunk: int) -> dict[str, float]:
    if chunk == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)
    return _advance(solving, chunk)


if __name__ == "__main__":
    Solving.advance = dying  # type: ignore[method-assign]
    sightline.train(sys.argv[1], sys.argv[5:], model=sys.argv[3], out=sys.argv[2])
