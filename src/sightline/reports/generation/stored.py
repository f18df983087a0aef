"""What a run of a generative network stored while it trained: sheets of images, neighbours, losses and gradients."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sightline.reports.reading import RunFiles, as_mapping, as_number
from sightline.reports.samples import png_of

MOST_SHEETS = 48
_SHEET = re.compile(r"(\d{8})\.png")
FOLDER = "samples/progress"


@dataclass(frozen=True)
class Making:
    """`sheets` by step, encoded again; `neighbours` their sheet; `facts` of samples/generation.json; `log`: a mapping for each
    line of metrics.jsonl."""

    sheets: tuple[tuple[int, bytes], ...] = ()
    neighbours: bytes | None = None
    facts: Mapping[str, Any] | None = None
    log: tuple[Mapping[str, float], ...] = ()


def read_making(folder: RunFiles) -> Making | None:
    """None for a run that made no images."""
    try:
        names = sorted(p.name for p in (folder.path / FOLDER).iterdir() if _SHEET.fullmatch(p.name))
    except OSError:
        return None
    names = [*names[:: -(-len(names) // MOST_SHEETS)], *names[-1:]] if len(names) > MOST_SHEETS else names
    sheets = [(int(name[:8]), png_of(folder, f"{FOLDER}/{name}")) for name in dict.fromkeys(names)]
    return Making(
        tuple((step, png) for step, png in sheets if png is not None),
        png_of(folder, "samples/neighbours.png"),
        as_mapping(folder.json("samples/generation.json")) or None,
        _log(folder),
    )


def _log(folder: RunFiles) -> tuple[Mapping[str, float], ...]:
    rows = []
    for line in folder.text("metrics.jsonl").splitlines():
        try:
            values = as_mapping(json.loads(line))
        except (ValueError, RecursionError):
            continue
        row = {name: number for name, value in values.items() if (number := as_number(value)) is not None}
        rows += [row] if "step" in row else []
    return tuple(rows)
