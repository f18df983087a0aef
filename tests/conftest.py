"""What every test stands on: one thread, keyed draws, the real data where it is."""

from __future__ import annotations

import os
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "data"
if "SIGHTLINE_DATA" not in os.environ and SHARED.is_dir():
    os.environ["SIGHTLINE_DATA"] = str(SHARED)
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")
