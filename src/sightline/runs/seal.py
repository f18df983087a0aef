"""The seal of a finished run: size and SHA-256 of every file that must not change."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from .run import SEAL, Run

SEALED = (
    "recipe.yaml", "environment.json", "data.json", "preprocessing.json", "metrics.json", "history.csv", "metrics.jsonl",
    "predictions/train.parquet", "predictions/val.parquet", "predictions/test.parquet",
)  # fmt: skip


def seal(run: Run) -> None:
    """Write manifest.json: size and SHA-256 of every file of a finished run that must not change."""
    networks = (path.relative_to(run.folder).as_posix() for path in sorted((run.folder / "model").iterdir()))
    names = (*SEALED, *(name for name in networks if not Path(name).name.startswith(".")))
    run.write_json(SEAL, {"format": 1, "files": {n: e for n in names if (e := file_entry(run.folder / n))}})


def file_entry(path: Path) -> dict[str, Any] | None:
    """Size and SHA-256 of a file; None if it does not exist."""
    if not path.is_file():
        return None
    data = path.read_bytes()
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
