"""One server for all tests that only ask it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .clients import Served, served
from .small_exports import classifier

for package in ("onnx", "onnxruntime", "fastapi", "uvicorn"):
    pytest.importorskip(package, reason="serving needs the extra 'serve', its tests onnx")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return classifier(tmp_path_factory.mktemp("exports") / "small")


@pytest.fixture(scope="session")
def server(folder: Path) -> Iterator[Served]:
    with served(folder, "--threads=1") as one:
        yield one
