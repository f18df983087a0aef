"""The seal of a finished run: size and SHA-256 of every file that must not change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sightline.storage.reading import hash_regular

from .run import FACTS, SEAL, Run, changed

SEALED = (
    "recipe.yaml", "environment.json", "data.json", "preprocessing.json", "metrics.json", "history.csv", "metrics.jsonl",
    FACTS,
    "predictions/train.parquet", "predictions/val.parquet", "predictions/test.parquet",
)  # fmt: skip


BEGUN = ("recipe.yaml", "data.json")  # written once, when the run begins; run.json holds their hashes


def seal(run: Run) -> None:
    """Write manifest.json: size and SHA-256 of every file of a finished run that must not change.

    Only what this program wrote is sealed. Raises DamagedError for a file that was damaged or lost since: sealing it would
    turn the damage into the run's own claim.
    """
    written = {**begun(run), **run.written}
    names = [*SEALED, *sorted(name for name in written if name.startswith("model/"))]
    files = {}
    for name in names:
        entry = file_entry(run.folder / name)
        if name in written and (entry is None or entry["sha256"] != written[name]):
            raise changed(run.folder / name, f"restore it, then sightline train --resume {run.folder}")
        if entry is not None:
            files[name] = entry
    run.write_json(SEAL, {"format": 1, "files": files})


def begun(run: Run) -> dict[str, str]:
    """The hashes of the files that were written when the run began; none for runs of earlier versions."""
    status = run.fields("run.json")
    if "written" not in status.values:
        return {}
    stored = status.fields("written")
    return {name: stored.digest(name) for name in BEGUN}


def require_as_begun(run: Run) -> None:
    """Raises DamagedError if a file that was written when the run began has changed since: a resumed run would seal it."""
    for name, sha256 in begun(run).items():
        entry = file_entry(run.folder / name)
        if entry is None or entry["sha256"] != sha256:
            raise changed(run.folder / name, "restore it, or start a new run with another --out")


def file_entry(path: Path) -> dict[str, Any] | None:
    """Size and SHA-256 of a file; None if there is no regular file that can be read."""
    try:
        size, sha256 = hash_regular(path)
    except (OSError, ValueError):
        return None
    return {"bytes": size, "sha256": sha256}
