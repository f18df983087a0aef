"""What every test stands on: one thread, the same draws in every run, the real data where it is.

`TEST_SEED=n` gives other draws: a test that then fails says something of the product or of itself (`make draws`).
"""

from __future__ import annotations

import os
import random
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

SHARED = Path(__file__).parents[2] / "shared" / "data"
if "SIGHTLINE_DATA" not in os.environ and SHARED.is_dir():
    os.environ["SIGHTLINE_DATA"] = str(SHARED)
for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

SEED = os.environ.get("TEST_SEED", "0")
settings.register_profile("same", derandomize=True, database=None)
if SEED == "0":
    settings.load_profile("same")


def seed_all(name: str) -> None:
    """Layers and arrays that a test makes without a seed of its own are those of its name, alone or beside others."""
    import torch  # after the threads are set

    seed = zlib.crc32(f"{SEED} {name}".encode())
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def pytest_collectstart(collector: pytest.Collector) -> None:
    seed_all(collector.nodeid)


@pytest.fixture(autouse=True)
def _same_draws(request: pytest.FixtureRequest) -> None:
    seed_all(request.node.nodeid)


@pytest.fixture(autouse=True)
def _no_pretrained_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Defaults do not depend on whether the package with pretrained weights is installed."""
    monkeypatch.setattr("sightline.recipes.fine_tuning.installed", lambda source: None)
