"""The results of attacks that lie beside a run, as `sightline attack` wrote them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sightline.reports.reading import RunFiles, as_mapping

FORMAT = "sightline-attack"
FOLDER = "attacks"
MOST = 24  # files


def read_attacks(folder: RunFiles) -> tuple[Mapping[str, Any], ...]:
    """The facts of every attack on the run, by name of the file; what cannot be read is left out."""
    try:
        names = sorted(path.name for path in (folder.path / FOLDER).iterdir() if path.suffix == ".json")
    except OSError:
        return ()
    found = [as_mapping(folder.json(f"{FOLDER}/{name}")) for name in names[:MOST]]
    return tuple(facts for facts in found if facts.get("format") == FORMAT)
